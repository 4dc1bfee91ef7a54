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

import warnings

import numpy as np

from lastiterate import _check, _program, bounds

METHODS = ("recursion", "clarabel")
GAP = 1e-6  # relative, up to which a program in blocks is good enough


def optimal(T, G=1.0, D=1.0, prefix=None, cap=None, monotone=False, warmup=None, method=None):
    """The schedule that minimises Ω_T, with its learning rate, its bound, and a proof that no schedule has a lower one.

        P_T = G_T²,  P_k = 2P_{k+1}/(1 + √(1 + P_{k+1}/G_k²)),  u_k = P_k/(2G_k²);   Ω* = D√P_1
        A_1 = D/√P_1,  A_{k+1} = A_k/(1 + u_k);   γ*η_k = u_k A_{k+1},  γ*η_T = A_T

    Behind a prefix of fixed rates the same u_k are best, and the sum A of the free rates solves one equation. The other
    constraints make a convex program (`_program`): up to 5000 free steps, and where G is not smooth, each step has a rate of
    its own in it, beyond that steps come in blocks. `gap` says what is lost at most, blocks and solver together.

    Args:
        T: horizon, an integer >= 1.
        G: bound on the gradient norms, scalar or shape (T,), > 0.
        D: distance to a minimiser, > 0.
        prefix: learning rates γη_1 … γη_k of steps that are taken already, shape (k,), k < T: a run that goes on.
        cap: largest learning rate of the other steps, > 0.
        monotone: whether the rate must never rise (after the prefix or the warmup).
        warmup: W in 1..T: the rate of step t < W is at most t/W times that of step W. Not with a prefix.
        method: "recursion" for the closed form, exact in O(T), the default without cap, monotone and warmup; "clarabel" for
            the convex program by CVXPY and Clarabel.

    Returns:
        (eta, bound, certificate). eta: shape (T,), peak 1. bound: Ω_T of ``certificate["lr"] * eta``, a float.
        certificate: a dict with `lr`, the peak learning rate; `lower_bound`, a value that Ω_T of no schedule under these
        constraints is below, computed without the solver's word; `gap`, bound/lower_bound − 1; and for
        "clarabel" its own `solver_primal` and `solver_dual` values.

    Raises:
        ValueError: on bad input, an unknown method, or "recursion" with a cap, monotone or a warmup.
        RuntimeError: where Clarabel does not reach an optimum.

    Source: Schaipp et al. 2025 (conference version) descends on Ω_T; convexity, the recursion and its proof are this project's.

    >>> eta, bound, certificate = optimal(100)
    >>> round(bound, 6), round(certificate["lr"], 4), certificate["gap"] < 1e-12
    (0.200114, 0.0981, True)
    >>> eta, bound, certificate = optimal(100, prefix=[0.1] * 50)        # 50 steps were taken at rate 0.1
    >>> round(bound, 6), certificate["gap"] < 1e-12
    (0.210854, True)
    """
    T = _check.integer("T", T)
    G = _check.grad_norms(G, T, positive=True)
    D = _check.real("D", D, 0.0, open_low=True)
    prefix = np.zeros(0) if prefix is None or np.size(prefix) == 0 else _check.array("prefix", prefix)
    if prefix.size >= T:
        raise ValueError(f"prefix must have fewer than T = {T} rates, got {prefix.size}")
    cap = None if cap is None else _check.real("cap", cap, 0.0, open_low=True)
    if not isinstance(monotone, bool | np.bool_):
        raise ValueError(f"monotone must be True or False, got {monotone!r}")
    warmup = 0 if warmup is None else _check.integer("warmup", warmup, 1, T)
    if warmup and prefix.size:
        raise ValueError(f"warmup must be None with a prefix, got {warmup}: a run that goes on has had its warmup")
    if monotone and prefix.size and prefix[-1] == 0:
        raise ValueError("prefix must end with a positive rate where monotone is True: all that follows would be 0")
    free = cap is None and not monotone and warmup < 2
    method = ("recursion" if free else "clarabel") if method is None else _check.choice("method", method, METHODS)
    if method == "recursion" and not free:
        raise ValueError("method must be 'clarabel' with cap, monotone or warmup, got 'recursion'")
    k, more = prefix.size, {}
    if method == "recursion":
        P = _program.dual_recursion(G[k:])
        S = bounds.best_tail(prefix, G[:k], D, P[0])
        rates = np.append(prefix, _program.touching(G[k:], P, S))
        lower_bound = _program.lower_bound(G, D, prefix, S) if k else D * float(np.sqrt(P[0]))
    else:
        n = T - k
        for blocks in (_program.blocks(n, warmup), None) if n > _program.FULL else (None,):
            rates, *multipliers, primal, dual = _program.solve(G, D, prefix, cap, monotone, warmup, blocks)
            lower_bound = _program.lower_bound(G, D, prefix, rates[k:].sum(), *multipliers)
            if bounds.omega(rates, G, D, T) < (1 + GAP) * lower_bound:
                break
        more = {"solver_primal": primal, "solver_dual": dual}
    eta, lr = rates / rates.max(), float(rates.max())
    bound = bounds.omega(lr * eta, G, D, T)
    if not k and cap is None:  # then the scale is free, and this is the best one
        lr, bound = bounds.optimal_lr(eta, G, D)
    gap = bound / lower_bound - 1
    if method == "clarabel" and gap > 1e-3:
        raise RuntimeError(
            f"Clarabel found no optimum (gap {gap:.0e}): G or the rates span too many powers of ten; {_program.HINT}"
        )
    return eta, bound, {"lr": lr, "lower_bound": lower_bound, "gap": gap} | more


class DegenerateSchedule(UserWarning):
    """The gradient norms do not make a schedule that one would train with; the message says why."""


def refine(grad_norms, power=2, window=0.1, horizon=None):
    """Schedule from the gradient norms of a finished run: weights w = Ĝ^−power, Ĝ the norms through a median filter.

        η_t = w_t · Σ_{p>t} w_p,   divided by its maximum;   w_t = Ĝ_t^−power

    Equal norms give linear decay, norms that fall early give warmup, norms that rise late give annealing. η_T is 0.

    Args:
        grad_norms: shape (n,), n >= 2, > 0: l2 norms with power 2 (SGD, Algorithm 1), l1 norms with power 1 (Adam, Algorithm 2).
            One a step, or at even intervals.
        power: exponent, > 0.
        window: length of the median filter as a fraction of n, in [0, 1]; the norms are continued by the first one before the
            first step, and mirrored behind the last.
        horizon: T, an integer >= 2: the smoothed norms are interpolated to so many steps. By default n.

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
    T = _check.integer("horizon", norms.size if horizon is None else horizon, 2)
    if 0 < window * norms.size < 3:
        said = f"a window of {window:g} of {norms.size} norms has fewer than three of them: nothing is smoothed"
        warnings.warn(said, DegenerateSchedule, stacklevel=2)
    if norms.size != T:  # a norm stands for the middle of its part of the run
        norms = np.interp((np.arange(T) + 0.5) / T, (np.arange(norms.size) + 0.5) / norms.size, norms)
    weights = (norms / norms.min()) ** -power  # at most 1: nothing overflows
    eta = weights * np.append(np.cumsum(weights[:0:-1])[::-1], 0.0)
    peak = int(eta.argmax()) + 1
    if peak > 0.9 * T:
        said = f"the schedule is a spike at step {peak} of {T}: the norms all but vanish at the end"
        warnings.warn(said, DegenerateSchedule, stacklevel=2)
    return eta / eta.max()


def smooth(grad_norms, window=0.1):
    """Gradient norms through the median filter of `refine`: args, raises and source as there.

    Returns:
        Array of shape (n,).

    >>> smooth([1.0, 9.0, 1.0, 1.0, 1.0, 1.0], window=0.5)
    array([1., 1., 1., 1., 1., 1.])
    """
    from scipy.ndimage import median_filter

    norms = np.asarray(grad_norms, dtype=np.float64)
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
