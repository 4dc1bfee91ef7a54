"""Learning-rate schedules as arrays: functions that make them, and functions that change them.

A schedule is a float64 array of length T with peak 1, the shape only: the learning rate is ``gamma * eta``. Steps are
numbered from 1, so ``eta[0]`` is η₁. A schedule that decays "to zero" would reach 0 at step T + 1: η_T is positive.
"""

import numpy as np

from lastiterate import _check

__all__ = [
    "SHAPES",
    "constant",
    "cosine",
    "inverse_linear",
    "inverse_sqrt",
    "linear",
    "polynomial",
    "step",
    "to_torch",
    "two_stage",
    "warmup",
    "wsd",
]

# Cooldown shapes as functions of r = (n − k)/n, the part of the cooldown that is left after k of n steps.
SHAPES = {
    "linear": lambda r: r,
    "1-sqrt": lambda r: r / (1 + np.sqrt(1 - r)),  # 1 − √(1 − r), without cancellation where r is small
}


def constant(T):
    """Constant schedule, η_t = 1.

    Args:
        T: number of steps, an integer >= 1.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: if T is not an integer >= 1.

    Source: Schaipp et al. 2025, section 3.

    >>> constant(3)
    array([1., 1., 1.])
    """
    return np.ones(_check.integer("T", T))


def linear(T):
    """Linear decay, η_t = (T + 1 − t)/T: from 1 to 1/T, and to 0 at step T + 1. Optimal in the worst case.

    Args, returns and raises as `constant`.

    Source: Defazio et al. 2023, Theorem 1 and Algorithm 1 with equal weights; Schaipp et al. 2025, figure 18.

    >>> linear(4)
    array([1.  , 0.75, 0.5 , 0.25])
    """
    return polynomial(T, 1.0)


def polynomial(T, power=1.0):
    """Polynomial decay, η_t = ((T + 1 − t)/T)^power.

    Args:
        T: number of steps, an integer >= 1.
        power: exponent, >= 0; 1 is linear decay, 0 is constant.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T or power.

    Source: Defazio et al. 2023, figure 3 (comparison schedules).

    >>> polynomial(4, power=2.0)
    array([1.    , 0.5625, 0.25  , 0.0625])
    """
    T = _check.integer("T", T)
    return (np.arange(T, 0, -1) / T) ** _check.real("power", power, 0.0)


def cosine(T, final=0.0, cycle=1.0):
    """Cosine decay, η_t = e + (1 − e)·½(1 + cos(π (t − 1)/(n − 1))) with n = ⌊cycle·(T + 1)⌋.

    Args:
        T: number of steps, an integer >= 1.
        final: value e at the bottom of the cosine, in [0, 1].
        cycle: length of the half wave as a multiple of T + 1, > 0; with 1 the bottom is at step T + 1, with more it is
            not reached, with less the rate rises again.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T or final, or a cycle of fewer than two steps.

    Source: Schaipp et al. 2025, section 3 and figure 19.

    >>> cosine(4).round(3)
    array([1.   , 0.854, 0.5  , 0.146])
    """
    T = _check.integer("T", T)
    final = _check.real("final", final, 0.0, 1.0)
    n = _check.floor(_check.real("cycle", cycle, 0.0, open_low=True) * (T + 1))
    if n < 2:
        raise ValueError(f"cycle must be at least 2/(T + 1) = {2 / (T + 1):g} (two steps), got {cycle!r}")
    # ½(1 + cos πx) = sin²(π(1 − x)/2), which keeps its relative accuracy towards the bottom
    return final + (1 - final) * np.sin(0.5 * np.pi * (n - np.arange(1, T + 1)) / (n - 1)) ** 2


def wsd(T, cooldown=0.2, shape="linear", final=0.0):
    """Constant, then a cooldown over the last fraction of the steps ("warmup-stable-decay", its warmup apart).

        n = min(⌊c(T + 1)⌋, T),   T₀ = T + 1 − n;   η_t = 1 for t ≤ T₀,   then e + (1 − e)·s((t − T₀)/n)
        with s(x) = 1 − x ("linear") or 1 − √x ("1-sqrt")

    Args:
        T: number of steps, an integer >= 1.
        cooldown: fraction c in [0, 1]; 0 is constant, 1 with the linear shape is linear decay.
        shape: "linear" or "1-sqrt".
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
    T = _check.integer("T", T)
    n = _cooldown_steps(T, cooldown)
    shape = SHAPES[_check.choice("shape", shape, SHAPES)]
    final = _check.real("final", final, 0.0, 1.0)
    eta = np.ones(T)
    if n:
        eta[T - n :] = final + (1 - final) * shape(np.arange(n, 0, -1) / n)
    return eta


def two_stage(T, switch, rho, cooldown=0.2):
    """Constant 1, then constant ρ, then a linear cooldown: a run extended at a lower rate ("wssd").

        η_t = 1 for t ≤ switch, then ρ;   the last n = min(⌊c(T + 1)⌋, T) steps are ρ(1 − (t − T₀)/n), T₀ = T + 1 − n

    Args:
        T: number of steps, an integer >= 1.
        switch: number of steps at rate 1, an integer in 0..T₀; ⌊(1 − c)T₁⌋ where a run of T₁ steps is extended.
        rho: second rate ρ, in (0, 1].
        cooldown: fraction c in [0, 1].

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on a bad argument, or a switch that lies in the cooldown.

    Source: Schaipp et al. 2025, section 5.1 and figures 8 and 22.

    >>> two_stage(9, switch=3, rho=0.5, cooldown=0.4)
    array([1.   , 1.   , 1.   , 0.5  , 0.5  , 0.5  , 0.375, 0.25 , 0.125])
    """
    T = _check.integer("T", T)
    n = _cooldown_steps(T, cooldown)
    switch = _check.integer("switch", switch, 0, min(T, T + 1 - n))
    rho = _check.real("rho", rho, 0.0, 1.0, open_low=True)
    eta = rho * wsd(T, cooldown)
    eta[:switch] = 1.0
    return eta


def inverse_sqrt(T, offset=1.0):
    """Inverse square root decay, η_t = √(β/(β + t − 1)); 1/√t for offset β = 1.

    Args:
        T: number of steps, an integer >= 1.
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


def inverse_linear(T, offset=1.0):
    """Inverse linear decay, η_t = β/(β + t − 1); 1/t for offset β = 1.

    Args, returns and raises as `inverse_sqrt`; the rate has fallen to one half after β steps.

    Source: Defazio et al. 2023, figure 2.

    >>> inverse_linear(4)
    array([1.        , 0.5       , 0.33333333, 0.25      ])
    """
    T = _check.integer("T", T)
    offset = _check.real("offset", offset, 0.0, open_low=True)
    return offset / (offset + np.arange(T))


def step(T, milestones, factor=0.1):
    """Step-wise decay: after each milestone the rate is multiplied by a factor; η_t = factor^#{m : m < t}.

    Args:
        T: number of steps, an integer >= 1.
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
    T = _check.integer("T", T)
    factor = _check.real("factor", factor, 0.0, 1.0, open_low=True)
    milestones = sorted(_check.integer("milestones", m, 1, T) for m in np.ravel(milestones).tolist())
    if len(set(milestones)) < len(milestones):
        raise ValueError(f"milestones must be distinct, got {milestones}")
    return factor ** np.searchsorted(milestones, np.arange(T), side="right").astype(float)


def warmup(eta, steps, start=0.0):
    """The same schedule with its first steps multiplied by a linear ramp, s + (1 − s)·t/steps for t ≤ steps.

    Args:
        eta: schedule, shape (T,).
        steps: length of the warmup, an integer in 0..T; step number `steps` is the first at the full rate.
        start: value s of the ramp before the first step, in [0, 1].

    Returns:
        New array of shape (T,).

    Raises:
        ValueError: on a bad argument.

    Source: both papers' language-model runs (300 steps in Schaipp et al. 2025).

    >>> warmup(constant(6), 4)
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 1.  ])
    """
    eta = _check.schedule(eta).copy()
    steps = _check.integer("steps", steps, 0, eta.size)
    start = _check.real("start", start, 0.0, 1.0)
    if steps:
        eta[:steps] *= start + (1 - start) * np.arange(1, steps + 1) / steps
    return eta


def to_torch(optimizer, eta):
    """PyTorch scheduler that multiplies the optimizer's base learning rate by eta, one entry a step.

    Call ``scheduler.step()`` after each ``optimizer.step()``. Behind the last step the last rate is kept.

    Args:
        optimizer: a torch optimizer whose `lr` is the base learning rate γ.
        eta: schedule, shape (T,).

    Returns:
        torch.optim.lr_scheduler.LambdaLR.

    Raises:
        ValueError: if eta is not a schedule, or optimizer not an optimizer.

    Source: this project's one adapter from arrays to PyTorch.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    >>> scheduler = to_torch(optimizer, linear(4))
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(optimizer.param_groups[0]["lr"])
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.375, 0.25, 0.125]
    """
    eta = _check.schedule(eta).tolist()
    if not hasattr(optimizer, "param_groups"):
        raise ValueError(f"optimizer must be a torch optimizer, got {optimizer!r}")
    from torch.optim.lr_scheduler import LambdaLR  # here, because this module is used without PyTorch elsewhere

    return LambdaLR(optimizer, lambda steps_done: eta[min(steps_done, len(eta) - 1)])


def _cooldown_steps(T, cooldown):
    return min(_check.floor(_check.real("cooldown", cooldown, 0.0, 1.0) * (T + 1)), T)
