"""What to change when something changes: another schedule, a longer run.

All of it follows from the best base learning rate of the bound, γ* = √(T1/T2) of `bounds.omega_terms`: a rate that was
tuned for one schedule is carried to another so that it stays at the same multiple of γ*.
"""

from __future__ import annotations

import contextlib
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, _wide
from lastiterate.bounds import optimal_lr, wide_lr
from lastiterate.schedules import two_stage, wsd


def lr_ratio(eta_from: ArrayLike, eta_to: ArrayLike, G: ArrayLike = 1.0) -> float:
    """Factor from the best base learning rate of one schedule to that of another, γ*(to)/γ*(from).

    Args:
        eta_from, eta_to: schedules; their lengths may differ.
        G: bound on the gradient norms, a scalar or, for schedules of one length T, shape (T,). A scalar and D both cancel.

    Returns:
        A float: multiply the tuned rate of `eta_from` by it.

    Raises:
        ValueError: on bad input.

    Source: Schaipp et al. 2025, section 5.2 and figure 11.

    >>> from lastiterate.schedules import linear, wsd
    >>> round(lr_ratio(wsd(6400, 0.2), linear(6400)), 2)     # from wsd with cooldown 0.2 to linear decay: about twice
    1.94
    """
    schedules = {"eta_from": _check.schedule(eta_from, "eta_from"), "eta_to": _check.schedule(eta_to, "eta_to")}
    for name, eta in schedules.items():
        if eta[-1] == 0:
            raise ValueError(f"{name} must be positive at its last step, got 0: Ω is infinite there")
    to, tuned = wide_lr(schedules["eta_to"], G), wide_lr(schedules["eta_from"], G)
    return _wide.scalar("the ratio", (to[0] / tuned[0], to[1] - tuned[1]))


def fit_lr(lr: ArrayLike, loss: ArrayLike) -> tuple[float, float, tuple[float, float, float]]:
    """Best base learning rate of a measured sweep: least squares with the shape of the bound, A/γ + Bγ + C.

    Args:
        lr: base learning rates of the runs, shape (n,), > 0, at least three different ones; seeds may repeat a rate.
        loss: their final losses, shape (n,).

    Returns:
        (lr, loss, (A, B, C)): the minimum √(A/B) of the fit, its value there 2√(AB) + C, and the coefficients.

    Raises:
        ValueError: on bad input, or where the fit has no minimum within the sweep: the best rate is outside.

    Source: Schaipp et al. 2025, figure 12b; Ω_T(γ) = T1/γ + γ·T2 has this shape.

    >>> best, lowest, _ = fit_lr([1e-3, 2e-3, 4e-3], [3.4, 3.1, 3.2])
    >>> round(best, 5), round(lowest, 4)
    (0.00237, 3.0888)
    """
    lr = _check.array("lr", lr)
    loss = np.asarray(_check.numbers("loss", loss), dtype=np.float64)
    if loss.shape != lr.shape or not np.isfinite(loss).all():
        raise ValueError(f"loss must be {lr.size} finite numbers, one a rate, got shape {loss.shape}")
    if not lr.all() or np.unique(lr).size < 3:
        raise ValueError(f"lr must have at least three different positive rates, got {np.unique(lr)}")
    columns = np.stack([1 / lr, lr, np.ones_like(lr)], axis=1)
    scale = columns.max(axis=0)
    A, B, C = (np.linalg.lstsq(columns / scale, loss, rcond=None)[0] / scale).tolist()
    if A <= 0 or B <= 0 or not lr.min() < math.sqrt(A / B) < lr.max():
        raise ValueError(f"lr must reach to both sides of the best rate: the fit has no minimum there (A = {A:.3g}, B = {B:.3g})")
    return math.sqrt(A / B), 2 * math.sqrt(A * B) + C, (A, B, C)


def extend_rate(T1: int, T2: int, cooldown: float = 0.2) -> float:
    """Factor ρ for the learning rate when a wsd run of T1 steps goes on to T2 steps from where its cooldown started.

        γ*(two_stage(T2, ⌊(1 − c)T1⌋, ρ, c)) = γ*(wsd(T1, c))

    Behind the switch at step s let the schedule be ρ times v, A_t the tail sums of v and z = ρA_{s+1} their sum. Then

        1/γ*² = (s + z) [ b z + Σ_{j<s} 1/(j + z) ],     b = (v_T + Σ_{s<t<T} v_t²/A_{t+1}) / A_{s+1},

    a parabola plus Σ_{j<s} (1 + (s − j)/(j + z)): convex in z, so that there are two roots at most, one on either side of its
    minimum. The larger one, the gentler change, is returned, solved to 1e-12.

    Args:
        T1: horizon that the run was tuned for, an integer in 1..10⁸.
        T2: new horizon, an integer in T1..10⁸.
        cooldown: fraction c of both schedules, in [0, 1).

    Returns:
        ρ in (0, 1], a float: ``two_stage(T2, switch, rho, cooldown)`` with switch = ⌊(1 − c)T1⌋ is the schedule.

    Raises:
        ValueError: on bad input, or where no ρ keeps γ* (T2 too long).

    Source: Schaipp et al. 2025, section 5.1 and figures 8 and 22; that it is convex is this project's.

    >>> round(extend_rate(4000, 8000), 3)
    0.533
    """
    from scipy.optimize import brentq  # here: most of this module needs NumPy alone

    T1, T2, cooldown = _checked(T1, T2, cooldown)
    switch = _check.floor((1 - cooldown) * T1)
    tuned = optimal_lr(wsd(T1, cooldown))[0]
    if optimal_lr(two_stage(T2, switch, 1.0, cooldown))[0] >= tuned:
        return 1.0
    rest = wsd(T2, cooldown)[switch:]
    tail = np.cumsum(rest[::-1])[::-1]
    b, steps = float(rest[-1] + np.sum(np.square(rest[:-1]) / tail[1:])) / float(tail[0]), np.arange(switch)

    def excess(rho):
        z = rho * float(tail[0])
        return tuned**2 * (switch + z) * (b * z + float(np.sum(1 / (steps + z)))) - 1

    def slope(rho):
        z = rho * float(tail[0])
        return b * (switch + 2 * z) - float(np.sum((switch - steps) / np.square(steps + z)))

    lowest = 0.0
    if switch:  # then the slope is −s/z² at least where z is small
        lowest = min(math.sqrt(1 / (b * (1 + 2 * float(tail[0]) / switch))) / float(tail[0]), 1.0)
        lowest = brentq(slope, lowest, 1.0, xtol=1e-15, rtol=1e-14) if slope(lowest) < 0 < slope(1.0) else 1.0
    if lowest == 1.0 or excess(lowest) > 0:
        raise ValueError(f"T2 must be shorter: no lower rate after step {switch} makes {T2} steps as good as at T1 = {T1}")
    return brentq(excess, lowest, 1.0, xtol=1e-12 * max(lowest, 1e-3), rtol=1e-14)


def extend_cooldown(T1: int, T2: int, cooldown: float = 0.2) -> float:
    """Cooldown fraction at which a wsd run tuned for T1 steps can go on to T2 steps at the same learning rate.

        γ*(wsd(T2, c')) = γ*(wsd(T1, c))

    The cooldown has a whole number of steps; between two of them ln γ* is interpolated.

    Args:
        T1: horizon that the run was tuned for, an integer in 1..10⁸.
        T2: new horizon, an integer in T1..10⁸.
        cooldown: fraction c of the tuned schedule, in [0, 1).

    Returns:
        The new fraction c' in [c, 1], a float.

    Raises:
        ValueError: on bad input, or where even linear decay (c' = 1) is not enough (T2 too long).

    Source: Schaipp et al. 2025, section 5.1 and figure 9.

    >>> round(extend_cooldown(4000, 8000), 3)
    0.633
    """
    T1, T2, cooldown = _checked(T1, T2, cooldown)
    if T2 == T1:
        return cooldown
    tuned = optimal_lr(wsd(T1, cooldown))[0]

    def excess(n):  # of a cooldown of n steps
        return math.log(optimal_lr(wsd(T2, n / (T2 + 1)))[0] / tuned)

    low, high = _check.floor(cooldown * (T2 + 1)), T2
    if excess(low) >= 0:  # so short a cooldown that the extra steps do not count
        return cooldown
    if excess(high) < 0:
        raise ValueError(f"T2 must be shorter: even linear decay over {T2} steps wants a lower rate than T1 = {T1}")
    while high - low > 1:  # γ* grows with the cooldown, but for the first few steps of it
        middle = (low + high) // 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    below, above = excess(low), excess(high)
    return max(cooldown, (low - below / (above - below)) / (T2 + 1))


def extension_plans(T1: int, T2: int, cooldown: float = 0.2) -> dict[str, NDArray[np.float64]]:
    """The plans for going on from a wsd run of T1 steps to T2 steps, as schedules relative to its base learning rate.

    Args:
        T1, T2, cooldown: as `extend_rate`.

    Returns:
        Dict of arrays of shape (T2,): "lower rate" (`extend_rate`), "longer cooldown" (`extend_cooldown`; left out where none is
        long enough) and "same rate and cooldown".

    Raises:
        ValueError: as `extend_rate`.

    Source: Schaipp et al. 2025, section 5.1. `design.optimal` with a prefix says what these leave.

    >>> {name: eta.size for name, eta in extension_plans(4000, 16000).items()}
    {'lower rate': 16000, 'same rate and cooldown': 16000}
    """
    rho = extend_rate(T1, T2, cooldown)
    plans = {"lower rate": two_stage(T2, _check.floor((1 - cooldown) * T1), rho, cooldown)}
    with contextlib.suppress(ValueError):  # T2 is too long
        plans["longer cooldown"] = wsd(T2, extend_cooldown(T1, T2, cooldown))
    return plans | {"same rate and cooldown": wsd(T2, cooldown)}


def _checked(T1: int, T2: int, cooldown: float) -> tuple[int, int, float]:
    T1 = _check.steps("T1", T1)
    T2 = _check.steps("T2", T2, T1)
    cooldown = _check.real("cooldown", cooldown, 0.0, 1.0)
    if cooldown == 1:
        raise ValueError("cooldown must be below 1, got 1: linear decay has no stable part to go on from")
    return T1, T2, cooldown
