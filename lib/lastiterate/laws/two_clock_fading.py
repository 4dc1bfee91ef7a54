"""Two clocks, with gradients that get smaller as the run goes on, like S^−0.1: the noise of a rate fades."""

from lastiterate.laws.law import Law, rows
from lastiterate.laws.two_clock import memory


def features(path, a, c):
    return rows(1.0, path.U75**-a, (memory(path, c) * path.S**-0.1) ** 0.7)


LAW = Law(
    name="two_clock_fading",
    formula="L0 + A U^-a + B (M S^-0.1)^0.7,  U and M as in two_clock",
    linear=("L0", "A", "B"),
    nonlinear={"a": (0.05, 2.0), "c": (1e-5, 1.0)},
    features=features,
    source="this project; in the bound the noise of a rate is multiplied by the gradients' norms G_t",
    note="the exponents 0.75, 0.5 and 0.7 are those of two_clock; 0.1 was chosen on the same nine tasks of the bench",
)
