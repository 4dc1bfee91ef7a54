"""Functions that change a schedule: an array in, an array out."""

import numpy as np

from lastiterate import _check

__all__ = ["SHAPES", "at_tokens", "cooldown", "warmup"]

# Cooldown shapes as functions of r = (n − k)/n, the part of the cooldown that is left after k of n steps.
SHAPES = {
    "linear": lambda r: r,
    "1-sqrt": lambda r: r / (1 + np.sqrt(1 - r)),  # 1 − √(1 − r), without cancellation where r is small
}


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

    >>> warmup([1.0] * 6, 4)
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 1.  ])
    """
    eta = _check.schedule(eta).copy()
    steps = _check.integer("steps", steps, 0, eta.size)
    start = _check.real("start", start, 0.0, 1.0)
    if steps:
        eta[:steps] *= start + (1 - start) * np.arange(1, steps + 1) / steps
    return eta


def cooldown(eta, fraction, shape="linear", final=0.0):
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
    eta = _check.schedule(eta).copy()
    n = cooldown_steps(eta.size, fraction, "fraction")
    shape = SHAPES[_check.choice("shape", shape, SHAPES)]
    final = _check.real("final", final, 0.0, 1.0)
    if n:
        eta[eta.size - n :] *= final + (1 - final) * shape(np.arange(n, 0, -1) / n)
    return eta


def cooldown_steps(T, fraction, name="cooldown"):
    """Steps of a cooldown over a fraction c of T steps, n = min(⌊c(T + 1)⌋, T); the first of them is at the full rate."""
    return min(_check.floor(_check.real(name, fraction, 0.0, 1.0) * (T + 1)), T)


def at_tokens(eta, batch):
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
    eta, batch = _check.schedule(eta), _check.array("batch", batch)
    if not batch.all():
        raise ValueError(f"batch must be positive, got 0 at step {np.flatnonzero(batch == 0)[0] + 1}")
    seen = np.append(0.0, np.cumsum(batch)[:-1]) / batch.sum()
    return np.interp(1 + eta.size * seen, np.arange(1, eta.size + 1), eta)
