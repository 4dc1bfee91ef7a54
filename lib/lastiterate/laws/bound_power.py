"""The last-iterate bound's two terms, each with a free exponent."""

from lastiterate.laws.law import Law, rows


def features(path, a, b):
    return rows(1.0, path.S**-a, path.shifted_noise**b)


LAW = Law(
    name="bound_power",
    formula="L0 + A S^-a + B N^b,  N_t = sum_{k<=t} eta_k^2 / (S_t - S_{k-1})",
    linear=("L0", "A", "B"),
    nonlinear={"a": (0.05, 2.0), "b": (0.1, 3.0)},
    features=features,
    source="this project, from Schaipp et al. 2025, Theorem 1; b = 1 is the bound",
)
