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
import torch.nn.functional as F

from lastiterate import _check, _processes, design, schedules
from lastiterate._files import atomic, write_atomic
from lastiterate.experiments import convex
from lastiterate.experiments.problems import cifar, digits, masked_bytes
from lastiterate.logs import sweeps
from lastiterate.logs.formats import read_table
from lastiterate.logs.published import DataError

STEPS = {"cnn": 1500, "vit": 2000, "mlm": 600, "overfit": 800, "cifar10": 4000, "cifar100": 4000}
BUNDLED = ["cnn", "vit", "mlm", "overfit"]  # need no download
RATES = {  # by half decades
    "cnn": [3.16e-3, 0.01, 0.0316, 0.1, 0.316, 1.0, 3.16],
    "vit": [3.16e-4, 1e-3, 3.16e-3, 1e-2, 3.16e-2, 0.1],
    "mlm": [1e-3, 3.16e-3, 1e-2, 3.16e-2],
    "overfit": [0.01, 0.0316, 0.1, 0.316],
    "cifar10": [0.01, 0.0316, 0.1, 0.316],
    "cifar100": [0.01, 0.0316, 0.1, 0.316],
}
POWER = {
    "cnn": 2,
    "vit": 1,
    "mlm": 1,
    "overfit": 2,
    "cifar10": 2,
    "cifar100": 2,
}  # of the refinement: l2 norms for SGD, l1 norms for AdamW
OFFSETS = [1, 5, 25, 125, 625]  # β of the 1/t and 1/√t schedules, for the image classifiers
SCHEDULES = ["flat", "step-wise", "cosine", "linear", "refined"]
SEEDS, EVALUATIONS = 3, 30
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


def train(problem, rates, seed):
    """One run.

    Args:
        problem: a key of STEPS.
        rates: learning rates, shape (T,).
        seed: of weights and batches.

    Returns:
        (curve, norms): a DataFrame with `step`, `train_loss` (of the batches since the last row), `loss` and `error` (share
        of images, or of masked bytes, that are wrong) on held-out data; and the l1 and l2 norms of the gradients, shape (2, T).

    Raises:
        ValueError: for an unknown problem, or bad rates.
        DataError: where CIFAR cannot be downloaded.
    """
    _check.choice("problem", problem, STEPS)
    rates = _check.schedule(rates, "rates")
    torch.manual_seed(seed)
    if problem == "mlm":
        network, batch, held_out = masked_bytes.make(seed)
    else:
        network, batch, held_out = cifar.make(int(problem[5:])) if problem.startswith("cifar") else digits.make(problem)
    parameters = list(network.parameters())
    if problem in ("vit", "mlm"):
        optimizer = torch.optim.AdamW(parameters, lr=1.0, betas=(0.9, 0.95), weight_decay=0.1)
    else:
        optimizer = torch.optim.SGD(parameters, lr=1.0, momentum=0.9)
    rng, T = np.random.default_rng(seed), rates.size
    at = set(np.linspace(1, T, EVALUATIONS).round().astype(int).tolist())
    norms, rows, losses = np.empty((2, T)), [], []
    for t, lr in enumerate(rates.tolist()):
        optimizer.param_groups[0]["lr"] = lr
        loss = F.cross_entropy(*batch(network, rng))
        loss.backward()
        flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        norms[:, t] = flat.abs().sum().item(), flat.norm().item()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if t + 1 in at:
            with torch.no_grad():
                logits, target = held_out(network)
                found = F.cross_entropy(logits, target).item(), (logits.argmax(1) != target).float().mean().item()
            rows.append((t + 1, np.mean(losses), *found))
            losses = []
    return pd.DataFrame(rows, columns=["step", "train_loss", "loss", "error"]), norms


def table(problems=BUNDLED):
    """The runs but the refined ones, as a list of (problem, schedule, lr, seed)."""
    names = {problem: [s for s in SCHEDULES if s != "refined"] for problem in problems}
    for problem in {"cnn", "cifar10", "cifar100"} & set(problems):
        names[problem] = names[problem] + [f"{kind}, β = {offset}" for kind in ("1/t", "1/√t") for offset in OFFSETS]
    return [(p, s, lr, seed) for p in problems for s in names[p] for lr in RATES[p] for seed in range(SEEDS)]


def sweep(runs: pd.DataFrame, problem: str, name: str) -> sweeps.Best:
    """The rate with the lowest mean held-out loss at the end, and that loss.

    Args:
        runs: the curves that `record` writes.
        problem: in STEPS.
        name: of a schedule of the table.

    Raises:
        ValueError: where there are no such runs.
    """
    chosen = runs[(runs["problem"] == problem) & (runs["schedule"] == name) & (runs["step"] == STEPS[problem])]
    if chosen.empty:
        raise ValueError(f"runs must have some of {problem!r} with the schedule {name!r}, and have none")
    return sweeps.best(chosen["lr"], chosen["loss"])


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


def _run(job, rates):
    torch.set_num_threads(1)
    curve, norms = train(job[0], rates, job[3])
    return curve.assign(**dict(zip(KEYS, job, strict=True)))[[*KEYS, *curve]], norms


def record(out, problems=BUNDLED):
    """Train all runs of problems, two at a time; write their curves and linear decay's mean norms. Goes on where it was stopped.

    Args:
        out: curves go to OUT.parquet, mean norms to OUT_norms.csv.
        problems: in STEPS; those whose data cannot be had are named and left out.

    Returns:
        True; False where no problem's data can be had.

    Raises:
        ValueError: for an unknown problem, or where a file of that name is not one of these.
    """
    from tqdm import tqdm

    problems = [_check.choice("problems", p, STEPS) for p in dict.fromkeys(problems)]
    runs_file, norms_file = Path(f"{out}.parquet"), Path(f"{out}_norms.csv")
    runs = read_table(runs_file, [*KEYS, "step", "train_loss", "loss", "error"])
    norms = read_table(norms_file, ["problem", "step", "l1", "l2"])
    for problem in set(problems) - set(BUNDLED):
        try:
            cifar.images(int(problem[5:]))  # now, not in each of the processes
        except DataError as error:
            print(f"{problem}: left out: {error}", file=sys.stderr)
            problems.remove(problem)
    if not problems:
        return False
    kept_norms = {}

    def work(jobs):
        nonlocal runs
        done = set(map(tuple, runs[KEYS].drop_duplicates().itertuples(index=False)))
        missing = {job: rates for job, rates in jobs.items() if job not in done}
        context = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(2, context, initializer=_begin, initargs=(os.getpid(),))
        try:
            futures = {pool.submit(_run, job, rates): job for job, rates in missing.items()}
            ended = tqdm(concurrent.futures.as_completed(futures), total=len(futures), unit="run", disable=None)
            for i, future in enumerate(ended):
                curve, found = future.result()
                runs = pd.concat([runs, curve], ignore_index=True) if len(runs) else curve
                if futures[future][1] == "linear":
                    kept_norms[futures[future]] = found
                if i % 50 == 49 or i == len(futures) - 1:
                    with atomic(runs_file) as partial:
                        runs.sort_values([*KEYS, "step"]).to_parquet(partial, index=False, compression="zstd")
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    jobs, further = table(problems), sum(len(RATES[p]) for p in problems) * SEEDS
    minutes = 24 * sum(p in BUNDLED for p in problems) / len(BUNDLED)
    about = f"about {minutes:.0f} minutes on two cores" + (", CIFAR apart" if set(problems) - set(BUNDLED) else "")
    print(f"{len(jobs)} runs and {further} with refined schedules: {about}", flush=True)
    work({job: job[2] * schedule(job[1], STEPS[job[0]]) for job in jobs})
    mean = {}
    for problem in problems:
        T, lr = STEPS[problem], best_lr(runs, problem, "linear")
        every = [kept_norms.get((problem, "linear", lr, s)) for s in range(SEEDS)]
        found = [_run((problem, "linear", lr, s), lr * schedule("linear", T))[1] if n is None else n for s, n in enumerate(every)]
        mean[problem] = np.mean(found, axis=0)
    refined = {p: design.refine(mean[p][POWER[p] - 1], POWER[p]) for p in mean}
    work({(p, "refined", lr, s): lr * refined[p] for p in mean for lr in RATES[p] for s in range(SEEDS)})
    rows = [pd.DataFrame({"problem": p, "step": np.arange(1, n.shape[1] + 1), "l1": n[0], "l2": n[1]}) for p, n in mean.items()]
    if len(norms):  # those of other problems stay
        rows.insert(0, norms[~norms["problem"].isin(mean)])
    write_atomic(norms_file, pd.concat(rows).to_csv(index=False, float_format="%.5g").encode())
    print(f"{len(runs[KEYS].drop_duplicates())} runs in {runs_file}")
    return True


def _begin(parent):
    """Of a worker: the main process alone hears Ctrl-C, and takes its workers along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _processes.end_with(parent, grace=0)
