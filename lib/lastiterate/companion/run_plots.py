"""Drawings of measured runs that several notebooks share: sweeps with their fits, losses along runs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lastiterate import logs, transfer
from lastiterate.companion import claims
from lastiterate.experiments import sweeps

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fitted(
    ax: "Axes",
    lr: ArrayLike,
    loss: ArrayLike,
    color: str,
    label: str,
    star: str = "best",
    dodge: float = 1.0,
) -> tuple[float, pd.Series]:
    """Final losses of a sweep against the base learning rate, the fit A/γ + Bγ + C of `transfer.fit_lr`, its minimum as a star.

    Args:
        ax: its x axis becomes logarithmic.
        lr: base learning rates of the runs, shape (n,).
        loss: their final losses, shape (n,); those of one rate are averaged, the fit is to all of them.
        color: of all three.
        label: of the losses; the fit has "fit, " before it, the star `star` and a comma.
        star: see label.
        dodge: factor by which the losses, not the fit, are drawn beside their rates, so that those of several sweeps stay apart.

    Returns:
        (rate of the fit's minimum, mean losses by rate).

    Raises:
        ValueError: as `transfer.fit_lr`.

    Source: figure 12b of Schaipp et al. 2025.
    """
    best, lowest, (A, B, C) = transfer.fit_lr(lr, loss)
    mean = pd.Series(np.asarray(loss)).groupby(np.asarray(lr)).mean()
    ax.set_xscale("log")
    ax.plot(dodge * mean.index, mean, "o", ms=4, color=color, label=label)
    fine = np.geomspace(mean.index.min(), mean.index.max(), 100)
    ax.plot(fine, A / fine + B * fine + C, color=color, lw=1, label=f"fit, {label}")
    ax.plot(best, lowest, "*", ms=9, color=color, label=f"{star}, {label}")
    return best, mean


def swept(ax: "Axes", losses: pd.DataFrame, color: str, label: str, dash: str = "-", dodge: float = 1.0) -> tuple[float, float]:
    """Final losses of a sweep against the base learning rate: means and standard deviations over the seeds, best rate as a star.

    Args:
        ax: its x axis becomes logarithmic.
        losses: a row a seed, a column a rate, ascending; three columns or more.
        color, label, dash: of the line through the means.
        dodge: factor by which the losses are drawn beside their rates, so that those of several sweeps stay apart.

    Returns:
        (rate, loss) of the star: `sweeps.best_of_each` of the means.

    Raises:
        ValueError: as `sweeps.best_of_each`.

    Source: figure 12b of Schaipp et al. 2025; this project's fit to the lowest loss and its neighbours.
    """
    mean, look = losses.mean(), {"color": color, "lw": 1.2}
    ((best, lowest),) = sweeps.best_of_each(mean.to_frame().T)
    ax.set_xscale("log")
    ax.plot(dodge * mean.index, mean, dash, label=label, **look)
    ax.errorbar(dodge * mean.index, mean, losses.std(), fmt="o", ms=4, capsize=2, label=f"_bars, {label}", **look)
    ax.plot(best, lowest, "*", ms=9, color=color, label=f"_best, {label}")
    return float(best), float(lowest)


def rate_gaps(losses: pd.DataFrame) -> dict[float, claims.Measured]:
    """ln γ*(last) − ln γ*(c) of measured sweeps by `transfer.fit_lr`, each with its range when one rate is left out of both fits.

    Args:
        losses: final losses, a row a base learning rate, a column a cooldown fraction c, in their order.

    Returns:
        {c: gap}. A rate without which a fit has no minimum within the sweep stays in.

    Raises:
        ValueError: where a fit to all rates has no minimum within the sweep.

    Source: figure 12a of Schaipp et al. 2025.
    """
    best = {lr: _ln_best(losses.drop(lr)) for lr in losses.index}
    full = _ln_best(losses)
    if full.isna().any():
        raise ValueError(f"losses must have a minimum within the sweep, got none at c = {full.index[full.isna()].tolist()}")
    gaps = pd.DataFrame({"all": full} | best).T
    gaps = gaps.rsub(gaps.iloc[:, -1], axis=0)
    how = "leaving one rate out"
    return {c: claims.Measured(float(gap.iloc[0]), float(gap.min()), float(gap.max()), how) for c, gap in gaps.items()}


def _ln_best(losses):
    """ln γ* of each column, NaN where its fit has no minimum within the sweep."""
    found = {}
    for c, loss in losses.items():
        try:
            found[c] = np.log(transfer.fit_lr(losses.index, loss)[0])
        except ValueError:
            found[c] = np.nan
    return pd.Series(found)


def losses(ax: "Axes", runs: pd.DataFrame, colors: Iterable[str], label: str, **look: Any) -> dict[str, pd.Series]:
    """Validation loss along each of some runs.

    Args:
        ax: matplotlib Axes.
        runs: config table from `logs.find`, or some of its rows.
        colors: one a run.
        label: format of a run's label over the columns of the table, such as "{scheduler}, {horizon:,} steps".
        **look: passed on to ``ax.plot``.

    Returns:
        {run: validation loss, a Series by step}.
    """
    log = logs.load(runs).dropna(subset="val_loss")
    found = {}
    for (run, row), color in zip(runs.iterrows(), colors, strict=True):
        found[run] = log[log["run"] == run].set_index("step")["val_loss"]
        ax.plot(found[run].index, found[run], color=color, label=label.format(**row), **look)
    return found
