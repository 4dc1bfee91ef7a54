"""Other tools for the tests: timm's scheduler files alone, and trainers that are no packages, written out."""

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import torch

T, LR = 60, 3e-4


def optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)


def timm_classes():
    """timm's schedulers by the names of `tools`, without the rest: these files need PyTorch alone; {} without timm."""
    try:
        spec = importlib.util.find_spec("timm")
    except ValueError:  # the stub of an earlier call
        spec = None
    if "timm" not in sys.modules:
        if spec is None:
            return {}
        for name in ("timm", "timm.scheduler"):
            package = types.ModuleType(name)
            package.__path__ = [str(Path(spec.origin).parent.joinpath(*name.split(".")[1:]))]
            sys.modules[name] = package
    found = {}
    for name, cls in (("cosine", "Cosine"), ("tanh", "Tanh"), ("step", "Step"), ("multistep", "MultiStep"), ("poly", "Poly")):
        found[name] = getattr(importlib.import_module(f"timm.scheduler.{name}_lr"), f"{cls}LRScheduler")
    return found


def forget_timm():
    """Remove the stub of `timm_classes`, so that others find the package or its absence."""
    for name in [name for name in sys.modules if name == "timm" or name.startswith("timm.")]:
        del sys.modules[name]


def megatron(i, style, W=0, init=0.0, n=T, low=0.0, wsd=None, d=0, lr=LR):
    """Megatron-LM's rate after i iterations, as its flags have it."""
    if W > 0 and i <= W:
        return init + (lr - init) * i / W
    if style == "constant":
        return lr
    if i > n:
        return low
    if style == "inverse-square-root":
        return max(low, lr * (max(W, 1) / max(i, 1)) ** 0.5)
    if style == "WSD":
        x, style = max(i - (n - d), 0) / d, wsd
    else:
        x = (i - W) / (n - W)
    heights = {
        "linear": lambda: 1 - x,
        "cosine": lambda: 0.5 * (np.cos(np.pi * x) + 1),
        "exponential": lambda: 2 * 0.5**x - 1,
        "minus_sqrt": lambda: 1 - x**0.5,
    }
    return low + heights[style]() * (lr - low)


def torchtitan(i, kind, W, ratio, low):
    """torchtitan's factor of step i."""
    d = T - W if ratio is None else min(round(T * ratio), T - W)
    if i < W:
        return (i + 1) / (W + 1)
    if i < T - d or d == 0:
        return 1.0
    x = (i + 1 - (T - d)) / (d + 1)
    return low + (1 - low) * {"linear": 1 - x, "sqrt": 1 - x**0.5, "cosine": 0.5 * (1 + np.cos(np.pi * x))}[kind]


def nanogpt(i, W, n, low, lr=LR):
    """nanoGPT's rate of iteration i."""
    if i < W:
        return lr * (i + 1) / (W + 1)
    return low + 0.5 * (1 + np.cos(np.pi * (i - W) / (n - W))) * (lr - low) if i <= n else low
