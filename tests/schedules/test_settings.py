"""What is printed for another tool is run, or read back by that tool's own rule, and gives our rates over a whole run."""

import shlex
import sys

import numpy as np
import pytest
import torch

import other_tools
from lastiterate import schedules
from lastiterate.schedules import settings, tools

T, LR = other_tools.T, other_tools.LR
SPECS = [
    "wsd:cooldown=0.2,shape=1-sqrt,warmup=5",
    "wsd:cooldown=0.3,final=0.1,warmup=5",
    "wsd:cooldown=0.3,shape=cosine,warmup=5",
    "cosine:warmup=5,join=after,final=0.1",
    "cosine:warmup=5,lag=1,join=after",
    "linear:warmup=5,join=after,start=0.1",
    "linear",
    "polynomial:power=2",
    "inverse_sqrt:offset=4,warmup=5,join=after",
    "step:milestones=[20,40],factor=0.3",
    "constant:warmup=5",
    "exponential:final=0.1",
    "wsd:cooldown=0.4,shape=square,warmup=5",
    "hf.warmup_stable_decay:num_warmup_steps=5,num_decay_steps=20",
    "cosine:warmup=5",
]
CAN = {  # of SPECS, by their number
    "megatron": {0, 1, 2, 3, 4, 5, 6, 8, 10, 13},
    "torchtitan": {0, 1, 2, 3, 6, 10},
    "nanogpt": {3, 10},
    "timm": {3, 4, 5, 6, 7, 9, 10},
}
HF = {4, 6, 13}  # that its own names express


def flags(text):
    """{flag: value} of a command line."""
    words = shlex.split(text.replace("=", " "))
    return {flag.removeprefix("--"): value for flag, value in zip(words[::2], words[1::2], strict=True)}


def megatron(text):
    f = flags(text)
    assert f["train-iters"] == str(T) and f["lr-decay-style"] in tools._module("megatron").SCHEDULES
    lr, W, init = float(f["lr"]), int(f.get("lr-warmup-iters", 0)), float(f.get("lr-warmup-init", 0))
    words = {"W": W, "init": init, "low": float(f.get("min-lr", 0)), "n": int(f.get("lr-decay-iters", T))}
    words |= {"wsd": f.get("lr-wsd-decay-style"), "d": int(f.get("lr-wsd-decay-iters", 0)), "lr": lr}
    return [other_tools.megatron(i, f["lr-decay-style"], **words) for i in range(T)]


def torchtitan(text):
    f = flags(text)
    assert f["training.steps"] == str(T)
    W, low, kind = int(f["lr_scheduler.warmup_steps"]), float(f["lr_scheduler.min_lr_factor"]), f["lr_scheduler.decay_type"]
    ratio = float(f["lr_scheduler.decay_ratio"])
    return [float(f["optimizer.lr"]) * other_tools.torchtitan(i, kind, W, ratio, low) for i in range(T)]


def nanogpt(text):
    f = flags(text)
    assert f["max_iters"] == str(T - 1)
    words = int(f["warmup_iters"]), int(f["lr_decay_iters"]), float(f["min_lr"])
    return [other_tools.nanogpt(i, *words, lr=float(f["learning_rate"])) for i in range(T)]


def stepped(optimizer, step):
    rates = []
    for n in range(1, T + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        step(n)
    return rates


def timm(text):
    classes = other_tools.timm_classes()
    if not classes:
        pytest.skip("timm is not installed")
    package = sys.modules["timm.scheduler"]
    for name, alias in tools._module("timm").ALIASES.items():
        if alias in classes:
            setattr(package, name, classes[alias])
    names = {"optimizer": other_tools.optimizer()}
    names["optimizer"].param_groups[0]["lr"] = LR
    exec(text, names)
    return stepped(names["optimizer"], names["scheduler"].step_update)


@pytest.fixture(autouse=True, scope="module")
def without_the_stub():
    yield
    other_tools.forget_timm()


RUN = {"megatron": megatron, "torchtitan": torchtitan, "nanogpt": nanogpt, "timm": timm}


@pytest.mark.parametrize("number", range(len(SPECS)))
@pytest.mark.parametrize("tool", CAN)
def test_flags_give_our_rates_or_are_refused_with_the_nearest(tool, number):
    eta = schedules.named(SPECS[number], T)
    if number in CAN[tool]:
        np.testing.assert_allclose(RUN[tool](settings.settings(tool, eta, LR)), LR * eta, rtol=0, atol=1e-12 * LR)
        return
    with pytest.raises(
        ValueError, match=r"cannot express this schedule; the nearest that it has is off by .* of the peak rate"
    ) as e:
        settings.settings(tool, eta, LR)
    name, given, off, at = settings.nearest(tool, eta, LR)
    theirs = tools.rates(f"{tool}.{name}", T, given, LR * eta.max()) * eta.max()
    assert off > settings.EXACT and abs(theirs - eta)[at - 1] == pytest.approx(off * eta.max()) and "\n" not in str(e.value)


@pytest.mark.parametrize("number", range(len(SPECS)))
@pytest.mark.parametrize("tool", ["torch", "hf", "lightning", "optax"])
def test_lines_of_python_give_our_rates(tool, number):
    eta = schedules.named(SPECS[number], T)
    text = settings.settings(tool, eta, LR, f'schedules.named("{SPECS[number]}", {T})')
    assert {"torch": _torch, "hf": _hf, "lightning": _lightning, "optax": _optax}[tool](text) == pytest.approx(
        (LR * eta).tolist(), rel=1e-12, abs=1e-12 * LR
    )
    if tool == "hf":
        assert ("lr_scheduler_type" in text) == (number in HF)


def _torch(text):
    names = {"model": torch.nn.Linear(1, 1)}
    exec(text, names)
    return stepped(names["optimizer"], lambda _: names["scheduler"].step())


def _hf(text):
    transformers = pytest.importorskip("transformers")
    words = {"output_dir": "unused", "use_cpu": True, "report_to": []}
    names = {"model": torch.nn.Linear(1, 1), "data": [0], "arguments": transformers.TrainingArguments(**words)}
    if "lr_scheduler_type" in text:
        names["words"] = words
        exec(text.replace("TrainingArguments(", "TrainingArguments(**words,"), names)
        names["trainer"] = transformers.Trainer(names["model"], names["arguments"], train_dataset=names["data"])
    else:
        exec(text, names)
    trainer = names["trainer"]
    assert names["arguments"].max_steps == T
    trainer.create_optimizer_and_scheduler(num_training_steps=T)
    return stepped(trainer.optimizer, lambda _: trainer.lr_scheduler.step())


def _lightning(text):
    names = {}
    exec(text, names)
    made = names["configure_optimizers"](torch.nn.Linear(1, 1))
    assert made["lr_scheduler"]["interval"] == "step"
    return stepped(made["optimizer"], lambda _: made["lr_scheduler"]["scheduler"].step())


def _optax(text):
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(optax, "adamw", lambda schedule: schedule)
        names = {}
        exec(text, names)
        return [float(names["optimizer"](i)) for i in range(T)]


def test_bad_input():
    with pytest.raises(ValueError, match="for must be one of 'torch', 'hf'"):
        settings.settings("keras", [1.0], 1.0)
    with pytest.raises(ValueError, match="lr must be a finite number > 0"):
        settings.settings("torch", [1.0], 0.0)
    with pytest.raises(ValueError, match="tool must be one of 'hf', 'timm'"):
        settings.nearest("optax", [1.0], 1.0)
    for tool in settings.CANDIDATES:  # the shortest runs, and peaks at the end
        for eta in ([1.0], [0.5, 1.0], [1.0, 0.5], [0.0, 1.0]):
            assert settings.nearest(tool, eta, 1.0)[2] >= 0
