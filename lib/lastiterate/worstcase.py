"""Exact worst case of the last iterate, by performance estimation: how much of Ω is loss in the proof."""

import sys
import warnings
from pathlib import Path

import numpy as np

from lastiterate import _check, schedules
from lastiterate.bounds import optimal_lr


def exact(eta, G=1.0, D=1.0):
    """Worst value of f(x_T) − f* over all convex f, all starts and all subgradients that the setting allows.

        max f(x_T) − f(x*)   over f convex, ‖x₁ − x*‖ ≤ D, x_{t+1} = x_t − η_t g_t, g_t ∈ ∂f(x_t), ‖g_t‖ ≤ G_t

    is a semidefinite program in the Gram matrix of x₁ − x*, g_1, …, g_T. PEPit builds it, Clarabel solves it. x_{t+1} uses
    η_t, so η_T moves nothing: the value depends on η_1, …, η_{T−1} only. It never exceeds Ω_T.

    Args:
        eta: schedule times base learning rate, shape (T,). About 1 s at T = 20, 10 s at T = 60, a minute at T = 100.
        G: bound on the gradient norms, scalar or shape (T,), > 0.
        D: bound on the distance to a minimiser, > 0.

    Returns:
        The worst case, a float in units of f, to about 1e-8 relative.

    Raises:
        ValueError: on bad input.
        RuntimeError: where the solver does not reach an optimum.

    Source: Schaipp et al. 2025, section 3.3 and figure 7; B. Goujaud et al., PEPit, Mathematical Programming Computation 2024.

    >>> import numpy as np
    >>> T, gamma = 5, 0.3                       # linear decay with η_t = γ(1 − t/T): D²/(2γT) + γG²/2 is the exact worst case
    >>> worst = exact(gamma * (1 - np.arange(1, T + 1) / T))
    >>> bool(np.isclose(worst, 1 / (2 * gamma * T) + gamma / 2, rtol=1e-6))
    True
    """
    eta = _check.schedule(eta)
    G = _check.grad_norms(G, eta.size, positive=True)
    D = _check.real("D", D, 0.0, open_low=True)
    from PEPit import PEP  # slow to import, and only needed here
    from PEPit.functions import ConvexFunction

    unit = G.max()  # solve in units D = 1, max G = 1, so that accuracy does not depend on the caller's
    steps, norms = eta * unit / D, G / unit

    problem = PEP()
    f = problem.declare_function(ConvexFunction)
    minimiser = f.stationary_point()
    x = problem.set_initial_point()
    problem.set_initial_condition((x - minimiser) ** 2 <= 1)
    for t, (step, norm) in enumerate(zip(steps.tolist(), norms.tolist(), strict=True)):
        g, value = f.oracle(x)
        problem.add_constraint(g**2 <= norm**2)
        if t + 1 < eta.size:
            x = x - step * g
    problem.set_performance_metric(value - f(minimiser))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CVXPY's about how PEPit builds the constraints one by one
        worst = problem.solve(wrapper="cvxpy", solver="CLARABEL", verbose=0)
    if worst is None or not np.isfinite(worst):
        raise RuntimeError(f"Clarabel found no optimum for T = {eta.size}: status {problem.wrapper.prob.status}")
    return float(worst * D * unit)


def table(path, cases):
    """Exact worst cases of many schedule prefixes, kept in a CSV file that is added to row by row: restart to go on.

    Args:
        path: CSV file with the columns schedule, T, t, lr, exact; made if it is not there, rows that it has are not redone.
        cases: list of (name, eta, horizons): the exact worst case of γ* eta[:t], γ* of all of eta, for each t in horizons.

    Returns:
        The table as a DataFrame, in the order of `cases`.

    Source: this project; figure 7 of Schaipp et al. 2025 is drawn from it.
    """
    import pandas as pd
    from tqdm import tqdm

    from lastiterate._files import write_atomic

    path, columns = Path(path), ["schedule", "T", "t", "lr", "exact"]
    kept = pd.read_csv(path).itertuples(index=False, name=None) if path.exists() else []
    rows = {row[:3]: row for row in kept}
    wanted = {(name, eta.size, t): eta for name, eta, horizons in cases for t in horizons}
    for (name, T, t), eta in tqdm(wanted.items(), desc="exact worst cases", unit="SDP", disable=None):
        if (name, T, t) not in rows:
            lr = optimal_lr(eta)[0]
            rows[name, T, t] = (name, T, t, round(lr, 10), round(exact(lr * eta[:t]), 9))
            write_atomic(path, pd.DataFrame(rows.values(), columns=columns).to_csv(index=False).encode())
    return pd.DataFrame([rows[key] for key in wanted], columns=columns)


def main():
    """Recompute the committed table: figure 7 (T = 60) and the reference line of the best-schedule figure (T = 100)."""
    horizons = [*range(1, 60, 5), 60]
    schedules_60 = {
        "wsd": schedules.wsd(60),
        "cosine": schedules.cosine(60),
        "linear": schedules.linear(60),
        "constant": schedules.constant(60),
        "inverse_sqrt": schedules.inverse_sqrt(60),
    }
    cases = [(name, eta, horizons) for name, eta in schedules_60.items()]
    cases.append(("linear", schedules.linear(100), [100]))
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "build/worstcase.csv")
    print(f"{sum(len(c[2]) for c in cases)} semidefinite programs, about 10 minutes in all; kept in {path}, can be interrupted")
    print(table(path, cases).to_string(index=False))


if __name__ == "__main__":
    main()
