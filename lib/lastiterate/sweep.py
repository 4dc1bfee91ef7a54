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
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from lastiterate import _check, train
from lastiterate._files import write_atomic

ENDED = ("finished", "diverged")
ATTEMPTS = 3  # a worker that is killed takes the others with it: what they had is tried again
LEAST = 10  # steps in common for which a branch is worth its checkpoint
ATTRIBUTES = ["scheduler", "lr", "horizon", "cooldown", "shape", "final", "warmup", "rho", "switch", "power", "baseline"]


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
        folder: of the finished runs; needed for the schedule "refined", which is computed from one of them.
        **options: of `train.configure`, for all rows.

    Returns:
        List of Run.

    Raises:
        ValueError: as `train.configure` and `train.make_schedule`; the message begins with the row's number.
    """
    configurable = {*inspect.signature(train.configure).parameters, "layers", "heads", "width", "context"} - {
        "eta",
        "schedule",
        "shape",
    }
    options = {"compile": train.compiling_pays(sum(row["horizon"] for row in rows))} | options
    found = {}
    for i, row in enumerate(rows):
        given = options | {k: v for k, v in row.items() if k in configurable}
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
        labels = [row.get("set", "")]
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
    from tqdm import tqdm

    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    children, status, running, ready = {}, {}, {}, []
    for job in jobs:
        children.setdefault(job.parent, []).append(job)
    paths = {job.run.name: folder / f"{job.run.name}.parquet" for job in jobs}
    bar = tqdm(total=sum(job.steps for job in jobs), unit="step", disable=None)

    def done(job, word):
        status[job.run.name] = word
        bar.update(job.steps)
        if word not in ENDED:
            tqdm.write(f"{job.run.name}: {word}", file=sys.stderr)
        siblings = [j for j in children.get(job.parent, []) if j.start == job.start]
        if job.parent and all(status.get(j.run.name) in ENDED for j in siblings):
            train.checkpoint_path(paths[job.parent], job.start).unlink(missing_ok=True)
        ready.extend(children.get(job.run.name, []))

    def submit(job):
        out = paths[job.run.name]
        start = train.checkpoint_path(paths[job.parent], job.start) if job.parent else None
        if not out.is_file() and start and not start.is_file():
            if status[job.parent] == "diverged" and train.read_metadata(paths[job.parent])["last_step"] <= job.start:
                return done(job, "diverged")
            if status[job.parent] not in ENDED:
                return done(job, f"not trained, because {job.parent} was not")
            start = None  # the parent was trained before this run was asked for: this one trains all its steps itself
        keep = [j.start for j in children.get(job.run.name, []) if not paths[j.run.name].is_file()]
        running[pool.submit(_train, job.run.config, job.run.rates, str(out), start and str(start), keep)] = job

    lost = list(children.get(None, []))
    for _ in range(ATTEMPTS):
        ready[:], lost = lost, []
        pool = _executor(workers, dask)
        try:
            while ready or running:
                while ready:
                    job = ready.pop(0)
                    try:
                        submit(job)
                    except concurrent.futures.BrokenExecutor:
                        lost.append(job)
                for future in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                    job, error = running.pop(future), future.exception()
                    if isinstance(error, concurrent.futures.BrokenExecutor):
                        lost.append(job)
                    else:
                        done(job, future.result() if error is None else f"failed: {type(error).__name__}: {error}")
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        pool.shutdown()
        if not lost:
            break
    ready[:] = lost
    while ready:  # what is lost, and what branches off it
        job = ready.pop(0)
        done(job, f"not trained, because {job.parent} was not" if status.get(job.parent) else "failed: its worker was killed")
    bar.close()
    return status


def gather(jobs, folder):
    """All logs of a sweep as (config table, log table), as `logs.find` and `logs.load` read them.

    Args:
        jobs: from `plan`.
        folder: of the logs.

    Returns:
        (configs, log): a row a run, and a row a trained step; what a run shares with its `trunk` stands with that.
    """
    configs, tables = [], []
    for job in jobs:
        path = Path(folder) / f"{job.run.name}.parquet"
        config, schedule = job.run.config, dict(job.run.config.schedule)
        row = {"run": job.run.name, "model": config.preset, "dataset": config.corpus}
        row |= {name: schedule.get(name, getattr(config, name, None)) for name in ATTRIBUTES} | {"seed": config.seed}
        row |= {"first_step": job.start + 1, "trunk": job.parent, "status": "diverged", "final_val_loss": np.nan}
        if path.is_file():
            about, table = train.read_metadata(path), pd.read_parquet(path)
            alone = about["first_step"] != job.start + 1
            row |= {"status": about["status"]} | ({"first_step": 1, "trunk": None} if alone else {})
            row |= {"final_val_loss": round(float(table["val_loss"].iloc[-1]), 6)}
            tables.append(table.assign(run=job.run.name))
        configs.append(row)
    log = pd.concat(tables, ignore_index=True)
    return pd.DataFrame(configs), log[["run", *train.COLUMNS]]


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

    if folder is None or not (path := Path(folder) / f"{baseline}.parquet").is_file():
        raise ValueError(f"baseline must be a finished run of this sweep, got {baseline!r}")
    if train.read_metadata(path)["first_step"] > 1:
        raise ValueError(
            f"baseline must be a run that branches off no other: name it before those of the table, got {baseline!r}"
        )
    norms = pd.read_parquet(path)["grad_norm" if power == 2 else "grad_norm_l1"].to_numpy()
    eta = design.refine(norms, power=power, window=window)
    if eta.size != T:
        raise ValueError(f"horizon must be the baseline's, {eta.size}, got {T}")
    return eta, {"scheduler": "refined", "power": power, "baseline": baseline}


def _train(config, rates, out, start, keep):
    """A run, in a worker."""
    try:
        train.train(config, rates, Path(out), start=start and Path(start), keep=keep, progress=False)
    except train.Diverged:
        return "diverged"
    return "finished"


def _last_step(path):
    return train.read_metadata(path)["last_step"]


def _executor(workers, dask):
    if dask:
        try:
            from distributed import Client
        except ImportError:
            raise ValueError('dask needs one more package: pip install "lastiterate[cluster]"') from None
        try:
            client = Client(dask, timeout=10)
        except (OSError, ValueError) as error:
            raise ValueError(f"dask must be the address of a scheduler that answers, got {dask!r} ({error})") from None
        threads = {w["nthreads"] for w in client.scheduler_info(n_workers=-1)["workers"].values()}
        if threads - {1}:
            client.close()
            raise ValueError(f"dask's workers must have one thread each (dask worker --nthreads 1), got {max(threads)}")
        return _DaskPool(client)
    import torch

    gpus, cores = torch.cuda.device_count(), os.cpu_count() or 1
    workers = _check.integer("workers", workers) if workers is not None else gpus or cores
    context = multiprocessing.get_context("spawn")
    turn = context.Value("i", 0)
    settings = (turn, gpus, max(1, cores // workers))
    return concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=settings)


def _begin(turn, gpus, threads):
    """A worker's own GPU, or its share of the cores."""
    with turn.get_lock():
        mine, turn.value = turn.value, turn.value + 1
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(mine % gpus)
    import torch

    torch.set_num_threads(threads)


class _DaskPool:
    """A Dask client with the one method of an executor that `execute` uses."""

    def __init__(self, client):
        self.client, self.pool = client, client.get_executor(pure=False, retries=0)
        self.submit = self.pool.submit

    def shutdown(self, **options):
        self.pool.shutdown(**options)
        self.client.close()


def main(argv=None):
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m lastiterate.sweep", description="Train a table of runs.")
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
        first = runs([row for row in rows if "baseline" not in row], **options)
        jobs = plan(first)
        refined = sum(row["horizon"] for row in rows if "baseline" in row)
        print(describe(jobs))
        if refined:
            print(f"and then {refined:,} steps with schedules refined from these runs")
        if args.dry_run:
            print(tree(jobs))
            return 0
        missing = sum(j.steps for j in jobs if not (Path(args.folder) / f"{j.run.name}.parquet").is_file())
        print(_estimate(first[0], missing + refined, args.workers, args.dask), flush=True)
        status = execute(jobs, args.folder, args.workers, args.dask)
        if refined:
            jobs = plan([*first, *runs([row for row in rows if "baseline" in row], args.folder, **options)])
            status = execute(jobs, args.folder, args.workers, args.dask)
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

    workers = workers or torch.cuda.device_count() or os.cpu_count() or 1
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    seconds = train.seconds_per_step(dataclasses.replace(run.config, compile=False), run.rates)
    torch.set_num_threads(before)
    return f"{steps:,} steps to train, {workers} runs at a time: about {train.duration(seconds * steps / workers)}"


if __name__ == "__main__":
    sys.exit(main())
