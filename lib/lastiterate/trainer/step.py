"""One step of training, on whatever device: the batch, the optimizers, the validation, and how long a step takes."""

# torch's _foreach functions have no good types
# pyright: reportPrivateImportUsage=false, reportCallIssue=false, reportArgumentType=false

import contextlib
import dataclasses
import functools
import time
from typing import Any

import numpy as np

from lastiterate import _extras
from lastiterate.logs.published import DataError
from lastiterate.trainer import corpora
from lastiterate.trainer.beforehand import flops_per_token
from lastiterate.trainer.config import Config
from lastiterate.trainer.corpora import Corpus
from lastiterate.trainer.machine import local_rank, need_device

_extras.require("torch", "train")
import torch  # noqa: E402

from lastiterate.trainer.model import GPT  # noqa: E402

REAL = 1.0  # seconds that a step is estimated at, up to which real ones are timed
LARGE = 4096  # width of matrices beyond which their products are as fast as they get


def make_optimizers(network: GPT, config: Config) -> list[torch.optim.Optimizer]:
    """torch's own: AdamW; Muon on the blocks' matrices and AdamW on the rest; SGD with momentum 0.9. Decay on matrices only.

    Muon's updates are scaled to the size of AdamW's, so that one base learning rate serves both.
    """
    named = list(network.named_parameters())

    def groups(parameters):
        matrices, gains = ([p for p in parameters if (p.ndim >= 2) is many] for many in (True, False))
        return [{"params": matrices, "weight_decay": config.weight_decay}, {"params": gains, "weight_decay": 0.0}]

    def adamw(parameters):
        return torch.optim.AdamW(groups(parameters), lr=config.lr, betas=(config.beta1, config.beta2), fused=True)

    if config.optimizer == "sgd":
        return [torch.optim.SGD(groups([p for _, p in named]), lr=config.lr, momentum=0.9)]
    if config.optimizer == "muon":
        inner = [p for name, p in named if p.ndim == 2 and name.startswith("blocks.")]
        others = [p for name, p in named if not (p.ndim == 2 and name.startswith("blocks."))]
        muon = torch.optim.Muon(inner, lr=config.lr, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw")
        return [muon, adamw(others)]
    return [adamw([p for _, p in named])]


def set_rates(optimizers, rate):
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = float(rate)


def one_step(forward, network, optimizers, batch, config, device, trouble, logged):
    """One step. Logged, it gives [mean loss, l2 and l1 norm of the gradient before clipping, norm of the update, trouble].

    Nothing here waits for the device. What is not finite in a step that is not logged leaves `trouble` not finite: a loss that
    is not gives such gradients.
    """
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
        l2 = l1 = update = torch.stack(torch._foreach_norm(gradients)).norm()
        before = torch._foreach_add(parameters, 0.0) if logged else ()
        if logged:
            l1 = torch.stack(torch._foreach_norm(gradients, 1)).sum()
        torch._foreach_mul_(gradients, (config.clip / (l2 + 1e-6)).clamp(max=1.0))
        trouble += 0.0 * l2
        for optimizer in optimizers:
            optimizer.step()
        network.zero_grad(set_to_none=True)
        if logged:
            update = torch.stack(torch._foreach_norm(torch._foreach_sub(parameters, before))).norm()
        if logged and config.processes > 1:
            torch.distributed.all_reduce(total)
            total /= config.processes
    return torch.stack([total, l2, l1, update, trouble]) if logged else trouble


@torch.no_grad()
def evaluate(forward: Any, sequences: np.ndarray, config: Config, device: torch.device) -> float:
    """Mean loss over sequences, shape (n, context + 1)."""
    losses = []
    for part in torch.from_numpy(sequences).to(device).split(config.micro_batch):
        with _autocast(config, device):
            losses.append(forward(part[:, :-1], part[:, 1:]))
    return torch.stack(losses).mean().item()


def batch_at(corpus: Corpus, config: Config, step: int, rank: int = 0) -> torch.Tensor:
    """This process's sequences of a step (counted from 0), shape (batch / processes, context + 1)."""
    places = np.random.default_rng([config.seed, step]).random(config.batch)
    batch = torch.from_numpy(sequences_at(corpus, corpus.train, config, places[rank :: config.processes]))
    return batch.pin_memory() if config.device == "cuda" else batch  # so that the copy does not wait for the device


def sequences_at(corpus, shards, config, places):
    found = windows(shards, config.context, places)
    if found.max() >= config.vocabulary:
        raise DataError(f"corpus {corpus.name} has a token {found.max()}, and should have less than {corpus.vocabulary}")
    return found


def windows(shards: list, context: int, places: Any) -> np.ndarray:
    """Pieces of context + 1 tokens at places in [0, 1) of the shards laid end to end; none crosses from one to the next."""
    room = np.array([max(len(shard) - context, 0) for shard in shards])
    ends = np.cumsum(room)
    positions = (np.asarray(places) * ends[-1]).astype(np.int64)
    which = np.searchsorted(ends, positions, side="right")
    starts = positions - (ends - room)[which]
    return np.stack([shards[w][s : s + context + 1].astype(np.int64) for w, s in zip(which, starts, strict=True)])


def _autocast(config, device):
    return torch.autocast(device.type, torch.bfloat16, enabled=config.dtype == "bfloat16")


def _device(config):
    """This process's device; joins the other processes where there are some."""
    need_device(config)
    if config.device == "cuda":
        torch.cuda.set_device(local_rank())
        torch.set_float32_matmul_precision("high")
    if config.processes > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if config.device == "cuda" else "gloo")
    return torch.device(config.device, torch.cuda.current_device()) if config.device == "cuda" else torch.device("cpu")


def prepare(config):
    """(device, model with the seed's weights, model to call, optimizers)."""
    device = _device(config)
    network, forward = _network(config.shape, device, config.compile)
    network.initialise(config.seed)
    network.zero_grad(set_to_none=True)
    if config.processes > 1:
        forward = torch.nn.parallel.DistributedDataParallel(forward)
    return device, network, forward, make_optimizers(network, config)


@functools.lru_cache(maxsize=1)
def _network(shape, device, compiled):
    """(model, model to call), made once a process: what was compiled for one run serves the next."""
    if compiled:
        torch._dynamo.reset()  # it counts what it has compiled for each function, whatever the shape, and gives up after eight
    network = GPT(shape).to(device)
    return network, torch.compile(network, dynamic=False) if compiled else network


def forget() -> None:
    """Drop the network that the last run has left in this process, and its memory on a GPU."""
    _network.cache_clear()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def leave() -> None:
    """Leave the other processes of a run, where there are some."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def any_process(asked, step, config, device):
    """Whether any process was asked to stop: all must stop at the same step, and ask each other where they log."""
    if config.processes == 1:
        return asked
    if step % config.log_every:
        return False
    flag = torch.tensor(float(asked), device=device)
    torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
    return bool(flag)


# --- time -----------------------------------------------------------------------------------------------------------


def seconds_per_step(config: Config, rates: np.ndarray, steps: int = 5, warm: int = 2) -> float:
    """Seconds of a step, the mean over a few after some to warm up; nothing is written."""
    device, network, forward, optimizers = prepare(config)
    tokens, trouble, begun = corpora.corpus(config.corpus), torch.zeros((), device=device), 0.0
    set_rates(optimizers, rates[0])
    for step in range(warm + steps):
        if step == warm:
            trouble.item()  # what the device was given before has ended
            begun = time.perf_counter()
        logged = (step + 1) % config.log_every == 0
        found = one_step(forward, network, optimizers, batch_at(tokens, config, step), config, device, trouble, logged)
        if logged:
            found.tolist()
    trouble.item()
    return (time.perf_counter() - begun) / steps


def time_of_step(config: Config, rates: np.ndarray) -> tuple[float, str]:
    """Seconds of a step and how they are known: real steps are timed, not compiled, where they are estimated to be short."""
    seconds = _estimated_seconds(config)
    if seconds > REAL:
        return seconds, "estimated from the speed of multiplying matrices"
    said = "measured over a few steps" + (", not compiled" if config.compile else "")
    return seconds_per_step(dataclasses.replace(config, compile=False), rates), said


def _estimated_seconds(config):
    """Seconds of a step by its count of operations, at the rate of one matrix product as the model has them."""
    device, shape = _device(config), config.shape
    dtype = torch.bfloat16 if config.dtype == "bfloat16" else torch.float32
    rows, width, hidden = min(config.micro_batch * config.context, 2048), min(shape.width, LARGE), min(shape.hidden, LARGE)
    a, b = (torch.ones(size, dtype=dtype, device=device) for size in ((rows, width), (width, hidden)))
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        (a @ b).sum().item()
        best = min(best, time.perf_counter() - begun)
    rate = 2 * rows * width * hidden / best
    return flops_per_token(shape) * config.batch * config.context / config.processes / rate
