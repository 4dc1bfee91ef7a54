"""The last-iterate bound's two terms, the first with a free exponent."""

from lastiterate.laws.law import Law, rows


def features(path, a):
    return rows(1.0, path.S**-a, path.bound_noise)


LAW = Law(
    name="bound",
    formula="L0 + A S^-a + B N,  N_t = eta_t + sum_{k<t} eta_k^2 / (S_t - S_k)",
    linear=("L0", "A", "B"),
    nonlinear={"a": (0.05, 2.0)},
    features=features,
    source="this project, from Schaipp et al. 2025, Theorem 1, in the form of `bounds.omega`",
    note="where the rate is 0 the noise is that of the last positive rate: a step of size 0 moves nothing",
)
