"""The functional scaling law's form for language models: what each fall of the rate takes off depends on how far training is."""

import numpy as np

from lastiterate.laws.law import Law, rows


def features(path, a, c3, c4, gamma):
    falls = path.falls
    return rows(1.0, path.S**-a, -falls.sum(c4, gamma, c3 + np.maximum(falls.position, 1e-12) ** -a))


LAW = Law(
    name="functional",
    formula="L0 + A S^-a - c2 sum_{k<=t, falling} (eta_{k-1} - eta_k) (c3 + S_k^-a) [1 - (1 + c4 (S_t - S_k))^-gamma]",
    linear=("L0", "A", "c2"),
    nonlinear={"a": (0.05, 2.0), "c3": (1e-3, 1e3), "c4": (0.1, 1e4), "gamma": (0.05, 2.0)},
    features=features,
    source="Li et al. 2025, arXiv 2509.19189, the form for language models",
)
