"""Plans for going on from a checkpoint of a run: a lower rate, a longer cooldown, a cooldown at once.

A run with schedule η was tuned for T₁ steps; of it there is a checkpoint of step h, with the steps before it as they were, and it
shall have T₂ steps. What is kept is γ*, the best base learning rate for the bound: where γ* of the whole new schedule is that of
the tuned one, the rate that was tuned is right for it. `transfer.extend_rate` and `extend_cooldown` are the case of a wsd run
whose checkpoint is of the step before its cooldown.
"""

from __future__ import annotations

import contextlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check
from lastiterate.bounds import optimal_lr
from lastiterate.schedules import compose

Array = NDArray[np.float64]
FULL = 1 - 1e-12  # what still counts as the full rate


class Plan(NamedTuple):
    """One way to go on: what `plans` has."""

    eta: Array
    """Schedule of all T₂ steps, relative to the tuned base learning rate."""
    needs: int
    """Step up to which it is the tuned schedule: a checkpoint of that step or of an earlier one is needed."""
    rate: float
    """Factor for the rate from where it is another schedule."""
    falls: int
    """Steps before its last cooldown."""


def rate(prefix: ArrayLike, rest: ArrayLike, lr: float, G: ArrayLike = 1.0) -> float:
    """Factor ρ for the rates behind steps that were taken, at which the best base learning rate of the whole is a given one.

        γ*(prefix, ρ·rest) = lr

    Let z = ρA be the sum of the rates to come, P that of the prefix, P_k what of it comes after step k of s. Then

        1/γ*² = (P + z) [ b z + Σ_{k≤s} p_k² G_k²/(P_k + z) ],     b = (G_T² v_T + Σ_{s<t<T} G_t² v_t²/A_{t+1}) / A

    with v the rates of `rest` and A_t their tail sums: a parabola plus Σ p_k² G_k² (1 + (P − P_k)/(P_k + z)), convex in z, so
    that there are two roots at most, one on either side of its minimum. The larger one, the gentler change, is returned.

    Args:
        prefix: schedule of the steps that were taken, shape (s,); may be empty.
        rest: schedule of the others, shape (n,), not zero at its end.
        lr: γ* to keep, > 0, that of the tuned schedule.
        G: bound on the gradient norms, a scalar or shape (s + n,).

    Returns:
        ρ in (0, 1], a float, solved to 1e-12; 1 where the tuned rate is not too high for the whole.

    Raises:
        ValueError: on bad input, or where no ρ keeps γ*: the prefix alone is too noisy for so long a run.

    Source: Schaipp et al. 2025, section 5.1, for a constant prefix; the general one, and that it is convex, are this project's.

    >>> from lastiterate.schedules import wsd
    >>> lr = optimal_lr(wsd(4000))[0]
    >>> round(rate(np.ones(3200), wsd(8000)[3200:], lr), 3), round(rate(wsd(4000), wsd(8000)[4000:], lr), 3)
    (0.533, 0.53)
    """
    from scipy.optimize import brentq  # here: most of this module needs NumPy alone

    prefix = _check.array("prefix", prefix) if np.size(prefix) else np.zeros(0)
    rest, lr = _check.schedule(rest, "rest"), _check.real("lr", lr, 0.0, open_low=True)
    T = prefix.size + rest.size
    if optimal_lr(np.concatenate([prefix, rest]), G)[0] >= lr:
        return 1.0
    squares = np.square(_check.grad_norms(G, T))
    tail = np.cumsum(rest[::-1])[::-1]
    noise = squares[-1] * rest[-1] + np.sum(squares[prefix.size : -1] * np.square(rest[:-1]) / tail[1:])
    total, b = float(tail[0]), float(noise) / float(tail[0])
    weights = (np.square(prefix) * squares[: prefix.size])[::-1]
    after = np.concatenate([[0.0], np.cumsum(prefix[::-1])])  # from the last step of the prefix to its first
    taken, after = float(after[-1]), after[:-1]

    def excess(rho):
        z = rho * total
        return lr**2 * (taken + z) * (b * z + float(np.sum(weights / (after + z)))) - 1

    def slope(rho):
        z = rho * total
        return b * (taken + 2 * z) - float(np.sum(weights * (taken - after) / np.square(after + z)))

    lowest = 0.0
    if prefix.any():  # then the slope is at most that of the last step that has a rate, −P p_s² G_s²/z² where P_s = 0
        last = int(np.flatnonzero(weights)[0])
        lowest = min(math.sqrt(weights[last] / (b * (1 + 2 * total / taken))) / total, 1.0)
        lowest = brentq(slope, lowest, 1.0, xtol=1e-15, rtol=1e-14) if slope(lowest) < 0 < slope(1.0) else 1.0
    if lowest == 1.0 or excess(lowest) > 0:
        said = f"no lower rate after step {prefix.size} makes {T} steps as good as the tuned ones"
        raise ValueError(f"T2 must be shorter: {said}")
    return brentq(excess, lowest, 1.0, xtol=1e-12 * max(lowest, 1e-3), rtol=1e-14)


def cooldown(
    prefix: ArrayLike, T: int, lr: float, least: float = 0.2, shape: str = "linear", G: ArrayLike = 1.0, most: float = 1.0
) -> float:
    """Cooldown fraction c' at which a run that goes on at the full rate has a given best base learning rate.

        γ*(prefix, 1, …, 1, cooled down over the last c') = lr

    The cooldown has a whole number of steps; between two of them ln γ* is interpolated.

    Args:
        prefix: schedule of the first steps, shape (s,), s < T; may be empty. A cooldown that begins before its end is put on it.
        T: steps of the whole.
        lr: γ* to keep, > 0.
        least, most: smallest and largest fraction, in [0, 1].
        shape: of the cooldown, in `schedules.compose.SHAPES`.
        G: bound on the gradient norms, a scalar or shape (T,).

    Returns:
        c' in [least, most], a float; `least` where already that keeps γ*.

    Raises:
        ValueError: on bad input, or where even the largest fraction is not enough.

    Source: Schaipp et al. 2025, section 5.1 and figure 9, for wsd.

    >>> from lastiterate.schedules import wsd
    >>> round(cooldown([], 8000, optimal_lr(wsd(4000))[0]), 3)
    0.633
    """
    T, lr = _check.steps("T", T), _check.real("lr", lr, 0.0, open_low=True)
    least, most = _check.real("least", least, 0.0, 1.0), _check.real("most", most, 0.0, 1.0)
    base, taken = np.ones(T), _check.array("prefix", prefix) if np.size(prefix) else np.zeros(0)
    if taken.size >= T:
        raise ValueError(f"prefix must have fewer than T = {T} steps, got {taken.size}")
    base[: taken.size] = taken

    def excess(n):  # of a cooldown of n steps
        return math.log(optimal_lr(compose.cooldown(base, n / (T + 1), shape), G)[0] / lr)

    low, high = _check.floor(least * (T + 1)), min(_check.floor(most * (T + 1)), T)
    if high >= low and excess(low) >= 0:  # so short a cooldown that the extra steps do not count
        return least
    if high <= low or excess(high) < 0:
        raise ValueError(f"T2 must be shorter: even a cooldown over {high} of {T} steps wants a lower rate than the tuned one")
    while high - low > 1:  # γ* grows with the cooldown, but for the first few steps of it
        middle = (low + high) // 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    below, above = excess(low), excess(high)
    return max(least, (low - below / (above - below)) / (T + 1))


def full(tuned: ArrayLike) -> int:
    """Last step at the full rate of a schedule.

    >>> full([0.5, 1.0, 1.0, 0.5])
    3
    """
    eta = _check.schedule(tuned, "tuned")
    return int(np.flatnonzero(eta >= eta.max() * FULL)[-1]) + 1


def plans(
    tuned: ArrayLike,
    T: int,
    have: int,
    fraction: float = 0.2,
    shape: str = "linear",
    G: ArrayLike = 1.0,
    switch: int | None = None,
) -> dict[str, Plan]:
    """Plans for going on from a checkpoint of a run, and those that would need an earlier one.

    Args:
        tuned: schedule that the run was tuned with, shape (T₁,), peak 1.
        T: steps that it shall have, an integer > T₁.
        have: step of the checkpoint, in 1..T₁; T₁ is the end of the run.
        fraction, shape: of the new cooldown, where it is not made longer, in [0, 1).
        G: bound on the gradient norms, a scalar or shape (T,).
        switch: step s from which a checkpoint before the cooldown would go on; by default the last one at the full rate.

    Returns:
        {name: Plan}: "lower rate" from step max(have, s), "longer cooldown", "cooldown at once" from `have`, "same rate and
        cooldown", and "earlier lower rate", from step s, where the checkpoint is later. One that no rate or fraction solves is
        left out, and "cooldown at once" where a longer cooldown can begin later. A plan is feasible where ``needs >= have``.

    Raises:
        ValueError: on bad input.

    Source: Schaipp et al. 2025, section 5.1, from the step before the cooldown; from other steps this project's.

    >>> from lastiterate.schedules import wsd
    >>> {name: plan.needs for name, plan in plans(wsd(500), 2000, have=500).items()}
    {'lower rate': 500, 'cooldown at once': 500, 'same rate and cooldown': 500, 'earlier lower rate': 401}
    """
    eta = _check.schedule(tuned, "tuned")
    T, have = _check.steps("T", T, eta.size + 1), _check.integer("have", have, 1, eta.size)
    n, G = compose.cooldown_steps(T, fraction, "fraction"), _check.grad_norms(G, T)
    lr, last = optimal_lr(eta, G[: eta.size])[0], full(eta)
    switch = last if switch is None else _check.integer("switch", switch, 1, last)
    start, rest = max(have, switch), compose.cooldown(np.ones(T), fraction, shape)
    whole = np.ones(T)
    whole[:start] = eta[:start]

    def made(values, factor, steps):
        apart = np.flatnonzero(np.abs(values[: eta.size] - eta) > 1e-12)
        return Plan(values, int(apart[0]) if apart.size else eta.size, factor, T - steps)

    def lower(behind):
        factor = rate(eta[:behind], rest[behind:], lr, G)
        return made(np.concatenate([eta[:behind], factor * rest[behind:]]), factor, min(n, T - behind))

    def cooled(c):
        return made(compose.cooldown(whole, c, shape), 1.0, compose.cooldown_steps(T, c))

    found = {}
    with contextlib.suppress(ValueError):  # T is too long
        found["lower rate"] = lower(start)
    with contextlib.suppress(ValueError):
        most = 1.0 if have <= last else (T - have) / (T + 1)
        found["longer cooldown"] = cooled(cooldown(eta[:start], T, lr, fraction, shape, G, most))
    if "longer cooldown" not in found or found["longer cooldown"].needs < have:
        found["cooldown at once"] = cooled((T - have) / (T + 1))
    unchanged = np.concatenate([eta[:start], rest[start:]])
    found["same rate and cooldown"] = made(unchanged, 1.0, min(n, T - start))
    if have > switch:
        with contextlib.suppress(ValueError):
            found["earlier lower rate"] = lower(switch)
    return found
