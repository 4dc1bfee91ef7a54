"""What the notebooks of Defazio et al. 2023 show and what cannot fail unless code breaks."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from lastiterate import bounds, design


@pytest.fixture(scope="module")
def norms():
    """The sequences (b), (c), (d) of figure 1, by the last value of each."""
    at, falls = [0.0, 0.003, 0.02, 0.03, 0.1, 1.0], [15.0, 6.0, 4.0, 2.0, 1.0]
    broken = {end: np.interp(np.linspace(0, 1, 2000), at, [*falls, end]) for end in (1.0, 2.0, 0.7)}
    return {end: gaussian_filter1d(values, 40, mode="nearest") for end, values in broken.items()}


def test_norms_that_fall_early_give_warmup(norms):  # figure 1
    peaks = [design.refine(G, 2, window=0).argmax() / G.size for G in norms.values()]
    assert min(peaks) > 0.02 and max(peaks) < 0.2
    assert design.refine(np.ones(2000), 2, window=0).argmax() == 0


def test_norms_that_rise_late_give_annealing_and_norms_that_fall_keep_the_rate_up(norms):
    linear = design.refine(np.ones(2000), window=0)[1500]
    assert design.refine(norms[2.0], 2, window=0)[1500] < linear < design.refine(norms[0.7], 2, window=0)[1500]


def test_the_refined_guarantee_is_below_that_of_linear_decay(norms):
    for G in norms.values():
        assert bounds.refined_bound(G) < bounds.refined_bound(G, weights=np.ones(G.size))
