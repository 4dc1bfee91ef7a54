"""Argument checks shared by every public function: a clear ``ValueError`` before any work is done."""

import math
from numbers import Integral, Real

import numpy as np

MAX_STEPS = 10**8  # of a schedule: some arrays of so many numbers still fit into the memory of a small machine


def integer(name, value, low=1, high=None):
    """`value` as an int in [low, high], or a ValueError that names it."""
    allowed = f"an integer >= {low}" if high is None else f"an integer in {low}..{high}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return int(value)


def steps(name, value, low=1):
    """`value` as a number of steps, an int in [low, MAX_STEPS], or a ValueError that names it."""
    return integer(name, value, low, MAX_STEPS)


def real(name, value, low=-math.inf, high=math.inf, *, open_low=False):
    """`value` as a finite float in [low, high] (or (low, high] with open_low), or a ValueError that names it."""
    if low == -math.inf:
        allowed = "a finite number"
    elif high == math.inf:
        allowed = f"a finite number {'>' if open_low else '>='} {low:g}"
    else:
        allowed = f"a number in {'(' if open_low else '['}{low:g}, {high:g}]"
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < low or number > high or (open_low and number == low):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return number


def floor(x):
    """⌊x⌋ of a product such as 0.29 · 100, which floating point leaves just below the whole number that is meant."""
    return math.floor(x + 1e-9)


def array(name, value):
    """`value` as a finite, non-negative, non-empty 1-D float64 array, or a ValueError that names it."""
    try:
        given = np.asarray(value)
    except ValueError:  # ragged
        given = np.array([None])
    if np.ma.is_masked(value) or (given.dtype.kind not in "iuf" and given.size):
        raise ValueError(f"{name} must be a 1-D array of real numbers, got {value!r}")
    out = given.astype(np.float64)
    if out.ndim != 1 or out.size == 0:
        raise ValueError(f"{name} must be a non-empty 1-D array, got shape {out.shape}")
    bad = np.flatnonzero(~np.isfinite(out))
    if bad.size:
        raise ValueError(f"{name} must be finite, got {out[bad[0]]} at step {bad[0] + 1} ({bad.size} such steps)")
    bad = np.flatnonzero(out < 0)
    if bad.size:
        raise ValueError(f"{name} must not be negative, got {out[bad[0]]} at step {bad[0] + 1} ({bad.size} such steps)")
    return out


def schedule(eta, name="eta"):
    """A schedule: finite, non-negative, 1-D, and not zero everywhere."""
    out = array(name, eta)
    if not out.any():
        raise ValueError(f"{name} must have a positive step, got zeros only")
    return out


def grad_norms(G, T, *, positive=False):
    """Gradient norms as an array of length T (a scalar is repeated)."""
    scalar = np.ndim(G) == 0
    out = np.full(T, real("G", G, 0.0, open_low=positive)) if scalar else array("G", G)
    if out.size != T:
        raise ValueError(f"G must be a scalar or an array of length {T} (one norm a step), got length {out.size}")
    if positive and not out.all():
        raise ValueError(f"G must be positive, got 0 at step {np.flatnonzero(out == 0)[0] + 1}")
    return out


def choice(name, value, allowed):
    """`value` if it is one of `allowed`, or a ValueError that lists them."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value
