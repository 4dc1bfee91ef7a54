"""Train a GPT with any schedule, log every step, go on exactly where it was stopped.

    python -m lastiterate.train --preset nano --schedule wsd --cooldown 0.2 --steps 200
    torchrun --nproc-per-node 8 -m lastiterate.train --preset 124m --corpus FOLDER --schedule cosine --steps 50000

One run makes one Parquet file, with the columns of `logs` and `tokens`, `grad_norm_l1`, `update_norm`. Row t is about step t:
rate, loss before the step, norms of the mean gradient before clipping, norm of what the step adds to the weights; `val_loss`
is measured after the step. The batch of step t is a function of seed and t alone, and nothing else is drawn at random after
the weights: that is why a resumed run, or one that branches off another's checkpoint, equals the run trained alone, bit by bit
on a CPU with the same number of threads (GPUs add up in no fixed order, and agree to rounding only).
"""

import argparse
import contextlib
import dataclasses
import functools
import importlib.metadata
import inspect
import json
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lastiterate import _check, data, schedules
from lastiterate._files import atomic
from lastiterate.model import GPT, PRESETS, Shape

COLUMNS = ["step", "tokens", "lr", "train_loss", "val_loss", "grad_norm", "grad_norm_l1", "update_norm"]
# Of each preset: base learning rate; sequences a step; sequences a device takes at once; steps of warmup; steps between
# validations; sequences of a validation.
RECIPES = {
    "pico": {"lr": 3e-3, "batch": 8, "micro_batch": 8, "warmup": 50, "eval_every": 50, "eval_sequences": 128},
    "nano": {"lr": 2e-3, "batch": 8, "micro_batch": 8, "warmup": 50, "eval_every": 50, "eval_sequences": 128},
    "small": {"lr": 1e-3, "batch": 64, "micro_batch": 64, "warmup": 100, "eval_every": 250, "eval_sequences": 512},
    "124m": {"lr": 1e-3, "batch": 200, "micro_batch": 50, "warmup": 300, "eval_every": 500, "eval_sequences": 1000},
    "210m": {"lr": 1e-3, "batch": 200, "micro_batch": 50, "warmup": 300, "eval_every": 500, "eval_sequences": 1000},
}
SCHEDULES = schedules.NAMES
COMPILE_STEPS = 2000  # on a CPU compiling takes 20 to 40 s, and saves a third of the time of a step
KEY = b"lastiterate"  # of the metadata in a Parquet file
ONE_AT_A_TIME = threading.Lock()  # in a process: runs share the network that was compiled
FREE = {"schedule", "lr", "horizon", "warmup"}  # of a config: a branch may differ in them, as long as the rates so far agree
ALWAYS_NAMED = ("cooldown", "shape", "rho", "power")  # parameters of schedules that are in a run's name even as defaults


@dataclasses.dataclass(frozen=True)
class Config:
    """All that a run depends on, but its rates. See `configure`."""

    preset: str
    layers: int
    heads: int
    width: int
    context: int
    vocabulary: int
    corpus: str
    corpus_sha256: str
    schedule: dict
    lr: float
    horizon: int
    warmup: int
    batch: int
    micro_batch: int
    seed: int
    weight_decay: float
    beta1: float
    beta2: float
    clip: float
    eval_every: int
    eval_sequences: int
    dtype: str
    device: str
    compile: bool
    processes: int

    @property
    def shape(self):
        return Shape(self.layers, self.heads, self.width, self.context, self.vocabulary)

    @property
    def accumulation(self):
        """Micro-batches that each process adds up in a step."""
        return self.batch // (self.micro_batch * self.processes)


class Diverged(RuntimeError):
    """A loss or a gradient that is not finite; the log up to there is written."""


def configure(
    eta,
    lr=None,
    preset="nano",
    corpus="python",
    seed=0,
    warmup=None,
    batch=None,
    micro_batch=None,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.95,
    clip=1.0,
    eval_every=None,
    eval_sequences=None,
    dtype=None,
    device=None,
    compile=None,
    schedule=None,
    **shape,
):
    """A run's config and its rates, with everything checked and the preset's recipe filled in.

    Args:
        eta: schedule, shape (T,); its warmup is put on here.
        lr: base learning rate γ > 0.
        preset: a key of model.PRESETS; **shape overrides its layers, heads, width, context or vocabulary.
        corpus: what `data.corpus` takes.
        seed: of the weights and of the order of the data.
        warmup: steps of linear warmup, 0..T.
        batch: sequences a step, over all processes.
        micro_batch: sequences that a process takes at once; batch must be a multiple of micro_batch · processes.
        weight_decay, beta1, beta2: of AdamW; the decay acts on matrices only.
        clip: largest l2 norm of the gradient, > 0.
        eval_every: steps between validations (one is always made after the last step).
        eval_sequences: sequences of a validation, the same ones each time; a multiple of micro_batch.
        dtype: "bfloat16" (autocast, weights stay float32) or "float32"; the former by default where the processor has it.
        device: "cpu" or "cuda"; the latter by default where there is one.
        compile: whether to use torch.compile; by default on GPUs, and on CPUs for runs of 2000 steps or more.
        schedule: what eta is, as a dict of the attributes that `logs.find` knows; for the record only.

    Returns:
        (Config, rates): the rates are γ times the schedule with its warmup, shape (T,).

    Raises:
        ValueError: on a bad argument.

    Source: Schaipp et al. 2025, section 4.1 and appendix (model, AdamW, batch and warmup of the large presets).

    >>> config, rates = configure(schedules.wsd(100), lr=0.01, corpus="python", device="cpu")
    >>> config.preset, config.warmup, rates[:2]
    ('nano', 50, array([0.0002, 0.0004]))
    """
    recipe = RECIPES[_check.choice("preset", preset, RECIPES)]
    given = {"lr": lr, "warmup": warmup, "batch": batch, "micro_batch": micro_batch}
    given |= {"eval_every": eval_every, "eval_sequences": eval_sequences}
    chosen = {name: recipe[name] if value is None else value for name, value in given.items()}
    eta = _check.schedule(eta)
    processes = int(os.environ.get("WORLD_SIZE", 1))
    chosen["lr"] = _check.real("lr", chosen["lr"], 0.0, open_low=True)
    if micro_batch is None:  # as many as fit, and the batch divides by
        share = max(_check.integer("batch", chosen["batch"]) // processes, 1)
        chosen["micro_batch"] = max(n for n in range(1, min(share, recipe["micro_batch"]) + 1) if share % n == 0)
    for name in ("batch", "micro_batch", "eval_every", "eval_sequences"):
        chosen[name] = _check.integer(name, chosen[name])
    if _check.integer("warmup", chosen["warmup"], 0) > eta.size:
        raise ValueError(f"warmup must be at most the budget of {eta.size} steps, got {chosen['warmup']}")
    if chosen["batch"] % (chosen["micro_batch"] * processes):
        by = f"micro_batch = {chosen['micro_batch']}" + (f" times {processes} processes" if processes > 1 else "")
        raise ValueError(f"batch must be a multiple of {by}, got {chosen['batch']}")
    if chosen["eval_sequences"] % chosen["micro_batch"]:
        raise ValueError(f"eval_sequences must be a multiple of {chosen['micro_batch']}, got {chosen['eval_sequences']}")
    device = _check.choice("device", device or ("cuda" if torch.cuda.is_available() else "cpu"), ["cpu", "cuda"])
    dtype = dtype or ("bfloat16" if has_bfloat16(device) else "float32")
    shape = dataclasses.asdict(PRESETS[preset]) | {k: _check.integer(k, v) for k, v in shape.items()}
    tokens = data.corpus(corpus)
    shape["vocabulary"] = max(shape["vocabulary"], -(-tokens.vocabulary // 64) * 64)
    if shape["width"] % (2 * shape["heads"]):
        raise ValueError(f"width must be a multiple of twice the number of heads ({shape['heads']}), got {shape['width']}")
    for part, arrays in (("train", tokens.train), ("val", tokens.val)):
        if max(map(len, arrays)) <= shape["context"]:
            raise ValueError(f"context must be shorter than the corpus's {part} part, got {shape['context']}")
    config = Config(
        preset=preset,
        **shape,
        corpus=tokens.name,
        corpus_sha256=tokens.sha256,
        schedule=json.loads(json.dumps(schedule or {"scheduler": "array"}, default=float)),  # as it will be read back
        horizon=eta.size,
        seed=_check.integer("seed", seed, 0),
        weight_decay=_check.real("weight_decay", weight_decay, 0.0),
        beta1=_check.real("beta1", beta1, 0.0, 1.0),
        beta2=_check.real("beta2", beta2, 0.0, 1.0),
        clip=_check.real("clip", clip, 0.0, open_low=True),
        dtype=_check.choice("dtype", dtype, ["bfloat16", "float32"]),
        device=device,
        compile=compiling_pays(eta.size, device) if compile is None else bool(compile),
        processes=processes,
        **chosen,
    )
    return config, config.lr * schedules.warmup(eta, config.warmup)


def train(config, rates, out, corpus=None, start=None, keep=(), checkpoint_seconds=60.0, progress=True, weights=None):
    """Train, or go on training, and write the log.

    Args:
        config, rates: from `configure`.
        out: Parquet file of the log. While the run is under way ``<out>.checkpoint`` holds its state; a run that finds one
            goes on from it, and a run whose log is there already is not trained again.
        corpus: a data.Corpus; by default the one that the config names.
        start: checkpoint of another run to branch from; its config and its rates so far must be this run's. The log then
            begins at the step after it.
        keep: numbers of steps after which to keep a checkpoint, as `checkpoint_path(out, step)`; those that lie behind, where
            a run is resumed, are not made any more.
        checkpoint_seconds: time between checkpoints.
        progress: whether to show a progress bar.
        weights: checkpoint of another run, of a model of the same shape, whose weights to begin with; moments, data and steps
            begin anew (fine-tuning).

    Returns:
        The log as a DataFrame with COLUMNS (on the first process; None on others).

    Raises:
        ValueError: where a checkpoint or the finished log is of another config, a step to keep is not in 0..T, `out` does not
            end in .parquet, both start and weights are given, or the config asks for a GPU and there is none.
        data.DataError: where the corpus is not the config's, or a checkpoint cannot be written (the last one stays).
        Diverged: on a loss or gradient that is not finite; the log up to that step is written before.
        KeyboardInterrupt: on Ctrl-C and SIGTERM, after a checkpoint has been written.

    Source: this project.
    """
    out, T = Path(out), config.horizon
    if out.suffix != ".parquet":
        raise ValueError(f"out must be a file name that ends in .parquet, got {str(out)!r}")
    keep = {_check.integer("keep", k, 0, T) for k in keep}
    if start is not None and weights is not None:
        raise ValueError("start and weights must not both be given: one goes on with a run, the other begins a new one")
    with ONE_AT_A_TIME:
        return _train(config, rates, out, corpus, start, keep, checkpoint_seconds, progress, weights)


def _train(config, rates, out, corpus, start, keep, checkpoint_seconds, progress, weights):
    T, rank = config.horizon, int(os.environ.get("RANK", 0))
    tokens = data.corpus(config.corpus) if corpus is None else corpus
    if tokens.sha256 != config.corpus_sha256:
        raise data.DataError(f"corpus {tokens.name}: sha256 differs, expected {config.corpus_sha256}, found {tokens.sha256}")
    if out.is_file():
        about = read_metadata(out)
        _same_config(about["config"], config, out, about["rates"], rates)
        if about["status"] == "diverged":
            raise Diverged(f"{out} is of a run that diverged at step {about['last_step']}")
        return pd.read_parquet(out) if rank == 0 else None

    device, network, forward, optimizer = _prepare(config)
    resumed = out.with_suffix(".checkpoint")
    if rank == 0:
        for partial in out.parent.glob(f"{out.stem}.*.partial"):  # what a killed run was writing
            partial.unlink()
    first, step, log, parent = _restore(network, optimizer, config, rates, resumed, start, weights)

    def save(path):
        if rank:
            return
        state = {"step": step, "first": first, "parent": parent, "config": json.dumps(dataclasses.asdict(config))}
        state |= {"rates": torch.tensor(rates)}
        state |= {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "log": torch.tensor(log[first:step])}
        try:
            with atomic(path) as partial:
                torch.save(state, partial)
        except (OSError, RuntimeError) as error:
            if "CUDA" in str(error):  # other runtime errors are those of torch's writer, where the disk is full
                raise
            last = "there is none yet" if not resumed.is_file() else f"{resumed} is the last"
            raise data.DataError(
                f"cannot write checkpoint {path} at step {step} ({error}); {last}: free some space and go on"
            ) from None

    def write(status):
        if rank:
            return None
        table = _table(log[first:step])
        write_log(out, table, config, rates, status=status, first_step=first + 1, last_step=step, parent=parent)
        return table

    bar = _bar(T, step, out, progress and rank == 0)
    val = windows(tokens.val, config.context, np.linspace(0, 1, config.eval_sequences, endpoint=False))
    last_saved = time.monotonic()
    with bar, _asked_to_stop() as asked:
        while step < T:
            stopping = _any_process(bool(asked), config, device)
            if step in keep and not checkpoint_path(out, step).is_file():
                save(checkpoint_path(out, step))
            if stopping or time.monotonic() - last_saved >= checkpoint_seconds:
                save(resumed)
                last_saved = time.monotonic()
            if stopping:
                raise KeyboardInterrupt("state is saved, the same command goes on from there")
            for group in optimizer.param_groups:
                group["lr"] = float(rates[step])
            metrics = _step(forward, network, optimizer, batch_at(tokens, config, step, rank), config, device)
            log[step, :3] = step + 1, (step + 1) * config.batch * config.context, rates[step]
            log[step, [3, 5, 6, 7]] = metrics
            step += 1
            if not np.isfinite(metrics).all():
                write("diverged")
                resumed.unlink(missing_ok=True)
                raise Diverged(f"loss or gradient is not finite at step {step} (lr {rates[step - 1]:g}); log in {out}")
            if step % config.eval_every == 0 or step == T:
                log[step - 1, 4] = evaluate(network if config.processes > 1 else forward, val, config, device)
            bar.update()
            bar.set_postfix_str(f"loss {metrics[0]:.3f}, lr {rates[step - 1]:.2g}, " + _speed(bar, config), refresh=False)
    if T in keep:
        save(checkpoint_path(out, T))
    table = write("finished")
    if rank == 0:
        resumed.unlink(missing_ok=True)
    return table


# --- a step ---------------------------------------------------------------------------------------------------------


def adamw(network, config):
    """AdamW with decay on matrices only, fused."""
    matrices = [p for p in network.parameters() if p.ndim >= 2]
    gains = [p for p in network.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": gains, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), fused=True)


def _step(forward, network, optimizer, batch, config, device):
    """One step; returns [mean loss, l2 and l1 norm of the gradient before clipping, norm of the update]."""
    parameters = list(network.parameters())
    total = torch.zeros((), device=device)
    micro_batches = batch.to(device, non_blocking=True).split(config.micro_batch)
    for i, sequences in enumerate(micro_batches):
        last = i == len(micro_batches) - 1  # gradients are exchanged once a step
        with contextlib.nullcontext() if last or config.processes == 1 else forward.no_sync():
            with _autocast(config, device):
                loss = forward(sequences[:, :-1], sequences[:, 1:]) / len(micro_batches)
            loss.backward()
        total += loss.detach()
    with torch.no_grad():
        gradients = [p.grad for p in parameters]
        l2 = torch.stack(torch._foreach_norm(gradients)).norm()
        l1 = torch.stack(torch._foreach_norm(gradients, 1)).sum()
        torch._foreach_mul_(gradients, (config.clip / (l2 + 1e-6)).clamp(max=1.0))
        before = torch._foreach_add(parameters, 0.0)
        optimizer.step()
        update = torch.stack(torch._foreach_norm(torch._foreach_sub(parameters, before))).norm()
        optimizer.zero_grad(set_to_none=True)
        if config.processes > 1:
            torch.distributed.all_reduce(total)
            total /= config.processes
    return torch.stack([total, l2, l1, update]).tolist()


@torch.no_grad()
def evaluate(forward, sequences, config, device):
    """Mean loss over sequences, shape (n, context + 1)."""
    losses = []
    for part in torch.from_numpy(sequences).to(device).split(config.micro_batch):
        with _autocast(config, device):
            losses.append(forward(part[:, :-1], part[:, 1:]))
    return torch.stack(losses).mean().item()


def batch_at(corpus, config, step, rank=0):
    """This process's sequences of a step (counted from 0), shape (batch / processes, context + 1)."""
    places = np.random.default_rng([config.seed, step]).random(config.batch)
    return torch.from_numpy(windows(corpus.train, config.context, places[rank :: config.processes]))


def windows(shards, context, places):
    """Pieces of context + 1 tokens at places in [0, 1) of the shards laid end to end; none crosses from one to the next."""
    room = np.array([max(len(shard) - context, 0) for shard in shards])
    ends = np.cumsum(room)
    positions = (np.asarray(places) * ends[-1]).astype(np.int64)
    which = np.searchsorted(ends, positions, side="right")
    starts = positions - (ends - room)[which]
    return np.stack([shards[w][s : s + context + 1].astype(np.int64) for w, s in zip(which, starts, strict=True)])


def has_bfloat16(device=None):
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("bf16"))


def compiling_pays(steps, device=None):
    """Whether so many steps in one process are worth compiling for, and there is a compiler and what it needs."""
    gpu = device != "cpu" and torch.cuda.is_available()
    compilers = ("gcc", "clang", "cc") if gpu else ("g++", "clang++", "c++")
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    return (gpu or steps >= COMPILE_STEPS) and headers and any(map(shutil.which, compilers))


def _autocast(config, device):
    return torch.autocast(device.type, torch.bfloat16, enabled=config.dtype == "bfloat16")


def _device(config):
    """This process's device; joins the other processes where there are some."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be 'cpu', got 'cuda': PyTorch sees no GPU here")
    if config.device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        torch.set_float32_matmul_precision("high")
    if config.processes > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if config.device == "cuda" else "gloo")
    return torch.device(config.device, torch.cuda.current_device()) if config.device == "cuda" else torch.device("cpu")


def _prepare(config):
    """(device, model with the seed's weights, model to call, optimizer)."""
    device = _device(config)
    network, forward = _network(config.shape, device, config.compile)
    network.initialise(config.seed)
    network.zero_grad(set_to_none=True)
    if config.processes > 1:
        forward = torch.nn.parallel.DistributedDataParallel(forward)
    return device, network, forward, adamw(network, config)


def forget():
    """Drop the network that the last run has left in this process, and its memory on a GPU."""
    _network.cache_clear()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _any_process(asked, config, device):
    """Whether any process was asked to stop: all must stop at the same step."""
    if config.processes == 1:
        return asked
    flag = torch.tensor(float(asked), device=device)
    torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
    return bool(flag)


@functools.lru_cache(maxsize=1)
def _network(shape, device, compiled):
    """(model, model to call), made once a process: what was compiled for one run serves the next."""
    if compiled:
        torch._dynamo.reset()  # it counts what it has compiled for each function, whatever the shape, and gives up after eight
    network = GPT(shape).to(device)
    return network, torch.compile(network, dynamic=False) if compiled else network


# --- files ----------------------------------------------------------------------------------------------------------


def write_log(out, table, config, rates, **about):
    """Write a log as Parquet, atomically, with all that it depends on as JSON in the file's metadata."""
    packages = {name: importlib.metadata.version(name) for name in ("lastiterate", "torch", "numpy")}
    about |= {"config": dataclasses.asdict(config), "packages": packages, "commit": _commit(), "hardware": _hardware(config)}
    about["rates"] = np.asarray(rates).tolist()
    write_parquet(out, table, about)


def write_parquet(path, table, about):
    """Write a table as Parquet, atomically, with `about` as JSON in its metadata."""
    import pyarrow
    import pyarrow.parquet

    content = pyarrow.Table.from_pandas(table, preserve_index=False)
    content = content.replace_schema_metadata({**(content.schema.metadata or {}), KEY: json.dumps(about).encode()})
    with atomic(path) as partial:
        pyarrow.parquet.write_table(content, partial, compression="zstd")


def read_metadata(path):
    """What `write_log` wrote beside the rows: config, rates, status, packages, commit, hardware."""
    import pyarrow.parquet

    found = (pyarrow.parquet.read_schema(path).metadata or {}).get(KEY)
    if found is None:
        raise ValueError(f"{path} is not a log of this trainer")
    return json.loads(found)


def checkpoint_path(out, step):
    """Where a run keeps the checkpoint after a step."""
    return Path(out).with_suffix(f".{step}.checkpoint")


def _restore(network, optimizer, config, rates, resumed, start, weights):
    """(first, step, log, parent) of a run that was stopped, of one that branches off another, or of one that begins."""
    parent = start and Path(start).name
    log = np.full((config.horizon, len(COLUMNS)), np.nan)
    if resumed.is_file():
        state = _load_checkpoint(resumed)
        _same_config(json.loads(state["config"]), config, resumed, state["rates"].numpy(), rates)
        first, step, parent = state["first"], state["step"], state["parent"]
        log[first:step] = state["log"].numpy()
    elif start is not None:
        state = _load_checkpoint(start)
        first = step = state["step"]
        if step >= config.horizon:
            raise ValueError(f"start must be a checkpoint of before step {config.horizon}, got one of step {step}")
        _same_config(json.loads(state["config"]), config, start, state["rates"].numpy()[:step], rates[:step], branch=True)
    else:
        state, first, step = None, 0, 0
        if weights is not None:
            given = _load_checkpoint(weights)
            other = json.loads(given["config"])
            for name in dataclasses.asdict(config.shape):
                if other[name] != getattr(config, name):
                    raise ValueError(
                        f"weights {weights} are of another model: {name} {other[name]}, this run's {getattr(config, name)}"
                    )
            network.load_state_dict(given["model"])
    if config.processes > 1:
        steps = [None] * config.processes
        torch.distributed.all_gather_object(steps, step)
        if len(set(steps)) > 1:
            raise ValueError(f"out must be in a folder that all processes share: they found checkpoints of steps {steps}")
    if state is not None:
        network.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    return first, step, log, parent


def _load_checkpoint(path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"there is no checkpoint {path}") from None
    except Exception as error:  # damaged files fail in many ways
        raise ValueError(f"{path} is not a checkpoint of this trainer: {type(error).__name__}") from None


def _same_config(found, config, path, found_rates, rates, branch=False):
    wanted = dataclasses.asdict(config)
    free = FREE if branch else {"compile"} if Path(path).suffix == ".parquet" else ()  # of a finished run nothing depends on it
    different = [k for k in wanted if found.get(k) != wanted[k] and k not in free]
    if different:
        k = different[0]
        raise ValueError(f"{path} is of another config: its {k} is {found.get(k)!r}, this run's {wanted[k]!r}")
    if len(found_rates) != len(rates) or not np.array_equal(found_rates, rates):
        raise ValueError(f"{path} is of a run with other learning rates" + (" up to there" if branch else ""))


def _table(rows):
    table = pd.DataFrame(rows, columns=COLUMNS)
    whole = {"step": np.int32, "tokens": np.int64, "lr": np.float64}
    return table.astype({name: whole.get(name, np.float32) for name in COLUMNS})


def _commit():
    def git(*words):  # of the repository that this file is tracked in, if any
        return subprocess.run(
            ["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _hardware(config):
    if config.device == "cuda":
        return f"{config.processes} x {torch.cuda.get_device_name()}"
    return (
        f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads x {config.processes}"
    )


# --- command line ---------------------------------------------------------------------------------------------------


def make_schedule(name, T, **parameters):
    """A schedule by its name, or from a file, and what to record of it.

    Args:
        name: a function of `schedules`, or a CSV file with a column "eta" (or a single column of numbers) and T rows.
        T: number of steps.
        **parameters: of that function.

    Returns:
        (eta, attributes), for `configure`.

    Raises:
        ValueError: for an unknown schedule or parameter (the known ones are listed), or a file of another length.

    >>> eta, attributes = make_schedule("wsd", 9, cooldown=0.4)
    >>> eta[-3:], attributes
    (array([0.75, 0.5 , 0.25]), {'scheduler': 'wsd', 'cooldown': 0.4, 'shape': 'linear', 'final': 0.0})
    """
    T = _check.integer("T", T)
    if name in SCHEDULES:
        function = getattr(schedules, name)
        known = [p for p in inspect.signature(function).parameters if p != "T"]
        for parameter in parameters:
            if parameter not in known:
                raise ValueError(f"schedule {name!r} has no parameter {parameter!r}; it has {', '.join(known) or 'none'}")
        try:
            bound = inspect.signature(function).bind(T, **parameters)
        except TypeError as error:
            raise ValueError(f"schedule {name!r}: {error}") from None
        bound.apply_defaults()
        return function(*bound.args, **bound.kwargs), {"scheduler": name} | {k: bound.arguments[k] for k in known}
    if not Path(name).is_file():
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, or a CSV file, got {name!r}")
    if parameters:
        raise ValueError(f"a schedule from a file has no parameter {next(iter(parameters))!r}")
    eta = schedules.read_csv(name)
    if eta.size != T:
        raise ValueError(f"schedule {name} must have {T} rows, one a step, got {eta.size}")
    return eta, {"scheduler": Path(name).stem}


def steps_for(tokens, preset, batch=None, context=None):
    """Steps that a budget of tokens makes, rounded up."""
    tokens = _check.real("tokens", tokens, 1)
    return math.ceil(tokens / ((batch or RECIPES[preset]["batch"]) * (context or PRESETS[preset].context)))


def describe(config, seconds=None):
    """What a run will be, as lines of text: parameters, tokens, memory, and time where the seconds of a step are given."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in GPT(config.shape).parameters())
    tokens = config.batch * config.context * config.horizon
    activations = config.micro_batch * config.context * (config.layers * 40 * config.width + 6 * config.vocabulary)
    shape = f"{config.layers} layers, {config.width} wide, context {config.context}"
    budget = f"{config.horizon:,} steps of {config.batch} x {config.context} = {tokens:,} tokens"
    compiled = ", compiled" if config.compile else ""
    schedule = " ".join([config.schedule["scheduler"], *(f"{k}={v}" for k, v in config.schedule.items() if k != "scheduler")])
    lines = [
        f"model     {config.preset}: {parameters / 1e6:.2f}M parameters, {shape}",
        f"schedule  {schedule}, base learning rate {config.lr:g}, warmup {config.warmup}",
        f"budget    {budget} of corpus {config.corpus!r}, seed {config.seed}",
        f"memory    about {(20 * parameters + activations) / 2**30:.2f} GiB a process: weights, gradients, moments, activations",
        f"on        {_hardware(config)}, {config.dtype}{compiled}",
    ]
    if seconds:
        speed = config.batch * config.context / seconds
        lines.append(f"time      about {duration(seconds * config.horizon)}, {speed:,.0f} tokens/s (measured over a few steps)")
    return "\n".join(lines)


def seconds_per_step(config, rates, steps=5, warm=2):
    """Seconds of a step, the mean over a few after some to warm up; nothing is written."""
    device, network, forward, optimizer = _prepare(config)
    tokens = data.corpus(config.corpus)
    for group in optimizer.param_groups:
        group["lr"] = float(rates[0])
    for step in range(warm + steps):
        if step == warm:
            begun = time.perf_counter()
        _step(forward, network, optimizer, batch_at(tokens, config, step), config, device)
    return (time.perf_counter() - begun) / steps


def _bar(T, step, out, show):
    from tqdm import tqdm

    return tqdm(total=T, initial=step, desc=out.stem, unit="step", disable=None if show else True, dynamic_ncols=True)


def _speed(bar, config):
    rate = bar.format_dict["rate"] or 0
    return f"{rate * config.batch * config.context:,.0f} tokens/s"


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@contextlib.contextmanager
def _asked_to_stop():
    """A list that is filled by Ctrl-C or SIGTERM, to be looked at between steps; a second signal interrupts at once."""
    asked = []

    def note(number, _):
        if signal.SIGINT == number in asked:
            raise KeyboardInterrupt("at once: the same command goes on from the last checkpoint, if there is one")
        asked.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, which alone gets signals
        before = {}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser(prog):
    parser = argparse.ArgumentParser(prog=prog, description="Train a GPT with any schedule.")
    parser.add_argument("--preset", default="nano", help=", ".join(PRESETS))
    parser.add_argument(
        "--schedule",
        default="wsd",
        help=f"{', '.join(SCHEDULES)}, with parameters after a colon or as below, or a CSV file with a column eta",
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int)
    budget.add_argument("--tokens", type=float, help="budget in tokens instead of steps, such as 1e9")
    for name in ("cooldown", "final", "cycle", "power", "offset", "factor", "rho"):
        parser.add_argument(f"--{name}", type=float, help="parameter of the schedule")
    parser.add_argument("--shape", help="parameter of the schedule: linear or 1-sqrt")
    parser.add_argument("--switch", type=int, help="parameter of the schedule")
    parser.add_argument("--milestones", type=int, nargs="+", help="parameter of the schedule")
    parser.add_argument("--lr", type=float, help="base learning rate")
    parser.add_argument("--corpus", default="python", help="python, shakespeare, a text file, or a folder of tokens")
    for name in ("seed", "warmup", "batch", "micro-batch", "eval-every", "eval-sequences", "layers", "heads", "width", "context"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("weight-decay", "beta1", "beta2", "clip"):
        parser.add_argument(f"--{name}", type=float)
    parser.add_argument("--dtype", help="bfloat16 or float32")
    parser.add_argument("--device", help="cpu or cuda")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--out", help="log file; build/train/<preset>-<schedule>-….parquet by default")
    parser.add_argument("--from", dest="start", metavar="CHECKPOINT", help="branch off another run's checkpoint")
    parser.add_argument("--weights", metavar="CHECKPOINT", help="begin with its weights, and nothing else of it: fine-tuning")
    parser.add_argument("--keep", type=int, nargs="*", default=[], metavar="STEP", help="keep checkpoints after these steps")
    parser.add_argument("--checkpoint-seconds", type=float, default=60.0, help="time between checkpoints; default 60")
    parser.add_argument("--dry-run", action="store_true", help="say parameters, tokens, memory and time, and stop")
    return parser


def main(argv=None, prog="python -m lastiterate.train"):
    """Command line; see the module's docstring."""
    args = vars(_parser(prog).parse_args(argv))
    rank = int(os.environ.get("RANK", 0))
    try:
        _check.choice("preset", args["preset"], RECIPES)
        steps = args["steps"]
        if args["tokens"] is not None:
            steps = steps_for(args["tokens"], args["preset"], args["batch"], args["context"])
        names = ("cooldown", "final", "cycle", "power", "offset", "factor", "rho", "shape", "switch", "milestones")
        name, parameters = schedules.parse(args["schedule"])
        parameters |= {key: args[key] for key in names if args[key] is not None}
        eta, about = make_schedule(name, 1000 if steps is None else steps, **parameters)
        names = {*inspect.signature(configure).parameters, "layers", "heads", "width", "context"} - {"eta", "schedule", "shape"}
        options = {name: args[name] for name in names if args.get(name) is not None}
        config, rates = configure(eta, schedule=about, **options)
        out = Path(args["out"] or Path("build") / "train" / f"{run_name(config)}.parquet")
        if args["dry_run"]:
            print(describe(config, seconds_per_step(config, rates)))
            return 0
        if rank == 0:
            print(describe(config), f"log       {out}", sep="\n", flush=True)
        log = train(config, rates, out, None, args["start"], args["keep"], args["checkpoint_seconds"], weights=args["weights"])
        if rank == 0:
            val = log["val_loss"].dropna()
            print(
                f"finished: validation loss {val.iloc[-1]:.4f} after {config.horizon} steps; train loss in the first step "
                f"{log['train_loss'].iloc[0]:.4f}, in the last {log['train_loss'].iloc[-1]:.4f}; log in {out}"
            )
        return 0
    except Diverged as error:
        print(f"diverged: {error}", file=sys.stderr)
        return 3
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"\ninterrupted: {interrupt or 'nothing was trained yet'}", file=sys.stderr)
        return 130
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def run_name(config):
    """A run's name by its config: model, schedule, rate, steps, seed, and whatever is not as usual.

    >>> run_name(configure(*make_schedule("wsd", 800)[:1], lr=1e-3, schedule=make_schedule("wsd", 800)[1], batch=16)[0])
    'nano-wsd-0.2-linear-lr0.001-800-seed0-batch16'
    """
    scheduler, *parameters = config.schedule.items()
    function = getattr(schedules, scheduler[1], None)
    usual = {k: p.default for k, p in inspect.signature(function).parameters.items()} if callable(function) else {}
    parts = [config.preset, scheduler[1]]
    for name, value in parameters:
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        if name in ALWAYS_NAMED:
            parts.append(shown)
        elif name in usual and value != usual[name]:
            parts.append(f"{name}{shown}".replace(" ", ""))
    parts += [f"lr{config.lr:g}", str(config.horizon), f"seed{config.seed}"]
    common = RECIPES[config.preset] | dataclasses.asdict(PRESETS[config.preset])
    for name in ("layers", "heads", "width", "context", "batch", "warmup"):
        if getattr(config, name) != common[name]:
            parts.append(f"{name}{getattr(config, name)}")
    return "-".join(parts)


if __name__ == "__main__":
    sys.exit(main())
