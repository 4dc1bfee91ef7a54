r"""The last-iterate bound Ω, its two terms, the best learning rate, and what closed forms there are.

Setting: f convex, x₁ the start, D = ‖x₁ − x*‖, steps x_{t+1} = x_t − η_t g_t with E‖g_t‖² ≤ G_t². Then

    f(x_T) − f*  ≤  Ω_T  =  D² / (2 Σ_{t≤T} η_t)  +  ½ [ η_T G_T² + Σ_{k<T} η_k² G_k² / Σ_{t=k+1..T} η_t ].

This single sum equals the double sum of Schaipp et al. 2025, Theorem 1 (= Defazio et al. 2023, Theorem 10): put
η_k/(A_{k+1} A_k) = 1/A_{k+1} − 1/A_k with the tail sums A_k = Σ_{t≥k} η_t into it and sum by parts. It needs tail sums only,
which are added up from the end, so that nothing cancels; and it shows that Ω_T is convex in η.

`eta` is the schedule already multiplied by the base learning rate γ, except where a function finds γ itself.
Steps are numbered from 1. `G` is a scalar or one norm a step.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma

from lastiterate import _check
from lastiterate._cauchy import causal_cauchy_sums

WIDEST = 1e-35  # smallest rate over the sum of all for which the tree code keeps its digits
FEW_HORIZONS = 32  # up to so many horizons are summed one by one, in O(T) each; more go through the tree code


def omega(eta, G=1.0, D=1.0, horizons=None):
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
        ValueError: on bad input, and where a horizon ends on a zero step: the bound is infinite there.

    Source: Schaipp et al. 2025, Theorem 1, in single-sum form.

    >>> from lastiterate.schedules import constant
    >>> omega(0.5 * constant(2))              # t = 1: D²/(2γ) + γG²/2;  t = 2: D²/(4γ) + γG²
    array([1.25, 1.  ])
    >>> omega(0.5 * constant(2), horizons=2)
    1.0
    """
    eta, G, D = _checked(eta, G, D)
    horizons, scalar = _checked_horizons(horizons, eta)
    noise = np.square(eta * G)
    if horizons.size <= FEW_HORIZONS or eta.sum() * WIDEST > eta[eta > 0].min():
        values = np.array([sum(_terms(eta[:t], G[:t], D)) for t in horizons])
    else:
        with np.errstate(divide="ignore", invalid="ignore"):  # at steps of zero, which were refused above if asked for
            total = D**2 / np.cumsum(eta) + eta * np.square(G) + causal_cauchy_sums(eta, noise)
        values = 0.5 * total[horizons - 1]
    return float(values[0]) if scalar else values


def omega_terms(eta, G=1.0, D=1.0):
    """The two terms of the bound at the last step: Ω_T(γ) = T1/γ + γ·T2 for the schedule γ·eta.

        T1 = D² / (2 Σ η_t),    T2 = ½ [ η_T G_T² + Σ_{k<T} η_k² G_k² / Σ_{t>k} η_t ]

    With these two numbers a whole sweep over γ, the best γ and every transfer of it are arithmetic.

    Args:
        eta: schedule (shape only, usually peak 1), shape (T,).
        G, D: as in `omega`.

    Returns:
        (T1, T2), two floats; T1 in units of f times γ, T2 in units of f over γ.

    Raises:
        ValueError: on bad input, or a zero last step (T2 is infinite).

    Source: Schaipp et al. 2025, section 2.

    >>> from lastiterate.schedules import constant
    >>> omega_terms(constant(4))              # T2 = ½(1 + H₃)
    (0.125, 1.4166666666666665)
    """
    eta, G, D = _checked(eta, G, D)
    _checked_horizons(eta.size, eta)
    return _terms(eta, G, D)


def tightened_omega(eta, G=1.0, D=1.0):
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
    G, D = _check.grad_norms(G, eta.size), _check.real("D", D, 0.0, open_low=True)
    if G[-1] == 0:
        raise ValueError("G must be positive at the last step, got 0: no finite last rate is best")
    return sum(_terms(np.append(eta[:-1], best_tail(eta[:-1], G[:-1], D, G[-1] ** 2)), G, D))


def best_tail(prefix, G, D, p):
    """Sum S of the rates behind fixed ones for which D²/(2(E_0 + S)) + ½ Σ η_k² G_k²/(E_k + S) + ½ p S is smallest."""
    noise, after = prefix_terms(prefix, G)
    noise, after, total = noise[noise > 0], after[noise > 0], float(prefix.sum())
    if not noise.size:
        return max(D / math.sqrt(p) - total, 1e-9 * D / math.sqrt(p))
    high = math.sqrt((D**2 + float(noise.sum())) / p)
    low = min(math.sqrt(noise[-1] / p) * 0.5 if after[-1] == 0 else 1e-12 * high, high)

    def slope(log):  # times S², which keeps it of moderate size
        S = math.exp(log)
        return p * S**2 - (D * S / (total + S)) ** 2 - float(np.sum(noise * (S / (after + S)) ** 2))

    low, high = math.log(low) - 1e-9, math.log(high) + 1e-9
    return math.exp(brentq(slope, low, high, xtol=1e-15, rtol=1e-15)) if slope(low) < 0 else math.exp(low)


def prefix_terms(prefix, G):
    """(η_k² G_k², sum of the rates behind k) for each of some first steps."""
    return np.square(prefix * G), np.append(np.cumsum(prefix[:0:-1])[::-1], 0.0)[: prefix.size]


def optimal_lr(eta, G=1.0, D=1.0, kind="last"):
    """Base learning rate γ* that minimises the bound of γ·eta at the last step, and that minimum.

        γ* = √(T1/T2),    Ω* = 2 √(T1·T2)

    Args:
        eta: schedule (shape only), shape (T,).
        G, D: as in `omega`; G not zero everywhere.
        kind: "last" for the last iterate (`omega`), "average" for the averaged iterate (`average_omega`).

    Returns:
        (lr, bound), two floats.

    Raises:
        ValueError: on bad input, an unknown kind, or gradients that are all zero (no finite γ* then).

    Source: Schaipp et al. 2025, section 2 and figure 3.

    >>> from lastiterate.schedules import linear
    >>> lr, bound = optimal_lr(linear(400))
    >>> round(lr, 5), round(bound, 5)
    (0.04956, 0.10063)
    """
    _check.choice("kind", kind, ("last", "average"))
    if kind == "last":
        t1, t2 = omega_terms(eta, G, D)
    else:
        eta, G, D = _checked(eta, G, D)
        t1, t2 = _average_terms(eta, G, D)
    if t2 == 0:
        raise ValueError("G must be positive at some step with a positive rate, got zeros only: no finite best rate")
    return math.sqrt(t1 / t2), 2 * math.sqrt(t1 * t2)


def average_omega(eta, G=1.0, D=1.0, horizons=None):
    """Classical bound for the η-weighted average of the iterates, at every horizon or at given ones.

        (D² + Σ_{j≤t} η_j² G_j²) / (2 Σ_{j≤t} η_j)

    Args, returns and raises as `omega`; a zero last step is allowed here, a zero first step is not if t = 1 is asked.

    Source: Schaipp et al. 2025, equation 11 and figures 13-16.

    >>> from lastiterate.schedules import constant
    >>> average_omega(0.5 * constant(4), horizons=4)
    0.5
    """
    eta, G, D = _checked(eta, G, D)
    total = np.cumsum(eta)
    horizons, scalar = _checked_horizons(horizons, total)
    with np.errstate(divide="ignore"):
        values = ((D**2 + np.cumsum(np.square(eta * G))) / (2 * total))[horizons - 1]
    return float(values[0]) if scalar else values


def wsd_theorem(T, T0, G=1.0, D=1.0):
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
        ValueError: on bad input.

    Source: Schaipp et al. 2025, Theorem 9. Evaluated, it is up to 37 % above Ω* of the same schedule (`optimal_lr`), except at
    T0 = 1, where it falls below it by 0.08/T relative: take T0 >= 2 for a bound.

    >>> round(wsd_theorem(400, 320), 4) > 0.10932     # Ω* of wsd-0.2 itself, from optimal_lr
    True
    """
    T = _check.integer("T", T, 2)
    T0 = _check.integer("T0", T0, 1, T - 1)
    G, D = _check.real("G", G, 0.0, open_low=True), _check.real("D", D, 0.0, open_low=True)
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
    return D * G * math.sqrt(4 / (T + T0) * bracket)


def linear_decay_bound(T, G=1.0, D=1.0):
    """Guarantee of linear decay to zero with its best learning rate: the minimax rate for a fixed horizon.

        η_t = D/√(Σ G_p²) · (1 − t/T)   ⇒   f(x_T) − f*  ≤  D √(Σ_{t≤T} G_t²) / T,  which is D G/√T for constant G

    It is exactly tight for constant G, and about half of Ω of `linear(T)`, whose last rate is positive.

    Args:
        T: horizon, an integer >= 1.
        G: bound on the gradient norms, scalar or shape (T,).
        D: distance to a minimiser, > 0.

    Returns:
        The bound, a float in units of f.

    Raises:
        ValueError: on bad input.

    Source: Defazio et al. 2023, Theorem 1 with equal weights.

    >>> linear_decay_bound(400)
    0.05
    """
    T = _check.integer("T", T)
    G, D = _check.grad_norms(G, T), _check.real("D", D, 0.0, open_low=True)
    return float(D * np.linalg.norm(G) / T)


def refined_bound(G, D=1.0, weights=None):
    """Guarantee of steps refined from gradient norms, D √(Σ w_t² G_t²) / Σ w_t: for the best weights, D / √(Σ G_t^−2).

    It holds for the last iterate after the steps η_t = (D/√(Σ w_p² G_p²)) · w_t · (Σ_{p>t} w_p)/(Σ_p w_p), and is exactly tight.

    Args:
        G: bound on the gradient norms, shape (T,), > 0.
        D: distance to a minimiser, > 0.
        weights: w, shape (T,), not all zero; the best ones, w = G^−2, by default. Equal ones give linear decay.

    Returns:
        The bound, a float in units of f.

    Raises:
        ValueError: on bad input.

    Source: Defazio et al. 2023, Theorem 1 and Corollary 2.

    >>> refined_bound([1.0, 1.0, 1.0, 1.0]), refined_bound([4.0, 1.0, 1.0, 2.0]).__round__(4)
    (0.5, 0.6576)
    >>> refined_bound([4.0, 1.0, 1.0, 2.0], weights=[1.0, 1.0, 1.0, 1.0]).__round__(4)
    1.1726
    """
    G = _check.array("G", G)
    G, D = _check.grad_norms(G, G.size, positive=True), _check.real("D", D, 0.0, open_low=True)
    if weights is None:
        return float(D / np.linalg.norm(1 / G))
    weights = _check.schedule(weights, "weights")
    if weights.size != G.size:
        raise ValueError(f"weights must have the length of G, {G.size}, got {weights.size}")
    return float(D * np.linalg.norm(weights * G) / weights.sum())


def _checked(eta, G, D):
    eta = _check.schedule(eta)
    return eta, _check.grad_norms(G, eta.size), _check.real("D", D, 0.0, open_low=True)


def _checked_horizons(horizons, eta):
    """(array of step numbers, whether a single one was asked); refuses horizons at which `eta`, the divisor, is zero."""
    T = eta.size
    if horizons is None:
        horizons = np.arange(1, T + 1)
    try:
        asked = np.atleast_1d(np.asarray(horizons))
    except ValueError:  # ragged
        asked = np.empty(0)
    if asked.dtype.kind not in "iu" or asked.ndim != 1 or asked.size == 0 or asked.min() < 1 or asked.max() > T:
        raise ValueError(f"horizons must be integers in 1..{T}, got {horizons!r}")
    zero = asked[eta[asked - 1] == 0]
    if zero.size:
        raise ValueError(f"eta must be positive at the last step of a bound, got 0 at step {zero[0]}: Ω is infinite there")
    return asked, np.ndim(horizons) == 0


def _terms(eta, G, D):
    """(T1, T2) by tail sums that are added up from the end: no difference of nearly equal numbers anywhere."""
    tail = np.cumsum(eta[::-1])[::-1]
    t2 = 0.5 * (eta[-1] * G[-1] ** 2 + np.sum(np.square(eta[:-1] * G[:-1]) / tail[1:]))
    return D**2 / (2 * tail[0]).item(), t2.item()


def _average_terms(eta, G, D):
    total = eta.sum()
    return D**2 / (2 * total).item(), (np.sum(np.square(eta * G)) / (2 * total)).item()


def _harmonic(n):
    return float(digamma(n + 1) + np.euler_gamma)
