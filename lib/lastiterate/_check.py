"""Argument checks shared by every public function: a clear ``ValueError`` of one line before any work is done.

A number is an int, a float or NumPy's; no string, bool, complex number, date or masked element is ever taken for one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_STEPS = 10**8  # of a schedule: some arrays of so many numbers still fit into the memory of a small machine
LARGEST = 2**63 - 1  # integer, where nothing smaller limits it: what an array can hold
SHOWN = 80  # characters of a value in a message


def shown(value: object) -> str:
    """A value for a message: its repr on one line, shortened where it is long.

    >>> shown("wsd"), shown(10**5000)
    ("'wsd'", 'an integer of about 5000 digits')
    """
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"an integer of about {int(value.bit_length() * math.log10(2))} digits"
    if isinstance(value, str | bytes):
        value = value[: 2 * SHOWN]
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # such as a list with an integer of 5000 digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def integer(name: str, value: Any, low: int = 1, high: int | None = None) -> int:
    """`value` as an int in [low, high], or a ValueError that names it."""
    allowed = f"an integer >= {low}" if high is None else f"an integer in {low}..{high}"
    if not _is_number(value, Integral) or not low <= value:
        raise ValueError(f"{name} must be {allowed}, got {shown(value)}")
    if value > (LARGEST if high is None else high):
        raise ValueError(f"{name} must be {allowed}{' and below 2^63' if high is None else ''}, got {shown(value)}")
    return int(value)


def steps(name: str, value: Any, low: int = 1) -> int:
    """`value` as a number of steps, an int in [low, MAX_STEPS], or a ValueError that names it."""
    return integer(name, value, low, MAX_STEPS)


def real(name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open_low: bool = False) -> float:
    """`value` as a finite float in [low, high] (or (low, high] with open_low), or a ValueError that names it."""
    if low == -math.inf:
        allowed = "a finite number"
    elif high == math.inf:
        allowed = f"a finite number {'>' if open_low else '>='} {low:g}"
    else:
        allowed = f"a number in {'(' if open_low else '['}{low:g}, {high:g}]"
    given = value
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iuf" and not np.ma.is_masked(value):
        value = value[()] if not isinstance(value, np.ma.MaskedArray) else value.item()
    try:
        number = float(value) if _is_number(value, Real) else math.nan
    except OverflowError:  # an integer above 1.8e308
        number = math.inf
    if not math.isfinite(number) or number < low or number > high or (open_low and number == low):
        raise ValueError(f"{name} must be {allowed}, got {shown(given)}")
    return number


def _is_number(value: object, kind: type) -> bool:
    """Whether a scalar is a number of that kind; NumPy's timedelta64 says that it is an integer."""
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_ | np.timedelta64)


def floor(x: float) -> int:
    """⌊x⌋ of a product such as 0.29 · 100, which floating point leaves just below the whole number that is meant."""
    return math.floor(x + 1e-9)


def numbers(name: str, value: Any, kinds: str = "iuf", said: str = "an array of real numbers") -> NDArray[Any]:
    """`value` as an array of numbers of any shape, or a ValueError that names it.

    Args:
        name: of the argument.
        value: array, or nested lists; no element may be a bool, a string, a complex number, a date, an object or masked.
        kinds: allowed ones among NumPy's, "i", "u", "f".
        said: what is allowed, for the message.
    """
    try:
        out = None if _has_strangers(value) else np.asarray(value)
    except (ValueError, TypeError, OverflowError, RecursionError):  # ragged, or no array at all
        out = None
    if out is None or (out.size and out.dtype.kind not in kinds):
        raise ValueError(f"{name} must be {said}, got {shown(value)}")
    return out


def _has_strangers(value: object) -> bool:
    """Whether something is, or is a list that holds, what `np.asarray` would silently make a number of: masks, bools."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        kinds = {type(v) for v in value}  # few, also in long lists
        if kinds <= {int, float}:
            return False
        return any(isinstance(v, bool | np.bool_ | np.timedelta64) or _is_array_of_them(v) or _has_strangers(v) for v in value)
    return isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)


def _is_array_of_them(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "bmM"


def array(name: str, value: Any) -> NDArray[np.float64]:
    """`value` as a finite, non-negative, non-empty 1-D float64 array, or a ValueError that names it."""
    with np.errstate(over="ignore"):  # of a longer float
        out = numbers(name, value, said="a 1-D array of real numbers").astype(np.float64)
    if out.ndim != 1 or out.size == 0:
        raise ValueError(f"{name} must be a non-empty 1-D array, got shape {out.shape}")
    bad = np.flatnonzero(~np.isfinite(out))
    if bad.size:
        raise ValueError(f"{name} must be finite, got {out[bad[0]]} at step {bad[0] + 1} ({bad.size} such steps)")
    bad = np.flatnonzero(out < 0)
    if bad.size:
        raise ValueError(f"{name} must not be negative, got {out[bad[0]]} at step {bad[0] + 1} ({bad.size} such steps)")
    return out


def measured(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    missing: bool = False,
    infinite: bool = False,
    ndim: int = 1,
) -> NDArray[np.float64]:
    """`value` as a non-empty float64 array of numbers in [low, high] (or (low, high]), or a ValueError that names it.

    Args:
        name: of the argument.
        value: array, or nested lists.
        low, high, open_low: limits of each number.
        missing: whether NaN, which stands for what was not measured, is allowed.
        infinite: whether +inf is.
        ndim: number of dimensions.
    """
    allowed = "numbers" if infinite else "finite numbers"
    allowed += f" {'>' if open_low else '>='} {low:g}" if low > -math.inf else ""
    allowed += f"{' and' if low > -math.inf else ''} <= {high:g}" if high < math.inf else ""
    allowed += " or NaN" if missing else ""
    with np.errstate(over="ignore"):  # of a longer float
        out = numbers(name, value, said=f"a {ndim}-D array of {allowed}").astype(np.float64)
    if out.ndim != ndim or out.size == 0:
        raise ValueError(f"{name} must be a {ndim}-D array that is not empty, got shape {out.shape}")
    bad = (out < low) | (out == -np.inf) | (out > high) & np.isfinite(out)
    if open_low:
        bad |= out == low
    if not missing:
        bad |= np.isnan(out)
    if not infinite:
        bad |= np.isinf(out)
    if bad.any():
        raise ValueError(f"{name} must be {allowed}, got {out[bad][0]:g} ({bad.sum()} of {out.size} are not)")
    return out


def sequence(name: str, value: Any) -> list[Any]:
    """What an iterable gives, as a list, or a ValueError that names it; text is none."""
    try:
        if not isinstance(value, str | bytes):
            return list(value)
    except TypeError:  # also an array of no dimension
        pass
    raise ValueError(f"{name} must be a list, or something like it, got {shown(value)}")


def booleans(name: str, value: Any) -> list[bool]:
    """`value` as a list of bools, Python's or NumPy's, or a ValueError that names it."""
    found = sequence(name, value)
    if not all(isinstance(v, bool | np.bool_) for v in found):
        raise ValueError(f"{name} must be true and false only, got {shown(value)}")
    return [bool(v) for v in found]


def below(name: str, value: Any, limit: float, low: float = 0.0) -> float:
    """`value` as a float in [low, limit), such as a decay rate of moments, or a ValueError that names it."""
    if (number := real(name, value, low)) >= limit:
        raise ValueError(f"{name} must be below {limit:g}, got {shown(value)}")
    return number


def fits(name: str, what: str, count: int) -> None:
    """A ValueError where an array would have more than MAX_STEPS numbers; `what` says which they are."""
    if count > MAX_STEPS:
        raise ValueError(f"{name} must be such that {what} are at most {MAX_STEPS:,} numbers, got {shown(count)}")


def integers(name: str, value: Any, low: int, high: int) -> NDArray[Any]:
    """`value`, one integer or a sequence of them, as a 1-D array in [low, high], or a ValueError that names it."""
    said = f"integers in {low}..{high}"
    out = np.atleast_1d(numbers(name, value, "iu", said))
    if out.dtype.kind not in "iu" or out.ndim != 1 or out.size == 0 or out.min() < low or out.max() > high:
        raise ValueError(f"{name} must be {said}, got {shown(value)}")
    return out


def is_scalar(value: Any) -> bool:
    """Whether an argument that may be a number or an array is meant as a number."""
    return not isinstance(value, list | tuple) and np.ndim(value) == 0


def schedule(eta: Any, name: str = "eta") -> NDArray[np.float64]:
    """A schedule: finite, non-negative, 1-D, and not zero everywhere."""
    out = array(name, eta)
    if not out.any():
        raise ValueError(f"{name} must have a positive step, got zeros only")
    return out


def grad_norms(G: Any, T: int, *, positive: bool = False) -> NDArray[np.float64]:
    """Gradient norms as an array of length T (a scalar is repeated, in a view that is not for writing)."""
    out = np.broadcast_to(real("G", G, 0.0, open_low=positive), T) if is_scalar(G) else array("G", G)
    if out.size != T:
        raise ValueError(f"G must be a scalar or an array of length {T} (one norm a step), got length {out.size}")
    if positive and not out.all():
        raise ValueError(f"G must be positive, got 0 at step {np.flatnonzero(out == 0)[0] + 1}")
    return out


def distance(D: Any) -> float:
    """The distance from the start to a minimiser: a finite float > 0."""
    return real("D", D, 0.0, open_low=True)


def choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    """`value` if it is one of `allowed`, or a ValueError that lists them."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {shown(value)}")
    return value


def path(name: str, value: Any) -> Path:
    """`value` as a path, or a ValueError that names it."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise ValueError(f"{name} must be a path, got {shown(value)}")
    return Path(value)
