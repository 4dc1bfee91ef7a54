"""Exact worst case of the last iterate, by performance estimation: how much of Ω is loss in the proof."""

from __future__ import annotations

import csv
import io
import math
import os
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, _extras, _wide, schedules
from lastiterate.bounds import optimal_lr

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("schedule", "T", "t", "lr", "exact")  # of a table
SCHEDULES = ("wsd", "cosine", "linear", "constant", "inverse_sqrt")  # in the committed one
LONG = 2.0**10  # steps in units D = G = 1, above which the longest of them is the unit


def exact(eta: ArrayLike, G: ArrayLike = 1.0, D: float = 1.0) -> float:
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
        ValueError: on bad input, or where float64 cannot hold the result.
        RuntimeError: where the solver does not reach an optimum.
        MissingExtra: where PEPit, CVXPY or Clarabel are not installed.

    Source: Schaipp et al. 2025, section 3.3 and figure 7; B. Goujaud et al., PEPit, Mathematical Programming Computation 2024.

    >>> import numpy as np
    >>> T, gamma = 5, 0.3                       # linear decay with η_t = γ(1 − t/T): D²/(2γT) + γG²/2 is the exact worst case
    >>> worst = exact(gamma * (1 - np.arange(1, T + 1) / T))
    >>> bool(np.isclose(worst, 1 / (2 * gamma * T) + gamma / 2, rtol=1e-6))
    True
    """
    eta = _check.schedule(eta)
    G = _check.grad_norms(G, eta.size, positive=True)
    D = _check.distance(D)
    for solver in ("cvxpy", "clarabel"):
        _extras.require(solver, "solvers")
    PEP = _extras.require("PEPit", "solvers").PEP  # slow to import, and only needed here
    from PEPit.functions import ConvexFunction

    # Solved in units in which max G and the longer one of D and the longest step are about 1, so that accuracy does not depend on
    # the caller's.
    unit = _wide.wide(G.max())
    norms = _wide.value("G", _wide.quotient(_wide.wide(G), unit), small=True)
    in_D = _wide.quotient(_wide.product(_wide.wide(eta), unit), _wide.wide(D))
    power = int(np.max(in_D[1][in_D[0] > 0]))
    power = power if power > math.log2(LONG) else 0
    steps, distance = _wide.shifted(in_D[0], in_D[1] - power), math.ldexp(1.0, -min(power, 40))

    problem = PEP()
    f = problem.declare_function(ConvexFunction)
    minimiser = f.stationary_point()
    x = problem.set_initial_point()
    problem.set_initial_condition((x - minimiser) ** 2 <= distance**2)
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
    m, e = _wide.product(_wide.wide(worst), _wide.wide(D), unit)
    return _wide.scalar("the worst case", (m, e + power))


def table(
    path: str | os.PathLike, cases: Iterable[tuple[str, NDArray[np.float64], Sequence[int]]], progress: bool | None = None
) -> pd.DataFrame:
    """Exact worst cases of many schedule prefixes, kept in a CSV file that is added to row by row: restart to go on.

    Args:
        path: CSV file with the columns schedule, T, t, lr, exact; made if it is not there, rows that it has are not redone.
        cases: (name, eta, horizons): the exact worst case of γ* eta[:t], γ* of all of eta, for each t in horizons.
        progress: whether a bar shows how far it is; by default on a terminal.

    Returns:
        The table as a DataFrame, in the order of `cases`.

    Raises:
        ValueError: for a file that is not such a table: it is left as it is.

    Source: this project; figure 7 of Schaipp et al. 2025 is drawn from it.
    """
    pd: Any = _extras.require("pandas", "logs")
    tqdm = _extras.require("tqdm", "logs").tqdm

    from lastiterate._files import write_atomic

    path = _check.path("path", path)
    rows = {row[:3]: row for row in _kept(path)}
    wanted = {(name, eta.size, int(t)): eta for name, eta, horizons in cases for t in horizons}
    hidden = None if progress is None else not progress
    for (name, T, t), eta in tqdm(wanted.items(), desc="exact worst cases", unit="SDP", disable=hidden):
        if (name, T, t) not in rows:
            lr = optimal_lr(eta)[0]
            rows[name, T, t] = (name, T, t, round(lr, 10), round(exact(lr * eta[:t]), 9))
            write_atomic(path, pd.DataFrame(rows.values(), columns=COLUMNS).to_csv(index=False).encode())
    return pd.DataFrame([rows[key] for key in wanted], columns=COLUMNS)


def committed() -> list[tuple[str, NDArray[np.float64], list[int]]]:
    """The cases of the committed table: figure 7 (T = 60) and the reference line of the best-schedule figure (T = 100).

    >>> sum(len(horizons) for _, _, horizons in committed())
    66
    """
    horizons = [*range(1, 60, 5), 60]
    return [(name, getattr(schedules, name)(60), horizons) for name in SCHEDULES] + [("linear", schedules.linear(100), [100])]


def record(path: str | os.PathLike, progress: bool | None = None) -> pd.DataFrame:
    """Compute the committed table (data/worstcase.csv), about 10 minutes; stopped and called again, it goes on.

    Args, returns, raises: as `table`.
    """
    done, cases = len(_kept(_check.path("path", path))), committed()
    n = sum(len(horizons) for _, _, horizons in cases)
    print(f"{n} semidefinite programs, {done} done; about 10 minutes in all; kept in {path}, can be interrupted", flush=True)
    return table(path, cases, progress)


def _kept(path: os.PathLike) -> list[tuple[str, int, int, float, float]]:
    """Rows of a table that is there already."""
    path = _check.path("path", path)
    if path.is_dir():
        raise ValueError(f"path must be a CSV file, got the folder {str(path)!r}")
    if path.suffix.lower() != ".csv":
        raise ValueError(f"path must be a file name that ends in .csv, got {str(path)!r}")
    if not path.exists():
        return []
    try:
        heading, *rows = csv.reader(io.StringIO(path.read_bytes().decode()), strict=True)
        kept = [(name, int(T), int(t), float(lr), float(value)) for name, T, t, lr, value in rows]
    except (ValueError, csv.Error):  # UnicodeDecodeError is a ValueError
        heading, kept = [], []
    if tuple(heading) != COLUMNS or not all(math.isfinite(number) for row in kept for number in row[3:]):
        raise ValueError(f"path must be a table of worst cases, with {','.join(COLUMNS)} and numbers: {str(path)!r} is not one")
    return kept
