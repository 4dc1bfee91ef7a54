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

import math
import warnings

import numpy as np

from lastiterate import _check
from lastiterate.bounds import optimal_lr


def optimal(T, G=1.0, D=1.0, method="recursion"):
    """The schedule that minimises Ω_T, with its learning rate, its bound, and a proof that no schedule has a lower one.

        P_T = G_T²,  P_k = 2P_{k+1}/(1 + √(1 + P_{k+1}/G_k²)),  u_k = P_k/(2G_k²);   Ω* = D√P_1
        A_1 = D/√P_1,  A_{k+1} = A_k/(1 + u_k);   γ*η_k = u_k A_{k+1},  γ*η_T = A_T

    Args:
        T: horizon, an integer >= 1.
        G: bound on the gradient norms, scalar or shape (T,), > 0.
        D: distance to a minimiser, > 0.
        method: "recursion" for the closed form above, exact in O(T); "clarabel" to solve the convex program
            min D²/(2A_1) + ½(A_T G_T² + Σ z_k), z_k A_{k+1} ≥ η_k²G_k², η ≥ 0 with CVXPY and Clarabel instead.

    Returns:
        (eta, bound, certificate). eta: shape (T,), peak 1. bound: Ω_T of `eta` at its best learning rate, a float.
        certificate: a dict with `lr`, the base learning rate γ*; `lower_bound`, a value that Ω_T of no schedule is below
        (the dual solution D√P_1, which does not depend on `eta` or on a solver); `gap`, bound/lower_bound − 1; and for
        "clarabel" its own `solver_primal` and `solver_dual` values.

    Raises:
        ValueError: on bad input or an unknown method.
        RuntimeError: where Clarabel does not reach an optimum.

    Source: Schaipp et al. 2025 (conference version) descends on Ω_T; convexity, the recursion and its proof are this project's.

    >>> eta, bound, certificate = optimal(100)
    >>> round(bound, 6), round(certificate["lr"], 4), certificate["gap"] < 1e-12
    (0.200114, 0.0981, True)
    """
    T = _check.integer("T", T)
    G = _check.grad_norms(G, T, positive=True)
    D = _check.real("D", D, 0.0, open_low=True)
    _check.choice("method", method, ("recursion", "clarabel"))
    P = _dual_recursion(G)
    certificate = {}
    if method == "recursion":
        tail = D / math.sqrt(P[0]) / np.cumprod(np.concatenate([[1.0], 1 + P[:-1] / (2 * G[:-1] ** 2)]))
        rate = np.append(P[:-1] / (2 * G[:-1] ** 2) * tail[1:], tail[-1])
    else:
        rate, certificate["solver_primal"], certificate["solver_dual"] = _solve(G, D)
    eta = rate / rate.max()
    lr, bound = optimal_lr(eta, G, D)
    lower_bound = D * math.sqrt(P[0])
    gap = bound / lower_bound - 1
    if method == "clarabel" and gap > 1e-3:
        raise RuntimeError(f"Clarabel found no optimum (gap {gap:.0e}): G spans too many powers of ten, use method='recursion'")
    return eta, bound, {"lr": lr, "lower_bound": lower_bound, "gap": gap} | certificate


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


def _dual_recursion(G):
    P = np.square(G)
    squares = P.tolist()
    last = squares[-1]
    for k in range(len(squares) - 2, -1, -1):
        last = P[k] = 2 * last / (1 + math.sqrt(1 + last / squares[k]))
    return P


def _solve(G, D):
    """(rates, primal value, dual value) of the convex program, by CVXPY and Clarabel, in units in which A_1 is about 1."""
    import cvxpy as cp  # slow to import, and only needed here

    T = G.size
    unit = D * math.sqrt(T) / math.sqrt(np.mean(G**2))  # of the rates; without it Clarabel loses digits where G falls far
    weight = (G * unit / D) ** 2
    tail = cp.Variable(T)  # A_1, …, A_T; the rates are their differences, which keeps the program sparse
    rate = tail - cp.hstack([tail[1:], 0]) if T > 1 else tail
    inverse, z = cp.Variable(), cp.Variable(max(T - 1, 1), nonneg=True)  # ≥ 1/A_1, ≥ η_k² G_k² / A_{k+1}
    constraints = [rate >= 0, cp.SOC(inverse + tail[0], cp.hstack([2, inverse - tail[0]]))]
    if T > 1:
        noise = cp.multiply(np.sqrt(weight[:-1]), rate[:-1])
        constraints.append(cp.SOC(z + tail[1:], cp.vstack([2 * noise, z - tail[1:]])))
    problem = cp.Problem(cp.Minimize(inverse + weight[-1] * tail[-1] + cp.sum(z)), constraints)
    accuracy = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)
    data, chain, inverse_data = problem.get_problem_data(cp.CLARABEL, solver_opts=accuracy)
    solution = chain.solve_via_data(problem, data, solver_opts=accuracy)  # not problem.solve: that drops the dual value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an inaccurate solution: the certificate's gap says how good it is
        problem.unpack_results(solution, chain, inverse_data)
    if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        raise RuntimeError(f"Clarabel found no optimum for T = {T}: status {problem.status}")
    value = D**2 / (2 * unit)
    return np.maximum(rate.value, 0) * unit, float(solution.obj_val * value), float(solution.obj_val_dual * value)
