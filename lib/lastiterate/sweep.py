"""Many runs: a table of (schedule, rate, horizon, seed) becomes a plan that trains shared first steps once.

    python -m lastiterate.sweep TABLE --folder build/sweep --dry-run        # the plan, and the steps that it saves
    python -m lastiterate.sweep TABLE --folder build/sweep                  # on this machine's cores or GPUs
    python -m lastiterate.sweep TABLE --folder SHARED --dask tcp://…:8786   # on a Dask cluster, one thread a worker

TABLE is a CSV file with a run a row, or a TOML file in which each ``[[runs]]`` stands for all combinations of its lists.
Columns are `schedule`, `lr`, `horizon`, `seed`, `set` (a label), parameters of the schedule, and options of `train.configure`.
The schedule "refined" is computed from the gradient norms of another run of the table, its `baseline`.

Two runs with the same config share the steps up to which their learning rates agree. The plan is the prefix tree of the
rates: the first run trains all its steps, each later one branches off the run that it shares most steps with. Called again
with the same folder, a sweep trains only what is missing.
"""

import argparse
import concurrent.futures
import dataclasses
import inspect
import itertools
import json
import multiprocessing
import os
import signal
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from lastiterate import _check, train
from lastiterate._files import write_atomic

ENDED = ("finished", "diverged")
LEAST = 10  # steps in common for which a branch is worth its checkpoint
SHAPE = ("layers", "heads", "width", "context")
PARAMETERS = ["cooldown", "shape", "final", "rho", "switch", "power", "baseline"]  # of schedules, in the table of recorded runs


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of a sweep: its name, config and rates."""

    name: str
    config: train.Config
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
    def steps(self):
        return self.run.config.horizon - self.start


def read_table(path):
    """Rows of a sweep's table, as a list of dicts.

    Args:
        path: .csv with a run a row (what is empty takes its default), or .toml with ``[[runs]]`` of values and lists.

    Raises:
        ValueError: for another suffix, a file that cannot be parsed, or a row without `schedule` or `horizon`.
    """
    path = Path(path)
    if path.suffix == ".csv":
        rows = [{k: v for k, v in row.items() if not pd.isna(v)} for row in pd.read_csv(path).to_dict("records")]
        rows = [{k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in row.items()} for row in rows]
    elif path.suffix == ".toml":
        try:
            sets = tomllib.loads(path.read_text(encoding="utf-8")).get("runs", [])
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path}: {error}") from None
        if not isinstance(sets, list) or not all(isinstance(s, dict) for s in sets):
            raise ValueError(f"table {path}: runs must stand as [[runs]], in two pairs of brackets")
        lists = [{k: v if isinstance(v, list) and k != "milestones" else [v] for k, v in s.items()} for s in sets]
        rows = [dict(zip(s, values, strict=True)) for s in lists for values in itertools.product(*s.values())]
    else:
        raise ValueError(f"table must be a .csv or .toml file, got {str(path)!r}")
    if not rows:
        raise ValueError(f"table {path} has no runs")
    for i, row in enumerate(rows):
        if missing := {"schedule", "horizon"} - set(row):
            raise ValueError(f"table {path}: run {i + 1} has no {missing.pop()!r}; it has {', '.join(row)}")
    return rows


def runs(rows, folder=None, **options):
    """Runs of a table's rows, each checked; a run that stands there twice is one run with both labels.

    Args:
        rows: list of dicts, see `read_table`.
        folder: of the finished runs, from one of which the schedule "refined" is computed; without it that schedule is
            constant, which serves to check a table beforehand.
        **options: of `train.configure`, for all rows.

    Returns:
        List of Run.

    Raises:
        ValueError: as `train.configure` and `train.make_schedule`; the message begins with the row's number.
    """
    configurable = {*inspect.signature(train.configure).parameters, *SHAPE} - {"eta", "schedule", "shape"}
    steps = sum(row["horizon"] for row in rows if isinstance(row["horizon"], int))
    options = {"compile": train.compiling_pays(steps)} | options if not any("compile" in row for row in rows) else options
    found = {}
    for i, row in enumerate(rows):
        given = {k: v for k, v in row.items() if k in configurable} | options
        parameters = {k: v for k, v in row.items() if k not in configurable | {"schedule", "horizon", "set"}}
        try:
            if row["schedule"] == "refined":
                eta, attributes = _refined(folder, row["horizon"], **parameters)
            else:
                eta, attributes = train.make_schedule(row["schedule"], row["horizon"], **parameters)
            config, rates = train.configure(eta, schedule=attributes, **given)
        except (ValueError, TypeError) as error:
            raise ValueError(f"run {i + 1} of the table: {error}") from None
        name = train.run_name(config)
        labels = [str(row.get("set", ""))]
        if name in found:
            if found[name].config != config or not np.array_equal(found[name].rates, rates):
                raise ValueError(f"run {i + 1} of the table: another run has the name {name!r}, too")
            labels = [*found[name].set.split(" + "), *labels]
        found[name] = Run(name, config, rates, " + ".join(dict.fromkeys(filter(None, labels))))
    return list(found.values())


def plan(runs):
    """Which run branches off which, so that no step is trained twice.

    Args:
        runs: list of Run.

    Returns:
        List of Job; a parent stands before its children.
    """
    groups, branches = {}, {run.name: set() for run in runs}
    parents = {}
    for run in runs:
        config = {k: v for k, v in dataclasses.asdict(run.config).items() if k not in train.FREE}
        before = groups.setdefault(json.dumps(config, sort_keys=True), [])
        shared = [min(_shared(run.rates, other.rates), run.config.horizon - 1) for other in before]
        best = int(np.argmax(shared)) if shared else 0  # the first of several is the one that trained these steps
        parents[run.name] = (before[best].name, shared[best]) if shared and shared[best] >= LEAST else (None, 0)
        if parents[run.name][0]:
            branches[before[best].name].add(shared[best])
        before.append(run)
    return [Job(run, *parents[run.name], tuple(sorted(branches[run.name]))) for run in runs]


def describe(jobs):
    """The plan as text: runs, steps alone and shared, in all and for each set planned by itself."""
    lines = [_savings("all", jobs)]
    labels = dict.fromkeys(label for job in jobs for label in job.run.set.split(" + ") if label)
    for label in labels:
        lines.append(_savings(label, plan([job.run for job in jobs if label in job.run.set.split(" + ")])))
    return "\n".join(lines)


def tree(jobs):
    """The plan as a tree of runs, one a line."""
    children = {}
    for job in jobs:
        children.setdefault(job.parent, []).append(job)

    def lines(parent, depth):
        for job in children.get(parent, []):
            begin = f"from step {job.start} on, {job.steps} steps" if job.parent else f"{job.steps} steps"
            yield f"{'  ' * depth}{job.run.name}  ({begin})"
            yield from lines(job.run.name, depth + 1)

    return "\n".join(lines(None, 0))


def execute(jobs, folder, workers=None, dask=None):
    """Train what is missing, several runs at a time; a run that fails is reported, and the others go on.

    Args:
        jobs: from `plan`.
        folder: for the logs, <name>.parquet, and the checkpoints; shared by all machines of a cluster.
        workers: processes on this machine; by default one a GPU, or one for each core.
        dask: address of a Dask scheduler to run on instead; its workers have one thread and, with GPUs, one GPU each.

    Returns:
        {name: "finished", "diverged" or what went wrong}.

    Raises:
        ValueError: where the Dask address does not answer, or its workers have several threads.
    """
    execution = _Execution(jobs, folder)
    while execution.queue:
        lost = execution.work(execution.queue, workers, dask)
        for job in lost:  # a worker was killed, and took the others with it: each alone, to know whose it was
            if execution.work([job], 1, dask):
                execution.end(job, "failed: its worker was killed")
    execution.bar.close()
    return execution.status


class _Execution:
    """The state of a plan under way: which runs have ended and how, and which can begin."""

    def __init__(self, jobs, folder):
        from tqdm import tqdm

        folder = Path(folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        self.paths = {job.run.name: folder / f"{job.run.name}.parquet" for job in jobs}
        self.children = {}
        for job in jobs:
            self.children.setdefault(job.parent, []).append(job)
        self.queue, self.status = list(self.children.get(None, [])), {}
        self.bar = tqdm(total=sum(job.steps for job in jobs), unit="step", disable=None)

    def work(self, queue, workers, dask):
        """Train the runs of a queue, as many at a time as there are workers; returns those that were lost with their worker."""
        pool, places = _executor(workers, dask)
        running, lost = {}, []
        try:
            while (queue and not lost) or running:
                while queue and not lost and len(running) < places:
                    job = queue.pop(0)
                    try:
                        if future := self.begin(job, pool):
                            running[future] = job
                    except concurrent.futures.BrokenExecutor:
                        lost.append(job)
                for future in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                    job, error = running.pop(future), future.exception()
                    if isinstance(error, concurrent.futures.BrokenExecutor):
                        lost.append(job)
                    else:
                        self.end(job, future.result() if error is None else f"failed: {type(error).__name__}: {error}")
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()  # which a run takes as a request to save its state
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        return lost

    def begin(self, job, pool):
        """Submit a run, from its parent's checkpoint if it branches off; None where it ends at once."""
        out, parent = self.paths[job.run.name], job.parent
        start = train.checkpoint_path(self.paths[parent], job.start) if parent else None
        if start and not out.is_file() and not start.is_file():
            if self.status[parent] == "diverged" and _last_step(self.paths[parent]) <= job.start:
                return self.end(job, "diverged")
            if self.status[parent] not in ENDED:
                return self.end(job, f"not trained, because {parent} was not")
            start = None  # the parent was trained before this run was asked for: this one trains all its steps itself
        keep = [j.start for j in self.children.get(job.run.name, []) if not self.paths[j.run.name].is_file()]
        return pool.submit(_train, job.run.config, job.run.rates, str(out), start and str(start), keep)

    def end(self, job, word):
        """Note how a run ended; what branches off it can begin, and what all have branched off from is deleted."""
        self.status[job.run.name] = word
        self.bar.update(job.steps)
        if word not in ENDED:
            self.bar.write(f"{job.run.name}: {word}", file=sys.stderr)
        siblings = [j for j in self.children.get(job.parent, []) if j.start == job.start]
        if job.parent and all(self.status.get(j.run.name) in ENDED for j in siblings):
            train.checkpoint_path(self.paths[job.parent], job.start).unlink(missing_ok=True)
        self.queue.extend(self.children.get(job.run.name, []))


def gather(jobs, folder):
    """All logs of a sweep as (config table, log table), as `logs.find` and `logs.load` read them.

    Args:
        jobs: from `plan`.
        folder: of the logs.

    Returns:
        (configs, log): a row a run, and a row a trained step; what a run shares with its `trunk` stands with that.
    """
    configs, tables = {}, []
    for job in jobs:
        name, config, schedule = job.run.name, job.run.config, job.run.config.schedule
        row = {"run": name, "model": config.preset, "dataset": config.corpus, "scheduler": schedule["scheduler"]}
        row |= {"lr": config.lr, "horizon": config.horizon, "warmup": config.warmup, "seed": config.seed}
        row |= {k: schedule.get(k) for k in PARAMETERS}
        path = Path(folder) / f"{name}.parquet"
        if path.is_file():
            about, table = train.read_metadata(path), pd.read_parquet(path)
            trunk = about["parent"] and Path(about["parent"]).name.rsplit(".", 2)[0]  # of "<run>.<step>.checkpoint"
            if trunk and trunk not in configs:
                raise ValueError(f"run {name} branched off {trunk}, which is not in the table")
            row |= {"first_step": about["first_step"], "trunk": trunk, "status": about["status"]}
            row |= {"final_val_loss": round(float(table["val_loss"].iloc[-1]), 6)}
            tables.append(table.assign(run=name))
        else:
            diverged = job.parent and configs[job.parent]["status"] == "diverged"
            row |= {"first_step": job.start + 1, "trunk": job.parent, "status": "diverged" if diverged else "not trained"}
        configs[name] = row
    if not tables:
        raise ValueError(f"folder {folder} has no log of these runs")
    log = pd.concat(tables, ignore_index=True)
    return pd.DataFrame(configs.values()), log[["run", *train.COLUMNS]]


def record(jobs, folder, to):
    """Write a sweep's runs as `to`.csv (configs) and `to`.parquet (log), each atomically."""
    configs, log = gather(jobs, folder)
    log["run"] = log["run"].astype("category")
    finished = next(path for job in jobs if (path := Path(folder) / f"{job.run.name}.parquet").is_file())
    about = {k: v for k, v in train.read_metadata(finished).items() if k in ("packages", "hardware")}
    about["config"] = {k: v for k, v in dataclasses.asdict(jobs[0].run.config).items() if k not in {*train.FREE, "seed"}}
    train.write_parquet(f"{to}.parquet", log, about)
    empty = [name for name in configs if name != "trunk" and configs[name].isna().all()]
    write_atomic(f"{to}.csv", configs.drop(columns=empty).to_csv(index=False).encode())


def _shared(a, b):
    n = min(len(a), len(b))
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if different.size else n


def _savings(label, jobs):
    alone, shared = sum(job.run.config.horizon for job in jobs), sum(job.steps for job in jobs)
    return f"{label:<20} {len(jobs):>4} runs  {alone:>9,} steps alone  {shared:>9,} shared: {1 - shared / alone:.0%} saved"


def _refined(folder, T, baseline, power=2, window=0.1):
    from lastiterate import design

    attributes = {"scheduler": "refined", "power": power, "baseline": baseline}
    if folder is None:
        return np.ones(T), attributes
    path = Path(folder) / f"{baseline}.parquet"
    if train.read_metadata(path)["first_step"] > 1:
        raise ValueError(f"baseline must be a run that branches off no other: put it first in the table, got {baseline!r}")
    norms = pd.read_parquet(path)["grad_norm" if power == 2 else "grad_norm_l1"].to_numpy()
    eta = design.refine(norms, power=power, window=window)
    if eta.size != T:
        raise ValueError(f"horizon must be the baseline's, {eta.size}, got {T}")
    return eta, attributes


def _train(config, rates, out, start, keep):
    """A run, in a worker."""
    try:
        train.train(config, rates, Path(out), start=start and Path(start), keep=keep, progress=False)
    except train.Diverged:
        return "diverged"
    return "finished"


def _last_step(path):
    """Last step of a log; 0 of a run that diverged with the one that it branched off, and so has none."""
    return train.read_metadata(path)["last_step"] if path.is_file() else 0


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _executor(workers, dask):
    """(pool, number of runs at a time)."""
    if dask:
        try:
            from distributed import Client
        except ImportError:
            raise ValueError('dask needs one more package: pip install "lastiterate[cluster]"') from None
        try:
            client = Client(dask, timeout=10)
        except (OSError, ValueError) as error:
            raise ValueError(f"dask must be the address of a scheduler that answers, got {dask!r} ({error})") from None
        threads = [w["nthreads"] for w in client.scheduler_info(n_workers=-1)["workers"].values()]
        if not threads or max(threads) > 1:
            client.close()
            found = f"workers with {max(threads)} threads" if threads else "no worker"
            raise ValueError(f"dask must have workers with one thread each (dask worker --nthreads 1), got {found}")
        return _DaskPool(client), workers or len(threads)
    import torch

    gpus, cores = torch.cuda.device_count(), _cores()
    workers = _check.integer("workers", workers) if workers is not None else gpus or cores
    context = multiprocessing.get_context("spawn")
    turn = context.Value("i", 0)
    settings = (turn, gpus, max(1, cores // workers))
    return concurrent.futures.ProcessPoolExecutor(workers, context, initializer=_begin, initargs=settings), workers


def _begin(turn, gpus, threads):
    """A worker's own GPU, or its share of the cores."""
    with turn.get_lock():
        mine, turn.value = turn.value, turn.value + 1
    if gpus:  # of those that this process was given
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[mine % gpus]
    import torch

    torch.set_num_threads(threads)


class _DaskPool:
    """A Dask client with the one method of an executor that `execute` uses."""

    def __init__(self, client):
        self.client, self.pool = client, client.get_executor(pure=False, retries=0)
        self.submit = self.pool.submit

    def shutdown(self, wait=True, cancel_futures=False):
        self.pool.shutdown(wait=wait)
        self.client.close()


def main(argv=None, prog="python -m lastiterate.sweep"):
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog=prog, description="Train a table of runs.")
    parser.add_argument("table", help=".csv or .toml")
    parser.add_argument("--folder", default="build/sweep", help="for logs and checkpoints; default %(default)s")
    parser.add_argument("--workers", type=int, help="processes; by default one a GPU, or one a core")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on this Dask cluster instead")
    parser.add_argument("--preset", help="another preset for all runs")
    parser.add_argument("--record", metavar="NAME", help="write NAME.csv and NAME.parquet of all runs at the end")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    args = parser.parse_args(argv)
    options = {"preset": args.preset} if args.preset else {}
    try:
        rows = read_table(args.table)
        every = runs(rows, **options)  # with a stand-in for refined schedules: what is wrong with them is said now
        first = [run for run in every if run.config.schedule["scheduler"] != "refined"]
        names = {run.name for run in first}
        for run in every:
            if (baseline := run.config.schedule.get("baseline")) not in {*names, None}:
                raise ValueError(f"baseline must be one of the table's other runs, got {baseline!r}")
        jobs = plan(first)
        refined = sum(run.config.horizon for run in every) - sum(run.config.horizon for run in first)
        print(describe(jobs))
        if refined:
            print(f"and then {refined:,} steps with schedules refined from these runs")
        if args.dry_run:
            print(tree(jobs))
            return 0
        logged = {run.name for run in every if (Path(args.folder) / f"{run.name}.parquet").is_file()}
        missing = sum(job.steps for job in jobs if job.run.name not in logged)
        missing += sum(run.config.horizon for run in every if run.name not in logged | names)
        print(_estimate(first[0], missing, args.workers, args.dask), flush=True)
        status = execute(jobs, args.folder, args.workers, args.dask)
        if refined:
            ended = {name for name, word in status.items() if word == "finished"}
            rows = [row for row in rows if "baseline" not in row or row["baseline"] in ended]
            jobs = plan(runs(rows, args.folder, **options))
            status |= {run.name: "not trained, because its baseline was not" for run in every if run.name not in status}
            status |= execute(jobs, args.folder, args.workers, args.dask)
        bad = {name: word for name, word in status.items() if word not in ENDED}
        words = list(status.values())
        print(f"{words.count('finished')} finished, {words.count('diverged')} diverged, {len(bad)} failed; logs in {args.folder}")
        if args.record and not bad:
            record(jobs, args.folder, args.record)
            print(f"recorded in {args.record}.csv and {args.record}.parquet")
        return 1 if bad else 0
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from there", file=sys.stderr)
        return 130


def _estimate(run, steps, workers, dask):
    """A line on how long it will take, from a few measured steps."""
    if dask or not steps:
        return f"{steps:,} steps to train"
    import torch

    workers = workers or torch.cuda.device_count() or _cores()
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, _cores() // workers))
    seconds = train.seconds_per_step(dataclasses.replace(run.config, compile=False), run.rates)
    torch.set_num_threads(before)
    train.forget()
    return f"{steps:,} steps to train, {workers} runs at a time: about {train.duration(seconds * steps / workers)}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cluster schedulers send it first: like Ctrl-C
    sys.exit(main())
