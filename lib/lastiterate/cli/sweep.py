"""`lastiterate sweep`: a table of runs that share their first steps."""

import argparse
import os
import signal
from pathlib import Path

HELP = "train a table of runs"
EXAMPLE = "lastiterate sweep data/runs/nano.toml --dry-run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help=".csv with a run a row, or .toml whose [[runs]] stand for all combinations of their lists")
    parser.add_argument("--folder", default="build/sweep", help="for logs and checkpoints; default %(default)s")
    parser.add_argument("--workers", type=int, help="processes; by default one a GPU, or one a core")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on this Dask cluster instead, one thread a worker")
    parser.add_argument("--preset", help="another preset for all runs")
    parser.add_argument("--checkpoint-seconds", type=float, default=60.0, help="time between checkpoints; default 60")
    parser.add_argument("--record", metavar="NAME", help="write NAME.csv and NAME.parquet of all runs at the end")
    parser.add_argument("--every", type=int, metavar="N", help="with --record: keep each N-th step and validated ones; default 1")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _extras

    _extras.require("torch", "train")
    from lastiterate import _check
    from lastiterate.trainer import sweep, workers

    _check.real("checkpoint_seconds", args.checkpoint_seconds, 0.0)
    if args.workers is not None:
        _check.integer("workers", args.workers)
    if args.dask is not None:
        workers.check_address(args.dask)
    if args.every is not None:
        _check.integer("every", args.every)
        if args.record is None:
            raise ValueError(f"every must come with --record, whose rows it thins, got {args.every} alone")
    options = {} if args.preset is None else {"preset": args.preset}
    rows = sweep.read_table(args.table)
    if args.record is not None:
        sweep.record_files(args.record)
    every = sweep.runs(rows, **options)  # with a stand-in for refined schedules: what is wrong with them is said now
    sweep.check_baselines(every)
    if not args.folder or (Path(args.folder).exists() and not Path(args.folder).is_dir()):
        raise ValueError(f"folder must be a folder, or the name of a new one, got {args.folder!r}")
    first = [run for run in every if run.config.schedule["scheduler"] != "refined"]
    names = {run.name for run in first}
    jobs = sweep.plan(first)
    refined = sum(run.config.horizon for run in every) - sum(run.config.horizon for run in first)
    print(sweep.describe(jobs))
    if refined:
        print(f"and then {refined:,} steps with schedules refined from these runs")
    if args.dry_run:
        print(sweep.tree(jobs))
        return 0
    logged = {run.name for run in every if (Path(args.folder) / f"{run.name}.parquet").is_file()}
    missing = sum(job.steps for job in jobs if job.run.name not in logged)
    missing += sum(run.config.horizon for run in every if run.name not in logged | names)
    print(workers.estimate(first[0], missing, args.workers, args.dask), flush=True)
    settings = args.folder, args.workers, args.dask, args.checkpoint_seconds
    before = [(number, signal.signal(number, _stop(workers))) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        status = workers.execute(jobs, *settings)
        if refined:
            ended = {name for name, word in status.items() if word == "finished"}
            kept = [i for i, row in enumerate(rows) if "baseline" not in row or row["baseline"] in ended]
            jobs = sweep.plan(sweep.runs([rows[i] for i in kept], args.folder, [i + 1 for i in kept], **options))
            status |= {run.name: "not trained, because its baseline was not" for run in every if run.name not in status}
            status |= workers.execute(jobs, *settings)
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    bad = {name: word for name, word in status.items() if word not in workers.ENDED}
    words = list(status.values())
    print(f"{words.count('finished')} finished, {words.count('diverged')} diverged, {len(bad)} failed; logs in {args.folder}")
    if args.record is not None and not bad:
        sweep.record(jobs, args.folder, args.record, args.every or 1)
        print(f"recorded in {args.record}.csv and {args.record}.parquet")
    return 1 if bad else 0


def _stop(workers):
    """Handler of Ctrl-C and SIGTERM: the first stops the workers, which save their states; a second ends everything at once."""
    asked = []

    def handler(*_):
        asked.append(True)
        if len(asked) > 1:
            for child in workers.multiprocessing.active_children():
                child.kill()
            os._exit(130)
        raise KeyboardInterrupt("the same command goes on from there")

    return handler
