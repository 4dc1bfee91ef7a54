r"""The last-iterate bound Ω, its two terms, the best learning rate, and what closed forms there are.

Setting: f convex, x₁ the start, D = ‖x₁ − x*‖, steps x_{t+1} = x_t − η_t g_t with E‖g_t‖² ≤ G_t². Then

    f(x_T) − f*  ≤  Ω_T  =  D² / (2 Σ_{t≤T} η_t)  +  ½ [ η_T G_T² + Σ_{k<T} η_k² G_k² / Σ_{t=k+1..T} η_t ].

This single sum equals the double sum of Schaipp et al. 2025, Theorem 1 (= Defazio et al. 2023, Theorem 10): put
η_k/(A_{k+1} A_k) = 1/A_{k+1} − 1/A_k with the tail sums A_k = Σ_{t≥k} η_t into it and sum by parts. It needs tail sums only,
which are added up from the end, so that nothing cancels; and it shows that Ω_T is convex in η.

`eta` is the schedule already multiplied by the base learning rate γ, except where a function finds γ itself.
Steps are numbered from 1. `G` is a scalar or one norm a step. Results are right at any scale of eta, G and D; a result that
float64 cannot hold is a ValueError that says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, _wide
from lastiterate._cauchy import causal_cauchy_sums
from lastiterate._closed_forms import linear_decay_bound, refined_bound, wsd_theorem

__all__ = [
    "average_omega", "linear_decay_bound", "omega", "omega_terms",
    "optimal_lr", "refined_bound", "tightened_omega", "wsd_theorem",
]  # fmt: skip

Array = NDArray[np.float64]

WIDEST = 1e-35  # smallest rate over the sum of all for which the tree code keeps its digits
FEW_HORIZONS = 32  # up to so many horizons are summed one by one, in O(T) each; more go through the tree code


@overload
def omega(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0, horizons: None = None) -> Array: ...
@overload
def omega(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0, *, horizons: int | np.integer) -> float: ...
@overload
def omega(eta: ArrayLike, G: ArrayLike, D: float, horizons: int | np.integer) -> float: ...
@overload
def omega(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0, horizons: Sequence[int] | NDArray = ...) -> Array: ...
def omega(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0, horizons: ArrayLike | None = None) -> Array | float:
    """Last-iterate bound Ω_t of a schedule, for every horizon t = 1..T or for given ones.

        Ω_t = D² / (2 Σ_{j≤t} η_j) + ½ [ η_t G_t² + Σ_{k<t} η_k² G_k² / Σ_{j=k+1..t} η_j ]

    Args:
        eta: schedule times base learning rate, shape (T,), >= 0.
        G: bound on the gradient norms, scalar or shape (T,), >= 0.
        D: distance from the start to a minimiser, > 0.
        horizons: None for all t = 1..T; or one step number; or a sequence of them.

    Returns:
        Array of Ω_t, in units of f: shape (T,), or the shape of `horizons`; a float for a single horizon.
        A few horizons are summed directly, within 1e-13 relative. All horizons together cost O(T log T): far blocks of the
        sum go through 18 Chebyshev nodes, which adds less than 1e-12 relative (1e-14 for the schedules of `schedules`). Rates
        that span more than 35 powers of ten are summed directly at every horizon, in O(T²).

    Raises:
        ValueError: on bad input; where a horizon ends on a zero step: the bound is infinite there; where float64 cannot hold it.

    Source: Schaipp et al. 2025, Theorem 1, in single-sum form.

    >>> from lastiterate.schedules import constant
    >>> omega(0.5 * constant(2))              # t = 1: D²/(2γ) + γG²/2;  t = 2: D²/(4γ) + γG²
    array([1.25, 1.  ])
    >>> omega(0.5 * constant(2), horizons=2)
    1.0
    """
    eta, G, D = _checked(eta, G, D)
    horizons, scalar = _checked_horizons(horizons, eta)
    eta, G, D, power = _units(eta, G, D)
    if power is None:
        values = _wide.value("Ω", _stacked([_wide.add(*_wide_terms(eta[:t], G[:t], D)) for t in horizons]))
    elif horizons.size <= FEW_HORIZONS or eta.sum() * WIDEST > eta[eta > 0].min():
        values = np.array([sum(_terms(eta[:t], G[:t], D)) for t in horizons])
    else:
        noise = np.square(eta * G)
        with np.errstate(divide="ignore", invalid="ignore"):  # at steps of zero, which were refused above if asked for
            total = D**2 / np.cumsum(eta) + eta * np.square(G) + causal_cauchy_sums(eta, noise)
        values = 0.5 * total[horizons - 1]
    if power:
        values = _wide.value("Ω", (values, np.full(values.shape, power)))
    return float(values[0]) if scalar else values


def omega_terms(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0) -> tuple[float, float]:
    """The two terms of the bound at the last step: Ω_T(γ) = T1/γ + γ·T2 for the schedule γ·eta.

        T1 = D² / (2 Σ η_t),    T2 = ½ [ η_T G_T² + Σ_{k<T} η_k² G_k² / Σ_{t>k} η_t ]

    With these two numbers a whole sweep over γ, the best γ and every transfer of it are arithmetic.

    Args:
        eta: schedule (shape only, usually peak 1), shape (T,).
        G, D: as in `omega`.

    Returns:
        (T1, T2), two floats; T1 in units of f times γ, T2 in units of f over γ.

    Raises:
        ValueError: on bad input, a zero last step (T2 is infinite), or where float64 cannot hold a term.

    Source: Schaipp et al. 2025, section 2.

    >>> from lastiterate.schedules import constant
    >>> omega_terms(constant(4))              # T2 = ½(1 + H₃)
    (0.125, 1.4166666666666665)
    """
    t1, t2 = _pairs(eta, G, D, "last")
    return _wide.scalar("T1", t1), _wide.scalar("T2", t2)


def tightened_omega(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0) -> float:
    """The bound Ω_T with its last step free: the smallest Ω_T of all schedules that differ from eta in η_T only.

        min over s > 0 of   D²/(2(E_0 + s)) + ½ [ s G_T² + Σ_{k<T} η_k² G_k²/(E_k + s) ],     E_k = Σ_{k<t<T} η_t

    η_T moves x_{T+1}, not x_T, so that f(x_T) − f* is below Ω_T whatever η_T is: in the proof it is a free parameter.

    Args:
        eta: schedule times base learning rate, shape (T,), >= 0; its last entry is not looked at, and may be 0.
        G: bound on the gradient norms, scalar or shape (T,), >= 0, and > 0 at the last step.
        D: distance to a minimiser, > 0.

    Returns:
        The bound, a float in units of f: at most Ω_T, at least the exact worst case (`worstcase.exact`).

    Raises:
        ValueError: on bad input.

    Source: this project. For linear decay to zero, γ(1 − t/T), Ω_T is infinite and this is about twice the exact D G/√T.

    >>> from lastiterate.schedules import constant
    >>> tightened_omega(0.5 * constant(2)).__round__(4), omega(0.5 * constant(2), horizons=2)
    (0.9408, 1.0)
    >>> tightened_omega([1.0], G=3.0, D=2.0)              # no step before x₁: G D
    6.0
    """
    eta = _check.array("eta", eta)
    G, D = _check.grad_norms(G, eta.size), _check.distance(D)
    if G[-1] == 0:
        raise ValueError("G must be positive at the last step, got 0: no finite last rate is best")
    if _wide.ordinary(eta[:-1], G, D):
        return sum(_terms(np.append(eta[:-1], best_tail(eta[:-1], G[:-1], D, G[-1] ** 2)), G, D))
    # In units in which G_T and the longest of D and the steps η_k G_k are about 1; what is then too small for float64 is nothing
    # beside that one.
    g, steps = _wide.wide(G[-1]), _wide.product(_wide.wide(eta[:-1]), _wide.wide(G[:-1]))
    unit = max([int(np.frexp(D)[1]), *steps[1][steps[0] > 0].tolist()])
    p, noise = math.ldexp(G[-1], -int(g[1])) ** 2, np.square(_wide.shifted(steps[0], steps[1] - unit))
    rates = _wide.value("eta", _wide.product(_wide.wide(eta[:-1]), (1.0, g[1] - unit)), small=True)
    after = np.append(np.cumsum(rates[:0:-1])[::-1], 0.0)[: rates.size]
    D = math.ldexp(D, -unit)
    S = _best_sum(noise, after, float(rates.sum()), D, p)
    bound = 0.5 * (D**2 / (rates.sum() + S) + p * S + np.sum(noise / (after + S)))
    return _wide.scalar("the bound", (bound, unit + int(g[1])))


def best_tail(prefix: Array, G: Array, D: float, p: float) -> float:
    """Sum S of the rates behind fixed ones for which D²/(2(E_0 + S)) + ½ Σ η_k² G_k²/(E_k + S) + ½ p S is smallest."""
    return _best_sum(*prefix_terms(prefix, G), float(prefix.sum()), D, p)


def _best_sum(noise: Array, after: Array, total: float, D: float, p: float) -> float:
    """`best_tail` of η_k² G_k², E_k and E_0."""
    from scipy.optimize import brentq  # here: most of this module needs NumPy alone

    noise, after = noise[noise > 0], after[noise > 0]
    if not noise.size:
        return max(D / math.sqrt(p) - total, 1e-9 * D / math.sqrt(p))
    high = math.sqrt((D**2 + float(noise.sum())) / p)
    low = min(math.sqrt(noise[-1] / p) * 0.5 if after[-1] == 0 else 1e-12 * high, high)

    def slope(log):  # times S², which keeps it of moderate size
        S = math.exp(log)
        return p * S**2 - (D * S / (total + S)) ** 2 - float(np.sum(noise * (S / (after + S)) ** 2))

    low, high = math.log(low) - 1e-9, math.log(high) + 1e-9
    return math.exp(brentq(slope, low, high, xtol=1e-15, rtol=1e-15)) if slope(low) < 0 else math.exp(low)


def prefix_terms(prefix: Array, G: Array) -> tuple[Array, Array]:
    """(η_k² G_k², sum of the rates behind k) for each of some first steps."""
    return np.square(prefix * G), np.append(np.cumsum(prefix[:0:-1])[::-1], 0.0)[: prefix.size]


def optimal_lr(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0, kind: str = "last") -> tuple[float, float]:
    """Base learning rate γ* that minimises the bound of γ·eta at the last step, and that minimum.

        γ* = √(T1/T2),    Ω* = 2 √(T1·T2)

    Args:
        eta: schedule (shape only), shape (T,).
        G, D: as in `omega`; G not zero everywhere.
        kind: "last" for the last iterate (`omega`), "average" for the averaged iterate (`average_omega`).

    Returns:
        (lr, bound), two floats.

    Raises:
        ValueError: on bad input, an unknown kind, gradients that are all zero (no finite γ* then), or where float64 cannot hold
            a result.

    Source: Schaipp et al. 2025, section 2 and figure 3.

    >>> from lastiterate.schedules import linear
    >>> lr, bound = optimal_lr(linear(400))
    >>> round(lr, 5), round(bound, 5)
    (0.04956, 0.10063)
    """
    t1, t2 = _pairs(eta, G, D, kind)
    bound = _wide.root(_wide.product(t1, t2)) if t1[1] or t2[1] else (math.sqrt(t1[0] * t2[0]), 0)
    return _wide.scalar("γ*", _best(t1, t2)), _wide.scalar("Ω*", (2 * bound[0], bound[1]))


def wide_lr(eta: ArrayLike, G: ArrayLike = 1.0) -> _wide.Wide:
    """γ* of `optimal_lr` with D = 1, also where float64 cannot hold it: see `_wide`."""
    return _best(*_pairs(eta, G, 1.0, "last"))


@overload
def average_omega(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0, horizons: None = None) -> Array: ...
@overload
def average_omega(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0, *, horizons: int | np.integer) -> float: ...
@overload
def average_omega(eta: ArrayLike, G: ArrayLike, D: float, horizons: int | np.integer) -> float: ...
@overload
def average_omega(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0, horizons: Sequence[int] | NDArray = ...) -> Array: ...
def average_omega(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0, horizons: ArrayLike | None = None) -> Array | float:
    """Classical bound for the η-weighted average of the iterates, at every horizon or at given ones.

        (D² + Σ_{j≤t} η_j² G_j²) / (2 Σ_{j≤t} η_j)

    Args, returns and raises as `omega`; a zero last step is allowed here, a zero first step is not if t = 1 is asked.

    Source: Schaipp et al. 2025, equation 11 and figures 13-16.

    >>> from lastiterate.schedules import constant
    >>> average_omega(0.5 * constant(4), horizons=4)
    0.5
    """
    eta, G, D = _checked(eta, G, D)
    horizons, scalar = _checked_horizons(horizons, np.maximum.accumulate(eta))
    eta, G, D, power = _units(eta, G, D)
    if power is None:
        values = _wide.value("the bound", _stacked([_wide.add(*_wide_average_terms(eta[:t], G[:t], D)) for t in horizons]))
    else:
        with np.errstate(divide="ignore"):
            values = ((D**2 + np.cumsum(np.square(eta * G))) / (2 * np.cumsum(eta)))[horizons - 1]
    if power:
        values = _wide.value("the bound", (values, np.full(values.shape, power)))
    return float(values[0]) if scalar else values


def _checked(eta: ArrayLike, G: ArrayLike, D: float) -> tuple[Array, Array, float]:
    rates = _check.schedule(eta)
    return rates, _check.grad_norms(G, rates.size), _check.distance(D)


def _checked_horizons(horizons: ArrayLike | None, eta: Array) -> tuple[NDArray, bool]:
    """(array of step numbers, whether a single one was asked); refuses horizons at which `eta`, the divisor, is zero."""
    asked = _check.integers("horizons", np.arange(1, eta.size + 1) if horizons is None else horizons, 1, eta.size)
    asked = asked.astype(np.int64)
    zero = asked[eta[asked - 1] == 0]
    if zero.size:
        raise ValueError(f"eta must be positive at the last step of a bound, got 0 at step {zero[0]}: Ω is infinite there")
    return asked, horizons is not None and _check.is_scalar(horizons)


def _units(eta: Array, G: Array, D: float) -> tuple[Array, Array, float, int | None]:
    """(η·2^(b−c), G·2^−b, D·2^−c, b + c), ordinary numbers whose bound is 2^−(b+c) times the one wanted; as they are, with 0,
    where they are ordinary already; as they are, with None, where no units make them so."""
    if _wide.ordinary(eta, G, D):
        return eta, G, D, 0
    b, c = int(np.frexp(G.max())[1]), math.frexp(D)[1]
    with np.errstate(over="ignore"):
        scaled = np.ldexp(eta, b - c), np.ldexp(G, -b), math.ldexp(D, -c)
    lossless = all(np.all((now > 0) == (before > 0)) for now, before in zip(scaled, (eta, G, D), strict=True))
    return (*scaled, b + c) if lossless and _wide.ordinary(*scaled) else (eta, G, D, None)


def _pairs(eta: ArrayLike, G: ArrayLike, D: float, kind: str) -> tuple[_wide.Wide, _wide.Wide]:
    """(T1, T2) of checked arguments as pairs, whose exponents are 0 where all is ordinary."""
    last = _check.choice("kind", kind, ("last", "average")) == "last"
    eta, G, D = _checked(eta, G, D)
    if last:
        _checked_horizons(eta.size, eta)
    if not _wide.ordinary(eta, G, D):
        return (_wide_terms if last else _wide_average_terms)(eta, G, D)
    t1, t2 = (_terms if last else _average_terms)(eta, G, D)
    return (t1, 0), (t2, 0)


def _best(t1: _wide.Wide, t2: _wide.Wide) -> _wide.Wide:
    if t2[0] == 0:
        raise ValueError("G must be positive at some step with a positive rate, got zeros only: no finite best rate")
    return _wide.root(_wide.quotient(t1, t2)) if t1[1] or t2[1] else (math.sqrt(t1[0] / t2[0]), 0)


def _terms(eta: Array, G: Array, D: float) -> tuple[float, float]:
    """(T1, T2) by tail sums that are added up from the end: no difference of nearly equal numbers anywhere."""
    tail = np.cumsum(eta[::-1])[::-1]
    t2 = 0.5 * (eta[-1] * G[-1] ** 2 + np.sum(np.square(eta[:-1] * G[:-1]) / tail[1:]))
    return D**2 / (2 * tail[0]).item(), t2.item()


def _average_terms(eta: Array, G: Array, D: float) -> tuple[float, float]:
    total = eta.sum()
    return D**2 / (2 * total).item(), (np.sum(np.square(eta * G)) / (2 * total)).item()


def _wide_terms(eta: Array, G: Array, D: float) -> tuple[_wide.Wide, _wide.Wide]:
    """`_terms` where squares leave float64."""
    (rates, powers), norms, d, (m, e) = _wide.wide(eta), _wide.wide(G), _wide.wide(D), _wide.tail_sums(eta)
    steps = _wide.product((rates[:-1], powers[:-1]), (norms[0][:-1], norms[1][:-1]))
    noise = _wide.total(_wide.quotient(_wide.product(steps, steps), (m[1:], e[1:])))
    last = _wide.product((rates[-1], powers[-1]), *[(norms[0][-1], norms[1][-1])] * 2)
    return _half(_wide.quotient(_wide.product(d, d), (m[0], e[0]))), _half(_wide.add(last, noise))


def _wide_average_terms(eta: Array, G: Array, D: float) -> tuple[_wide.Wide, _wide.Wide]:
    """`_average_terms` where squares leave float64."""
    d, steps, (m, e) = _wide.wide(D), _wide.product(_wide.wide(eta), _wide.wide(G)), _wide.tail_sums(eta)
    noise = _wide.total(_wide.product(steps, steps))
    return _half(_wide.quotient(_wide.product(d, d), (m[0], e[0]))), _half(_wide.quotient(noise, (m[0], e[0])))


def _half(a: _wide.Wide) -> _wide.Wide:
    return a[0], a[1] - 1


def _stacked(pairs: list[_wide.Wide]) -> _wide.Wide:
    return np.array([m for m, _ in pairs]), np.array([e for _, e in pairs])
