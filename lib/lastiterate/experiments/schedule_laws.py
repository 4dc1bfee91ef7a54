"""The bench of the schedule laws: which law, fitted on which runs, predicts which others how well.

A **task** is some rows of ``data/laws_tasks.csv``: runs to fit on and runs to predict, each with the step behind which it is
scored (runs that share a prefix share its losses). `run` fits a law and predicts every test run; `table` makes the leaderboard
of it.
"""

import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lastiterate import _check, laws, logs
from lastiterate._files import write_atomic
from lastiterate.experiments.law_variants import VARIANTS
from lastiterate.laws import curves, interval, multi_power_published, scoring
from lastiterate.logs import published
from lastiterate.logs.formats import read_table

MPL = "multipowerlaw2025"
WARMUP, PEAK, FINAL = 2160, 3e-4, 3e-5  # of the runs of MPL
FIRST = {MPL: 0, "schaipp2025": 2000}  # steps at the start that are never scored; 100 of recorded runs
COLUMNS = [
    "task", "law", "fit", "run", "group", "points", "agreement", "objective", "mae", "mae_all", "pred_e", "r2", "worst",
    "bias", "final", "predicted", "extrapolated",
]  # fmt: skip
TABLE = [
    "task", "law", "fit", "parameters", "floor", "runs", "mae", "mae_low", "mae_high", "mae_all", "final", "bias", "worst", "r2",
    "pred_e", "tau", "regret", "agreement",
]  # fmt: skip
PUBLISHED = {"multi_power": multi_power_published.fit}  # laws with a protocol of their own
FRESH = (  # tasks that were added when the laws and their exponents were settled: nothing was chosen on them
    "half124", "double124", "low124", "sch60", "sch93", "slim60", "slim93", "slim152", "slim360", "extend210", "pico",
)  # fmt: skip


def tasks():
    """The table of tasks: columns task, role ("train" or "test"), source, run, after.

    >>> tasks()["task"].nunique()
    20
    """
    return pd.read_csv(published.recorded("laws_tasks.csv"))


@functools.lru_cache(maxsize=256)
def curve(source, run):
    """One run as a curve for `laws.fit`: the rate of every step, steps scored, losses there.

    Args:
        source: "multipowerlaw2025", "schaipp2025", or the name of recorded runs.
        run: a file of the first; a run of the second, with "@25000" cut off after so many steps; of the last a run's name
            without its seed, for the mean over seeds.

    Returns:
        (lr, steps, losses), arrays; validation losses, but for the first source.

    Raises:
        ValueError: for an unknown source or run.
        published.DataError: where its log cannot be had.
    """
    if source == MPL:
        log = pd.read_csv(published.fetch(MPL, run))
        return mpl_rates(Path(run).stem), log["step"].to_numpy() + 1, log["loss"].to_numpy()
    run, _, cut = run.partition("@")
    found = logs.find(source)
    same = [name for name in found.index if name == run or name.rsplit("-seed", 1)[0] == run]
    if not same:
        raise ValueError(f"run must be one of {source}, got {run!r}")
    log = logs.load(found.loc[same])
    rate = log.dropna(subset="lr").groupby("step")["lr"].mean()
    loss = log.dropna(subset="val_loss").groupby("step")["val_loss"].mean()
    T = int(cut) if cut else int(rate.index[-1])
    loss = loss[(loss.index >= 1) & (loss.index <= T)]
    return curves.rates(rate.index.to_numpy(), rate.to_numpy(), T), loss.index.to_numpy(), loss.to_numpy()


def mpl_rates(name):
    """The rate of every step of a run of Luo et al. 2025, from its name; its log has it for every 128th."""
    kind, *numbers = name.split("_")
    T = 16000 if kind == "wsdcon" else int(numbers[-1])
    step = np.arange(T)
    if kind == "cosine":
        lr = FINAL + (PEAK - FINAL) * 0.5 * (1 + np.cos(np.pi * (step - WARMUP) / (T - WARMUP)))
    elif kind == "wsdcon":
        lr = np.where(step < 8000, PEAK, int(numbers[0]) * 1e-5)
    else:
        x = np.zeros(T) if kind == "constant" else (step - int(numbers[0])).clip(0) / (T - int(numbers[0]))
        lr = PEAK + (FINAL - PEAK) * x if kind == "wsdld" else PEAK * (FINAL / PEAK) ** x
    lr[:WARMUP] = PEAK * step[:WARMUP] / WARMUP
    return lr


def behind(row, everything=False):
    """A row of `tasks` as a curve with the scored steps alone; or all of them but the first, which no task scores."""
    lr, steps, losses = curve(row.source, row.run)
    scored = steps > (FIRST.get(row.source, 100) if everything else row.after)
    return lr, steps[scored], losses[scored]


def run(task, law, fit="common", seed=0):
    """Fit a law on a task's training runs and predict its test runs.

    Args:
        task: a name in `tasks`.
        law: a name in `laws.NAMES`, or a Law.
        fit: "common", or "published" for the law's own protocol (PUBLISHED has those that have one).
        seed: of the starts.

    Returns:
        DataFrame with COLUMNS, a row a test run. Errors are those behind the branch, but `mae_all` and `pred_e`, which count the
        steps that a run shares with a training run, too, as published errors do. `group` is what its final loss is ranked among:
        runs of one source and horizon; `extrapolated` says whether its peak rate was trained.

    Raises:
        ValueError: for an unknown task or law.
        published.DataError: where a log cannot be had.
    """
    listed = tasks()
    rows = listed[listed["task"] == _check.choice("task", task, tuple(listed["task"].unique()))]
    train = [behind(row) for row in rows[rows["role"] == "train"].itertuples()]
    name = law.name if isinstance(law, laws.Law) else law
    maker: dict[str, Any] = {"common": laws.fit} | ({"published": PUBLISHED[name]} if name in PUBLISHED else {})
    made = maker[_check.choice("fit", fit, tuple(maker))](train, law, seed=seed)
    out = []
    for row in rows[rows["role"] == "test"].itertuples():
        lr, steps, losses = behind(row, everything=True)
        predicted, own = made.predict(lr, steps), steps > row.after
        whole = scoring.errors(predicted, losses)
        out.append(
            {
                "task": task, "law": name, "fit": fit, "run": row.run, "group": f"{row.source} {lr.size}",
                "points": int(own.sum()), "agreement": made.agreement, "objective": made.objective, "predicted": predicted[-1],
                "extrapolated": made.extrapolates(lr) is not None,
            } | scoring.errors(predicted[own], losses[own]) | {"mae_all": whole["mae"], "pred_e": whole["pred_e"]}
        )  # fmt: skip
    return pd.DataFrame(out)[COLUMNS]


def floor(task):
    """Noise floor of a task's test runs, in nats: mean over runs of `scoring.noise_floor` of what is scored."""
    listed = tasks()
    rows = listed[(listed["task"] == task) & (listed["role"] == "test")]
    return float(np.nanmean([scoring.noise_floor(behind(row)[2]) for row in rows.itertuples()]))


def record(path, tried=laws.LAWS, report=print):
    """Run every task with every law, and write what `run` returns to a .csv file, after each; what it has already is not run
    again.

    Args:
        path: of the file.
        tried: {name: Law}.
        report: is given a line of text after each.

    Tasks whose logs cannot be had are left out, and named.

    Returns:
        The table.
    """
    done = read_table(path, COLUMNS)
    for task in tasks()["task"].unique():
        for law, how in tried.items():
            for fit in ("common", *(("published",) if law in PUBLISHED and task.startswith("mpl") else ())):
                if ((done["task"] == task) & (done["law"] == law) & (done["fit"] == fit)).any():
                    continue
                try:
                    found = run(task, how, fit)
                except published.DataError as error:
                    print(f"left out: {task}: {error}", file=sys.stderr)
                    break
                done = _in_order(pd.concat([done, found]) if len(done) else found, tried)
                write_atomic(path, done.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())
                mae, final = 1e3 * found["mae"].mean(), 1e3 * found["final"].abs().mean()
                report(f"{task}, {law}, {fit}: MAE {mae:.2f}e-3, final {final:.2f}e-3")
    return read_table(path, COLUMNS)


def _in_order(runs, tried):
    """Rows in the order of tasks and laws, whatever was run first."""
    order = {name: i for i, name in enumerate([*tasks()["task"].unique(), *(laws.LAWS | tried), "common", "published"])}
    return runs.sort_values(["task", "law", "fit"], key=lambda column: column.map(order), kind="stable")


def table(runs):
    """The leaderboard: a row a task, law and fit.

    Args:
        runs: from `record`.

    Returns:
        DataFrame: `floor`, the noise that no law can predict; means over test runs of the errors, `mae_low` and `mae_high` (95
        %, bootstrap over runs), the mean absolute error of the final loss, `tau` and `regret` (`scoring.ranking`), and
        `agreement` of the starts.
    """
    out, floors = [], {task: floor(task) for task in runs["task"].unique()}
    for (task, law, fit), rows in runs.groupby(["task", "law", "fit"], sort=False):
        low, high = scoring.bootstrap(rows["mae"])
        measured = rows["predicted"] - rows["final"]
        tau, regret = scoring.ranking(rows["predicted"], measured, rows["group"])
        out.append(
            {
                "task": task, "law": law, "fit": fit, "parameters": len((laws.LAWS | VARIANTS)[law].parameters),
                "floor": floors[task], "runs": len(rows),
                "mae": rows["mae"].mean(), "mae_low": low, "mae_high": high, "mae_all": rows["mae_all"].mean(),
                "final": rows["final"].abs().mean(), "bias": rows["bias"].mean(), "worst": rows["worst"].max(),
                "r2": rows["r2"].mean(),
                "pred_e": rows["pred_e"].mean(), "tau": tau, "regret": regret, "agreement": rows["agreement"].iloc[0],
            }
        )  # fmt: skip
    return pd.DataFrame(out)[TABLE]


def leaderboard(table):
    """The table as rows of text: mean absolute error and error of the final loss, in thousandths, a row a law, a column a
    task."""
    names = list(dict.fromkeys(table["task"]))
    floors = table.groupby("task")["floor"].first()
    rows = [["law", *names], ["noise", *(f"{1e3 * floors[task]:.1f}" for task in names)]]
    for (law, fit), mine in table.groupby(["law", "fit"], sort=False):
        cells = {row.task: f"{1e3 * row.mae:.1f} / {1e3 * row.final:.1f}" for row in mine.itertuples()}
        rows.append([law if fit == "common" else f"{law}, {fit}", *(cells.get(task, "") for task in names)])
    return rows


def against(table, law="two_clock"):
    """Each law's mean absolute error over that of one of them, on the tasks on which exponents were chosen and on FRESH ones.

    Args:
        table: from `table`; the common fits count.
        law: the one.

    Returns:
        DataFrame, a row a law: `parameters`; `chosen` and `fresh`, geometric means over tasks of the ratio; `chosen_lower` and
        `fresh_lower`, on how many of them it is below 1.
    """
    table = table[table["fit"] == "common"]
    mae = table.pivot(index="law", columns="task", values="mae")
    out = table.groupby("law")[["parameters"]].first()
    for name, some in (("chosen", ~mae.columns.isin(FRESH)), ("fresh", mae.columns.isin(FRESH))):
        ratio = (mae / mae.loc[law]).loc[:, some]
        out[name], out[f"{name}_lower"] = np.exp(np.log(ratio).mean(axis=1)), (ratio < 1).sum(axis=1)
    return out


def coverage(runs):
    """Whether each test run's final loss is held by the interval whose factor was chosen on other tasks, and on none of its runs.

    Args:
        runs: from `record`, with the laws of `interval.PANEL`.

    Returns:
        DataFrame, a row a test run of a task: task, run, extrapolated; measured; predicted, by the first law of the panel;
        range, of the panel's predictions; factor; half, the interval's half width; inside.
    """
    listed, rows = tasks(), runs[(runs["fit"] == "common") & runs["law"].isin(interval.PANEL)]
    predicted = rows.pivot(index=["task", "run"], columns="law", values="predicted")
    first = rows[rows["law"] == interval.PANEL[0]].set_index(["task", "run"])
    out = first[["extrapolated"]].assign(measured=first["predicted"] - first["final"], predicted=first["predicted"])
    out = out.assign(range=predicted.max(axis=1) - predicted.min(axis=1), factor=np.nan).reset_index()
    missed = (out["measured"] - out["predicted"]).abs()
    for (task, extrapolated), here in out.groupby(["task", "extrapolated"]):
        of_task = listed.loc[listed["task"] == task, "run"].str.partition("@")[0]
        others = (out["task"] != task) & ~out["run"].isin(of_task) & (out["extrapolated"] == extrapolated)
        out.loc[here.index, "factor"] = interval.factor(missed[others], out["range"][others], out["predicted"][others])
    half = out["factor"] * out["range"] / 2 + interval.FLOOR * out["predicted"]
    return out.assign(half=half, inside=missed <= half)
