"""How far a predicted final loss may be off: by how much laws that were fitted on the same curves disagree.

The interval is around a law's prediction: a factor times half the range of the panel's predictions, and FLOOR of the loss.
The factor is FACTOR at peak rates within those that the laws were fitted on, EXTRAPOLATED beyond them: what holds LEVEL of the
final losses of all tasks of the bench. LEVEL is above nine of ten, because tasks differ: with the factor that the other tasks
ask for, a task left out has nine of ten held (`experiments.schedule_laws.coverage`).
"""

from collections.abc import Mapping, Sequence
from math import ceil

PANEL = ("two_clock", "step_memory", "bound_power", "bound")
FACTOR, EXTRAPOLATED, FLOOR, LEVEL = 2.78, 17.41, 0.002, 0.95


def factor(missed: Sequence[float], ranges: Sequence[float], losses: Sequence[float]) -> float:
    """Factor with which the interval would have held LEVEL of these final losses, and one more of their kind.

    The ⌈LEVEL (n + 1)⌉-th lowest of the n factors that just hold one loss each, as in split conformal prediction.

    Args:
        missed: how far each prediction was off, without sign.
        ranges: range of the panel's predictions of each.
        losses: the predictions.

    >>> factor([0.01] * 18 + [0.03], [0.02] * 19, [0.0] * 19)
    3.0
    """
    needed = sorted((m - FLOOR * x) / (r / 2) for m, r, x in zip(missed, ranges, losses, strict=True))
    return needed[min(len(needed), ceil(LEVEL * (len(needed) + 1))) - 1]


def around(losses: Mapping[str, float], extrapolated: bool = False, law: str = PANEL[0]) -> tuple[float, float]:
    """Interval of a loss that PANEL's laws predict, meant to hold the true one in nine of ten cases.

    Args:
        losses: {law: predicted loss}, with PANEL's laws and `law`.
        extrapolated: whether the peak rate lies outside those that the laws were fitted on (`Fit.extrapolates`).
        law: whose prediction is in the middle; the factor was chosen for the default.

    Returns:
        (low, high), low being 0 or more.

    Raises:
        ValueError: where a law of the panel is missing.

    >>> low, high = around({"two_clock": 3.0, "step_memory": 3.0, "bound_power": 3.02, "bound": 2.98})
    >>> round(low, 4), round(high, 4)
    (2.9384, 3.0616)
    """
    if missing := [name for name in (*PANEL, law) if name not in losses]:
        raise ValueError(f"losses must have the panel's laws, {', '.join(PANEL)}; {missing[0]!r} is missing")
    panel = [losses[name] for name in PANEL]
    half = (EXTRAPOLATED if extrapolated else FACTOR) * (max(panel) - min(panel)) / 2 + FLOOR * losses[law]
    return max(losses[law] - half, 0.0), losses[law] + half
