"""A schedule for another trainer: lines of Python, or flags, that give its steps these rates, or the nearest that it has.

What takes any array (PyTorch, optax, and what is built on them) gets it through `adapters`. Others get their own settings: those
whose rates, as `tools` has them, are the schedule's to 1e-12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check
from lastiterate.schedules import tools
from lastiterate.schedules.tools import megatron, timm, torchtitan
from lastiterate.schedules.tools._run import cosine

__all__ = ["FOR", "nearest", "settings"]

EXACT = 1e-12  # of the peak rate
FOR = ("torch", "hf", "lightning", "optax", "timm", "megatron", "torchtitan", "nanogpt")
Parameters = dict[str, Any]
ARRAY = """\
from lastiterate import schedules
eta = {source}
"""
TORCH = (
    ARRAY
    + """\
optimizer = torch.optim.AdamW(model.parameters(), lr={lr!r})
scheduler = schedules.to_torch(optimizer, eta)
"""
)
LINES = {
    "torch": "import torch\n" + TORCH + "# after each optimizer.step(), with accumulation once an update: scheduler.step()",
    "hf": "import torch, transformers\n"
    + TORCH
    + "arguments.max_steps = {T}\n"
    + "trainer = transformers.Trainer(model, arguments, train_dataset=data, optimizers=(optimizer, scheduler))",
    "lightning": "import torch\n"
    + ARRAY
    + """\
def configure_optimizers(self):  # of the LightningModule; Trainer(max_steps={T})
    optimizer = torch.optim.AdamW(self.parameters(), lr={lr!r})
    scheduler = schedules.to_torch(optimizer, eta)
    return {{"optimizer": optimizer, "lr_scheduler": {{"scheduler": scheduler, "interval": "step"}}}}""",
    "optax": "import optax\n" + ARRAY + "optimizer = optax.adamw(schedules.to_optax(eta, lr={lr!r}))",
}


class Corners(NamedTuple):
    """What a schedule shows of itself: a rise to its peak, perhaps steps at it, and a fall."""

    T: int
    lr: float
    """Peak rate."""
    eta: NDArray[np.float64]
    """In units of it."""
    W: int
    """Steps before the first at the peak."""
    d: int
    """Steps behind the last at the peak."""

    @property
    def init(self) -> float:
        """Rate of the first step."""
        return self.lr * float(self.eta[0])

    def end(self, height: float) -> float:
        """Floor e of a fall to e + (1 − e)·height at the last step."""
        found = (float(self.eta[-1]) - height) / (1 - height) if height < 1 else 0.0
        return float(f"{min(max(found, 0.0), 1.0):.13g}") if found > EXACT else 0.0


def settings(tool: str, eta: ArrayLike, lr: float, source: str = 'schedules.read_csv("schedule.csv")') -> str:
    """Lines of Python, or flags, with which a tool trains with the rates lr·eta.

    Args:
        tool: one of FOR.
        eta: schedule, shape (T,).
        lr: base learning rate γ > 0.
        source: Python that makes eta, for the tools that take it as an array.

    Returns:
        Text of one or several lines. The flags of megatron, torchtitan and nanogpt are those of their training scripts.

    Raises:
        ValueError: for an unknown tool, or a schedule that it cannot express; then with the nearest that it can.

    Source: the tools' own code, as `tools` cites it.

    >>> from lastiterate.schedules import named
    >>> print(settings("megatron", named("wsd:cooldown=0.1,shape=1-sqrt,warmup=500", 20_000), 3e-4))
    --train-iters 20000 --lr 0.0003 --lr-decay-style WSD --lr-wsd-decay-iters 2000 --lr-wsd-decay-style minus_sqrt
    --min-lr 0.0 --lr-decay-iters 20000 --lr-warmup-iters 499 --lr-warmup-init 6e-07
    """
    _check.choice("for", tool, FOR)
    eta, lr = _check.schedule(eta), _check.real("lr", lr, 0.0, open_low=True)
    if tool in LINES and tool != "hf":
        return LINES[tool].format(source=source, lr=lr, T=eta.size)
    name, given, off, at = nearest(tool, eta, lr)
    peak = lr * float(eta.max())
    if off <= EXACT:
        return PRINT[tool](name, given, peak, eta.size)
    if tool == "hf":
        return LINES[tool].format(source=source, lr=lr, T=eta.size)
    said = " ".join(PRINT[tool](name, given, peak, eta.size).split())
    raise ValueError(
        f"{tools.TOOLS[tool][1]} cannot express this schedule; the nearest that it has is off by {off:.2g} of the peak rate, "
        f"at step {at:,}: {said}"
    )


def nearest(tool: str, eta: ArrayLike, lr: float) -> tuple[str, Parameters, float, int]:
    """A tool's own schedule that is nearest to an array, in the largest difference of a step.

    Args:
        tool: hf, timm, megatron, torchtitan or nanogpt.
        eta: schedule, shape (T,).
        lr: base learning rate γ > 0.

    Returns:
        (its name, its parameters as `tools` has them, largest difference over the peak rate, the step that has it).

    Raises:
        ValueError: on bad input.

    >>> from lastiterate.schedules import linear
    >>> nearest("megatron", linear(100), 1e-3)[:2]
    ('linear', {'min_lr': 0.0, 'lr_decay_iters': 100})
    """
    _check.choice("tool", tool, CANDIDATES)
    eta, lr = _check.schedule(eta), _check.real("lr", lr, 0.0, open_low=True)
    shape = eta / eta.max()
    top = np.flatnonzero(shape >= 1 - EXACT)
    corners = Corners(eta.size, lr * float(eta.max()), shape, int(top[0]), eta.size - 1 - int(top[-1]))
    found = []
    for name, given in CANDIDATES[tool](corners):
        off = np.abs(tools.rates(f"{tool}.{name}", eta.size, given, corners.lr) - shape)
        found.append((name, given, float(off.max()), int(off.argmax()) + 1))
    return min(found, key=lambda one: one[2])


def _hf(c: Corners) -> Iterator[tuple[str, Parameters]]:
    warm: Parameters = {"num_warmup_steps": c.W}
    x, y = (c.T - 1 - c.W) / max(c.T - c.W, 1), c.d / (c.d + 1)
    if c.W == 0:
        yield "constant", {}
    yield "constant_with_warmup", warm
    yield "linear", warm
    yield "cosine", warm
    yield "cosine_with_min_lr", warm | {"min_lr_rate": c.end(float(cosine(x)))}
    if (end := c.end(1 - x)) < 1:
        yield "polynomial", warm | {"lr_end": end * c.lr}
    yield "inverse_sqrt", warm
    if c.W + c.d < c.T:
        for kind, height in {"linear": 1 - y, "cosine": float(cosine(y)), "1-sqrt": 1 - y**0.5}.items():
            more = {"num_decay_steps": c.d + 1, "decay_type": kind, "min_lr_ratio": c.end(height)}
            if c.W + c.d + 1 <= c.T:
                yield "warmup_stable_decay", warm | more


def _timm(c: Corners) -> Iterator[tuple[str, Parameters]]:
    warm: Parameters = {"warmup_t": c.W, "warmup_lr_init": c.init, "warmup_prefix": True} if c.W else {}
    n = c.T - c.W
    x = (n - 1) / n
    yield "step", {"decay_t": c.T} | warm
    yield "cosine", {"t_initial": n, "lr_min": c.end(float(cosine(x))) * c.lr} | warm
    yield "poly", {"t_initial": n, "power": 1.0, "lr_min": c.end(1 - x) * c.lr} | warm
    if n > 1 and 0 < c.eta[-1] < 1:
        yield "poly", {"t_initial": n, "power": float(f"{np.log(c.eta[-1]) / np.log1p(-x):.13g}")} | warm
    fall = c.eta[c.W :]
    drops = np.flatnonzero(fall[1:] != fall[:-1]) + 1
    if 0 < drops.size <= 20 and fall[drops].all():
        rate = float(f"{fall[drops[0]] / fall[drops[0] - 1]:.13g}")
        yield "multistep", {"decay_t": [int(k) + 1 for k in drops], "decay_rate": rate} | warm


def _megatron(c: Corners) -> Iterator[tuple[str, Parameters]]:
    warm: Parameters = {"lr_decay_iters": c.T}
    if c.W:
        warm |= {"lr_warmup_iters": c.W, "lr_warmup_init": c.init}
    yield "constant", {key: value for key, value in warm.items() if "warmup" in key}
    x, y = (c.T - 1 - c.W) / (c.T - c.W), c.d / (c.d + 1)
    for style, height in megatron.STYLES.items():
        yield style, {"min_lr": c.end(float(height(x))) * c.lr} | warm
    if c.W:
        yield "inverse-square-root", {"min_lr": 0.0} | warm
    for style, height in megatron.WSD_STYLES.items():
        end = c.end(float(height(np.float64(y)))) * c.lr
        yield "WSD", {"lr_wsd_decay_iters": c.d + 1, "lr_wsd_decay_style": style, "min_lr": end} | warm


def _torchtitan(c: Corners) -> Iterator[tuple[str, Parameters]]:
    y = c.d / (c.d + 1)
    for kind, height in torchtitan.TYPES.items():
        end = c.end(float(height(np.float64(y))))
        yield kind, {"warmup_steps": c.W, "decay_ratio": c.d / c.T, "min_lr_factor": end}


def _nanogpt(c: Corners) -> Iterator[tuple[str, Parameters]]:
    if c.W == 0:
        yield "cosine", {"decay_lr": False}
    x = (c.T - 1 - c.W) / (c.T - c.W)
    yield "cosine", {"warmup_iters": c.W, "lr_decay_iters": c.T, "min_lr": c.end(float(cosine(x))) * c.lr}


def _print_hf(name: str, given: Parameters, lr: float, T: int) -> str:
    more = dict(given)
    warmup = more.pop("num_warmup_steps", 0)
    return (
        "import transformers\n"
        f"arguments = transformers.TrainingArguments(\n    max_steps={T}, learning_rate={lr!r}, warmup_steps={warmup},\n"
        f'    lr_scheduler_type="{name}", lr_scheduler_kwargs={more!r},\n)'
    )


def _print_timm(name: str, given: Parameters, lr: float, T: int) -> str:
    short = {theirs: ours for ours, theirs in timm.ALIASES.items()}[name]
    words = ", ".join(f"{key}={value!r}" for key, value in given.items())
    return (
        f"from timm.scheduler import {short}\n"
        f"scheduler = {short}(  # of an optimizer with lr={lr!r}\n    optimizer, {words}, t_in_epochs=False\n)\n"
        "# after update number n: scheduler.step_update(n)"
    )


def _print_megatron(name: str, given: Parameters, lr: float, T: int) -> str:
    flags = {"train_iters": T, "lr": lr, "lr_decay_style": name} | given
    return _wrapped(f"--{key.replace('_', '-')} {value}" for key, value in flags.items())


def _print_torchtitan(name: str, given: Parameters, lr: float, T: int) -> str:
    flags = {"training.steps": T, "optimizer.lr": lr, "lr_scheduler.decay_type": name}
    return _wrapped(f"--{k} {v}" for k, v in (flags | {f"lr_scheduler.{k}": v for k, v in given.items()}).items())


def _print_nanogpt(name: str, given: Parameters, lr: float, T: int) -> str:
    flags = {"learning_rate": lr, "max_iters": T - 1} | given  # it makes one update more than max_iters
    return _wrapped(f"--{key}={value}" for key, value in flags.items())


def _wrapped(words: Any) -> str:
    """Flags in lines of about a hundred characters."""
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 110:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "\n".join(lines)


CANDIDATES: dict[str, Callable[[Corners], Iterator[tuple[str, Parameters]]]] = {
    "hf": _hf,
    "timm": _timm,
    "megatron": _megatron,
    "torchtitan": _torchtitan,
    "nanogpt": _nanogpt,
}
PRINT: dict[str, Callable[[str, Parameters, float, int], str]] = {
    "hf": _print_hf,
    "timm": _print_timm,
    "megatron": _print_megatron,
    "torchtitan": _print_torchtitan,
    "nanogpt": _print_nanogpt,
}
