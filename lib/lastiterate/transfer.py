"""What to change when something changes: another schedule, a longer run.

All of it follows from the best base learning rate of the bound, γ* = √(T1/T2) of `bounds.omega_terms`: a rate that was
tuned for one schedule is carried to another so that it stays at the same multiple of γ*.

With constant gradient norms γ* falls like T^−½ with the horizon. Measured best rates fall otherwise: an exponent P stands for
norms G_t = t^(P − ½), for which γ* falls like T^−P, and every transfer follows with them (`assumed_norms`, `horizon_exponent`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, _wide, continuation
from lastiterate.bounds import optimal_lr, wide_lr
from lastiterate.schedules import two_stage, wsd


def assumed_norms(T: int, exponent: float = 0.5) -> float | NDArray[np.float64]:
    """Gradient norms for which the bound's best rate falls like T^−P with the horizon: G_t = t^(P − ½).

    Args:
        T: horizon, an integer in 1..10⁸.
        exponent: P, in [-1, 2]: ½ for constant norms; `horizon_exponent` measures it.

    Returns:
        1.0 for P = ½, else shape (T,).

    Raises:
        ValueError: on bad input.

    Source: this project's; γ* of wsd at P = 0.24 falls with exponent 0.240 from T = 2000 to 128,000.

    >>> assumed_norms(4, 0.0).round(3)
    array([1.   , 0.707, 0.577, 0.5  ])
    """
    T, exponent = _check.steps("T", T), _check.real("exponent", exponent, -1.0, 2.0)
    return 1.0 if exponent == 0.5 else np.arange(1.0, T + 1) ** (exponent - 0.5)


def lr_ratio(eta_from: ArrayLike, eta_to: ArrayLike, G: ArrayLike = 1.0, exponent: float = 0.5) -> float:
    """Factor from the best base learning rate of one schedule to that of another, γ*(to)/γ*(from).

    Args:
        eta_from, eta_to: schedules; their lengths may differ.
        G: bound on the gradient norms, a scalar or, for schedules of one length T, shape (T,). A scalar and D both cancel.
        exponent: P, where best rates fall like T^−P with the horizon: `assumed_norms` in place of G. Not with an array G.

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
    if exponent != 0.5 and not _check.is_scalar(G):
        raise ValueError(f"exponent must not be given with an array G, whose place its norms take, got {_check.shown(exponent)}")
    norms = {n: assumed_norms(n, exponent) for n in {eta.size for eta in schedules.values()}}
    to, tuned = (wide_lr(eta, G if exponent == 0.5 else norms[eta.size]) for eta in (schedules["eta_to"], schedules["eta_from"]))
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
    if not _wide.ordinary(lr):
        raise ValueError(f"lr must be in [1e-{_wide.SPAN}, 1e{_wide.SPAN}], got {lr.min():g} to {lr.max():g}")
    columns = np.stack([1 / lr, lr, np.ones_like(lr)], axis=1)
    scale = columns.max(axis=0)
    A, B, C = (np.linalg.lstsq(columns / scale, loss, rcond=None)[0] / scale).tolist()
    if A <= 0 or B <= 0 or not lr.min() < math.sqrt(A / B) < lr.max():
        raise ValueError(f"lr must reach to both sides of the best rate: the fit has no minimum there (A = {A:.3g}, B = {B:.3g})")
    return math.sqrt(A / B), 2 * math.sqrt(A * B) + C, (A, B, C)


def horizon_exponent(table: Mapping[str, Any] | ArrayLike) -> tuple[float, float, float]:
    """How fast the best rate of measured sweeps falls with the horizon: P of a line through ln γ* ~ −P ln T, with an interval.

    Args:
        table: a mapping (a dict, a DataFrame) with the columns `lr`, `horizon` and `loss` (or `final_val_loss`, `final_loss`),
            one row a run, or these three as an array of shape (n, 3); at least two horizons with three rates each.

    Returns:
        (P, low, high): the exponent from the best rate of each horizon (`fit_lr`), and its smallest and largest value when one
        rate is left out, or one horizon where there are more than two; where nothing can be left out, -inf and inf.

    Raises:
        ValueError: on bad input, or where the best rate of a horizon is outside its sweep.

    Source: this project's. The authors' 124M runs of Schaipp et al. 2025 give 0.24 for wsd with cooldown 0.2.

    >>> rows = [(lr, T, 10 * lr + 1e-2 / (lr * T)) for T in (1000, 4000) for lr in (2e-4, 5e-4, 1e-3, 2e-3)]
    >>> [round(x, 6) for x in horizon_exponent(rows)]        # the best rate is (1000 T)^−½
    [0.5, 0.5, 0.5]
    """
    lr, horizon, loss = _sweep(table)

    def exponent(keep):
        found = {T: fit_lr(lr[keep & (horizon == T)], loss[keep & (horizon == T)])[0] for T in np.unique(horizon[keep]).tolist()}
        if len(found) < 2:
            raise ValueError(f"table must have at least two horizons, got {len(found)}")
        return float(-np.polyfit(np.log(list(found)), np.log(list(found.values())), 1)[0])

    P, others = exponent(np.ones(lr.size, dtype=bool)), []
    for left in [lr == rate for rate in np.unique(lr)] + [horizon == T for T in np.unique(horizon)]:
        with contextlib.suppress(ValueError):  # without it there is no fit
            others.append(exponent(~left))
    return (P, min(P, *others), max(P, *others)) if others else (P, -math.inf, math.inf)


def _sweep(table: Any) -> tuple[NDArray[np.float64], ...]:
    """Columns lr, horizon, loss."""
    if hasattr(table, "keys"):
        missing = [name for name in ("lr", "horizon") if name not in table]
        losses = [name for name in ("loss", "final_val_loss", "final_loss") if name in table]
        if missing or not losses:
            raise ValueError(f"table must have the columns lr, horizon and loss, got {', '.join(map(str, table))}")
        columns = [np.asarray(table[name]) for name in ("lr", "horizon", losses[0])]
    else:
        rows = np.asarray(_check.numbers("table", table), dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != 3:
            raise ValueError(f"table must have rows of lr, horizon and loss, got shape {rows.shape}")
        columns = list(rows.T)
    lr, horizon = _check.array("lr", columns[0]), _check.array("horizon", columns[1])
    loss = np.asarray(_check.numbers("loss", columns[2]), dtype=np.float64)
    if not lr.size == horizon.size == loss.size or not np.isfinite(loss).all() or not horizon.all():
        raise ValueError("table must have one lr > 0, one horizon > 0 and one finite loss a row")
    return lr, horizon, loss


def extend_rate(T1: int, T2: int, cooldown: float = 0.2, exponent: float = 0.5) -> float:
    """Factor ρ for the learning rate when a wsd run of T1 steps goes on to T2 steps from where its cooldown started.

        γ*(two_stage(T2, ⌊(1 − c)T1⌋, ρ, c)) = γ*(wsd(T1, c))

    It is `continuation.rate` behind a constant prefix: solved to 1e-12, and of two roots the larger one, the gentler change.

    Args:
        T1: horizon that the run was tuned for, an integer in 1..10⁸.
        T2: new horizon, an integer in T1..10⁸.
        cooldown: fraction c of both schedules, in [0, 1).
        exponent: P, where best rates fall like T^−P with the horizon: G = `assumed_norms`.

    Returns:
        ρ in (0, 1], a float: ``two_stage(T2, switch, rho, cooldown)`` with switch = ⌊(1 − c)T1⌋ is the schedule.

    Raises:
        ValueError: on bad input, or where no ρ keeps γ* (T2 too long).

    Source: Schaipp et al. 2025, section 5.1 and figures 8 and 22; that it is convex is this project's.

    >>> round(extend_rate(4000, 8000), 3)
    0.533
    """
    T1, T2, cooldown = _checked(T1, T2, cooldown)
    G = np.broadcast_to(assumed_norms(T2, exponent), T2)
    switch = _check.floor((1 - cooldown) * T1)
    tuned = optimal_lr(wsd(T1, cooldown), G[:T1])[0]
    return continuation.rate(np.ones(switch), wsd(T2, cooldown)[switch:], tuned, G)


def extend_cooldown(T1: int, T2: int, cooldown: float = 0.2, exponent: float = 0.5) -> float:
    """Cooldown fraction at which a wsd run tuned for T1 steps can go on to T2 steps at the same learning rate.

        γ*(wsd(T2, c')) = γ*(wsd(T1, c))

    It is `continuation.cooldown` of a run that is not cooled down yet.

    Args:
        T1: horizon that the run was tuned for, an integer in 1..10⁸.
        T2: new horizon, an integer in T1..10⁸.
        cooldown: fraction c of the tuned schedule, in [0, 1).
        exponent: P, where best rates fall like T^−P with the horizon: G = `assumed_norms`.

    Returns:
        The new fraction c' in [c, 1], a float.

    Raises:
        ValueError: on bad input, or where even linear decay (c' = 1) is not enough (T2 too long).

    Source: Schaipp et al. 2025, section 5.1 and figure 9.

    >>> round(extend_cooldown(4000, 8000), 3)
    0.633
    """
    T1, T2, cooldown = _checked(T1, T2, cooldown)
    G = assumed_norms(T2, exponent)
    if T2 == T1:
        return cooldown
    tuned = optimal_lr(wsd(T1, cooldown), assumed_norms(T1, exponent))[0]
    return continuation.cooldown([], T2, tuned, cooldown, G=G)


def extension_plans(T1: int, T2: int, cooldown: float = 0.2, exponent: float = 0.5) -> dict[str, NDArray[np.float64]]:
    """The plans for going on from a wsd run of T1 steps to T2 steps, as schedules relative to its base learning rate.

    Args:
        T1, T2, cooldown, exponent: as `extend_rate`.

    Returns:
        Dict of arrays of shape (T2,): "lower rate" (`extend_rate`), "longer cooldown" (`extend_cooldown`; left out where none is
        long enough) and "same rate and cooldown".

    Raises:
        ValueError: as `extend_rate`.

    Source: Schaipp et al. 2025, section 5.1. `design.optimal` with a prefix says what these leave.

    >>> {name: eta.size for name, eta in extension_plans(4000, 16000).items()}
    {'lower rate': 16000, 'same rate and cooldown': 16000}
    """
    rho = extend_rate(T1, T2, cooldown, exponent)
    plans = {"lower rate": two_stage(T2, _check.floor((1 - cooldown) * T1), rho, cooldown)}
    with contextlib.suppress(ValueError):  # T2 is too long
        plans["longer cooldown"] = wsd(T2, extend_cooldown(T1, T2, cooldown, exponent))
    return plans | {"same rate and cooldown": wsd(T2, cooldown)}


def _checked(T1: int, T2: int, cooldown: float) -> tuple[int, int, float]:
    T1 = _check.steps("T1", T1)
    T2 = _check.steps("T2", T2, T1)
    cooldown = _check.real("cooldown", cooldown, 0.0, 1.0)
    if cooldown == 1:
        raise ValueError("cooldown must be below 1, got 1: linear decay has no stable part to go on from")
    return T1, T2, cooldown
