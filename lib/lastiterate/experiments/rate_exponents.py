"""How fast the best peak rate falls with the horizon, γ* ~ T^−P: as measured in sweeps, and as a fitted law implies it."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lastiterate import _check, laws, logs, schedules, transfer
from lastiterate.experiments.sweeps import exponent

HORIZONS = (15_000, 25_000, 35_000, 50_000)  # of the authors' sweeps
WIDE = 4.0  # the best rate is sought within e^±4 times the trained one


def measured(cooldowns: Iterable[float], model: str = "124m", horizons: Iterable[int] = HORIZONS) -> pd.DataFrame:
    """Exponents of the authors' sweeps over rates, wsd with a linear cooldown.

    Args:
        cooldowns: fractions that were swept.
        model: of `logs.find`.
        horizons: at which rates were swept.

    Returns:
        DataFrame, a row a cooldown: `P`, and `low` and `high` where one rate or one horizon is left out
        (`transfer.horizon_exponent`).

    Raises:
        ValueError: as `logs.find` and `transfer.horizon_exponent`.
        logs.DataError: where a log cannot be had.

    Source: the runs of figure 12 of Schaipp et al. 2025.
    """
    rows = {}
    for cooldown in cooldowns:
        swept = logs.find(model=model, set="main", scheduler="wsd", shape="linear", cooldown=cooldown, horizon=list(horizons))
        swept = swept.assign(loss=logs.final_val_loss(swept))
        rows[cooldown] = transfer.horizon_exponent(swept[["lr", "horizon", "loss"]].to_numpy())
    return pd.DataFrame.from_dict(rows, orient="index", columns=["P", "low", "high"]).rename_axis("cooldown")


def implied(fit: laws.Fit, cooldown: float, horizons: Iterable[int], warmup: float = 0.05) -> float:
    """Exponent of the best peak rate that a fitted law implies, for wsd with a linear cooldown.

    Args:
        fit: from `laws.fit`.
        cooldown: fraction of the steps.
        horizons: two or more, over which the exponent is fitted.
        warmup: fraction of the steps.

    Returns:
        P.

    Raises:
        ValueError: on bad input.

    Source: this project.

    >>> bound = laws.Fit(laws.LAWS["bound"], {"L0": 0.0, "A": 1.0, "a": 1.0, "B": 1.0}, total=1000.0)
    >>> round(implied(bound, 0.2, [500, 1000, 2000]), 2)                                    # the bound's own is near 1/2
    0.49
    """
    T = [_check.steps("horizons", n, 10) for n in horizons]
    if len(set(T)) < 2:
        raise ValueError(f"horizons must be two or more, got {T}")
    best = [_best_rate(fit, schedules.warmup(schedules.wsd(n, cooldown), round(warmup * n))) for n in T]
    return exponent(T, best)


def _best_rate(fit, eta):
    from scipy.optimize import minimize_scalar

    def final(log):
        return float(fit.predict(fit.unit * np.exp(log) * eta, [eta.size])[0])

    return float(np.exp(minimize_scalar(final, bounds=(-WIDE, WIDE), method="bounded").x))  # pyright: ignore[reportAttributeAccessIssue]
