"""Bounds in closed form, which `bounds` hands on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lastiterate import _check, _wide


def wsd_theorem(T: int, T0: int, G: float = 1.0, D: float = 1.0) -> float:
    """Closed-form bound for wsd with a linear cooldown that starts at step T0, at its best learning rate.

        Ω*_T ≤ D G √( 4/(T+T₀) · [ 2/3 + (T+2T₀)/(3(T+T₀)) + H_{T+T₀−2} − H_{T−T₀+1}
                                   − (T−T₀)(T₀−1)/(3(T−T₀+2)(T+T₀)) + 1/(T−T₀)² + H_{T−T₀−1}/(T−T₀+1) ] )

    with harmonic numbers H_n. For a cooldown of a fixed fraction the two harmonic numbers differ by a constant: no log T.

    Args:
        T: horizon, an integer >= 2.
        T0: last step at the full rate, 1 <= T0 < T (1 is linear decay).
        G: bound on the gradient norms, a scalar > 0.
        D: distance to a minimiser, > 0.

    Returns:
        The bound, a float in units of f.

    Raises:
        ValueError: on bad input, or where float64 cannot hold the bound.

    Source: Schaipp et al. 2025, Theorem 9. Evaluated, it is up to 37 % above Ω* of the same schedule (`optimal_lr`), except at
    T0 = 1, where it falls below it by 0.08/T relative: take T0 >= 2 for a bound.

    >>> round(wsd_theorem(400, 320), 4) > 0.10932     # Ω* of wsd-0.2 itself, from optimal_lr
    True
    """
    T = _check.integer("T", T, 2)
    T0 = _check.integer("T0", T0, 1, T - 1)
    G, D = _check.real("G", G, 0.0, open_low=True), _check.distance(D)
    n = T - T0
    bracket = (
        2 / 3
        + (T + 2 * T0) / (3 * (T + T0))
        + _harmonic(T + T0 - 2)
        - _harmonic(n + 1)
        - n * (T0 - 1) / (3 * (n + 2) * (T + T0))
        + 1 / n**2
        + _harmonic(n - 1) / (n + 1)
    )
    return _in_units(lambda G, D: D * G * math.sqrt(4 / (T + T0) * bracket), G, D)


def linear_decay_bound(T: int, G: ArrayLike = 1.0, D: float = 1.0) -> float:
    """Guarantee of linear decay to zero with its best learning rate: the minimax rate for a fixed horizon.

        η_t = D/√(Σ G_p²) · (1 − t/T)   ⇒   f(x_T) − f*  ≤  D √(Σ_{t≤T} G_t²) / T,  which is D G/√T for constant G

    It is exactly tight for constant G, and about half of Ω of `linear(T)`, whose last rate is positive.

    Args:
        T: horizon, an integer in 1..10⁸.
        G: bound on the gradient norms, scalar or shape (T,).
        D: distance to a minimiser, > 0.

    Returns:
        The bound, a float in units of f.

    Raises:
        ValueError: on bad input, or where float64 cannot hold the bound.

    Source: Defazio et al. 2023, Theorem 1 with equal weights.

    >>> linear_decay_bound(400)
    0.05
    """
    T = _check.steps("T", T)
    norms, D = _check.grad_norms(G, T), _check.distance(D)
    return _in_units(lambda G, D: float(D * np.linalg.norm(G) / T), norms, D)


def refined_bound(G: ArrayLike, D: float = 1.0, weights: ArrayLike | None = None) -> float:
    """Guarantee of steps refined from gradient norms, D √(Σ w_t² G_t²) / Σ w_t: for the best weights, D / √(Σ G_t^−2).

    It holds for the last iterate after the steps η_t = (D/√(Σ w_p² G_p²)) · w_t · (Σ_{p>t} w_p)/(Σ_p w_p), and is exactly tight.

    Args:
        G: bound on the gradient norms, shape (T,), > 0.
        D: distance to a minimiser, > 0.
        weights: w, shape (T,), not all zero; the best ones, w = G^−2, by default. Equal ones give linear decay.

    Returns:
        The bound, a float in units of f.

    Raises:
        ValueError: on bad input, or where float64 cannot hold the bound.

    Source: Defazio et al. 2023, Theorem 1 and Corollary 2.

    >>> refined_bound([1.0, 1.0, 1.0, 1.0]), refined_bound([4.0, 1.0, 1.0, 2.0]).__round__(4)
    (0.5, 0.6576)
    >>> refined_bound([4.0, 1.0, 1.0, 2.0], weights=[1.0, 1.0, 1.0, 1.0]).__round__(4)
    1.1726
    """
    norms = _check.array("G", G)
    norms, D = _check.grad_norms(norms, norms.size, positive=True), _check.distance(D)
    if weights is None:
        return _in_units(lambda G, D: float(D / np.linalg.norm(1 / G)), norms, D, smallest=True)
    w = _check.schedule(weights, "weights")
    if w.size != norms.size:
        raise ValueError(f"weights must have the length of G, {norms.size}, got {w.size}")
    if _wide.ordinary(w, norms, D):
        return float(D * np.linalg.norm(w * norms) / w.sum())
    steps, total = _wide.product(_wide.wide(w), _wide.wide(norms)), _wide.tail_sums(w)
    norm = _wide.root(_wide.total(_wide.product(steps, steps)))
    return _wide.scalar("the bound", _wide.quotient(_wide.product(_wide.wide(D), norm), (total[0][0], total[1][0])))


def _in_units(bound: Callable, G: Any, D: float, smallest: bool = False) -> float:
    """A bound that is proportional to G and D, at any scale of them: with the largest (or smallest) norm about 1, and D."""
    if _wide.ordinary(G, D):
        return bound(G, D)
    b, c = int(np.frexp(np.min(G) if smallest else np.max(G))[1]), math.frexp(D)[1]
    with np.errstate(over="ignore", divide="ignore"):  # what is beyond float64 then is nothing beside the others
        return _wide.scalar("the bound", (bound(np.ldexp(G, -b), math.ldexp(D, -c)), b + c))


def _harmonic(n: int) -> float:
    from scipy.special import digamma  # here: most of this module needs NumPy alone

    return float(digamma(n + 1) + np.euler_gamma)
