"""The best base learning rate among those that were tried."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lastiterate import _check


class Best(NamedTuple):
    """The best rate of a sweep: what `best` returns."""

    lr: float
    tried: int
    """Number of different rates."""
    edge: str
    """"lowest" or "highest" where it is that of the rates tried, so that one beyond may be better; "" elsewhere."""
    mean: float
    """Mean final loss of its runs."""
    std: float
    """Their standard deviation, n − 1 in the denominator; NaN for a single run."""


def best(lr: ArrayLike, loss: ArrayLike) -> Best:
    """The rate with the lowest mean loss over its runs (seeds); a run that diverged, with a loss of NaN, counts as infinite.

    Args:
        lr: base learning rates of the runs, shape (n,), > 0.
        loss: their final losses, shape (n,).

    Raises:
        ValueError: on bad input, or where no rate has a finite mean.

    Source: this project.

    >>> best([0.1, 0.1, 0.2, 0.2], [3.0, 3.2, 2.9, 3.1])
    Best(lr=0.2, tried=2, edge='highest', mean=3.0, std=0.14142135623730964)
    """
    lr = _check.measured("lr", lr, 0.0, open_low=True)
    loss = _check.measured("loss", loss, missing=True, infinite=True)
    if loss.shape != lr.shape:
        raise ValueError(f"loss must have the length of lr, {lr.size}, got shape {loss.shape}")
    loss = np.where(np.isnan(loss), np.inf, loss)
    rates = np.unique(lr)
    means = np.array([loss[lr == rate].mean() for rate in rates])
    lowest = int(means.argmin())
    if not np.isfinite(means[lowest]):
        raise ValueError(f"loss must be finite for all runs of a rate, got none among {rates.size} rates")
    of_best = loss[lr == rates[lowest]]
    edge = "highest" if lowest == rates.size - 1 else "lowest" if lowest == 0 else ""
    std = float(of_best.std(ddof=1)) if of_best.size > 1 else float("nan")
    return Best(float(rates[lowest]), rates.size, edge, float(means[lowest]), std)
