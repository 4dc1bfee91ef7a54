r"""The convex program behind `design.optimal`: the schedule that minimises Ω_T under constraints, and a lower bound as proof.

With tail sums A_k = Σ_{t≥k} η_t, Ω_T is D²/(2A_1) + ½[η_T G_T² + Σ_k η_k² G_k²/A_{k+1}], quadratics over linear terms: a
second-order cone program. `solve` gives it to Clarabel. Long horizons are solved in blocks of equal rates, short ones at the
end and longer ones away from it; a block of m steps with sum x counts as x²/(m (A + (m − 1)x/(2m))), A the sum behind it.

`lower_bound` needs no solver. For any multipliers ≥ 0 of the constraints (λ of the cap, μ of monotony, ω of the warmup) put

    c_t = μ_t − μ_{t−1} − λ_t − ω_t    (and + Σ ω_s s/W at the end of the warmup, t = W),
    P_T = G_T² − 2c_T,   G_k² u_k = e/(1 + √(1 + e/G_k²)) with e = (P_{k+1} + 2c_k)⁺,   P_k = P_{k+1} − G_k² u_k².

Then c_k = u_k G_k² − P_k/2 (or less, where u_k = 0), and by the supporting lines in `design` Ω_T(η) ≥ D²v + Σ_t c_t η_t for
every η ≥ 0, with v = √P_1/D; on the feasible schedules Σ c_t η_t ≥ −cap·Σλ. Without constraints that is the recursion of
`design`. Steps of a prefix have fixed rates, so that any u_k will do there. The multipliers come from the solver; where it
errs the bound is lower, never wrong.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from lastiterate import _extras
from lastiterate.bounds import best_tail, omega, optimal_lr, prefix_terms

FULL = 5000  # free steps up to which each has a rate of its own in the program at once
GROWTH = 0.005  # of the blocks beyond: length over distance from the end (and from the start, where there is a warmup)
HINT = "without cap, monotone and warmup use method='recursion'"
GROUPS = 2000  # into which a long prefix is summed
NONE = np.zeros(0)

Array = NDArray[np.float64]


def lower_bound(G: Array, D: float, prefix: Array = NONE, S: float = 1.0, c: Array | None = None, constant: float = 0.0) -> float:
    """Value that Ω of no feasible schedule is below; see above.

    Args:
        G: shape (T,).
        D: distance.
        prefix: rates of the first steps, shape (k,).
        S: sum of the other rates, at which the lines touch.
        c: the combination of multipliers for the free steps, shape (T − k,); zeros by default.
        constant: what the multipliers take away, cap·Σλ and the like.
    """
    k = prefix.size
    P = dual_recursion(G[k:], c)[0]
    if k == 0:
        return D * math.sqrt(max(P, 0.0)) - constant
    after = prefix_terms(prefix, G[:k])[1]
    u = prefix / (after + S)
    squares = np.square(G[:k] * u)
    if squares.sum() > P:  # other u_k will do as well, and no v needs P_1 < 0
        u, squares = u * math.sqrt(P / squares.sum()), squares * (P / squares.sum())
    v = math.sqrt(max(P - squares.sum(), 0.0)) / D
    P_before = D**2 * v**2 + np.append(0.0, np.cumsum(squares)[:-1])
    return D**2 * v + float(np.sum((u * np.square(G[:k]) - 0.5 * P_before) * prefix)) - constant


def dual_recursion(G: Array, c: Array | None = None) -> Array:
    """P_1 … P_T, backwards; with c = 0 the recursion of `design`."""
    P = np.square(G)
    squares = P.tolist()
    combined = [0.0] * len(squares) if c is None else c.tolist()
    last = P[-1] = max(squares[-1] - 2 * combined[-1], 0.0)
    for k in range(len(squares) - 2, -1, -1):
        g, excess = squares[k], last + 2 * combined[k]
        if excess > 0:  # elsewhere u_k = 0 will do, and P_k = P_{k+1}
            last = 2 * (excess / (1 + math.sqrt(1 + excess / g)) - combined[k])
        P[k] = last
    return P


def highest(prefix: Array, cap: float | None, monotone: bool) -> float:
    """What a cap, or the last rate of a prefix where rates must not rise, allows at most."""
    return min(math.inf if cap is None else cap, float(prefix[-1]) if monotone and prefix.size else math.inf)


def at_cap(G: Array, D: float, prefix: Array, cap: float, warmup: int) -> Array | None:
    """The largest rates under a cap (and a warmup), where they are the best ones; else None.

    Ω is convex, so they are where no rate that is lowered lowers it: where the derivative by each rate is at most 0,

        ∂Ω/∂η_j = −D²/(2A_1²) − ½ Σ_{k<j} η_k²G_k²/A_{k+1}² + η_j G_j²/A_{j+1}     (the last term ½ G_T² for j = T),

    and during a warmup of W steps, where a lower η_W lowers all before it, Σ_{t≤W} t/W ∂Ω/∂η_t as well.
    """
    if cap == math.inf:
        return None
    rates = np.append(prefix, np.full(G.size - prefix.size, cap))
    if warmup:
        rates[:warmup] *= np.arange(1, warmup + 1) / warmup
    tail = np.cumsum(rates[::-1])[::-1]
    pulled = np.append(0.0, np.cumsum(np.square(rates[:-1] * G[:-1] / tail[1:])))
    slope = np.append(rates[:-1] * np.square(G[:-1]) / tail[1:], 0.5 * G[-1] ** 2) - 0.5 * ((D / tail[0]) ** 2 + pulled)
    slope = slope[prefix.size :]
    if warmup:
        slope[warmup - 1] = slope[:warmup] @ np.arange(1, warmup + 1) / warmup
    return rates if slope.max() <= 0 else None


def solve(
    G: Array,
    D: float,
    prefix: Array,
    cap: float | None,
    monotone: bool,
    warmup: int,
    blocks: NDArray[np.int_] | None = None,
    falling: bool = False,
) -> tuple[Array, Array, float, float, float]:
    """(rates, c, constant, primal, dual): the program's solution, what `lower_bound` needs, and the solver's own values.

    `falling` takes its units from rates that do not rise, for norms that jump from step to step.
    """
    cp: Any = _extras.require("cvxpy", "solvers")  # slow to import, and only needed here
    _extras.require("clarabel", "solvers")

    k, n = len(prefix), G.size - len(prefix)
    m = np.ones(n, int) if blocks is None else blocks
    edges = np.append(0, np.cumsum(m))
    # Units, in which everything is about 1 and Clarabel keeps its digits: the solution without constraints, or where a cap is
    # far below it, equal rates at the cap.
    P = dual_recursion(G[k:])
    unit, allowed = best_tail(prefix, G[:k], D, P[0]), highest(prefix, cap, monotone) * n
    shape = touching(G[k:], P, 1.0) if unit < allowed else np.full(n, 1 / n)
    if falling and unit < allowed:
        start = warmup - 1 if warmup else 0
        shape[start:] = isotonic_regression(shape[start:], increasing=False).x
        shape[:start] = np.arange(1, start + 1) / max(warmup, 1) * shape[start]
        unit = unit if k else min(allowed, optimal_lr(shape, G, D)[0] * float(shape.sum()))
    unit, typical = min(unit, allowed), np.add.reduceat(shape, edges[:-1])  # sums over blocks
    sums = np.cumsum(typical[::-1])[::-1]
    weight = np.add.reduceat(np.square(G[k:]), edges[:-1]) / m * unit**2 / D**2 / m
    y = cp.Variable(m.size)  # A at the start of each block; sums over blocks are their differences, which keeps it sparse
    x = cp.multiply(sums / typical, y) - cp.multiply(np.append(sums[1:], 0) / typical, cp.hstack([y[1:], 0]))
    inverse, total = cp.Variable(), y[0] + float(prefix.sum()) / unit
    constraints = [x >= 0, cp.SOC(inverse + total, cp.hstack([2, inverse - total]))]
    objective = inverse + weight[-1] * m[-1] * typical[-1] * x[-1]
    if m.size > 1:
        share = (m - 1) / (2 * m) * typical
        height = sums[1:] + share[:-1]
        behind = cp.multiply(sums[1:] / height, y[1:]) + cp.multiply(share[:-1] / height, x[:-1])
        z = cp.Variable(m.size - 1, nonneg=True)
        constraints.append(cp.SOC(z + behind, cp.vstack([2 * x[:-1], z - behind])))
        objective = objective + (weight[:-1] * typical[:-1] ** 2 / height) @ z
    if k:
        noise, after = _grouped(*prefix_terms(prefix, G[:k]))
        height = after / unit + 1
        q, behind = cp.Variable(noise.size, nonneg=True), cp.multiply(1 / height, y[0] + after / unit)
        constraints.append(cp.SOC(q + behind, cp.vstack([np.full(noise.size, 2.0), q - behind])))
        objective = objective + (noise / D**2 / height) @ q
    scale = typical * unit / m  # of the rates
    capped = None if cap is None else x <= cap / scale
    rising = sinking = first = None
    at = 0
    if warmup:
        at = int(np.searchsorted(edges, warmup - 1))  # the block that is step W alone
        centres = (edges[:at] + edges[1 : at + 1] + 1) / 2
        rising = x[:at] <= cp.multiply(centres / warmup * scale[at] / scale[:at], x[at]) if at else None
    if monotone:
        sinking = cp.multiply(scale[at + 1 :] / scale[at:-1], x[at + 1 :]) <= x[at:-1] if m.size > at + 1 else None
        first = x[0] <= prefix[-1] / scale[0] if k else None
    constraints += [constraint for constraint in (capped, rising, sinking, first) if constraint is not None]
    problem = cp.Problem(cp.Minimize(objective), constraints)
    accuracy = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)
    data, chain, inverse_data = problem.get_problem_data(cp.CLARABEL, solver_opts=accuracy)
    solution = chain.solve_via_data(problem, data, solver_opts=accuracy)  # not problem.solve: that drops the dual value
    with warnings.catch_warnings(), contextlib.suppress(cp.error.SolverError):
        warnings.simplefilter("ignore")  # of an inaccurate solution: the certificate's gap says how good it is
        problem.unpack_results(solution, chain, inverse_data)
    if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        raise RuntimeError(f"Clarabel found no optimum for T = {G.size}: status {problem.status}; {HINT}")
    value = D**2 / (2 * unit)

    def multiplier(constraint, scale):  # in units of Ω over a rate
        found = np.zeros(scale.size) if constraint is None else np.atleast_1d(constraint.dual_value)
        return np.maximum(found, 0) * value / scale

    lam, rise = multiplier(capped, scale) / m, multiplier(rising, scale[:at]) / m[:at]
    mu = np.zeros(m.size + 1)  # at the edges of the blocks; linear in between
    mu[0], mu[at + 1 : -1] = multiplier(first, scale[:1])[0], multiplier(sinking, scale[at:-1])
    c = np.repeat(-lam + np.diff(mu) / m, m)
    steps = np.arange(1, n + 1)
    if at:
        fine = np.repeat(rise, m[:at])
        c[: warmup - 1] -= fine
        c[warmup - 1] += float(np.sum(fine * steps[: warmup - 1])) / warmup
    constant = (0.0 if cap is None else cap * float(np.sum(lam * m))) + (mu[0] * prefix[-1] if k else 0.0)
    found = np.maximum(x.value, 0) * scale
    candidates = (
        np.interp(steps, (edges[:-1] + edges[1:] + 1) / 2, found),
        touching(G[k:], dual_recursion(G[k:], c), float(found @ m), c),
    )
    candidates = [np.append(prefix, _feasible(rates, prefix, cap, monotone, warmup)) for rates in candidates]
    candidates = [rates for rates in candidates if rates[-1] > 0]
    if not candidates:
        raise RuntimeError(f"Clarabel found no optimum for T = {G.size}: its last rate is 0; {HINT}")
    rates = min(candidates, key=lambda rates: omega(rates, G, D, horizons=G.size))
    return rates, c, constant, float(solution.obj_val * value), float(solution.obj_val_dual * value)


def touching(G: Array, P: Array, S: float, c: Array | float = 0.0) -> Array:
    """Rates with sum S at which the supporting lines of `lower_bound` touch: η_k = u_k A_{k+1}."""
    u = np.maximum(0.5 * P + c, 0)[:-1] / np.square(G[:-1])
    with np.errstate(over="ignore"):  # rates that are too small for float64: 0
        tail = S / np.cumprod(np.append(1.0, 1 + u))
    return np.append(u * tail[1:], tail[-1])


def blocks(n: int, warmup: int) -> NDArray[np.int_]:
    """Lengths of the blocks for n free steps; step W of a warmup is a block of its own."""
    lengths, at = [], 0
    stops = sorted({s for s in ((warmup - 1, warmup) if warmup else ()) if 0 < s < n} | {n})
    while at < n:
        length = max(1, int(GROWTH * (n - at)))
        if warmup:
            length = min(length, max(1, int(GROWTH * (at + 1))))
        length = min(length, next(s for s in stops if s > at) - at)
        lengths.append(length)
        at += length
    return np.array(lengths)


def _feasible(rates: Array, prefix: Array, cap: float | None, monotone: bool, warmup: int) -> Array:
    """The rates with what a solver's accuracy or the interpolation between blocks leaves of violations taken off."""
    rates = rates.copy()
    top = np.inf if cap is None else cap
    if monotone and len(prefix):
        top = min(top, prefix[-1])
    rates = np.minimum(rates, top)
    start = warmup - 1 if warmup else 0
    if warmup:
        rates[:start] = np.minimum(rates[:start], np.arange(1, warmup) / warmup * rates[start])
    if monotone:
        rates[start:] = np.minimum.accumulate(rates[start:])
    return rates


def _grouped(noise: Array, after: Array) -> tuple[Array, Array]:
    """The terms of a prefix summed in groups of neighbours, with the mean of what is behind them."""
    keep = noise > 0
    noise, after = noise[keep], after[keep]
    if noise.size <= GROUPS:
        return noise, after
    starts = np.unique(np.linspace(0, noise.size, GROUPS, endpoint=False).astype(int))
    sums = np.add.reduceat(noise, starts)
    return sums, np.add.reduceat(noise * after, starts) / sums
