"""Two clocks: progress runs in sums of η^¾, the noise of the rates is forgotten in sums of η."""

from lastiterate.laws.law import Law, rows


def features(path, a, c):
    return rows(1.0, path.U75**-a, memory(path, c) ** 0.7)


def memory(path, c):
    """M_t = Σ_{j≤t} η_j [g(S_t − S_j) − g(S_t − S_{j−1})], g(x) = (1 + x/c)^−½, summed by parts: over the changes of the rate."""
    return path.changes.sum(1 / c, 0.5).clip(0.0)


LAW = Law(
    name="two_clock",
    formula="L0 + A U^-a + B M^0.7,  U_t = sum eta^0.75,  M_t = sum (eta_k - eta_{k-1}) [1 - (1 + (S_t - S_{k-1})/c)^-0.5]",
    linear=("L0", "A", "B"),
    nonlinear={"a": (0.05, 2.0), "c": (1e-5, 1.0)},
    features=features,
    source="this project",
    note="the exponents 0.75, 0.5 and 0.7 were chosen on the runs of the bench",
)
