"""The best learning rate of a measured sweep, between the rates that were tried, and what another one costs."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, transfer


def vertex(tried: ArrayLike, losses: ArrayLike) -> float:
    """Minimum of the parabola through the lowest loss and its two neighbours, both in logarithms.

    Args:
        tried: learning rates, shape (n,), > 0, ascending.
        losses: shape (n,), > 0.

    Returns:
        A learning rate; NaN where the lowest loss is at an edge, or beside one that is infinite: the best rate may lie outside.

    Raises:
        ValueError: on a bad argument.

    >>> tried = np.array([0.1, 0.2, 0.4, 0.8])
    >>> round(vertex(tried, np.exp(np.log(tried / 0.3) ** 2)), 6)
    0.3
    """
    tried = _check.measured("tried", tried, 0.0, open_low=True)
    losses = _check.measured("losses", losses, 0.0, open_low=True, infinite=True)
    if losses.size != tried.size or (np.diff(tried) <= 0).any():
        raise ValueError(f"tried must ascend and have the length of losses, {losses.size}, got {_check.shown(tried)}")
    i = int(losses.argmin())
    if not 0 < i < tried.size - 1 or not np.isfinite(losses[i - 1 : i + 2]).all():
        return float("nan")
    a, b, _ = np.polyfit(np.log(tried[i - 1 : i + 2]), np.log(losses[i - 1 : i + 2]), 2)
    return float(np.exp(-b / (2 * a)))


def exponent(horizons: ArrayLike, best: ArrayLike) -> float:
    """P of the line ln γ = a − P ln T through best rates.

    Args:
        horizons: T, shape (n,), n >= 2, > 0.
        best: best base learning rates, shape (n,), > 0.

    Raises:
        ValueError: on a bad argument.

    Source: this project's.

    >>> exponent([1000, 4000], [0.2, 0.1])
    0.5
    """
    T, best = (_check.measured(name, x, 0.0, open_low=True) for name, x in (("horizons", horizons), ("best", best)))
    if T.size != best.size or np.unique(T).size < 2:
        raise ValueError(f"horizons must be two or more, one a best rate ({best.size}), got {_check.shown(horizons)}")
    return round(float(-np.polyfit(np.log(T), np.log(best), 1)[0]), 12)


def best_of_each(losses: pd.DataFrame) -> NDArray[np.float64]:
    """Best rate and its loss of each sweep, by `transfer.fit_lr` of the lowest rate and its neighbours.

    Args:
        losses: a row a sweep (a seed, say), a column a rate, ascending; three columns or more.

    Returns:
        Array of shape (sweeps, 2): rate and loss. Where the fit has no minimum between the three rates, the lowest one as it was
        measured.

    Source: this project; the shape A/γ + Bγ + C is that of the bound (`transfer.fit_lr`).

    >>> best_of_each(pd.DataFrame([[3.4, 3.1, 3.2]], columns=[1e-3, 2e-3, 4e-3])).round(4)
    array([[2.4000e-03, 3.0888e+00]])
    """
    _check_losses(losses, 3)
    found = []
    for _, row in losses.iterrows():
        i = int(np.clip(row.to_numpy().argmin(), 1, len(row) - 2))
        part = row.iloc[i - 1 : i + 2]
        try:
            found.append(transfer.fit_lr(part.index.to_numpy(), part.to_numpy())[:2])
        except ValueError:  # at the edge
            found.append((part.idxmin(), part.min()))
    return np.array(found, dtype=float)


def at(lr: ArrayLike, losses: pd.DataFrame) -> NDArray[np.float64]:
    """Loss of each sweep at a rate, interpolated over the rate's logarithm; beyond the rates tried that of the outermost.

    Args:
        lr: learning rate, one for all or one a sweep.
        losses: as for `best_of_each`.

    Returns:
        Array of shape (sweeps,).

    >>> at(2.0, pd.DataFrame([[3.0, 2.0, 5.0], [4.0, 4.0, 5.0]], columns=[1.0, 4.0, 16.0]))
    array([2.5, 4. ])
    """
    losses, lr = (
        _check_losses(losses),
        _check.measured("lr", np.atleast_1d(lr) if _check.is_scalar(lr) else lr, 0.0, open_low=True),
    )
    if lr.size not in (1, len(losses)):
        raise ValueError(f"lr must be one rate, or one for each of the {len(losses)} sweeps, got {lr.size}")
    tried = np.log(losses.columns.to_numpy(dtype=float))
    rates = np.broadcast_to(np.log(lr), len(losses))
    return np.array([np.interp(rate, tried, row) for rate, row in zip(rates, losses.to_numpy(), strict=True)])


def _check_losses(losses, least=1):
    """A table of losses, if its columns are rates that ascend and its entries numbers."""
    if not isinstance(losses, pd.DataFrame) or losses.shape[0] == 0 or losses.shape[1] < least:
        raise ValueError(f"losses must be a table with a row a sweep and {least} rates or more, got {_check.shown(losses)}")
    _check.measured("losses", losses.to_numpy(), missing=True, infinite=True, ndim=2)
    rates = _check.measured("rates, the columns of losses,", losses.columns.to_numpy(), 0.0, open_low=True)
    if (np.diff(rates) <= 0).any():
        raise ValueError(f"rates, the columns of losses, must ascend, got {_check.shown(rates)}")
    return losses
