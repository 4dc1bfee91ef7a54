"""Schedules by the names and parameters that other tools give them: "hf.cosine_with_min_lr:num_warmup_steps=500,min_lr_rate=0.1".

A file a tool; in it a function a schedule, with the tool's own parameters, from a `Run` to the rates of its steps. Each is tested
step by step against the tool itself. What needs the losses of the run, or functions of your own, is listed as refused.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lastiterate import _check
from lastiterate.schedules.tools._run import Run

TOOLS = {  # their short names: file, and what they are called in full
    "hf": ("huggingface", "Hugging Face transformers"),
    "timm": ("timm", "timm"),
    "optax": ("optax", "optax"),
    "torch": ("torch", "torch.optim.lr_scheduler"),
    "megatron": ("megatron", "Megatron-LM"),
    "torchtitan": ("torchtitan", "torchtitan"),
    "nanogpt": ("nanogpt", "nanoGPT"),
}


def find(name: str) -> str | None:
    """A tool's schedule in full, "torch.StepLR"; its own name will do where only one tool has it. None for what no tool has.

    Raises:
        ValueError: for a name that several tools have, or a schedule that cannot be known beforehand.

    >>> find("CosineAnnealingLR"), find("hf.linear"), find("wsdx")
    ('torch.CosineAnnealingLR', 'hf.linear', None)
    """
    tool, dot, short = name.partition(".")
    tool = "hf" if tool == "transformers" else tool
    if dot and tool not in TOOLS:
        return None
    found = []
    for one in [tool] if dot else TOOLS:
        module, word = _module(one), short if dot else name
        word = getattr(module, "ALIASES", {}).get(word, word)
        if word in getattr(module, "REFUSED", {}):
            raise ValueError(f"schedule {name!r} of {TOOLS[one][1]} {module.REFUSED[word]}")
        if word in module.SCHEDULES:
            found.append(f"{one}.{word}")
    if dot and not found:
        raise ValueError(f"schedule of {TOOLS[tool][1]} must be one of {', '.join(_module(tool).SCHEDULES)}, got {name!r}")
    if len(found) > 1:
        raise ValueError(f"schedule {name!r} must say whose it is: {' or '.join(found)}")
    return found[0] if found else None


def parameters(name: str) -> dict[str, Any]:
    """Parameters of a tool's schedule and their defaults; `inspect.Parameter.empty` where there is none."""
    return {key: about.default for key, about in _signature(name)[1].items()}


def rates(name: str, T: int, given: Mapping[str, Any], lr: float | None = None) -> NDArray[np.float64]:
    """A tool's schedule in units of the base learning rate.

    Args:
        name: in full, as `find` gives it.
        T: steps, an integer >= 1.
        given: parameters by the tool's names.
        lr: base learning rate, > 0. Needed where a parameter is a learning rate (min_lr, eta_min) other than 0; where all rates
            of a schedule are its own (optax, OneCycleLR), its peak by default.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on a bad parameter.

    >>> rates("torch.ExponentialLR", 3, {"gamma": 0.5}), rates("hf.linear", 5, {"num_warmup_steps": 2})
    (array([1.  , 0.5 , 0.25]), array([0.        , 0.5       , 1.        , 0.66666667, 0.33333333]))
    """
    function, signature = _signature(name)
    lr = None if lr is None else _check.real("lr", lr, 0.0, open_low=True)
    run = Run(_check.steps("T", T), lr)
    values = {key: _checked(key, value, signature[key].annotation) for key, value in given.items()}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        eta = np.asarray(function(run, **values), float)
    eta = _check.array(f"schedule {name}", np.broadcast_to(eta, T))
    if run.absolute:
        eta = eta / (eta.max() or 1.0) if lr is None else eta / lr
    return _check.schedule(eta, f"schedule {name}")


def _checked(name: str, value: Any, kind: str) -> Any:
    """A parameter's value as what its annotation says: int (>= 0), float, bool, str, or lists of numbers."""
    if kind == "bool":
        words = {"true": True, "false": False, "1": True, "0": False}
        if str(value).lower() not in words:
            raise ValueError(f"{name} must be True or False, got {_check.shown(value)}")
        return words[str(value).lower()]
    if kind.startswith("list"):
        low = -np.inf if "float" in kind else 0
        return [_check.real(name, one, low) for one in _check.sequence(name, value)]
    if value == "None" and "None" in kind:
        return None
    if kind.startswith("int"):
        return _check.integer(name, value, 0)
    if kind.startswith("float"):
        return _check.real(name, value)
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a word, got {_check.shown(value)}")
    return value


def _signature(name: str) -> tuple[Callable[..., Any], dict[str, inspect.Parameter]]:
    tool, _, short = name.partition(".")
    function = _module(tool).SCHEDULES[short]
    return function, {k: p for k, p in inspect.signature(function).parameters.items() if k != "run"}


def _module(tool: str) -> Any:
    return importlib.import_module(f"lastiterate.schedules.tools.{TOOLS[tool][0]}")
