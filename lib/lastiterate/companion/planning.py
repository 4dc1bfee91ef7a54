"""From the log of a run to the next one: rates for other schedules and horizons, and plans for going on."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, bounds, design, schedules, transfer
from lastiterate.companion import manifest

if TYPE_CHECKING:
    import pandas as pd

BEST = "best continuation"
COLORS = {
    "lower rate": "lower rate",
    "longer cooldown": "longer cooldown",
    "same rate and cooldown": "same rate",
    BEST: BEST,
}  # in `style`


def folder(name: str) -> Path:
    """``build/<name>``, made if need be: of the repository, or of the working directory where that is in none."""
    out = manifest.root() / "build" / name
    out.mkdir(parents=True, exist_ok=True)
    return out


def stretched(values: ArrayLike, n: int) -> NDArray[np.float64]:
    """Values at even intervals along a run, interpolated to n of them.

    >>> stretched([1.0, 3.0], 5)
    array([1. , 1.5, 2. , 2.5, 3. ])
    """
    values = np.asarray(values, dtype=float)
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, values.size), values)


def rates(eta: ArrayLike, lr: float, G: ArrayLike, specs: Iterable[str], horizons: Iterable[int]) -> "pd.DataFrame":
    """Base learning rates for other schedules and horizons: yours times γ*(new)/γ*(yours), see `transfer.lr_ratio`.

    Args:
        eta: your schedule, shape (T,).
        lr: your base learning rate, tuned.
        G: your gradient norms, shape (T,), > 0; for a new horizon they are stretched along.
        specs: the other schedules, as `schedules.named` takes them.
        horizons: numbers of steps.

    Returns:
        DataFrame, a row for each `schedule` and `steps`, with the columns "constant norms" and "your norms".

    Raises:
        ValueError: on bad input.

    Source: Schaipp et al. 2025, section 5.2.

    >>> rates(schedules.wsd(400), 1e-3, np.ones(400), ["wsd", "linear"], [400]).round(6).to_numpy()
    array([[0.001   , 0.001   ],
           [0.001953, 0.001953]])
    """
    import pandas as pd

    yours = bounds.optimal_lr(eta)[0], bounds.optimal_lr(eta, G)[0]
    rows, horizons = {}, list(horizons)
    for spec in specs:
        for n in horizons:
            new = schedules.named(spec, n)
            for_new = bounds.optimal_lr(new)[0], bounds.optimal_lr(new, stretched(G, n))[0]
            rows[spec, n] = [lr * theirs / mine for theirs, mine in zip(for_new, yours, strict=True)]
    found = pd.DataFrame(rows, index=["constant norms", "your norms"]).T
    found.index.names = ["schedule", "steps"]
    return found


def continuations(spec: str, T1: int, T2: int) -> tuple[dict[str, NDArray], int, list[str]]:
    """Plans for going on from a run of T1 steps to T2 steps, as schedules relative to its base learning rate.

    Args:
        spec: schedule of the run, as `schedules.named` takes it.
        T1: its steps.
        T2: steps that it shall go on to, an integer > T1.

    Returns:
        (plans, kept, remarks): {name: array of shape (T2,)}, for wsd those of `transfer.extension_plans`, and for any schedule
        BEST, the best continuation of `design.optimal`; the number of steps at the full rate, from whose end on it goes; and
        what there is to say, lines of text.

    Raises:
        ValueError: on bad input.

    Source: Schaipp et al. 2025, section 5.1; the best continuation is this project's.

    >>> plans, kept, remarks = continuations("wsd:cooldown=0.2", 400, 800)
    >>> list(plans)
    ['lower rate', 'longer cooldown', 'same rate and cooldown', 'best continuation']
    >>> kept, remarks
    (320, ['lower rate: times 0.541 after step 320'])
    """
    T2, eta, remarks, plans = _check.integer("T2", T2, T1 + 1), schedules.named(spec, T1), [], {}
    kept, tuned = int((eta >= 1 - 1e-12).sum()), bounds.optimal_lr(eta)[0]
    name, parameters = schedules.parse(spec)
    if name == "wsd":
        cooldown = parameters.get("cooldown", 0.2)
        kept, plans = _check.floor((1 - cooldown) * T1), transfer.extension_plans(T1, T2, cooldown)
        remarks.append(f"lower rate: times {transfer.extend_rate(T1, T2, cooldown):.3f} after step {kept:,}")
        if "longer cooldown" not in plans:
            remarks.append("no cooldown is long enough to keep the rate")
    if kept < 0.05 * T1:
        said = "leaves its peak at once: no checkpoint at the full rate to go on from; the best plan begins anew"
        remarks.append(f"{spec} {said}")
    best, _, certificate = design.optimal(T2, prefix=tuned * eta[:kept])
    return plans | {BEST: certificate["lr"] / tuned * best}, kept, remarks


def compared(plans: dict[str, NDArray], tuned: float, kept: int) -> "pd.DataFrame":
    """What plans cost: the step that each goes on from, and its bound over that of the best, rounded to 0.001.

    Args:
        plans, kept: of `continuations`.
        tuned: γ* of the run's schedule (`bounds.optimal_lr`).

    Returns:
        DataFrame, a row a plan.
    """
    import pandas as pd

    omega = pd.Series({name: bounds.omega(tuned * plan, horizons=plan.size) for name, plan in plans.items()})
    starts = {name: min(kept, int((plan >= plan.max() * (1 - 1e-12)).sum())) for name, plan in plans.items()}
    return pd.DataFrame({"goes on from step": starts, "Ω over the best": (omega / omega[BEST]).round(3)})
