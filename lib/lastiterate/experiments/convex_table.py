"""The convex suite's table read: how far schedules are above the best, and the runs behind a row once more."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lastiterate import design
from lastiterate.experiments import convex

NAMES = [*convex.PLAIN, *convex.REFINED]  # the nine schedules, in the order of figures and tables


def excess(table: pd.DataFrame) -> pd.DataFrame:
    """Loss above the best schedule of each data set, relative: loss/min − 1.

    Args:
        table: of `convex.record`, with the columns `convex.COLUMNS`, or rows of it.

    Returns:
        DataFrame with a row a schedule, in the order of NAMES, and a column a data set, in the order of the table.

    Source: Defazio et al. 2023, the logistic-regression table.
    """
    losses = _wide(table, "loss")
    return losses / losses.min() - 1


def standard_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Standard errors of `excess` over the seeds, in the same form; that of the best loss, by which it is divided, is left out.

    Args, source: as `excess`.
    """
    return _wide(table, "loss_se") / _wide(table, "loss").min()


def mean_excess(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over data sets of `excess`, in percent, and its standard error over the seeds (data sets are taken as given).

    Args, source: as `excess`.

    Returns:
        DataFrame with a row a schedule and the columns "mean excess loss, %" and "standard error".
    """
    errors = 100 * standard_errors(table)
    columns = {
        "mean excess loss, %": 100 * excess(table).mean(axis=1),
        "standard error": np.sqrt((errors**2).sum(axis=1)) / errors.shape[1],
    }
    return pd.DataFrame(columns)


def norms(
    name: str, lr: float, seeds: Iterable[int], epochs: int = convex.EPOCHS, double: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Gradient norms of linear decay on a data set, means over the seeds; where they vanish, the smallest positive float32.

    Args:
        name: of the data set, see `convex.load`.
        lr: base learning rate.
        seeds: of the batches.
        epochs: of the runs.
        double: whether to train in float64. On separable data norms fall below what float32 resolves beside 1, and then come out
            differently on another processor.

    Returns:
        {"l1": shape (T,), "l2": shape (T,)}.

    Raises:
        ValueError, DataError: as `convex.load`.
    """
    X, y = convex.load(name)
    rates, dtype = lr * convex.schedule("linear", convex.steps(len(X), epochs)), torch.float64 if double else torch.float32
    found = convex.train(X, y, rates[None], list(seeds), dtype=dtype)
    return {kind: np.maximum(found[kind][:, 0].mean(axis=0), np.finfo(np.float32).tiny) for kind in ("l1", "l2")}


def curves(
    name: str, rates: Mapping[str, float], seeds: Iterable[int], points: int, epochs: int = convex.EPOCHS
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """All nine schedules on a data set once more, each at a given rate, with the loss along the run.

    Args:
        name: of the data set, see `convex.load`.
        rates: {schedule: base learning rate}, for each of NAMES, such as the column `lr` of `convex.compare`.
        seeds: of the batches.
        points: of the curves.
        epochs: of the runs.

    Returns:
        (etas, at, losses): {schedule: shape (T,)}; the epochs at which the loss over all data was taken, shape (points,); and
        {schedule: its mean over the seeds there, shape (points,)}. The refined schedules are those of `norms` at the rate of
        linear decay.

    Raises:
        ValueError, DataError: as `convex.load`.
    """
    X, y = convex.load(name)
    T, seeds = convex.steps(len(X), epochs), list(seeds)
    etas = {plain: convex.schedule(plain, T) for plain in convex.PLAIN}
    found = norms(name, rates["linear"], seeds, epochs)
    etas |= {refined: design.refine(found[kind], power) for refined, (kind, power) in convex.REFINED.items()}
    runs = convex.train(X, y, np.stack([rates[each] * etas[each] for each in NAMES]), seeds, record=points)
    losses = runs["curve"].mean(axis=0)
    return etas, runs["step"] / (T / epochs), dict(zip(NAMES, losses, strict=True))


def _wide(table: pd.DataFrame, column: str) -> pd.DataFrame:
    wide = table.pivot(index="schedule", columns="dataset", values=column)
    return wide.loc[NAMES, list(dict.fromkeys(table["dataset"]))]
