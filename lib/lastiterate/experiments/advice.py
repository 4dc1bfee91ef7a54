"""Whether the bound's advice holds: best rates and gains as they are measured, and as the bound predicts them for an exponent P.

The bound knows a problem only by how fast its best rate falls with the horizon, T^−P (`transfer.horizon_exponent`): with
G_t = t^(P − ½) everything that it advises follows. Gains are in units that need no knowledge of the lowest possible loss: shares
of what the further steps bring at the same rate and cooldown.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, bounds, schedules, transfer
from lastiterate.experiments.sweeps import best_of_each, vertex
from lastiterate.logs import select


def best_rates(losses: ArrayLike, rates: ArrayLike) -> NDArray[np.float64]:
    """Best base learning rate of each schedule, of losses above their minimum, means over the seeds (`sweeps.vertex`).

    Args:
        losses: shape (seeds, schedules, rates), > 0.
        rates: shape (rates,), ascending, > 0.

    Returns:
        Array of shape (schedules,); NaN where the best rate is at an edge.

    Raises:
        ValueError: on a bad argument.

    Source: this project's.

    >>> best_rates([[[1.0, 0.5, 1.0]], [[2.0, 1.0, 2.0]]], [0.1, 0.2, 0.4]).round(3)
    array([0.2])
    """
    means = _check.measured("losses", losses, 0.0, ndim=3).mean(axis=0)
    return np.array([vertex(rates, row) for row in means])


def share(short: ArrayLike, same: ArrayLike, plan: ArrayLike) -> float:
    """Gain of a plan over the same rate, as a share of what the further steps bring: (same − plan)/(short − same), of means.

    Args:
        short, same, plan: final losses of the short run, of going on at the same rate and cooldown, and of going on as planned,
            of shape (seeds,) or scalars.

    Raises:
        ValueError: where the further steps bring nothing.

    Source: this project's.

    >>> share([3.0, 3.2], [2.9, 3.1], [2.87, 3.07])
    0.3
    """
    first, kept, ends = (float(np.mean(np.asarray(x, dtype=float))) for x in (short, same, plan))
    if not first > kept:
        raise ValueError(f"same must be below short, whose run it goes on with, got {kept:g} and {first:g}")
    return round((kept - ends) / (first - kept), 12)


def predicted_share(T1: int, plan: ArrayLike, cooldown: float = 0.2, exponent: float = 0.5) -> float:
    """`share` as the bound has it, for the rate that is best for a wsd run of T1 steps.

    Args:
        T1: horizon that the run was tuned for.
        plan: schedule of the longer run, shape (T2,), relative to the tuned rate.
        cooldown: fraction of the wsd schedules.
        exponent: P.

    Raises:
        ValueError: on a bad argument.

    Source: this project's; Schaipp et al. 2025, section 5.1, for the plans.

    >>> plans = transfer.extension_plans(1000, 2000)
    >>> [round(predicted_share(1000, eta), 2) for eta in plans.values()]
    [0.29, 0.36, 0.0]
    """
    plan = _check.schedule(plan, "plan")
    T1 = _check.steps("T1", T1)
    G = np.broadcast_to(transfer.assumed_norms(plan.size, exponent), plan.size)
    first = schedules.wsd(T1, cooldown)
    lr, short = bounds.optimal_lr(first, G[:T1])
    same, ends = (float(bounds.omega(lr * eta, G)[-1]) for eta in (schedules.wsd(plan.size, cooldown), plan))
    return share(short, same, ends)


def plans(T1: int, T2: int, exponents: Sequence[float], cooldown: float = 0.2) -> dict[tuple[str, float], NDArray[np.float64]]:
    """The lower rate and the longer cooldown for several exponents; linear decay where no cooldown is long enough.

    Args:
        T1, T2, cooldown: as `transfer.extension_plans`.
        exponents: P, one or more.

    Returns:
        {("lower rate" or "longer cooldown", P): schedule of shape (T2,)}.

    Raises:
        ValueError: as `transfer.extension_plans`.

    Source: Schaipp et al. 2025, section 5.1.

    >>> [name for name in plans(1000, 4000, [0.5])]
    [('lower rate', 0.5), ('longer cooldown', 0.5)]
    """
    found = {}
    for P in exponents:
        made = {"longer cooldown": schedules.linear(T2)} | transfer.extension_plans(T1, T2, cooldown, P)
        found |= {(name, P): made[name] for name in ("lower rate", "longer cooldown")}
    return found


def extended(
    runs: pd.DataFrame, T1: int, T2: int, lr: float, longer: float, cooldown: float = 0.2, rho: float | None = None
) -> pd.DataFrame:
    """Final losses of a wsd run and of the ways to go on with it, as they were recorded.

    Args:
        runs: config table of `logs.find`.
        T1, T2: horizons.
        lr: base learning rate of all of them.
        longer: fraction of the longer cooldown.
        cooldown: fraction of the others.
        rho: factor of the lower rate; by default the only one there is.

    Returns:
        DataFrame, a row a seed (0 where runs have none), with the columns "short", "same", "lower rate" and "longer cooldown";
        ρ is in its `attrs`.

    Raises:
        ValueError: where one of them is not there, or stands there twice.

    Source: Schaipp et al. 2025, section 5.1.

    >>> from lastiterate import logs
    >>> extended(logs.find("nano"), 400, 800, 1.6e-3, longer=0.622).mean().round(3).tolist()
    [1.96, 1.722, 1.731, 1.73]
    """
    ways = {
        "short": {"scheduler": "wsd", "horizon": T1, "cooldown": cooldown},
        "same": {"scheduler": "wsd", "horizon": T2, "cooldown": cooldown},
        "lower rate": {"scheduler": "two_stage", "horizon": T2, "cooldown": cooldown},
        "longer cooldown": {"scheduler": "wsd", "horizon": T2, "cooldown": longer},
    }
    seeded = runs if "seed" in runs else runs.assign(seed=0)
    if "ramp" in seeded:  # over which the rate was lowered: another way again
        seeded = seeded[~(seeded["ramp"] > 0)]
    if rho is not None:
        ways["lower rate"]["rho"] = rho
    found = {way: select.rows(seeded, lr=lr, **about) for way, about in ways.items()}
    if missing := [way for way, chosen in found.items() if chosen.empty]:
        raise ValueError(f"runs must have one for {missing[0]!r}: {ways[missing[0]]} with lr = {lr:g}")
    ends = pd.DataFrame({way: select.by_seed(chosen) for way, chosen in found.items()}).dropna()
    ends.attrs["rho"] = float(found["lower rate"]["rho"].iloc[0])
    return ends


def best_of_seeds(runs: pd.DataFrame, **attributes: Any) -> pd.Series:
    """Best base learning rate of a recorded sweep for each seed, by `sweeps.best_of_each`.

    Args:
        runs: config table of `logs.find`, with a column `seed`.
        **attributes: column = value, that choose the runs of one schedule.

    Raises:
        ValueError: as `sweeps.best_of_each`.

    Source: this project's.

    >>> from lastiterate import logs
    >>> best_of_seeds(logs.find("nano"), scheduler="wsd", cooldown=0.2, horizon=800).round(5).tolist()
    [0.00101, 0.00113, 0.00113, 0.00123]
    """
    chosen = select.rows(runs, **attributes)
    table = chosen.pivot(index="seed", columns="lr", values="final_val_loss").dropna(axis=1)
    return pd.Series(best_of_each(table)[:, 0], table.index)
