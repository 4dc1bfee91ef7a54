"""How far a predicted final loss may be off: by how much laws that were fitted on the same curves disagree.

The interval is around a law's prediction: FACTOR times half the range of the panel's predictions, and FLOOR of the loss. FACTOR
was chosen on the tasks CHOSEN of the bench, as what holds nine of ten final losses there; the other tasks judge it,
by runs that none of these has (`experiments.schedule_laws.coverage`). Rates that were never trained are another matter: there
the range is widened by EXTRAPOLATED, chosen on the small own runs.
"""

from collections.abc import Mapping

PANEL = ("two_clock", "step_memory", "bound_power", "bound")
FACTOR, FLOOR, EXTRAPOLATED = 1.75, 0.002, 4.0
CHOSEN = ("mpl100", "sch124 horizon", "extend124", "own")


def around(losses: Mapping[str, float], extrapolated: bool = False, law: str = PANEL[0]) -> tuple[float, float]:
    """Interval of a loss that PANEL's laws predict, meant to hold the true one in nine of ten cases.

    Args:
        losses: {law: predicted loss}, with PANEL's laws and `law`.
        extrapolated: whether the peak rate lies outside those that the laws were fitted on (`Fit.extrapolates`).
        law: whose prediction is in the middle; the factor was chosen for the default.

    Returns:
        (low, high).

    Raises:
        ValueError: where a law of the panel is missing.

    >>> low, high = around({"two_clock": 3.0, "step_memory": 3.0, "bound_power": 3.02, "bound": 2.98})
    >>> round(low, 4), round(high, 4)
    (2.959, 3.041)
    """
    if missing := [name for name in (*PANEL, law) if name not in losses]:
        raise ValueError(f"losses must have the panel's laws, {', '.join(PANEL)}; {missing[0]!r} is missing")
    panel = [losses[name] for name in PANEL]
    half = FACTOR * (max(panel) - min(panel)) / 2 * (EXTRAPOLATED if extrapolated else 1.0) + FLOOR * losses[law]
    return losses[law] - half, losses[law] + half
