"""What would another schedule have given? From the log of a run or two to the final losses of schedules that were not run.

`curve` makes of a log what laws are fitted on, `fits` fits a panel of them, and `outcomes` says what other schedules give, with
an interval that is wide where the laws disagree.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, laws, logs
from lastiterate.laws import interval
from lastiterate.logs import runs

ENOUGH = 8  # validation losses from which on they are fitted rather than training losses
UNSEEN = 0.05  # of the steps at the start, which no law describes, are not fitted

Curve = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


def curve(
    path: str | os.PathLike,
    run: str | int | None = None,
    loss: str | None = None,
    rate: str | None = None,
    skip: int | None = None,
) -> tuple[str, Curve]:
    """A run's log as a curve for `laws.fit`.

    Args:
        path: log, of any format that `logs.read` knows, with rates and losses.
        run: which run, where the file has several; a recorded run begins with the steps that it shares with the one it branched
            off.
        loss: column with the losses; by default the validation losses where there are 8 or more, and else those in training.
        rate: column with the learning rates, by default one with a known name.
        skip: steps at the start that are not fitted, by default 5 %.

    Returns:
        (name of the loss, (lr of every step (T,), steps (n,), losses after them (n,))). A training loss is that before its step.

    Raises:
        ValueError: by the file's name, for a log that `logs.read` refuses, without rates or losses, or with none left to fit.

    Source: this project.

    >>> name, (lr, steps, losses) = curve(logs.recorded("runs/nano.parquet"), "nano-wsd-0.2-linear-lr0.0009-800-seed0")
    >>> name, lr.shape, steps[[0, -1]].tolist(), losses[-1].round(3).item()
    ('val_loss', (800,), [50, 800], 1.702)
    """
    file = Path(path).name
    columns = {ours: theirs for ours, theirs in (("val_loss", loss), ("lr", rate)) if theirs}
    log = None if columns else runs.of_file(path, run)
    log = logs.read(path, run, **columns) if log is None else log
    logged = log.dropna(subset="lr")
    if logged.empty:
        raise ValueError(f"{file} has no learning rates: column 'lr' is missed, or --rate names another")
    if len(logged) < 2:
        raise ValueError(f"{file} must have two rows with a learning rate, got one")
    validated, trained = (int(log[name].notna().sum()) for name in ("val_loss", "train_loss"))
    kind = "val_loss" if loss or validated >= ENOUGH or not trained else "train_loss"
    scored = log.dropna(subset=kind)
    if scored.empty:
        raise ValueError(f"{file} has no losses: column 'val_loss' or 'train_loss' is missed, or --loss names another")
    last, apart = int(logged["step"].iloc[-1]), int(logged["step"].diff().max())
    T = int(max(last, scored["step"].iloc[-1]))
    if last + apart < T:
        raise ValueError(f"{file} must have learning rates as long as losses: they end at step {last:,}, and {kind} at {T:,}")
    skip = round(UNSEEN * T) if skip is None else _check.integer("skip", skip, 0, T - 1)
    lr = laws.rates(logged["step"].to_numpy(), logged["lr"].to_numpy(), T)
    steps = scored["step"].to_numpy(dtype=int) - (kind == "train_loss")
    fitted = steps > max(skip, int(np.argmax(lr > 0)))
    if not fitted.any():
        raise ValueError(f"skip must leave losses to fit, got {skip:,} of {T:,} steps in {file}")
    steps, losses = steps[fitted], scored[kind].to_numpy(dtype=float)[fitted]
    if (bad := ~(losses > 0) | ~np.isfinite(losses)).any():
        raise ValueError(
            f"{file} must have finite losses > 0, got {losses[bad][0]:g} in {kind} at step {steps[bad][0]:,}, and "
            f"{bad.sum()} of {bad.size} such"
        )
    return loss or kind, (lr, steps, losses)


def warmup_of(lr: ArrayLike) -> int:
    """Steps of a run's warmup: until its rate is first at 99 % of its peak, where it starts below half of it; else 0.

    Args:
        lr: learning rate of every step.

    >>> from lastiterate import schedules
    >>> warmup_of(schedules.warmup(schedules.wsd(1000), 50)), warmup_of(schedules.linear(1000))
    (49, 0)
    """
    lr = _check.schedule(lr, "lr")
    first = int((lr >= 0.99 * lr.max()).argmax())
    return first if lr[0] < 0.5 * lr.max() and first < 0.2 * lr.size else 0


def fits(curves: Sequence[Curve], law: str = "two_clock", seed: int = 0, anyway: bool = False) -> dict[str, laws.Fit]:
    """A law, and those whose disagreement says how far to trust it (`laws.interval.PANEL`), fitted on the same curves.

    Args:
        curves: of runs that were made, from `curve`.
        law: a name of `laws.NAMES`; it comes first.
        seed: of the fits' random starts.
        anyway: whether to go on where the curves do not determine a law (`laws.ill_posed`).

    Returns:
        {law: Fit}.

    Raises:
        ValueError: on bad input, or where the curves do not determine a law: the message says what to log instead.

    Source: this project. Some seconds.
    """
    panel = dict.fromkeys((_check.choice("law", law, laws.NAMES), *interval.PANEL))
    points, most = sum(len(steps) for _, steps, _ in curves), max(len(laws.LAWS[name].parameters) for name in panel)
    if points < most:
        raise ValueError(f"curves must have {most} losses or more behind their first steps, got {points}")
    if (why := laws.ill_posed(curves)) and not anyway:
        raise ValueError(f"curves must determine a law, and do not: {why}; with anyway they are fitted all the same")
    return {name: laws.fit(list(curves), name, seed) for name in panel}


def outcomes(fits: Mapping[str, laws.Fit], asked: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Final losses that fitted laws expect of other schedules.

    Args:
        fits: from the function `fits`; the first law's prediction is in the middle of the interval.
        asked: {name: learning rate of every step}.

    Returns:
        DataFrame, a row for each of `asked`, with the columns `steps`, `loss`, `low` and `high` (meant to hold the true final
        loss in nine of ten cases: `laws.interval`), `extrapolated` (why it lies outside of what was fitted, or ""), and one a
        law.

    Raises:
        ValueError: for a schedule that is none, by its name, or a law of the panel that is missing.

    Source: this project.
    """
    law = next(iter(fits))
    rows = {}
    for name, lr in asked.items():
        lr = _check.schedule(lr, name)
        losses = {law: float(fit.predict(lr, [lr.size])[0]) for law, fit in fits.items()}
        said = fits[law].extrapolates(lr)
        low, high = interval.around(losses, said is not None, law)
        rows[name] = {"steps": lr.size, "loss": losses[law], "low": low, "high": high, "extrapolated": said or ""} | losses
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("schedule")
