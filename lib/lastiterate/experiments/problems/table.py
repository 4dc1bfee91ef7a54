"""Schedules side by side: what each problem ends with at its best rates."""

import numpy as np
import pandas as pd

from lastiterate.experiments.problems import suite


def complete(runs: pd.DataFrame, problem: str) -> bool:
    """Whether all runs of a problem are there: nothing is due.

    >>> complete(pd.DataFrame(columns=[*suite.KEYS, "step", "loss"]), "mri")
    False
    """
    return not any(suite.due(runs, problem, name) for name in suite.names(problem))


def summary(runs: pd.DataFrame, problems: list[str]) -> pd.DataFrame:
    """A row a problem and schedule of `suite.SCHEDULES`, each at its best rate.

    Args:
        runs: the curves that `suite.record` writes.
        problems: keys of PROBLEMS.

    Returns:
        DataFrame with index (problem, schedule) and columns `lr`; `edge`, "" unless it is the lowest or highest tried; `seeds`;
        `loss` and `error`, means over seeds on held-out data at the end, with standard errors `loss_se` and `error_se` and the
        ranks among the problem's schedules `loss_rank` and `error_rank`, from 1.

    Raises:
        ValueError: where a problem has no runs of one of the schedules.
    """
    rows = {}
    for problem, name in ((problem, name) for problem in problems for name in suite.SCHEDULES):
        best = suite.sweep(runs, problem, name)
        ends = {column: suite.curves(runs, problem, name, column).iloc[-1] for column in ("loss", "error")}
        values = {column: end.mean() for column, end in ends.items()} | {
            f"{column}_se": end.sem() for column, end in ends.items()
        }
        rows[problem, name] = {"lr": best.lr, "edge": best.edge, "seeds": len(ends["loss"]), **values}
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["problem", "schedule"])
    ranks = found.groupby("problem")[["loss", "error"]].rank(method="min").astype(int)
    return found.join(ranks.add_suffix("_rank"))


def over_linear(runs: pd.DataFrame, problem: str, name: str, column: str = "loss") -> pd.Series:
    """How far a schedule ends above linear decay: ln of their ratio, of the same seed, each at its best rate; one a seed.

    Args, raises: as `suite.curves`.
    """
    ends = (suite.curves(runs, problem, which, column).iloc[-1] for which in (name, "linear"))
    schedule, linear = map(np.log, ends)
    return (schedule - linear).dropna()
