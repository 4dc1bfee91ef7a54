"""Noise that is forgotten in steps, not in rates: a rate counts by one over the steps since."""

from lastiterate.laws.law import Law, rows


def features(path, a, b):
    return rows(1.0, path.U75**-a, path.step_noise**b)


LAW = Law(
    name="step_memory",
    formula="L0 + A U^-a + B (sum_{k<=t} eta_k / (t - k + 1))^b,  U_t = sum eta^0.75",
    linear=("L0", "A", "B"),
    nonlinear={"a": (0.05, 2.0), "b": (0.1, 3.0)},
    features=features,
    source="this project",
    note="the exponent 0.75 was chosen on the runs of the bench",
)
