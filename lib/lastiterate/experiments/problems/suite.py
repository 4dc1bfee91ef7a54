"""The suite of small problems: one run, all runs, and the best rate among them."""

import concurrent.futures
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lastiterate import _check, _processes, design, schedules
from lastiterate._extras import MissingExtra
from lastiterate._files import atomic, write_atomic
from lastiterate.experiments import convex
from lastiterate.experiments.problems.known import BUNDLED, PROBLEMS
from lastiterate.logs import sweeps
from lastiterate.logs.formats import read_table
from lastiterate.logs.published import DataError

OFFSETS = [1, 5, 25, 125, 625]  # β of the 1/t and 1/√t schedules, for the image classifiers
SCHEDULES = ["flat", "1/√t, β = 125", "step-wise", "cosine", "linear", "refined"]
BEYOND = 4  # rates that are added to those of a problem at most, where the best is at an edge
KEYS = ["problem", "schedule", "lr", "seed"]


def schedule(name, T):
    """A schedule of the suite by its name: those of `convex.schedule`, or "1/t, β = 5", "1/√t, β = 5".

    >>> schedule("1/t, β = 2", 3).round(3)
    array([1.   , 0.667, 0.5  ])
    """
    kind, _, offset = name.partition(", β = ")
    if offset:
        make = {"1/t": schedules.inverse_linear, "1/√t": schedules.inverse_sqrt}[_check.choice("name", kind, ["1/t", "1/√t"])]
        return make(T, float(offset))
    return convex.schedule(name, T)


def names(problem):
    """The schedules that a problem is trained under, "refined" last."""
    offsets = [f"{kind}, β = {offset}" for kind in ("1/t", "1/√t") for offset in OFFSETS] if PROBLEMS[problem].offsets else []
    return list(dict.fromkeys([*offsets, *SCHEDULES]))


def train(problem, rates, seed):
    """One run.

    Args:
        problem: a key of PROBLEMS.
        rates: learning rates, shape (T,).
        seed: of weights and batches.

    Returns:
        (curve, norms): a DataFrame with `step`, `train_loss` (of the batches since the last row), `loss` and `error` (what
        `Problem.error` says) on held-out data; and the l1 and l2 norms of the gradients, shape (2, T).

    Raises:
        ValueError: for an unknown problem, or bad rates.
        DataError: where CIFAR cannot be downloaded.
        MissingExtra: where the package that ships the data is not installed.
    """
    known = PROBLEMS[_check.choice("problem", problem, PROBLEMS)]
    rates = _check.schedule(rates, "rates")
    torch.manual_seed(seed)
    network, batch, held_out = known.make(seed)
    parameters = list(network.parameters())
    optimizer = known.optimizer(parameters)
    rng, T = np.random.default_rng(seed), rates.size
    at = set(np.linspace(1, T, known.evaluations).round().astype(int).tolist())
    norms, rows, losses = np.empty((2, T)), [], []
    for t, lr in enumerate(rates.tolist()):
        optimizer.param_groups[0]["lr"] = lr
        loss = batch(network, rng)
        loss.backward()
        flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        norms[:, t] = flat.abs().sum().item(), flat.norm().item()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if t + 1 in at:
            with torch.no_grad():
                rows.append((t + 1, np.mean(losses), *held_out(network)))
            losses = []
    return pd.DataFrame(rows, columns=["step", "train_loss", "loss", "error"]), norms


def sweep(runs: pd.DataFrame, problem: str, name: str) -> sweeps.Best:
    """The rate with the lowest mean held-out loss at the end, over the seeds that all rates have; and the loss of all its seeds.

    Args:
        runs: the curves that `record` writes.
        problem: a key of PROBLEMS.
        name: of a schedule.

    Raises:
        ValueError: where there are no such runs.
    """
    ends = _ends(runs, problem, name)
    if ends.empty:
        raise ValueError(f"runs must have some of {problem!r} with the schedule {name!r}, and have none")
    tuning = ends.groupby("seed").filter(lambda part: part["lr"].nunique() == ends["lr"].nunique())
    best = sweeps.best(tuning["lr"], tuning["loss"])
    every = ends.loc[ends["lr"] == best.lr, "loss"]
    return best._replace(mean=float(every.mean()), std=float(every.std()))


def best_lr(runs: pd.DataFrame, problem: str, name: str) -> float:
    """The rate of `sweep`, args and raises as there."""
    return sweep(runs, problem, name).lr


def curves(runs: pd.DataFrame, problem: str, name: str, column: str = "loss") -> pd.DataFrame:
    """The runs of a schedule at its best rate: a column along the run, a row an evaluation (by its step), a column a seed.

    Args, raises: as `sweep`, and

        column: "loss" or "error" on held-out data, or "train_loss".
    """
    lr = best_lr(runs, problem, name)
    chosen = runs[(runs["problem"] == problem) & (runs["schedule"] == name) & (runs["lr"] == lr)]
    return chosen.pivot(index="step", columns="seed", values=_check.choice("column", column, ["loss", "error", "train_loss"]))


def due(runs, problem, name):
    """What is to be trained next of a schedule, as a list of (lr, seed); empty where it is complete.

    First all rates of the problem with its `tuning` seeds; then, while the best is at an edge, one rate more beyond it, up to
    BEYOND; then the best rate with its `seeds`.

    Args: as `sweep`.
    """
    known, ends = PROBLEMS[problem], _ends(runs, problem, name)
    done = set(zip(ends["lr"], ends["seed"], strict=True))
    tried = sorted({*known.rates, *ends["lr"]})
    if missing := [(lr, seed) for lr in tried for seed in range(known.tuning) if (lr, seed) not in done]:
        return missing
    best, factor = sweep(runs, problem, name), known.rates[1] / known.rates[0]
    if best.edge and len(tried) < len(known.rates) + BEYOND:
        beyond = float(f"{best.lr * factor if best.edge == 'highest' else best.lr / factor:.3g}")
        return [(beyond, seed) for seed in range(known.tuning)]
    return [(best.lr, seed) for seed in range(known.seeds) if (best.lr, seed) not in done]


def _ends(runs, problem, name):
    return runs[(runs["problem"] == problem) & (runs["schedule"] == name) & (runs["step"] == PROBLEMS[problem].steps)]


def record(out, problems=BUNDLED, workers=2):
    """Train what is due of problems; write the curves, and linear decay's mean norms. Goes on where it was stopped.

    Args:
        out: curves go to OUT.parquet, mean norms to OUT_norms.csv.
        problems: keys of PROBLEMS; those whose data cannot be had are named and left out.
        workers: runs at a time, one thread each.

    Returns:
        True; False where no problem's data can be had.

    Raises:
        ValueError: for an unknown problem, or where a file of that name is not one of these.
    """
    problems = [_check.choice("problems", p, PROBLEMS) for p in dict.fromkeys(problems)]
    _check.integer("workers", workers)
    files = Path(f"{out}.parquet"), Path(f"{out}_norms.csv")
    runs = read_table(files[0], [*KEYS, "step", "train_loss", "loss", "error"])
    norms = read_table(files[1], ["problem", "step", "l1", "l2"])
    for problem in list(problems):
        try:
            PROBLEMS[problem].make(0)  # now, not in each of the processes
        except (DataError, MissingExtra) as error:
            print(f"{problem}: left out: {error}", file=sys.stderr)
            problems.remove(problem)
    if not problems:
        return False
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
    )
    try:
        for problem in problems:
            plain, kept = [name for name in names(problem) if name != "refined"], {}
            runs = _complete(
                runs, pool, files[0], problem, {name: schedule(name, PROBLEMS[problem].steps) for name in plain}, kept
            )
            if not due(runs, problem, "refined"):
                continue
            lr, eta = best_lr(runs, problem, "linear"), schedule("linear", PROBLEMS[problem].steps)
            jobs = [(problem, "linear", lr, seed) for seed in range(PROBLEMS[problem].seeds)]
            again = {job: pool.submit(_run, job, lr * eta) for job in jobs if job not in kept}
            mean = np.mean([again[job].result()[1] if job in again else kept[job] for job in jobs], axis=0)
            rows = pd.DataFrame({"problem": problem, "step": np.arange(1, eta.size + 1), "l1": mean[0], "l2": mean[1]})
            others = norms[norms["problem"] != problem]  # those stay
            norms = pd.concat([others, rows]) if len(others) else rows
            write_atomic(files[1], norms.to_csv(index=False, float_format="%.5g").encode())
            power = PROBLEMS[problem].power
            runs = _complete(runs, pool, files[0], problem, {"refined": design.refine(mean[power - 1], power)}, {})
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    print(f"{len(runs[KEYS].drop_duplicates())} runs in {files[0]}")
    return True


def _complete(runs, pool, file, problem, etas, kept):
    """The runs with what is due of schedules; `kept` gets the norms of linear decay. Each run is on disk when the next ends."""
    from tqdm import tqdm

    while jobs := [(problem, name, *job) for name in etas for job in due(runs, problem, name)]:
        minutes = len(jobs) * PROBLEMS[problem].seconds / 60
        print(f"{problem}: {len(jobs)} runs, about {minutes:.0f} minutes of one core", flush=True)
        futures = {pool.submit(_run, job, job[2] * etas[job[1]]): job for job in jobs}
        for future in tqdm(concurrent.futures.as_completed(futures), total=len(futures), unit="run", disable=None):
            curve, found = future.result()
            runs = pd.concat([runs, curve], ignore_index=True) if len(runs) else curve
            if futures[future][1] == "linear":
                kept[futures[future]] = found
            with atomic(file) as partial:
                runs.sort_values([*KEYS, "step"]).to_parquet(partial, index=False, compression="zstd")
    return runs


def _run(job, rates):
    torch.set_num_threads(1)
    curve, norms = train(job[0], rates, job[3])
    return curve.assign(**dict(zip(KEYS, job, strict=True)))[[*KEYS, *curve]], norms


def _begin(parent):
    """Of a worker: the main process alone hears Ctrl-C, and takes its workers along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _processes.end_with(parent, grace=0)
