"""Functions that change a schedule: an array in, an array out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check

__all__ = ["SHAPES", "at_tokens", "cooldown", "join", "steps_of", "warmup"]

# Cooldown shapes as functions of r = 1 − x = (n − k)/n, the part of the cooldown that is left after k of n steps.
SHAPES = {
    "linear": lambda r: r,
    "1-sqrt": lambda r: r / (1 + np.sqrt(1 - r)),  # 1 − √x, without cancellation where r is small
    "cosine": lambda r: np.sin(0.5 * np.pi * r) ** 2,  # ½(1 + cos πx)
    "mirror-cosine": lambda r: 2 * r - np.sin(0.5 * np.pi * r) ** 2,  # 2(1 − x) − ½(1 + cos πx)
    "square": lambda r: r * (2 - r),  # 1 − x²
    "exponential": None,  # e^x: the floor is part of it, see `cooled`
}


def warmup(eta: ArrayLike, steps: int, start: float = 0.0, lag: int = 0) -> NDArray[np.float64]:
    """The same schedule with its first steps multiplied by a linear ramp, s + (1 − s)·(t − lag)/steps for t ≤ steps + lag.

    Two conventions are in use. Here step number `steps` is the first at the full rate, and the first step has 1/steps of it. With
    a lag of 1 the first step has the start value itself, 0 perhaps, and step `steps` + 1 is the first at the full rate: so do the
    authors' code (start 0.01), Hugging Face, timm, optax and Megatron-LM.

    Where the schedule falls during the warmup, the peak of the product is below 1: 0.75 of it with linear decay and a warmup of a
    quarter of the steps, say. `join` puts the ramp before the schedule instead, as most trainers do.

    Args:
        eta: schedule, shape (T,).
        steps: length of the warmup, an integer in 0..T − lag.
        start: value s of the ramp before the first step (with a lag: at it), in [0, 1].
        lag: 0 or 1.

    Returns:
        New array of shape (T,).

    Raises:
        ValueError: on a bad argument, or where only zeros are left.

    Source: both papers' language-model runs (300 steps in Schaipp et al. 2025).

    >>> warmup([1.0] * 6, 4)
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 1.  ])
    >>> warmup([1.0] * 6, 4, lag=1)
    array([0.  , 0.25, 0.5 , 0.75, 1.  , 1.  ])
    """
    rates = _check.schedule(eta)
    ramp = _ramp(steps, start, lag, rates.size)
    rates[: ramp.size] *= ramp
    return rates if rates.any() else _check.schedule(rates, "eta after the warmup")


def join(eta: ArrayLike, steps: int, start: float = 0.0, lag: int = 0) -> NDArray[np.float64]:
    """A schedule with a warmup before it: the ramp of `warmup`, then the schedule; its first step is the first at the full rate.

    Args:
        eta: schedule that follows, shape (n,).
        steps, start, lag: as `warmup` has them.

    Returns:
        Array of shape (steps − 1 + lag + n,); (n,) without a warmup.

    Raises:
        ValueError: on a bad argument.

    Source: the cosine of Schaipp et al. 2025's runs, and of most trainers (Hugging Face, Megatron-LM, nanoGPT).

    >>> join([1.0, 0.5], 4)
    array([0.25, 0.5 , 0.75, 1.  , 0.5 ])
    >>> join([1.0, 0.5], 4, lag=1)
    array([0.  , 0.25, 0.5 , 0.75, 1.  , 0.5 ])
    """
    rates = _check.schedule(eta)
    return np.concatenate([_ramp(steps, start, lag, _check.MAX_STEPS)[:-1], rates])


def _ramp(steps, start, lag, most):
    """The ramp up to its first step at the full rate; none of no steps."""
    lag = _check.integer("lag", lag, 0, 1)
    steps = _check.integer("steps", steps, 0, most)
    start = _check.real("start", start, 0.0, 1.0)
    _check.integer("steps", steps, 0, most - lag if steps else most)
    return start + (1 - start) * np.arange(1 - lag, steps + 1) / steps if steps else np.ones(1)


def cooldown(eta: ArrayLike, fraction: float, shape: str = "linear", final: float = 0.0) -> NDArray[np.float64]:
    """The same schedule with its last steps brought down, η_t·(e + (1 − e)·s((t − T₀)/n)) for t ≥ T₀.

        n = min(⌊c(T + 1)⌋, T),   T₀ = T + 1 − n

    | shape | s(x) |
    | --- | --- |
    | "linear" | 1 − x |
    | "1-sqrt" | 1 − √x |
    | "cosine" | ½(1 + cos πx) |
    | "mirror-cosine" | 2(1 − x) − ½(1 + cos πx), the cosine mirrored at the line |
    | "square" | 1 − x² |
    | "exponential" | the factor is e^x itself, down to a floor e > 0 |

    Args:
        eta: schedule, shape (T,).
        fraction: c in [0, 1]; 0 leaves the schedule as it is.
        shape: one of these.
        final: factor e that step T + 1 would have, in [0, 1].

    Returns:
        New array of shape (T,).

    Raises:
        ValueError: on a bad argument, an unknown shape (the known ones are listed), or "exponential" without a floor.

    Source: Schaipp et al. 2025, section 3: of the constant schedule this is `wsd`. The shapes are those that Hägele et al. 2024
        (arXiv 2405.18392) compare; "exponential" is also MiniCPM's (Hu et al. 2024, arXiv 2404.06395).

    >>> cooldown([1.0, 0.5, 0.5, 0.5], 0.6)
    array([1.        , 0.5       , 0.33333333, 0.16666667])
    >>> for shape in SHAPES:
    ...     print(shape, cooldown([1.0] * 4, 0.8, shape, final=0.0625).round(3))
    linear [1.    0.766 0.531 0.297]
    1-sqrt [1.    0.531 0.337 0.188]
    cosine [1.    0.863 0.531 0.2  ]
    mirror-cosine [1.    0.669 0.531 0.394]
    square [1.    0.941 0.766 0.473]
    exponential [1.    0.5   0.25  0.125]
    """
    return cooled(_check.schedule(eta), fraction, shape, final, "fraction")


def cooled(rates: NDArray[np.float64], fraction: float, shape: str, final: float, name: str = "cooldown") -> NDArray[np.float64]:
    """`cooldown` of a checked schedule, in place; the fraction has the name by which the caller knows it."""
    n = cooldown_steps(rates.size, fraction, name)
    height = SHAPES[_check.choice("shape", shape, SHAPES)]
    final = _check.real("final", final, 0.0, 1.0)
    if height is None and not final:
        raise ValueError(f"final must be above 0 with the shape {shape!r}, which falls to it, such as final=0.1, got {final!r}")
    if n:
        left = np.arange(n, 0, -1) / n
        rates[rates.size - n :] *= final ** (1 - left) if height is None else final + (1 - final) * height(left)
    return rates


def cooldown_steps(T: int, fraction: float, name: str = "cooldown") -> int:
    """Steps of a cooldown over a fraction c of T steps, n = min(⌊c(T + 1)⌋, T); the first of them is at the full rate."""
    return min(_check.floor(_check.real(name, fraction, 0.0, 1.0) * (T + 1)), T)


def at_tokens(eta: ArrayLike, batch: ArrayLike) -> NDArray[np.float64]:
    """A schedule of equal steps, read at the tokens (or examples) that a run with changing batch sizes has seen.

        step t begins after c_t = Σ_{j<t} b_j of C = Σ b_j tokens: its rate is η at position 1 + N·c_t/C, linear in between

    Args:
        eta: schedule over equal shares of the budget, shape (N,).
        batch: tokens of each step, shape (T,), > 0.

    Returns:
        Array of shape (T,); eta itself where all batches are equal and T = N.

    Raises:
        ValueError: on bad input.

    Source: this project.

    >>> at_tokens([1.0, 0.75, 0.5, 0.25], batch=[1, 1, 2])
    array([1.  , 0.75, 0.5 ])
    """
    rates, tokens = _check.schedule(eta), _check.array("batch", batch)
    if not tokens.all():
        raise ValueError(f"batch must be positive, got 0 at step {np.flatnonzero(tokens == 0)[0] + 1}")
    tokens = tokens / tokens.max()  # so that no sum leaves float64
    seen = np.append(0.0, np.cumsum(tokens)[:-1]) / tokens.sum()
    return np.interp(1 + rates.size * seen, np.arange(1, rates.size + 1), rates)


def steps_of(tokens: float, batch: int, name: str = "tokens") -> int:
    """Steps that a budget of tokens makes, rounded up: ⌈tokens/batch⌉.

    Args:
        tokens: of the whole run, >= 1.
        batch: tokens of a step, an integer >= 1.
        name: of the budget, for messages.

    Raises:
        ValueError: on a bad argument.

    >>> steps_of(2.5e9, 524_288)
    4769
    """
    tokens, batch = _check.real(name, tokens, 1), _check.integer("batch-tokens", batch)
    return math.ceil(tokens / batch)
