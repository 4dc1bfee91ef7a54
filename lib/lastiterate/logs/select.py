"""Some of the runs that `runs.find` knows, and what they have in common: sweeps, means over seeds, pairs of one seed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lastiterate import _check
from lastiterate.logs.runs import final_val_loss, find, load

PAPER_FIRST = "set"  # column whose "main", the runs of the paper's figures, comes before others in reverse order
SETTINGS = ("model", "dataset", "scheduler", "lr", "horizon", "cooldown", "shape", "final", "warmup", "rho", "switch")
SETTINGS += ("power", "baseline", "seed")  # all that two runs may differ in


def rows(runs: pd.DataFrame, **attributes: Any) -> pd.DataFrame:
    """Rows of a table with the given values in its columns; unlike `runs.find`, none where no row has them.

    Args:
        runs: config table from `runs.find`, perhaps with further columns.
        **attributes: column = value.

    Raises:
        ValueError: for what is no table, or a column that it does not have.

    >>> table = find(model="210m", set="main")
    >>> rows(table, scheduler="wsd", horizon=33_333).index.tolist()
    ['210m-wsd-0.2-linear-lr0.0005-33333']
    """
    chosen = np.ones(len(_table(runs)), dtype=bool)
    for name, value in attributes.items():
        chosen &= (runs[_check.choice("column", name, runs.columns)] == value).to_numpy()
    return runs[chosen]


def cooldown_sweep(source: str, **attributes: Any) -> pd.DataFrame:
    """Runs of wsd with a linear cooldown over fractions and base rates, with their final losses.

    Args:
        source: of `runs.find`.
        **attributes: of `runs.find`, such as the horizon.

    Returns:
        Config table with a column `final_loss`, sorted by cooldown, lr and seed. Where a run was published twice, as some of
        the authors' were with their gradient norms, it is there once, from the set "main".

    Raises:
        ValueError: as `runs.find`.
        published.DataError: where a log cannot be had.

    Source: figures 12 and 21 of Schaipp et al. 2025.
    """
    runs = find(source, scheduler="wsd", shape="linear", **attributes)
    key = [column for column in ("cooldown", "lr", "seed") if column in runs]
    if PAPER_FIRST in runs:
        runs = runs.sort_values(PAPER_FIRST, ascending=False)
    runs = runs[~runs.duplicated(key)].sort_values(key)
    return runs.assign(final_loss=final_val_loss(runs))


def reruns(source: str = "schaipp2025") -> pd.Series:
    """Differences in final loss of runs that were published twice, by the second's name: how well one run repeats another.

    The two of a pair have all settings in common and lie in two sets. Runs that stay at a constant rate are left out: they end
    noisier than others.

    Args:
        source: of `runs.find`.

    Raises:
        published.DataError: where a log cannot be had.

    >>> reruns("nano").size                           # each of these was made once
    0
    """
    found = find(source)
    found = found[~(found["cooldown"] == 0)]
    key = [column for column in SETTINGS if column in found]
    twice = found[found.duplicated(key, keep=False)]
    if PAPER_FIRST in twice:
        twice = twice.sort_values(PAPER_FIRST, ascending=False, kind="stable")
    losses = twice["lr"] if twice.empty else final_val_loss(twice)
    return losses.rename("final_val_loss").groupby([twice[column] for column in key], dropna=False, sort=False).diff().dropna()


def by_seed(runs: pd.DataFrame) -> pd.Series:
    """Final losses of runs that differ in their seed only, indexed by it: runs of one seed can be compared one by one.

    Args:
        runs: config table from `runs.find`, one run a seed.

    Raises:
        ValueError: where there is no column `seed`, or a seed has several runs.

    >>> runs = find("nano", scheduler="cosine", lr=1.6e-3, horizon=800)
    >>> by_seed(runs).round(3).to_dict()
    {0: 1.78, 1: 1.774, 2: 1.809, 3: 1.776}
    """
    if "seed" not in _table(runs):
        raise ValueError(f"runs must have a column seed, as recorded runs have, got the columns {', '.join(runs.columns)}")
    if runs["seed"].duplicated().any():
        raise ValueError(f"runs must be one a seed, got {len(runs)} of the seeds {sorted(set(runs['seed']))}")
    return pd.Series(final_val_loss(runs).to_numpy(), index=runs["seed"], name="final_val_loss").sort_index()


class Course(NamedTuple):
    """Norms along runs that differ in their seed only, arrays of shape (steps,): what `norm_courses` returns."""

    step: NDArray[np.int64]
    norm: NDArray[np.float64]
    """Mean over the runs."""
    rate: NDArray[np.float64]
    """Learning rate of the step."""
    total: NDArray[np.float64]
    """Sum of the learning rates of all steps so far, S_t."""


def norm_courses(runs: Mapping[str, pd.DataFrame], column: str = "grad_norm") -> dict[tuple[str, float], Course]:
    """Gradient norms along runs with several base rates.

    Args:
        runs: {name: config table from `runs.find`}; runs of one rate differ in their seed only.
        column: of the logs, "grad_norm" or "grad_norm_l1", logged every n steps.

    Returns:
        {(name, lr): Course}, in the order of the names and of the rates. Between two logged steps rates are taken to lie on a
        straight line, for their sum; a first stretch starts from 0.

    Raises:
        ValueError: as `runs.load`, or where norms were not logged every n steps.
        published.DataError: where a log cannot be had.

    Source: the gradient norms of Schaipp et al. 2025's 124M runs.
    """
    if not isinstance(runs, Mapping):
        raise ValueError(f"runs must be a dict of config tables by their names, got {_check.shown(runs)}")
    _check.choice("column", column, ("grad_norm", "grad_norm_l1"))
    for table in runs.values():
        _check.choice("column", "lr", _table(table))
    courses = {}
    for name, table in runs.items():
        for lr, group in table.groupby("lr"):
            log = load(group).dropna(subset=column)
            step = np.unique(log["step"].to_numpy(dtype=int))
            every = set(np.diff(step, prepend=0).tolist())
            if len(every) != 1:
                raise ValueError(f"column must be logged every n steps, got {column!r} after {sorted(every)} steps")
            n, wide = every.pop(), log.pivot(index="step", columns="run", values=[column, "lr"])
            rate = wide["lr"].iloc[:, 0].to_numpy()
            before = np.concatenate([[0.0], rate[:-1]])
            total = np.cumsum(n * before + (n + 1) / 2 * (rate - before))  # sums of straight lines of n steps
            courses[name, float(lr)] = Course(step, wide[column].mean(axis=1).to_numpy(), rate, total)
    return courses


def _table(runs):
    if not isinstance(runs, pd.DataFrame):
        raise ValueError(f"runs must be a config table from `find`, got {_check.shown(runs)}")
    return runs
