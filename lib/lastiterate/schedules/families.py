"""The formulas: functions that make a schedule of T steps.

A schedule is a float64 array of length T with peak 1, the shape only: the learning rate is ``gamma * eta``. Steps are
numbered from 1, so ``eta[0]`` is η₁. A schedule that decays "to zero" would reach 0 at step T + 1: η_T is positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check
from lastiterate.schedules import compose

NAMES = (  # by which `spec.named` knows them
    "constant", "linear", "polynomial", "cosine", "cosine_restarts", "wsd", "two_stage", "inverse_sqrt", "inverse_linear",
    "step", "exponential", "one_cycle", "cyclic",
)  # fmt: skip

Array = NDArray[np.float64]


def constant(T: int) -> Array:
    """Constant schedule, η_t = 1.

    Args:
        T: number of steps, an integer in 1..10⁸.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: if T is not such an integer.

    Source: Schaipp et al. 2025, section 3.

    >>> constant(3)
    array([1., 1., 1.])
    """
    return np.ones(_check.steps("T", T))


def linear(T: int) -> Array:
    """Linear decay, η_t = (T + 1 − t)/T: from 1 to 1/T, and to 0 at step T + 1. Optimal in the worst case.

    Args, returns and raises as `constant`.

    Source: Defazio et al. 2023, Theorem 1 and Algorithm 1 with equal weights; Schaipp et al. 2025, figure 18.

    >>> linear(4)
    array([1.  , 0.75, 0.5 , 0.25])
    """
    return polynomial(T, 1.0)


def polynomial(T: int, power: float = 1.0, final: float = 0.0) -> Array:
    """Polynomial decay, η_t = e + (1 − e)·((T + 1 − t)/T)^power.

    Args:
        T: number of steps, an integer in 1..10⁸.
        power: exponent, >= 0; 1 is linear decay, 0 is constant.
        final: value e that step T + 1 would have, in [0, 1].

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T, power or final.

    Source: Defazio et al. 2023, figure 3 (comparison schedules).

    >>> polynomial(4, power=2.0)
    array([1.    , 0.5625, 0.25  , 0.0625])
    """
    T = _check.steps("T", T)
    power, final = _check.real("power", power, 0.0), _check.real("final", final, 0.0, 1.0)
    return final + (1 - final) * (np.arange(T, 0, -1) / T) ** power


def cosine(T: int, final: float = 0.0, cycle: float = 1.0) -> Array:
    """Cosine decay, η_t = e + (1 − e)·½(1 + cos(π (t − 1)/(n − 1))) with n = ⌊cycle·(T + 1)⌋.

    Args:
        T: number of steps, an integer in 1..10⁸.
        final: value e at the bottom of the cosine, in [0, 1].
        cycle: length of the half wave as a multiple of T + 1, in (0, 10⁹]; with 1 the bottom is at step T + 1, with more it is
            not reached, with less the rate rises again.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T or final, or a cycle of fewer than two steps.

    Source: Schaipp et al. 2025, section 3 and figure 19.

    >>> cosine(4).round(3)
    array([1.   , 0.854, 0.5  , 0.146])
    """
    T = _check.steps("T", T)
    final = _check.real("final", final, 0.0, 1.0)
    n = _check.floor(_check.real("cycle", cycle, 0.0, 1e9, open_low=True) * (T + 1))
    if n < 2:
        raise ValueError(f"cycle must be at least 2/(T + 1) = {2 / (T + 1):g} (two steps), got {cycle!r}")
    # ½(1 + cos πx) = sin²(π(1 − x)/2), which keeps its relative accuracy towards the bottom
    return final + (1 - final) * np.sin(0.5 * np.pi * (n - np.arange(1, T + 1)) / (n - 1)) ** 2


def wsd(T: int, cooldown: float = 0.2, shape: str = "linear", final: float = 0.0) -> Array:
    """Constant, then a cooldown over the last fraction of the steps ("warmup-stable-decay", its warmup apart).

        n = min(⌊c(T + 1)⌋, T),   T₀ = T + 1 − n;   η_t = 1 for t ≤ T₀,   then e + (1 − e)·s((t − T₀)/n)
        with s(x) = 1 − x ("linear"), 1 − √x ("1-sqrt"), and those of the other shapes of `compose.cooldown`

    Args:
        T: number of steps, an integer in 1..10⁸.
        cooldown: fraction c in [0, 1]; 0 is constant, 1 with the linear shape is linear decay.
        shape: "linear", "1-sqrt", "cosine", "mirror-cosine", "square" or, with a final above 0, "exponential".
        final: value e that step T + 1 would have, in [0, 1].

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T, cooldown or final, or an unknown shape (the known ones are listed).

    Source: Schaipp et al. 2025, section 3 and Theorem 9.

    >>> wsd(9, cooldown=0.4)
    array([1.  , 1.  , 1.  , 1.  , 1.  , 1.  , 0.75, 0.5 , 0.25])
    >>> wsd(9, cooldown=0.4, shape="1-sqrt").round(3)
    array([1.   , 1.   , 1.   , 1.   , 1.   , 1.   , 0.5  , 0.293, 0.134])
    """
    return compose.cooled(constant(T), cooldown, shape, final)


def two_stage(T: int, switch: int, rho: float, cooldown: float = 0.2, ramp: int = 0) -> Array:
    """Constant 1, then constant ρ, then a linear cooldown: a run extended at a lower rate ("wssd").

        η_t = 1 for t ≤ switch, then ρ;   the last n = min(⌊c(T + 1)⌋, T) steps are ρ(1 − (t − T₀)/n), T₀ = T + 1 − n
        with a ramp of r steps, η_t = 1 − (1 − ρ)(t − switch)/r for switch < t ≤ switch + r

    Args:
        T: number of steps, an integer in 1..10⁸.
        switch: number of steps at rate 1, an integer in 0..T₀; ⌊(1 − c)T₁⌋ where a run of T₁ steps is extended.
        rho: second rate ρ, in (0, 1].
        cooldown: fraction c in [0, 1].
        ramp: steps r over which the rate falls to ρ, an integer >= 0; the authors' runs have 1000.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on a bad argument, or a switch or a ramp that reaches into the cooldown.

    Source: Schaipp et al. 2025, section 5.1 and figures 8 and 22.

    >>> two_stage(9, switch=3, rho=0.5, cooldown=0.4)
    array([1.   , 1.   , 1.   , 0.5  , 0.5  , 0.5  , 0.375, 0.25 , 0.125])
    """
    T = _check.steps("T", T)
    n = compose.cooldown_steps(T, cooldown)
    switch = _check.integer("switch", switch, 0, min(T, T + 1 - n))
    rho = _check.real("rho", rho, 0.0, 1.0, open_low=True)
    ramp = _check.integer("ramp", ramp, 0, min(T, T + 1 - n) - switch)
    eta = rho * wsd(T, cooldown)
    eta[:switch] = 1.0
    eta[switch : switch + ramp] = 1.0 - (1.0 - rho) * np.arange(1, ramp + 1) / max(ramp, 1)
    return eta


def inverse_sqrt(T: int, offset: float = 1.0) -> Array:
    """Inverse square root decay, η_t = √(β/(β + t − 1)); 1/√t for offset β = 1.

    Args:
        T: number of steps, an integer in 1..10⁸.
        offset: β > 0; the rate has fallen to 1/√2 after β steps.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T or offset.

    Source: Schaipp et al. 2025, figure 18; Defazio et al. 2023, figure 2.

    >>> inverse_sqrt(4).round(3)
    array([1.   , 0.707, 0.577, 0.5  ])
    """
    return np.sqrt(inverse_linear(T, offset))


def inverse_linear(T: int, offset: float = 1.0) -> Array:
    """Inverse linear decay, η_t = β/(β + t − 1); 1/t for offset β = 1.

    Args, returns and raises as `inverse_sqrt`; the rate has fallen to one half after β steps.

    Source: Defazio et al. 2023, figure 2.

    >>> inverse_linear(4)
    array([1.        , 0.5       , 0.33333333, 0.25      ])
    """
    T = _check.steps("T", T)
    offset = _check.real("offset", offset, 0.0, open_low=True)
    return offset / (offset + np.arange(T, dtype=np.float64))


def step(T: int, milestones: ArrayLike, factor: float = 0.1) -> Array:
    """Step-wise decay: after each milestone the rate is multiplied by a factor; η_t = factor^#{m : m < t}.

    Args:
        T: number of steps, an integer in 1..10⁸.
        milestones: numbers of steps after which the rate drops, distinct integers in 1..T, as in PyTorch's MultiStepLR.
        factor: in (0, 1].

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on a bad argument.

    Source: Defazio et al. 2023, table of the convex suite ("step-wise").

    >>> step(5, milestones=[2, 4], factor=0.5)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    """
    T = _check.steps("T", T)
    factor = _check.real("factor", factor, 0.0, 1.0, open_low=True)
    drops = np.sort(_check.integers("milestones", milestones, 1, T))
    if np.any(drops[1:] == drops[:-1]):
        raise ValueError(f"milestones must be distinct, got {_check.shown(drops.tolist())}")
    return factor ** np.searchsorted(drops, np.arange(T), side="right").astype(float)


def exponential(T: int, final: float = 0.01) -> Array:
    """Exponential decay, η_t = e^((t − 1)/T): it would have the value e at step T + 1.

    Args:
        T: number of steps, an integer in 1..10⁸.
        final: e, in (0, 1].

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T or final.

    Source: PyTorch's ExponentialLR with gamma = e^(1/T).

    >>> exponential(4, final=0.0625)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    T = _check.steps("T", T)
    return _check.real("final", final, 0.0, 1.0, open_low=True) ** (np.arange(T) / T)


def one_cycle(T: int, peak: float = 0.3, start: float = 0.04, final: float = 4e-6, anneal: str = "cosine") -> Array:
    """One cycle up and down: from a low rate to 1, then to almost nothing.

        η_t goes from s to 1 while t − 1 goes from 0 to pT − 1, then to e while t − 1 goes on to T − 1,
        along half a cosine wave or a line

    Args:
        T: number of steps, an integer >= 2.
        peak: share p of the steps up to the peak, in [0, 1), with pT >= 2 or p = 0.
        start: value s at the first step, in [0, 1].
        final: value e at the last one, in [0, 1].
        anneal: "cosine" or "linear".

    Returns:
        Array of shape (T,); its largest entry is 1 where pT is a whole number.

    Raises:
        ValueError: on a bad argument.

    Source: Smith and Topin, Super-convergence, 2018; PyTorch's OneCycleLR, whose div_factor is 1/s and final_div_factor s/e.

    >>> one_cycle(10, anneal="linear").round(2)
    array([0.04, 0.52, 1.  , 0.86, 0.71, 0.57, 0.43, 0.29, 0.14, 0.  ])
    """
    T = _check.steps("T", T, 2)
    peak, start, final = (_check.real(n, v, 0.0, 1.0) for n, v in (("peak", peak), ("start", start), ("final", final)))
    top = peak * T - 1  # where the peak is, counted from 0
    if abs(top - round(top)) < 1e-9 * T:  # of a share such as 2/49, which floating point leaves just below what is meant
        top = float(round(top))
    if peak and not 1 <= top < T - 1:
        raise ValueError(f"peak must be 0 or in [2/T, 1) = [{2 / T:g}, 1), got {peak!r}")
    _check.choice("anneal", anneal, ("cosine", "linear"))
    top, at = max(top, 0.0), np.arange(T)
    share = np.where(at <= top, at / max(top, 1e-300), (T - 1 - at) / (T - 1 - top))  # 1 at the peak, 0 at both ends
    share = np.where(at <= top if top else at == 0, share if top else 1.0, share)
    height = share if anneal == "linear" else np.sin(0.5 * np.pi * share) ** 2
    low = np.where(at <= top, start, final)
    return low + (1 - low) * height


def cyclic(T: int, up: int, down: int | None = None, low: float = 0.1, mode: str = "triangular", decay: float = 1.0) -> Array:
    """Triangles between a low rate and 1, of constant or falling height.

        x = 0 … 1 over `up` steps and back over `down` steps, again and again from the first step on;
        η_t = l + (1 − l)·x·h,   h = 1 ("triangular"), 2^−(cycle − 1) ("triangular2") or decay^(t − 1) ("exp_range")

    Args:
        T: number of steps, an integer in 1..10⁸.
        up, down: steps of the rise and of the fall, integers >= 1; by default as many.
        low: value l at the ends of a triangle, in [0, 1].
        mode: "triangular", "triangular2" (each triangle half as high as the one before) or "exp_range".
        decay: factor a step of "exp_range", in (0, 1].

    Returns:
        Array of shape (T,); a run of fewer than `up` + 1 steps does not reach 1.

    Raises:
        ValueError: on a bad argument.

    Source: Smith, Cyclical learning rates for training neural networks, 2017; PyTorch's CyclicLR.

    >>> cyclic(9, up=2, low=0.0)
    array([0. , 0.5, 1. , 0.5, 0. , 0.5, 1. , 0.5, 0. ])
    >>> cyclic(7, up=1, down=2, low=0.0, mode="triangular2")
    array([0.  , 1.  , 0.5 , 0.  , 0.5 , 0.25, 0.  ])
    """
    T, up = _check.steps("T", T), _check.integer("up", up)
    down = up if down is None else _check.integer("down", down)
    low, decay = _check.real("low", low, 0.0, 1.0), _check.real("decay", decay, 0.0, 1.0, open_low=True)
    cycle, at = np.divmod(np.arange(T), min(up + down, _check.LARGEST))
    x = np.where(at <= up, at / up, (up + down - at) / down)
    heights = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": decay ** np.arange(T)}
    return low + (1 - low) * x * heights[_check.choice("mode", mode, heights)]


def cosine_restarts(T: int, first: int, multiple: int = 1, final: float = 0.0) -> Array:
    """Cosine decay that starts again: periods of n₁ = first, n₁·m, n₁·m², … steps; e + (1 − e)·½(1 + cos(π i/n)), i < n.

    Args:
        T: number of steps, an integer in 1..10⁸.
        first: length n₁ of the first period, an integer >= 1.
        multiple: factor m from one period to the next, an integer >= 1.
        final: value e towards which each period decays, in [0, 1]; the step at which it would be reached starts the next.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on a bad argument.

    Source: Loshchilov and Hutter, SGDR, 2017; PyTorch's CosineAnnealingWarmRestarts.

    >>> cosine_restarts(6, first=2, multiple=2).round(3)
    array([1.   , 0.5  , 1.   , 0.854, 0.5  , 0.146])
    """
    T, n, m = _check.steps("T", T), _check.integer("first", first), _check.integer("multiple", multiple)
    final = _check.real("final", final, 0.0, 1.0)
    starts, periods = [0], [n]
    while m > 1 and starts[-1] + periods[-1] < T:  # few, because they grow; equal ones are a remainder
        starts.append(starts[-1] + periods[-1])
        periods.append(periods[-1] * m)
    at = np.arange(T)
    if m == 1:
        angle = 0.5 * np.pi * (at % n) / n
    else:
        which = np.searchsorted(starts, at, side="right") - 1
        angle = 0.5 * np.pi * (at - np.array(starts)[which]) / np.array(periods, float)[which]
    return final + (1 - final) * np.cos(angle) ** 2
