"""Functions that change a schedule: an array in, an array out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check

__all__ = ["SHAPES", "at_tokens", "cooldown", "warmup"]

# Cooldown shapes as functions of r = (n − k)/n, the part of the cooldown that is left after k of n steps.
SHAPES = {
    "linear": lambda r: r,
    "1-sqrt": lambda r: r / (1 + np.sqrt(1 - r)),  # 1 − √(1 − r), without cancellation where r is small
}


def warmup(eta: ArrayLike, steps: int, start: float = 0.0) -> NDArray[np.float64]:
    """The same schedule with its first steps multiplied by a linear ramp, s + (1 − s)·t/steps for t ≤ steps.

    Where the schedule falls during the warmup, the peak of the product is below 1: 0.75 of it with linear decay and a warmup of a
    quarter of the steps, say.

    Args:
        eta: schedule, shape (T,).
        steps: length of the warmup, an integer in 0..T; step number `steps` is the first at the full rate.
        start: value s of the ramp before the first step, in [0, 1].

    Returns:
        New array of shape (T,).

    Raises:
        ValueError: on a bad argument.

    Source: both papers' language-model runs (300 steps in Schaipp et al. 2025).

    >>> warmup([1.0] * 6, 4)
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 1.  ])
    """
    rates = _check.schedule(eta)
    steps = _check.integer("steps", steps, 0, rates.size)
    start = _check.real("start", start, 0.0, 1.0)
    if steps:
        rates[:steps] *= start + (1 - start) * np.arange(1, steps + 1) / steps
    return rates


def cooldown(eta: ArrayLike, fraction: float, shape: str = "linear", final: float = 0.0) -> NDArray[np.float64]:
    """The same schedule with its last steps brought down, η_t·(e + (1 − e)·s((t − T₀)/n)) for t ≥ T₀.

        n = min(⌊c(T + 1)⌋, T),   T₀ = T + 1 − n;   s(x) = 1 − x ("linear") or 1 − √x ("1-sqrt")

    Args:
        eta: schedule, shape (T,).
        fraction: c in [0, 1]; 0 leaves the schedule as it is.
        shape: "linear" or "1-sqrt".
        final: factor e that step T + 1 would have, in [0, 1].

    Returns:
        New array of shape (T,).

    Raises:
        ValueError: on a bad argument, or an unknown shape (the known ones are listed).

    Source: Schaipp et al. 2025, section 3: of the constant schedule this is `wsd`.

    >>> cooldown([1.0, 0.5, 0.5, 0.5], 0.6)
    array([1.        , 0.5       , 0.33333333, 0.16666667])
    """
    return cooled(_check.schedule(eta), fraction, shape, final, "fraction")


def cooled(rates: NDArray[np.float64], fraction: float, shape: str, final: float, name: str = "cooldown") -> NDArray[np.float64]:
    """`cooldown` of a checked schedule, in place; the fraction has the name by which the caller knows it."""
    n = cooldown_steps(rates.size, fraction, name)
    height = SHAPES[_check.choice("shape", shape, SHAPES)]
    final = _check.real("final", final, 0.0, 1.0)
    if n:
        rates[rates.size - n :] *= final + (1 - final) * height(np.arange(n, 0, -1) / n)
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
