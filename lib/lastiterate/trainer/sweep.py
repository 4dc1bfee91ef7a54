"""Many runs: a table of (schedule, rate, horizon, seed) becomes a plan that trains shared first steps once.

A table is a CSV file with a run a row, or a TOML file in which each ``[[runs]]`` stands for all combinations of its lists.
Columns are `schedule`, `lr`, `horizon`, `seed`, `set` (a label), parameters of the schedule, and options of `configure`.
The schedule "refined" is computed from the gradient norms of another run of the table, its `baseline`.

Two runs with the same config share the steps up to which their learning rates agree. The plan is the prefix tree of the
rates: the first run trains all its steps, each later one branches off the run that it shares most steps with. `workers` trains
a plan; called again with the same folder, it trains only what is missing.
"""

import dataclasses
import functools
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lastiterate import _check, _extras, _files
from lastiterate._files import write_atomic
from lastiterate.trainer.checkpoint import COLUMNS, read_metadata, trunk_of, write_parquet
from lastiterate.trainer.config import FREE, OPTIONS, Config, configure, make_schedule, run_name
from lastiterate.trainer.machine import compiling_pays
from lastiterate.trainer.table import read_table as read_table

_extras.require("pandas", "logs")
import pandas as pd  # noqa: E402

FIRST = b"run,model,dataset,scheduler,"  # what a table of recorded runs begins with
LEAST = 10  # steps in common for which a branch is worth its checkpoint
PARAMETERS = [
    "cooldown",
    "shape",
    "final",
    "rho",
    "switch",
    "ramp",
    "power",
    "baseline",
]  # of schedules, in the table of recorded runs


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of a sweep: its name, config and rates."""

    name: str
    config: Config
    rates: np.ndarray
    set: str = ""


@dataclasses.dataclass(frozen=True)
class Job:
    """A run and where it begins: after step `start` of the run named `parent`, or at 0."""

    run: Run
    parent: str | None
    start: int
    keep: tuple  # steps after which other runs branch off

    @property
    def steps(self) -> int:
        return self.run.config.horizon - self.start


def runs(
    rows: list[dict], folder: str | os.PathLike | None = None, numbers: Iterable[int] | None = None, **options: Any
) -> list[Run]:
    """Runs of a table's rows, each checked; a run that stands there twice is one run with both labels.

    Args:
        rows: list of dicts, see `read_table`.
        folder: of the finished runs, from one of which the schedule "refined" is computed; without it that schedule is
            constant, which serves to check a table beforehand.
        numbers: of the rows in their table, for messages; by default 1, 2, …
        **options: of `configure`, for all rows.

    Returns:
        List of Run.

    Raises:
        ValueError: as `configure` and `make_schedule`; the message begins with the row's number.
    """
    rows = _check.sequence("rows", rows)
    for row in rows:
        if not isinstance(row, Mapping) or not {"schedule", "horizon"} <= set(row):
            raise ValueError(f"rows must be dicts with 'schedule' and 'horizon', as of `read_table`, got {_check.shown(row)}")
    numbers = list(range(1, len(rows) + 1) if numbers is None else numbers)
    steps = sum(row["horizon"] for row in rows if isinstance(row["horizon"], int))
    options = {"compile": compiling_pays(steps)} | options if not any("compile" in row for row in rows) else options
    found = {}
    for number, row in zip(numbers, rows, strict=True):
        given = {k: v for k, v in row.items() if k in OPTIONS} | options
        parameters = {k: v for k, v in row.items() if k not in OPTIONS.keys() | {"schedule", "horizon", "set"}}
        try:
            T = _check.steps("horizon", row["horizon"])
            make = functools.partial(_refined, folder) if row["schedule"] == "refined" else make_schedule
            eta, attributes = make(row["schedule"], T, **parameters)
            config, rates = configure(eta, attributes, **given)
        except ValueError as error:
            raise ValueError(f"run {number} of the table: {error}") from None
        name = run_name(config)
        labels = [str(row.get("set", ""))]
        if name in found:
            if found[name].config != config or not np.array_equal(found[name].rates, rates):
                raise ValueError(f"run {number} of the table: another run has the name {name!r}, too")
            labels = [*found[name].set.split(" + "), *labels]
        found[name] = Run(name, config, rates, " + ".join(dict.fromkeys(filter(None, labels))))
    return list(found.values())


def check_baselines(runs: list[Run]) -> None:
    """A ValueError where the baseline of a refined schedule is no other run, is refined itself, or has another horizon."""
    first = {run.name: run for run in runs if run.config.schedule["scheduler"] != "refined"}
    for run in runs:
        if (name := run.config.schedule.get("baseline")) is None:
            continue
        if name not in first:
            raise ValueError(f"baseline must be one of the table's other runs, and not refined itself, got {name!r}")
        if (T := first[name].config.horizon) != run.config.horizon:
            raise ValueError(f"horizon of {run.name} must be its baseline's, {T}, got {run.config.horizon}")


def plan(runs: list[Run]) -> list[Job]:
    """Which run branches off which, so that no step is trained twice.

    Args:
        runs: list of Run.

    Returns:
        List of Job; a parent stands before its children.
    """
    groups, branches = {}, {run.name: set() for run in runs}
    parents = {}
    for run in runs:
        config = {k: v for k, v in dataclasses.asdict(run.config).items() if k not in FREE}
        before = groups.setdefault(json.dumps(config, sort_keys=True), [])
        shared = [min(_shared(run.rates, other.rates), run.config.horizon - 1) for other in before]
        best = int(np.argmax(shared)) if shared else 0  # the first of several is the one that trained these steps
        parents[run.name] = None, 0
        if shared and shared[best] >= LEAST:
            parents[run.name] = before[best].name, shared[best]
            branches[before[best].name].add(shared[best])
        before.append(run)
    return [Job(run, parent, start, tuple(sorted(branches[run.name]))) for run in runs for parent, start in [parents[run.name]]]


def describe(jobs: list[Job]) -> str:
    """The plan as text: runs, steps alone and shared, in all and for each set planned by itself.

    Raises:
        ValueError: where jobs is not a list of Job, from `plan`, or is empty.
    """
    jobs = _jobs(jobs)
    lines = [_savings("all", jobs)]
    labels = dict.fromkeys(label for job in jobs for label in job.run.set.split(" + ") if label)
    for label in labels:
        lines.append(_savings(label, plan([job.run for job in jobs if label in job.run.set.split(" + ")])))
    return "\n".join(lines)


def tree(jobs: list[Job]) -> str:
    """The plan as a tree of runs, one a line."""
    children = {}
    for job in _jobs(jobs):
        children.setdefault(job.parent, []).append(job)

    def lines(parent, depth):
        for job in children.get(parent, []):
            begin = f"from step {job.start} on, {job.steps} steps" if job.parent else f"{job.steps} steps"
            yield f"{'  ' * depth}{job.run.name}  ({begin})"
            yield from lines(job.run.name, depth + 1)

    return "\n".join(lines(None, 0))


def gather(jobs: list[Job], folder: str | os.PathLike) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All logs of a sweep as (config table, log table), as `logs.find` and `logs.load` read them.

    Args:
        jobs: from `plan`.
        folder: of the logs.

    Returns:
        (configs, log): a row a run, and a row a logged step; what a run shares with its `trunk` stands with that.
    """
    configs, tables, jobs = {}, [], _jobs(jobs)
    several = {job.run.config.optimizer for job in jobs} != {"adamw"}
    for job in jobs:
        name, config, schedule = job.run.name, job.run.config, job.run.config.schedule
        row = {"run": name, "model": config.preset, "dataset": config.corpus, "scheduler": schedule["scheduler"]}
        row |= {"lr": config.lr, "horizon": config.horizon, "warmup": config.warmup, "seed": config.seed}
        row |= ({"optimizer": config.optimizer} if several else {}) | {k: schedule.get(k) for k in PARAMETERS}
        path = Path(folder) / f"{name}.parquet"
        if path.is_file():
            about, table = read_metadata(path), pd.read_parquet(path)
            trunk, first_step = trunk_of(about["parent"]), about["first_step"]
            if trunk is None and job.parent and _repeats(table, whole_log(folder, job.parent)[0], job.start):
                trunk, first_step, table = job.parent, job.start + 1, table[table["step"] > job.start]  # as if asked for at once
            if trunk and trunk not in configs:
                raise ValueError(f"run {name} branched off {trunk}, which is not in the table")
            row |= {"first_step": first_step, "trunk": trunk, "status": about["status"]}
            row |= {"final_val_loss": round(float(table["val_loss"].iloc[-1]), 6)}
            tables.append(table.assign(run=name))
        else:
            diverged = job.parent and configs[job.parent]["status"] == "diverged"
            row |= {"first_step": job.start + 1, "trunk": job.parent, "status": "diverged" if diverged else "not trained"}
        configs[name] = row
    if not tables:
        raise ValueError(f"folder {folder} has no log of these runs")
    log = pd.concat(tables, ignore_index=True)
    return pd.DataFrame(configs.values()), log.loc[:, ["run", *COLUMNS]]


def record(jobs: list[Job], folder: str | os.PathLike, to: str | os.PathLike, every: int = 1) -> None:
    """Write a sweep's runs as `to`.csv (configs) and `to`.parquet (log), each atomically.

    Args:
        jobs, folder: as `gather`.
        to: name of the files, without a suffix.
        every: of the log, keep steps whose numbers are multiples of it, and those after which a run was validated.

    Raises:
        ValueError: on a bad argument, or where one of the files is there, and is not one of these.
    """
    every, (table, parquet) = _check.integer("every", every), record_files(to)
    configs, log = gather(jobs, folder)
    log = log[(log["step"] % every == 0) | log["val_loss"].notna()].reset_index(drop=True)
    log["run"] = log["run"].astype("category")
    finished = next(path for job in jobs if (path := Path(folder) / f"{job.run.name}.parquet").is_file())
    about = {k: v for k, v in read_metadata(finished).items() if k in ("packages", "hardware", "config")}
    about["config"] = {k: v for k, v in about["config"].items() if k not in {*FREE, "seed"}}  # of the machine that trained it
    write_parquet(parquet, log, about)
    used = [name for name in configs if name == "trunk" or configs[name].notna().to_numpy().any()]
    write_atomic(table, configs[used].to_csv(index=False).encode())


def record_files(to: str | os.PathLike) -> tuple[Path, Path]:
    """The two files that `record` writes.

    Raises:
        ValueError: where one of them is there and is not of recorded runs, or their folder cannot be written to.
    """
    table, parquet = (_files.writable("record", f"{_check.path('record', to)}{suffix}") for suffix in (".csv", ".parquet"))
    if table.exists() and not table.read_bytes().startswith(FIRST):
        raise ValueError(f"record must not be {str(to)!r}: {str(table)!r} is there and is not of recorded runs: name another")
    if parquet.exists():
        try:
            about = read_metadata(parquet)
        except (ValueError, OSError):
            about = {"status": None}
        if "status" in about:  # of a single run's log
            raise ValueError(
                f"record must not be {str(to)!r}: {str(parquet)!r} is there and is not of recorded runs: name another"
            )
    return table, parquet


def whole_log(folder: str | os.PathLike, name: str) -> tuple[pd.DataFrame, dict]:
    """The log of a run in a sweep's folder, joined to that of the run that it branched off, and its metadata."""
    parts, about, seen, wanted = [], {}, [], name
    while wanted:
        path = Path(folder) / f"{wanted}.parquet"
        if wanted in seen:
            raise ValueError(f"{path} branches off itself")
        if not path.is_file():
            raise ValueError(f"there is no log {path}" + (f", from which {seen[-1]} branched off" if seen else ""))
        found, own = read_metadata(path), pd.read_parquet(path)
        parts.insert(0, own[own["step"] < about["first_step"]] if seen else own)
        seen.append(wanted)
        about, wanted = found, trunk_of(found["parent"])
    return pd.concat(parts, ignore_index=True), read_metadata(Path(folder) / f"{name}.parquet")


def _repeats(table, trunk, start):
    """Whether a run that was asked for after its trunk had ended trained the same steps up to `start` again, bit for bit."""
    trained = [column for column in COLUMNS if column != "val_loss"]  # at the trunk's end it may be validated at other steps
    first, again = (log.loc[log["step"] <= start, trained].reset_index(drop=True) for log in (trunk, table))
    return first.equals(again)


def _jobs(jobs):
    found = _check.sequence("jobs", jobs)
    if not found or not all(isinstance(job, Job) for job in found):
        raise ValueError(f"jobs must be one or more, from `plan`, got {_check.shown(jobs)}")
    return found


def _shared(a, b):
    n = min(len(a), len(b))
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if different.size else n


def _savings(label, jobs):
    alone, shared = sum(job.run.config.horizon for job in jobs), sum(job.steps for job in jobs)
    return f"{label:<20} {len(jobs):>4} runs  {alone:>9,} steps alone  {shared:>9,} shared: {1 - shared / alone:.0%} saved"


def _refined(folder, _, T, /, baseline=None, power=2, window=0.1, **others):
    from lastiterate import design

    if others:
        raise ValueError(f"schedule 'refined' has no parameter {next(iter(others))!r}; it has baseline, power, window")
    if not isinstance(baseline, str):
        raise ValueError(f"baseline of a refined schedule must be the name of another run, got {baseline!r}")
    attributes = {"scheduler": "refined", "power": power, "baseline": baseline}
    if folder is None:
        if T < 2:
            raise ValueError(f"horizon of a refined schedule must be 2 or more, got {T}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of these norms, which are not the run's
            design.refine(np.ones(2), power=power, window=window)  # what is wrong with power or window is said now
        return np.ones(T), attributes
    log, about = whole_log(folder, baseline)
    norms = log["grad_norm" if power == 2 else "grad_norm_l1"].to_numpy()
    if len(norms) < about["config"]["horizon"]:  # not every step was logged
        norms = np.interp(np.arange(1, about["config"]["horizon"] + 1), log["step"], norms)
    eta = design.refine(norms, power=power, window=window)
    if eta.size != T:
        raise ValueError(f"horizon must be the baseline's, {eta.size}, got {T}")
    return eta, attributes
