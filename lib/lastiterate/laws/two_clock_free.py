"""Two clocks with the exponent of the first, and that of the noise, free."""

from lastiterate.laws.law import Law, rows
from lastiterate.laws.two_clock import memory


def features(path, a, c, s, b):
    return rows(1.0, path.U(s) ** -a, memory(path, c) ** b)


LAW = Law(
    name="two_clock_free",
    formula="L0 + A U^-a + B M^b,  U_t = sum eta^s,  M as in two_clock",
    linear=("L0", "A", "B"),
    nonlinear={"a": (0.05, 2.0), "c": (1e-5, 1.0), "s": (0.2, 2.0), "b": (0.2, 2.0)},
    features=features,
    source="this project",
    note="the kernel's exponent 0.5 was chosen on the runs of the bench",
)
