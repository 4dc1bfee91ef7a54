"""The Multi-Power Law: every change of the rate takes off its part of the loss, by a power law in the rates that follow it."""

from lastiterate.laws.law import Law, rows


def features(path, a, C, beta, gamma):
    changes = path.changes
    return rows(1.0, path.S**-a, changes.sum(C * changes.rate**-gamma, beta))


LAW = Law(
    name="multi_power",
    formula="L0 + A S^-a + B sum_{k<=t} (eta_k - eta_{k-1}) [1 - (1 + C eta_k^-gamma (S_t - S_{k-1}))^-beta]",
    linear=("L0", "A", "B"),
    nonlinear={"a": (0.05, 2.0), "C": (0.1, 1e4), "beta": (0.05, 2.0), "gamma": (0.01, 2.0)},
    features=features,
    source="Luo et al. 2025, arXiv 2503.12811, equation 1",
)
