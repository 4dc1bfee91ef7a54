"""The common fit: the same for every law.

Huber loss (δ = 1e-3) on log residuals; the nonlinear parameters from random starts, the linear ones solved under their signs;
the best half of the starts that are kept and a random half refined, all parameters jointly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lastiterate import _check
from lastiterate.laws.known import LAWS
from lastiterate.laws.law import Law
from lastiterate.laws.path import Path

DELTA = 1e-3  # of the Huber loss, on log residuals
DRAWN = 48  # random starts
KEPT = 8  # of them refined: half the best, half random
AGREE = 0.02  # starts agree where their losses are within 2 %
TRUST = 0.5  # share of starts that must agree for a fit to be determined
FAR = 4.0  # a horizon up to 4 times the longest run's is on the bench
NEAR = 0.1  # a peak rate within 10 % of the trained ones is none of its own: a warmup lowers that of a decay by as much
STEP = 1e-6  # of finite differences, in logarithms of parameters


@dataclass(frozen=True)
class Fit:
    """A law with parameters: what `fit` found.

    Attributes:
        law: the law.
        parameters: {name: value}, in units of the training runs: rates over the highest, sums over the highest sum.
        unit, total: these units: the highest rate, and the highest sum of rates.
        objective: the Huber loss of the fit, a mean over the scored steps.
        starts: (objective, parameters) of each refined start, the best first.
        agreement: share of the refined starts whose objective is within 2 % of the best.
        residual: mean absolute error on the curves that it was fitted on.
        error: mean absolute error on curves held out, where there were some; else None.
        peaks: the lowest and the highest peak rate of the training runs.
        span: their first scored step, and the steps of the longest of them.
    """

    law: Law
    parameters: dict[str, float]
    unit: float = 1.0
    total: float = 1.0
    objective: float = float("nan")
    starts: tuple = ()
    agreement: float = float("nan")
    residual: float = float("nan")
    error: float | None = None
    peaks: tuple[float, float] = (0.0, float("inf"))
    span: tuple[int, float] = (1, float("inf"))

    def predict(self, lr, steps=None) -> np.ndarray:
        """Loss after each step of a schedule, or after some of them.

        Args:
            lr: learning rate of every step, warmup included, shape (T,).
            steps: numbers of steps done, in 1..T and increasing; None for all of them.

        Returns:
            Array of shape (T,), or the shape of `steps`; NaN before the first positive rate. All 24,000 steps of a schedule take
            half a second or less, 200,000 of them up to ten; a few steps milliseconds.

        Raises:
            ValueError: on bad input, or where the fit lacks a parameter of its law.
        """
        lr = _check.schedule(lr, "lr")
        if missing := [name for name in self.law.parameters if name not in self.parameters]:
            names = ", ".join(self.law.parameters)
            raise ValueError(f"parameters of a {self.law.name} fit must have {names}, got no {missing[0]!r}")
        steps = np.arange(1, lr.size + 1) if steps is None else checked_steps(steps, lr.size)
        first = int(np.argmax(lr > 0)) + 1
        out, moved = np.full(steps.size, np.nan), steps >= first
        if moved.any():
            out[moved] = self.law.loss(Path(lr, steps[moved], self.unit, self.total), self.parameters)
        return out

    def extrapolates(self, lr) -> str | None:
        """Why a schedule lies outside what the law was fitted on, in a line; None where it does not.

        >>> from lastiterate import laws
        >>> laws.Fit(laws.LAWS["bound"], {}, peaks=(1e-3, 1e-3)).extrapolates([2e-3])
        'peak rate 0.002 was never trained: the highest of the runs was 0.001'
        """
        lr = _check.schedule(lr, "lr")
        peak, (low, high), (first, longest) = float(lr.max()), self.peaks, self.span
        if not low * (1 - NEAR) <= peak <= high * (1 + NEAR):
            edge = f"the highest of the runs was {high:g}" if peak > high else f"the lowest peak of the runs was {low:.3g}"
            return f"peak rate {peak:g} was never trained: {edge}"
        if lr.size > FAR * longest:
            return f"{lr.size:,} steps are {lr.size / longest:.3g} times those of the longest run, and {FAR:g} times were tried"
        if lr.size < first:
            return f"{lr.size:,} steps end before the first fitted loss, at step {first:,}"
        return None


def fit(curves, law: str | Law = "two_clock", seed: int = 0, held_out=()) -> Fit:
    """Fit a law on loss curves.

    Args:
        curves: [(lr, steps, losses), …], one a run: the rate of every step, warmup included, shape (T,); numbers of steps done,
            in 1..T and increasing, shape (n,); the losses after them, shape (n,), > 0.
        law: a name of `NAMES`, or a Law of one's own.
        seed: of the starts.
        held_out: curves that are not fitted, for `Fit.error`.

    Returns:
        Fit. Its `agreement` is low where the curves do not determine the law.

    Raises:
        ValueError: on bad input, by curve and by name; for fewer points than parameters.

    Source: this project. Two curves of 24,000 steps and a law of five parameters take a second or two.

    >>> import numpy as np
    >>> from lastiterate import laws, schedules
    >>> true = laws.Fit(laws.LAWS["bound"], {"L0": 2.0, "A": 1.0, "a": 0.5, "B": 0.1}, total=400.0)
    >>> steps = np.arange(40, 401, 20)
    >>> curves = [(lr, steps, true.predict(lr, steps)) for lr in (schedules.constant(400), schedules.linear(400))]
    >>> found = laws.fit(curves, "bound")
    >>> bool(abs(found.predict(schedules.wsd(400))[-1] - true.predict(schedules.wsd(400))[-1]) < 1e-4)
    True
    """
    chosen = law if isinstance(law, Law) else LAWS[_check.choice("law", law, tuple(LAWS))]
    seed = _check.integer("seed", seed, 0)
    none = isinstance(held_out, Sequence) and not len(held_out)
    curves, held_out = checked_curves(curves), [] if none else checked_curves(held_out, "held_out")
    points = sum(losses.size for _, _, losses in curves)
    if points < len(chosen.parameters):
        raise ValueError(
            f"curves must have {len(chosen.parameters)} points or more, one a parameter of {chosen.name}, got {points}"
        )
    unit, total = max(float(lr.max()) for lr, _, _ in curves), max(float(lr.sum()) for lr, _, _ in curves)
    problem = _Problem(chosen, [Path(lr, steps, unit, total) for lr, steps, _ in curves], np.concatenate([c[2] for c in curves]))
    found = [problem.refine(start) for start in problem.starts(np.random.default_rng(seed))]
    found.sort(key=lambda pair: pair[0])
    objective, best = found[0]
    parameters = problem.named(best)
    made = Fit(
        chosen,
        parameters,
        unit,
        total,
        objective,
        tuple((value, problem.named(theta)) for value, theta in found),
        float(np.mean([value <= objective * (1 + AGREE) + 1e-12 for value, _ in found])),
        float(np.mean(np.abs(problem.losses - problem.curve(best)))),
        peaks=(min(float(lr.max()) for lr, _, _ in curves), unit),
        span=(min(int(steps[0]) for _, steps, _ in curves), max(lr.size for lr, _, _ in curves)),
    )
    if held_out:
        off = [np.abs(made.predict(lr, steps) - losses) for lr, steps, losses in held_out]
        object.__setattr__(made, "error", float(np.mean(np.concatenate(off))))
    return made


class _Problem:
    """The residuals of a law on some curves. A point is (linear parameters, logarithms of the others)."""

    def __init__(self, law, paths, losses):
        self.law, self.paths, self.losses = law, paths, losses
        self.low, self.high = np.log(np.array(list(law.nonlinear.values()), float)).reshape(-1, 2).T
        self.linear, self.kept = len(law.linear), None

    def features(self, logs):
        if self.kept is None or not np.array_equal(self.kept[0], logs):  # residuals and Jacobian are asked for at the same points
            self.kept = logs.copy(), self._features(logs)
        return self.kept[1]

    def _features(self, logs):
        return np.concatenate([self.law.features(path, *np.exp(logs)) for path in self.paths], axis=1)

    def curve(self, theta):
        return theta[: self.linear] @ self.features(theta[self.linear :])

    def named(self, theta):
        values = [*theta[: self.linear].tolist(), *np.exp(theta[self.linear :]).tolist()]
        return dict(zip(self.law.parameters, values, strict=True))

    def starts(self, rng):
        """KEPT of DRAWN random starts."""
        drawn = []
        for logs in rng.uniform(self.low, self.high, (DRAWN, self.low.size)):
            theta = np.append(self.solve(self.features(logs)), logs)
            drawn.append((self.objective(self.residuals(theta)), theta))
        drawn.sort(key=lambda pair: pair[0])
        best, rest = drawn[: KEPT // 2], drawn[KEPT // 2 :]
        return [theta for _, theta in best] + [rest[i][1] for i in rng.permutation(len(rest))[: KEPT - len(best)]]

    def solve(self, features):
        """Coefficients >= 0 of the least squares of relative residuals."""
        from scipy.optimize import nnls

        scale = np.linalg.norm(features / self.losses, axis=1)
        scale[scale == 0] = 1.0
        try:
            return nnls((features / self.losses / scale[:, None]).T, np.ones(self.losses.size))[0] / scale
        except RuntimeError:  # too many iterations
            return np.full(self.linear, 1.0 / self.linear) * self.losses.mean() / np.abs(features).mean(axis=1).clip(1e-12)

    def residuals(self, theta):
        return self._logs(self.curve(theta))

    def _logs(self, curve):
        return np.log(np.maximum(curve, 1e-3 * self.losses)) - np.log(self.losses)

    def objective(self, r):
        small = np.abs(r) <= DELTA
        return float(np.mean(np.where(small, 0.5 * r**2, DELTA * (np.abs(r) - 0.5 * DELTA))))

    def jacobian(self, theta):
        logs, coefficients = theta[self.linear :], theta[: self.linear]
        features = self.features(logs)
        curve = coefficients @ features
        columns = list(features)
        for i in range(logs.size):
            step = -STEP if logs[i] + STEP > self.high[i] else STEP
            moved = logs.copy()
            moved[i] += step
            columns.append((coefficients @ self._features(moved) - curve) / step)
        return (np.stack(columns) / np.maximum(curve, 1e-3 * self.losses)).T

    def refine(self, theta):
        """(objective, point) where the Huber loss is lowest, from a start."""
        from scipy.optimize import least_squares

        low = np.append(np.zeros(self.linear), self.low)
        high = np.append(np.full(self.linear, np.inf), self.high)
        theta = np.clip(theta, low + 1e-9, np.where(np.isfinite(high), high - 1e-9, np.inf))
        how = {"method": "trf", "x_scale": "jac", "loss": "huber", "f_scale": DELTA, "max_nfev": 100}
        how |= {"ftol": 1e-7, "xtol": 1e-8, "gtol": 1e-12}
        jacobian: Any = self.jacobian  # the stubs of SciPy know names alone
        found = least_squares(self.residuals, theta, jac=jacobian, bounds=(low, high), **how)
        return self.objective(found.fun), found.x


def checked_curves(curves, name="curves"):
    """Curves as float arrays, or a ValueError that says which of them is wrong, and how."""
    if isinstance(curves, str | dict) or not isinstance(curves, Sequence) or not len(curves):
        raise ValueError(
            f"{name} must be a list of (lr, steps, losses), one a run, got {type(curves).__name__} {_check.shown(curves)}"
        )
    return [_checked_curve(curve, f"{name}[{i}]") for i, curve in enumerate(curves)]


def _checked_curve(curve, name):
    if not isinstance(curve, Sequence) or isinstance(curve, str) or len(curve) != 3:
        raise ValueError(f"{name} must be (lr, steps, losses), got {_check.shown(curve)}")
    lr = _check.schedule(curve[0], f"{name} lr")
    steps = checked_steps(curve[1], lr.size, f"{name} steps")
    try:
        if np.iscomplexobj(curve[2]):
            raise TypeError
        losses = np.asarray(curve[2], dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} losses must be numbers, got {_check.shown(curve[2])}") from None
    if losses.shape != steps.shape:
        raise ValueError(f"{name} losses must be one a step of steps, {steps.size}, got shape {losses.shape}")
    bad = ~np.isfinite(losses)
    if bad.any():
        raise ValueError(
            f"{name} losses must be finite, got {bad.sum()} of {bad.size} that are not, the first at step {steps[bad][0]}"
        )
    if (losses <= 0).any():
        raise ValueError(f"{name} losses must be positive, got {losses.min():g} at step {steps[losses.argmin()]}")
    if not lr[: steps[0]].any():
        raise ValueError(f"{name} lr must have a positive rate by its first scored step {steps[0]}, got zeros only")
    return lr, steps, losses


def checked_steps(steps, T, name="steps"):
    """Numbers of steps done as an array of whole numbers, or a ValueError."""
    try:
        given = np.atleast_1d(np.asarray(steps))
    except (TypeError, ValueError):  # such as lists of different lengths
        given = np.empty((0, 0))
    if (
        given.ndim != 1
        or not given.size
        or given.dtype.kind not in "iuf"
        or not np.all(np.isfinite(given))
        or (given % 1 != 0).any()
    ):
        raise ValueError(f"{name} must be whole numbers, one or more, got {_check.shown(steps)}")
    if (outside := (given < 1) | (given > T)).any():
        raise ValueError(
            f"{name} must be in 1..{T}, the steps that lr has, got {given[outside][0]:g} ({outside.sum()} such steps)"
        )
    if (np.diff(given) <= 0).any():
        raise ValueError(f"{name} must increase, got {given[1:][np.diff(given) <= 0][0]:g} after an equal or a later step")
    return given.astype(int)
