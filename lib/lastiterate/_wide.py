"""Numbers beyond the range of float64, as pairs: m, e stand for m·2^e, m a float, e an integer; scalars or arrays.

Rates of 1e-200, or norms of 1e160, have squares that float64 does not hold, though the bound itself may well be of moderate size.
Where every argument is `ordinary` nothing of this is needed; elsewhere intermediate results are such pairs. Scaling by a power
of two is exact, so that no digit is lost on the way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPAN = 50  # powers of ten on either side of 1, within which no intermediate result leaves float64
TINY, HUGE = float(np.finfo(float).tiny), float(np.finfo(float).max)

Wide = tuple[Any, Any]  # (m, e)


def ordinary(*values: NDArray[np.float64] | float) -> bool:
    """Whether all positive numbers among non-negative ones are within 10^±SPAN."""
    return all(map(_ordinary, values))


def _ordinary(v: NDArray[np.float64] | float) -> bool:
    low, high = 10.0**-SPAN, 10.0**SPAN
    if isinstance(v, float | int):
        return low <= v <= high
    return v.size == 0 or bool(v.max() <= high and (v.min() >= low or np.all((v == 0) | (v >= low))))


def wide(x: Any) -> Wide:
    """A float, or an array of them, as m, e with m in [½, 1) or 0."""
    m, e = np.frexp(x)
    return m, np.asarray(e, dtype=np.int64)[()]


def product(*factors: Wide) -> Wide:
    """Product of pairs; m is brought to [½, 1) again."""
    m, e = factors[0]
    for more, exponent in factors[1:]:
        m, shift = np.frexp(m * more)
        e = e + exponent + shift
    return m, e


def quotient(a: Wide, b: Wide) -> Wide:
    """a/b; b is not 0."""
    m, shift = np.frexp(a[0] / b[0])
    return m, a[1] - b[1] + shift


def root(a: Wide) -> Wide:
    """√a."""
    odd = a[1] % 2
    return np.sqrt(np.ldexp(a[0], odd)), (a[1] - odd) // 2


def total(a: Wide) -> Wide:
    """Sum of an array of pairs, none negative."""
    if not np.any(a[0]):
        return 0.0, 0
    top = int(np.max(a[1][a[0] > 0]))
    return float(np.sum(shifted(a[0], a[1] - top))), top


def add(a: Wide, b: Wide) -> Wide:
    """a + b, element by element, neither negative."""
    top = np.where(b[0] == 0, a[1], np.where(a[0] == 0, b[1], np.maximum(a[1], b[1])))
    return shifted(a[0], a[1] - top) + shifted(b[0], b[1] - top), top


def tail_sums(x: NDArray[np.float64]) -> Wide:
    """Σ_{t≥k} x_t for every k, added up from the end."""
    if np.max(x) < HUGE / x.size:
        return wide(np.cumsum(x[::-1])[::-1])
    small = np.ldexp(x, -64)  # a step that loses digits by that is below 1e-580 of the largest one
    m, e = wide(np.cumsum(small[::-1])[::-1])
    own = np.cumsum(x[: np.flatnonzero(x >= 1e280)[-1] : -1])[::-1]  # sums behind the last large step need no scaling
    if own.size:
        m[-own.size :], e[-own.size :] = np.frexp(own)
        e[-own.size :] -= 64
    return m, e + 64


def value(what: str, a: Wide, small: bool = False) -> NDArray[np.float64]:
    """A pair as float64.

    Args:
        what: it is, for the message.
        a: the pair, not negative.
        small: whether digits of what is below float64's range may go.

    Raises:
        ValueError: where float64 has no such number, or not all its digits.
    """
    out = shifted(*a)
    lost = (out > HUGE) | ((np.asarray(a[0]) != 0) & (out < TINY) & (not small))
    if np.any(lost):
        m, e = (np.broadcast_to(part, np.shape(lost))[lost].ravel()[0] for part in a)
        power = math.floor(math.log10(abs(m)) + int(e) * math.log10(2))
        raise ValueError(f"{what} is about 1e{power}, which float64 cannot hold: choose other units for eta, G and D")
    return out


def scalar(what: str, a: Wide) -> float:
    """A pair of scalars as a float; raises as `value`."""
    inside = isinstance(a[1], int) and a[1] == 0 and (a[0] == 0 or TINY <= a[0] <= HUGE)  # as where all was ordinary
    return float(a[0] if inside else value(what, a))


def shifted(m: Any, e: Any) -> Any:
    """m·2^e as float64, where out of its range 0 or infinity."""
    with np.errstate(over="ignore"):
        return np.ldexp(m, np.clip(e, -5000, 5000).astype(np.int32))
