"""The annealing law: progress, and an annealing area with a momentum in steps."""

from lastiterate.laws.law import Law, rows


def features(path, a):
    return rows(1.0, path.S**-a, -path.annealed)


LAW = Law(
    name="annealing",
    formula="L0 + A S^-a - C sum_{i<=t} m_i,  m_i = 0.999 m_{i-1} + (eta_{i-1} - eta_i)",
    linear=("L0", "A", "C"),
    nonlinear={"a": (0.05, 2.0)},
    features=features,
    source="Tissue et al. 2024, arXiv 2408.11029, equation 1; no annealing counted in the warmup",
)
