"""The machine that a run is trained on: its processor or GPU, its memory, and the processes that share a run."""

import math
import os
import platform
import shutil
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from lastiterate import _extras, _processes

if TYPE_CHECKING:
    from lastiterate.trainer.config import Config

COMPILE_STEPS = 2000  # on a CPU compiling takes 20 to 40 s, and saves a third of the time of a step
MOST_PROCESSES = 2**20


def processes() -> int:
    """Processes that share a run: WORLD_SIZE, which torchrun sets, or 1."""
    return _processes.environment("WORLD_SIZE", 1, 1, MOST_PROCESSES)


def rank() -> int:
    """Which of them this one is, from 0: RANK."""
    return _processes.environment("RANK", 0, 0, processes() - 1)


def local_rank() -> int:
    """Which of those on this machine this one is, from 0: LOCAL_RANK."""
    return _processes.environment("LOCAL_RANK", 0, 0, processes() - 1)


def has_bfloat16(device: str | None = None) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device != "cpu" and has_gpu():
        return _torch().cuda.is_bf16_supported(including_emulation=False)
    found = _torch().cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("bf16"))


def compiling_pays(steps: int, device: str | None = None) -> bool:
    """Whether so many steps in one process are worth compiling for, and there is a compiler and what it needs."""
    gpu = device != "cpu" and has_gpu()
    compilers = ("gcc", "clang", "cc") if gpu else ("g++", "clang++", "c++")
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    return (gpu or steps >= COMPILE_STEPS) and headers and any(map(shutil.which, compilers))


def memory(device: str) -> float:
    """Bytes of memory of the device, all of it; infinite where that cannot be known."""
    if device == "cuda":
        return _torch().cuda.get_device_properties(_torch().cuda.current_device()).total_memory
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return math.inf


def least_memory(config: "Config") -> int:
    """Bytes that a process of a run needs at least: weights, gradients, moments, its sequences, the logits of a micro-batch."""
    copies = 4 if config.optimizer == "adamw" else 3  # muon and sgd keep one moment of most entries
    sequences = config.batch // config.processes + config.eval_sequences
    logits = config.micro_batch * config.context * config.vocabulary
    return 4 * (copies * config.shape.parameters + logits) + 8 * sequences * (config.context + 1)


def need_device(config: "Config") -> None:
    """A ValueError where a config asks for a GPU and there is none, or for more memory than the device has."""
    if config.device == "cuda" and not has_gpu():
        raise ValueError("device must be 'cpu', got 'cuda': PyTorch sees no GPU here")
    least, there = least_memory(config), memory(config.device)
    if least > there:
        gib, shape = least / 2**30, f"layers = {config.layers}, width = {config.width}, context = {config.context}"
        said = f"{shape}, batch = {config.batch}, micro_batch = {config.micro_batch} and eval_sequences = {config.eval_sequences}"
        raise ValueError(f"{said} must fit into the memory of {there / 2**30:.3g} GiB, got a run of {gib:.3g} GiB or more")


def hardware(config: "Config") -> str:
    """What a run is trained on here, such as "x86_64 AVX512, 1 threads x 1"."""
    need_device(config)
    torch = _torch()
    if config.device == "cuda":
        return f"{config.processes} x {torch.cuda.get_device_name()}"
    return (
        f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads x {config.processes}"
    )


def has_gpu() -> bool:
    """Whether PyTorch sees a GPU."""
    return _torch().cuda.is_available()


def _torch():
    _extras.require("torch", "train")
    import torch  # here: the command line's --help does without it

    return torch
