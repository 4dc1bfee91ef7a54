"""Batch sizes: the steps that a loss takes, and from which batch on a larger one buys nothing."""

import numpy as np
from numpy.typing import ArrayLike

from lastiterate import _check


def steps_to(target: float, steps: ArrayLike, losses: ArrayLike) -> float:
    """Steps at which a loss is reached, interpolated in logarithms between runs of different lengths.

    Args:
        target: loss, > 0.
        steps: lengths of the runs, shape (n,), ascending, > 0.
        losses: at the end of each, shape (n,), > 0, falling.

    Returns:
        A float; NaN where no run reaches it.

    Raises:
        ValueError: on a bad argument.

    >>> round(steps_to(0.05, [10, 100, 1000], [0.1, 0.01, 0.001]), 6)
    20.0
    """
    target = _check.real("target", target, 0.0, open_low=True)
    steps = _check.measured("steps", steps, 0.0, open_low=True)
    losses = _check.measured("losses", losses, 0.0, open_low=True, infinite=True)
    if losses.size != steps.size:
        raise ValueError(f"losses must have the length of steps, {steps.size}, got {losses.size}")
    if (np.diff(steps) <= 0).any():
        raise ValueError(f"steps must ascend, got {_check.shown(steps)}")
    return float(np.exp(np.interp(-np.log(target), -np.log(losses), np.log(steps), right=np.nan)))


def critical(batches: ArrayLike, steps: ArrayLike) -> tuple[float, float]:
    """Fit of the steps S that a loss takes with a batch B: S = S_min (1 + B_crit/B), least squares on relative errors.

    Args:
        batches: shape (n,), > 0.
        steps: shape (n,), > 0; entries that were not reached are NaN. At least two are needed.

    Returns:
        (S_min, B_crit): far below B_crit twice the batch halves the steps, far above nothing is gained.

    Raises:
        ValueError: on a bad argument, or fewer than two steps that are known.

    Source: McCandlish et al., An empirical model of large-batch training, 2018.

    >>> [round(v, 6) for v in critical([1.0, 10.0, 100.0], [110.0, 20.0, 11.0])]
    [10.0, 10.0]
    """
    batches = _check.measured("batches", batches, 0.0, open_low=True)
    steps = _check.measured("steps", steps, 0.0, open_low=True, missing=True)
    if batches.size != steps.size:
        raise ValueError(f"steps must have the length of batches, {batches.size}, got {steps.size}")
    known = np.isfinite(steps)
    if known.sum() < 2:
        raise ValueError(f"steps must be known for two batch sizes or more, got {known.sum()}")
    A = np.stack([1 / steps[known], 1 / (batches[known] * steps[known])], axis=1)
    s_min, product = np.linalg.lstsq(A, np.ones(known.sum()), rcond=None)[0]
    return float(s_min), float(product / s_min)
