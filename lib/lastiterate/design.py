r"""Schedules that are computed rather than chosen.

**The best schedule for the bound has a closed form.** With tail sums A_k = Σ_{t≥k} η_t the single-sum form of Ω_T
(`bounds`) is a sum of quadratic-over-linear terms, so Ω_T is convex in η, and each term has its supporting lines:

    1/A ≥ 2v − v²A,      η²/A ≥ 2uη − u²A      for any u, v, with equality for v = 1/A and u = η/A.

Put them in, with v for D²/(2A₁) and u_k for η_k²G_k²/(2A_{k+1}), and collect the factor of each η_j. With
P_1 = D²v² and P_{k+1} = P_k + G_k²u_k² it is ½(2u_jG_j² − P_j) for j < T and ½(G_T² − P_T) for j = T. Where these are zero,
u_j = P_j/(2G_j²), the bound that is left is the same for *every* schedule η ≥ 0:

    Ω_T(η) ≥ D²v = D √P_1,      P_T = G_T²,   P_k = 2P_{k+1} / (1 + √(1 + P_{k+1}/G_k²)) for k = T−1, …, 1

and the one schedule at which all the lines touch attains it: A_1 = 1/v, A_{k+1} = A_k/(1 + u_k), η_k = A_k − A_{k+1}, η_T = A_T.
For constant G, P_k falls like 4G²/(T − k) away from the end, so Ω* ≈ 2DG/√T.
"""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, _program, _wide, bounds

METHODS = ("recursion", "clarabel")
GAP = 1e-6  # relative, up to which a program in blocks is good enough
LOOSE = 100  # times the largest free rate: a cap above that is left out of the program
TIGHT = 1e-100  # times D/G: a cap below that leads out of float64
SPAN = 1e-140  # smallest norm over the largest one
SAFE = 1e-150  # smallest weight over the largest one, down to which products of two weights need no logarithms

Array = NDArray[np.float64]


def optimal(
    T: int,
    G: ArrayLike = 1.0,
    D: float = 1.0,
    prefix: ArrayLike | None = None,
    cap: float | None = None,
    monotone: bool = False,
    warmup: int | None = None,
    method: str | None = None,
) -> tuple[Array, float, dict[str, float]]:
    """The schedule that minimises Ω_T, with its learning rate, its bound, and a proof that no schedule has a lower one.

        P_T = G_T²,  P_k = 2P_{k+1}/(1 + √(1 + P_{k+1}/G_k²)),  u_k = P_k/(2G_k²);   Ω* = D√P_1
        A_1 = D/√P_1,  A_{k+1} = A_k/(1 + u_k);   γ*η_k = u_k A_{k+1},  γ*η_T = A_T

    Behind a prefix of fixed rates the same u_k are best, and the sum A of the free rates solves one equation. The other
    constraints make a convex program (`_program`): up to 5000 free steps, and where G is not smooth, each step has a rate of
    its own in it, beyond that steps come in blocks. `gap` says what is lost at most, blocks and solver together.

    Args:
        T: horizon, an integer in 1..10⁸.
        G: bound on the gradient norms, scalar or shape (T,), > 0.
        D: distance to a minimiser, > 0.
        prefix: learning rates γη_1 … γη_k of steps that are taken already, shape (k,), k < T: a run that goes on.
        cap: largest learning rate of the other steps, > 0.
        monotone: whether the rate must never rise (after the prefix or the warmup).
        warmup: W in 1..T: the rate of step t < W is at most t/W times that of step W. Not with a prefix.
        method: "recursion" for the closed form, exact in O(T); "clarabel" for the convex program by CVXPY and Clarabel (which
            they need: pip install "lastiterate[solvers]"). By default the closed form without cap, monotone and warmup, and
            where a cap is so large that it does not bind; a cap so small that it binds at every step needs no program either.

    Returns:
        (eta, bound, certificate). eta: shape (T,), peak 1. bound: Ω_T of ``certificate["lr"] * eta``, a float.
        certificate: a dict with `lr`, the peak learning rate; `lower_bound`, a value that Ω_T of no schedule under these
        constraints is below, computed without the solver's word; `gap`, bound/lower_bound − 1; and where Clarabel was asked
        its own `solver_primal` and `solver_dual` values.

    Raises:
        ValueError: on bad input, an unknown method, or "recursion" with a cap, monotone or a warmup; where float64 cannot hold
            the result, for a cap below 1e-100 D/G, or norms that span more than 140 powers of ten.
        RuntimeError: where Clarabel does not reach an optimum.
        MissingExtra: where a program is needed and CVXPY or Clarabel are not installed.

    Source: Schaipp et al. 2025 (conference version) descends on Ω_T; convexity, the recursion and its proof are this project's.

    >>> eta, bound, certificate = optimal(100)
    >>> round(bound, 6), round(certificate["lr"], 4), certificate["gap"] < 1e-12
    (0.200114, 0.0981, True)
    >>> eta, bound, certificate = optimal(100, prefix=[0.1] * 50)        # 50 steps were taken at rate 0.1
    >>> round(bound, 6), certificate["gap"] < 1e-12
    (0.210854, True)
    """
    T = _check.steps("T", T)
    G = _check.grad_norms(G, T, positive=True)
    D = _check.distance(D)
    taken = _checked_prefix(prefix, T)
    cap = None if cap is None else _check.real("cap", cap, 0.0, open_low=True)
    if not isinstance(monotone, bool | np.bool_):
        raise ValueError(f"monotone must be True or False, got {_check.shown(monotone)}")
    warmup = 0 if warmup is None else _check.integer("warmup", warmup, 1, T)
    if warmup and taken.size:
        raise ValueError(f"warmup must be None with a prefix, got {warmup}: a run that goes on has had its warmup")
    if monotone and taken.size and taken[-1] == 0:
        raise ValueError("prefix must end with a positive rate where monotone is True: all that follows would be 0")
    constrained = cap is not None or bool(monotone) or warmup > 1
    if method is not None and _check.choice("method", method, METHODS) == "recursion" and constrained:
        raise ValueError("method must be 'clarabel' with cap, monotone or warmup, got 'recursion'")

    G, D, taken, cap, rate_power, power = _units(G, D, taken, cap, bool(monotone))
    if method is None and not constrained:
        method = "recursion"
    rates, lower_bound, more = _best(G, D, taken, cap, bool(monotone), warmup, method)
    eta, lr = rates / rates.max(), float(rates.max())
    bound = bounds.omega(lr * eta, G, D, horizons=T)
    if not taken.size and cap is None:  # then the scale is free, and this is the best one
        lr, bound = bounds.optimal_lr(eta, G, D)
    lower_bound = bound if lower_bound is None else lower_bound
    gap = float(bound / lower_bound - 1) if lower_bound > 0 else math.inf
    if more and gap > 1e-3:
        raise RuntimeError(
            f"Clarabel found no optimum (gap {gap:.0e}): G or the rates span too many powers of ten; {_program.HINT}"
        )
    values = {"lower_bound": lower_bound} | more
    values = {name: float(_wide.shifted(value, power)) for name, value in values.items()}
    certificate = {"lr": _wide.scalar("lr", (lr, rate_power)), "lower_bound": values.pop("lower_bound"), "gap": gap} | values
    return eta, _wide.scalar("the bound", (bound, power)), certificate


def _checked_prefix(prefix: ArrayLike | None, T: int) -> Array:
    if prefix is None or (not _check.is_scalar(prefix) and np.size(_check.numbers("prefix", prefix)) == 0):
        return np.zeros(0)
    taken = _check.array("prefix", prefix)
    if taken.size >= T:
        raise ValueError(f"prefix must have fewer than T = {T} rates, got {taken.size}")
    return taken


def _units(
    G: Array, D: float, prefix: Array, cap: float | None, monotone: bool
) -> tuple[Array, float, Array, float | None, int, int]:
    """The problem with its largest norm and its longest step or D about 1, the power of two that rates have to be multiplied by
    afterwards, and that of bounds; as it is, where all its numbers are ordinary."""
    rate_power = power = 0
    if G.min() < SPAN * G.max():
        raise ValueError(f"G must not span more than {-math.log10(SPAN):.0f} powers of ten, got {G.min():g} to {G.max():g}")
    if not _wide.ordinary(G, D, prefix):
        steps, lengths = _wide.product(_wide.wide(prefix), _wide.wide(G[: prefix.size]))
        b, c = int(np.frexp(G.max())[1]), max([math.frexp(D)[1], *lengths[steps > 0].tolist()])
        rate_power, power = c - b, b + c
        prefix = _wide.value("prefix", (prefix, np.full(prefix.size, -rate_power)), small=True)
        G, D = np.ldexp(G, -b), max(math.ldexp(D, -c), 1e-30)  # a D so small is nothing beside the steps
        cap = None if cap is None else float(_wide.shifted(cap, -rate_power))
        cap = None if cap == math.inf else cap
    for name, top in (("cap", cap), ("prefix", prefix[-1] if monotone and prefix.size else None)):
        if top is not None and top < TIGHT * D / G.max():
            what = "end with" if name == "prefix" else "be"
            raise ValueError(f"{name} must {what} at least {TIGHT:g} D/G, got {float(_wide.shifted(top, rate_power)):g}")
    if prefix.size and prefix.max() * G.max() > D / TIGHT:
        raise ValueError(f"prefix must be at most {1 / TIGHT:g} D/G, got {float(_wide.shifted(prefix.max(), rate_power)):g}")
    return G, D, prefix, cap, rate_power, power


def _best(
    G: Array, D: float, prefix: Array, cap: float | None, monotone: bool, warmup: int, method: str | None
) -> tuple[Array, float | None, dict[str, float]]:
    """(rates, lower bound, the solver's values) of a problem in units; the lower bound is None where it is the rates' own."""
    k, n = prefix.size, G.size - prefix.size
    P = _program.dual_recursion(G[k:])
    S = bounds.best_tail(prefix, G[:k], D, P[0])
    free = _program.touching(G[k:], P, S)
    loose = method is None and cap is not None and cap > LOOSE * free.max()
    if method is None:
        rates = _program.at_cap(G, D, prefix, _program.highest(prefix, cap, monotone), warmup)
        if rates is not None:
            return rates, None, {}
    if method == "recursion" or (loose and not monotone and warmup < 2):
        if free[-1] == 0:
            raise ValueError("G must not fall and rise so far: the best rates span more powers of ten than float64 has")
        lower_bound = _program.lower_bound(G, D, prefix, S) if k else D * math.sqrt(P[0])
        return np.append(prefix, free), lower_bound, {}
    rates, lower_bound, more, gap, failed = np.zeros(0), 0.0, {}, math.inf, None
    in_blocks = (_program.blocks(n, warmup), None) if n > _program.FULL else (None,)
    for blocks, falling in itertools.product(in_blocks, (False, True) if monotone else (False,)):
        try:
            found, c, constant, primal, dual = _program.solve(
                G, D, prefix, None if loose else cap, monotone, warmup, blocks, falling
            )
        except RuntimeError as error:
            failed = error
            continue
        below = _program.lower_bound(G, D, prefix, float(found[k:].sum()), c, constant)
        over = bounds.omega(found, G, D, horizons=G.size) / below - 1 if below > 0 else math.inf
        if over < gap or not rates.size:
            rates, lower_bound, more, gap = found, below, {"solver_primal": primal, "solver_dual": dual}, over
        if gap < GAP:
            break
    if failed and not rates.size:
        raise failed
    if loose and cap is not None and rates[k:].max() > cap:  # it binds after all
        return _best(G, D, prefix, cap, monotone, warmup, "clarabel")
    return rates, lower_bound, more


class DegenerateSchedule(UserWarning):
    """The gradient norms do not make a schedule that one would train with; the message says why."""


def refine(grad_norms: ArrayLike, power: float = 2, window: float = 0.1, horizon: int | None = None) -> Array:
    """Schedule from the gradient norms of a finished run: weights w = Ĝ^−power, Ĝ the norms through a median filter.

        η_t = w_t · Σ_{p>t} w_p,   divided by its maximum;   w_t = Ĝ_t^−power

    Equal norms give linear decay, norms that fall early give warmup, norms that rise late give annealing. η_T is 0.

    Args:
        grad_norms: shape (n,), n >= 2, > 0: l2 norms with power 2 (SGD, Algorithm 1), l1 norms with power 1 (Adam, Algorithm 2).
            One a step, or at even intervals.
        power: exponent, > 0.
        window: length of the median filter as a fraction of n, in [0, 1]; the norms are continued by the first one before the
            first step, and mirrored behind the last.
        horizon: T, an integer in 2..10⁸: the smoothed norms are interpolated to so many steps. By default n.

    Returns:
        Array of shape (T,), peak 1.

    Raises:
        ValueError: on fewer than two norms, a norm that is not positive and finite (how many, and where), or a bad argument.

    Warns:
        DegenerateSchedule: where the peak is in the last tenth of the run (norms that vanish at the end, as where a model fits
            its training data exactly), or the window has fewer than three norms, so that nothing is smoothed.

    Source: Defazio et al. 2023, Algorithms 1 and 2; figure 5 for the late peak.

    >>> refine([1.0, 1.0, 1.0, 1.0, 1.0], window=0)
    array([1.  , 0.75, 0.5 , 0.25, 0.  ])
    >>> refine([2.0, 1.0, 1.0, 1.0, 2.0], window=0).round(3)
    array([0.361, 1.   , 0.556, 0.111, 0.   ])
    """
    norms = smooth(grad_norms, window)
    power = _check.real("power", power, 0.0, open_low=True)
    T = _check.steps("horizon", norms.size if horizon is None else horizon, 2)
    if 0 < window * norms.size < 3:
        said = f"a window of {window:g} of {norms.size} norms has fewer than three of them: nothing is smoothed"
        warnings.warn(said, DegenerateSchedule, stacklevel=2)
    if norms.size != T:  # a norm stands for the middle of its part of the run
        n = norms.size if norms.max() > 1e280 else 1  # places in steps, so that no slope between two of them leaves float64
        norms = np.interp(n * (np.arange(T) + 0.5) / T, n * (np.arange(norms.size) + 0.5) / norms.size, norms)
    eta = _products(norms, power)
    peak = int(eta.argmax()) + 1
    if peak > 0.9 * T:
        said = f"the schedule is a spike at step {peak} of {T}: the norms all but vanish at the end"
        warnings.warn(said, DegenerateSchedule, stacklevel=2)
    return eta / eta.max()


def _products(norms: Array, power: float) -> Array:
    """w_t Σ_{p>t} w_p up to a factor, w = norms^−power, without a weight that leaves float64."""
    with np.errstate(over="ignore", under="ignore"):
        weights = (norms / norms.min()) ** -power  # at most 1
    if weights.min() >= SAFE:
        return weights * np.append(np.cumsum(weights[:0:-1])[::-1], 0.0)
    # In logarithms, base 2. Going backwards from the end, a sum is in units of 2^base, and base moves up, as often as it must,
    # to a weight that is 2^500 times as large: what it loses by that is nothing beside that weight.
    (m, e), low = np.frexp(norms), np.argmin(norms)
    log = -min(power, 1e280) * ((e - e[low]) + np.log2(m / m[low]))  # of a larger power the limit is the same
    behind = log[:0:-1]
    highest = np.maximum.accumulate(behind)
    sums, bases, start, carried = np.empty(behind.size), np.empty(behind.size), 0, 0.0
    while start < behind.size:
        base = behind[start]
        stop = int(np.searchsorted(highest, max(base + 500, np.nextafter(base, np.inf)), side="right"))
        part = np.exp2(behind[start:stop] - base)
        part[0] += carried
        sums[start:stop], bases[start:stop] = np.cumsum(part), base
        if stop < behind.size:
            carried = sums[stop - 1] * np.exp2(base - behind[stop])
        start = stop
    whole = log[:-1] + bases[::-1]
    height = whole + np.log2(sums[::-1])
    return np.append(np.exp2(whole - height.max()) * sums[::-1], 0.0)


def smooth(grad_norms: ArrayLike, window: float = 0.1) -> Array:
    """Gradient norms through the median filter of `refine`: args, raises and source as there.

    Returns:
        Array of shape (n,).

    >>> smooth([1.0, 9.0, 1.0, 1.0, 1.0, 1.0], window=0.5)
    array([1., 1., 1., 1., 1., 1.])
    """
    from scipy.ndimage import median_filter  # here: most of this module needs NumPy alone

    norms = np.asarray(_check.numbers("grad_norms", grad_norms), dtype=np.float64)
    window = _check.real("window", window, 0.0, 1.0)
    if norms.ndim != 1 or norms.size < 2:
        raise ValueError(f"grad_norms must be a 1-D array of two or more, got shape {norms.shape}")
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if bad.size:
        said = f"{bad.size} are not, the first at step {bad[0] + 1} ({norms[bad[0]]})"
        raise ValueError(f"grad_norms must be positive and finite: {said}")
    half = _check.floor(window * norms.size) // 2
    padded = np.concatenate([np.full(half, norms[0]), norms, norms[::-1][:half]])
    return median_filter(padded, 2 * half + 1)[half : half + norms.size]
