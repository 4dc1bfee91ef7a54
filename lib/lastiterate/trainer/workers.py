"""Train a plan of runs, several at a time: in processes on this machine's cores or GPUs, or on a Dask cluster.

Workers end with the process that started them, however that ends; a run under way saves its state first.
"""

import concurrent.futures
import dataclasses
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

from lastiterate import _check, _extras
from lastiterate.trainer.beforehand import duration
from lastiterate.trainer.checkpoint import checkpoint_path, read_metadata
from lastiterate.trainer.sweep import Job, Run

ENDED = ("finished", "diverged")
GRACE = 20.0  # seconds for a worker to save its state


def execute(
    jobs: list[Job],
    folder: str | os.PathLike,
    workers: int | None = None,
    dask: str | None = None,
    checkpoint_seconds: float = 60.0,
) -> dict[str, str]:
    """Train what is missing, several runs at a time; a run that fails is reported, and the others go on.

    Args:
        jobs: from `sweep.plan`.
        folder: for the logs, <name>.parquet, and the checkpoints; shared by all machines of a cluster.
        workers: processes on this machine; by default one a GPU, or one for each core.
        dask: address of a Dask scheduler to run on instead; its workers have one thread and, with GPUs, one GPU each.
        checkpoint_seconds: time between checkpoints of a run.

    Returns:
        {name: "finished", "diverged" or what went wrong}.

    Raises:
        ValueError: where the Dask address does not answer, or its workers have several threads.
        KeyboardInterrupt: on Ctrl-C, when the workers have saved their runs' states and ended.
    """
    if workers is not None:
        _check.integer("workers", workers)
    execution = _Execution(jobs, folder, _check.real("checkpoint_seconds", checkpoint_seconds, 0.0))
    while execution.queue:
        lost = execution.work(execution.queue, workers, dask)
        for job in lost:  # a worker was killed, and took the others with it: each alone, to know whose it was
            if execution.work([job], workers, dask):
                execution.end(job, "failed: its worker was killed")
    execution.bar.close()
    return execution.status


class _Execution:
    """The state of a plan under way: which runs have ended and how, and which can begin."""

    def __init__(self, jobs, folder, checkpoint_seconds):
        _extras.require("tqdm", "train")
        from tqdm import tqdm

        folder = Path(folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        self.paths = {job.run.name: folder / f"{job.run.name}.parquet" for job in jobs}
        self.children, self.place = {}, {job.run.name: i for i, job in enumerate(jobs)}  # what stands first is trained first
        for job in jobs:
            self.children.setdefault(job.parent, []).append(job)
        self.queue, self.status, self.checkpoint_seconds = list(self.children.get(None, [])), {}, checkpoint_seconds
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
            pool.shutdown(wait=False, cancel_futures=True)
            if not dask:
                stop_workers()
            raise
        pool.shutdown()
        return lost

    def begin(self, job, pool):
        """Submit a run, from its parent's checkpoint if it branches off; None where it ends at once."""
        out, parent = self.paths[job.run.name], job.parent
        start = checkpoint_path(self.paths[parent], job.start) if parent else None
        if start and not out.is_file() and not start.is_file():
            if self.status[parent] == "diverged" and _last_step(self.paths[parent]) <= job.start:
                return self.end(job, "diverged")
            if self.status[parent] not in ENDED:
                return self.end(job, f"not trained, because {parent} was not")
            start = None  # the parent was trained before this run was asked for: this one trains all its steps itself
        keep = [j.start for j in self.children.get(job.run.name, []) if not self.paths[j.run.name].is_file()]
        return pool.submit(_train, job.run.config, job.run.rates, str(out), start and str(start), keep, self.checkpoint_seconds)

    def end(self, job, word):
        """Note how a run ended; what branches off it can begin, and what all have branched off from is deleted."""
        self.status[job.run.name] = word
        self.bar.update(job.steps)
        if word not in ENDED:
            self.bar.write(f"{job.run.name}: {word}", file=sys.stderr)
        siblings = [j for j in self.children.get(job.parent, []) if j.start == job.start]
        if job.parent and all(self.status.get(j.run.name) in ENDED for j in siblings):
            checkpoint_path(self.paths[job.parent], job.start).unlink(missing_ok=True)
        self.queue.extend(self.children.get(job.run.name, []))
        self.queue.sort(key=lambda waiting: self.place[waiting.run.name])


def _last_step(path):
    """Last step of a log; 0 of a run that diverged with the one that it branched off, and so has none."""
    return read_metadata(path)["last_step"] if path.is_file() else 0


def _train(config, rates, out, start, keep, checkpoint_seconds):
    """A run, in a worker."""
    from lastiterate.trainer import loop

    try:
        loop.train(config, rates, out, start=start, keep=keep, checkpoint_seconds=checkpoint_seconds, progress=False)
    except loop.Diverged:
        return "diverged"
    except KeyboardInterrupt:  # asked to stop, and its state is saved; only processes of this machine get here
        os._exit(130)
    return "finished"


# --- processes of this machine ----------------------------------------------------------------------------------------


def _executor(workers, dask):
    """(pool, number of runs at a time)."""
    if dask is not None:
        return _dask_pool(dask, workers)
    places, gpus, threads = _shares(workers)
    context = multiprocessing.get_context("spawn")
    settings = (os.getpid(), context.Value("i", 0), gpus, threads)
    return concurrent.futures.ProcessPoolExecutor(places, context, initializer=_begin, initargs=settings), places


def _shares(workers):
    """(workers, GPUs, threads of each)."""
    _extras.require("torch", "train")
    import torch

    gpus, cores = torch.cuda.device_count(), cores_here()
    workers = _check.integer("workers", workers) if workers is not None else gpus or cores
    return workers, gpus, max(1, cores // workers)


def cores_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(parent, turn, gpus, threads):
    """In a worker: watch the parent, and take a GPU of its own, or its share of the cores."""
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal: the parent tells its workers
    with turn.get_lock():
        mine, turn.value = turn.value, turn.value + 1
    if gpus:  # of those that this process was given
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[mine % gpus]
    import torch
    from tqdm import tqdm

    torch.set_num_threads(threads)
    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a worker that is stopped would leave behind


def _end_with(parent):
    """Ask this process to stop when its parent has ended, and see to it that it does."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def stop_workers() -> None:
    """Ask the workers of this process to save their runs' states and end; kill those that do not, or all when interrupted."""
    children = multiprocessing.active_children()
    try:
        for child in children:
            child.terminate()
        until = time.monotonic() + GRACE
        for child in children:
            child.join(max(0.0, until - time.monotonic()))
    finally:
        for child in children:
            child.kill()


# --- a Dask cluster ---------------------------------------------------------------------------------------------------


class _DaskPool:
    """A Dask client with the one method of an executor that `execute` uses."""

    def __init__(self, client):
        self.client, self.pool = client, client.get_executor(pure=False, retries=0)
        self.submit = self.pool.submit

    def shutdown(self, wait=True, cancel_futures=False):
        self.pool.shutdown(wait=wait)
        self.client.close()


def check_address(address: str) -> None:
    """A ValueError where something cannot be the address of a Dask scheduler; it is not asked."""
    if not re.fullmatch(r"([a-z]+://)?[^\s/:]+:\d{1,5}/?|[a-z]+://\S+", address):
        raise ValueError(f"dask must be the address of a scheduler, such as tcp://10.0.0.1:8786, got {_check.shown(address)}")


def _dask_pool(address, workers):
    check_address(address)
    _extras.require("distributed", "cluster")
    from distributed import Client

    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ValueError(f"dask must be the address of a scheduler that answers, got {address!r} ({error})") from None
    threads = [w["nthreads"] for w in client.scheduler_info(n_workers=-1)["workers"].values()]
    if not threads or max(threads) > 1:
        client.close()
        found = f"workers with {max(threads)} threads" if threads else "no worker"
        raise ValueError(f"dask must have workers with one thread each (dask worker --nthreads 1), got {found}")
    return _DaskPool(client), workers or len(threads)


# --- beforehand -------------------------------------------------------------------------------------------------------


def estimate(run: Run, steps: int, workers: int | None = None, dask: str | None = None) -> str:
    """A line on how long so many steps will take, from the time of one step of a run."""
    if dask is not None or not steps:
        return f"{steps:,} steps to train"
    import torch

    from lastiterate.trainer import step

    workers, _, threads = _shares(workers)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    seconds, how = step.time_of_step(dataclasses.replace(run.config, compile=False), run.rates)
    torch.set_num_threads(before)
    step.forget()
    return f"{steps:,} steps to train, {workers} runs at a time: about {duration(seconds * steps / workers)} ({how})"
