"""What can be said of a run beforehand: its size, its budget, its memory, its time."""

import numpy as np

from lastiterate.trainer.config import Config, Shape
from lastiterate.trainer.machine import hardware


def describe(config: Config, rates: np.ndarray, time: tuple[float, str] | None = None) -> str:
    """What a run will be, as lines of text: parameters, rates, tokens, memory, and time.

    Args:
        config, rates: from `configure`.
        time: seconds of a step, and how they are known, from `step.time_of_step`.
    """
    tokens, parameters = config.batch * config.context * config.horizon, config.shape.parameters
    activations = config.micro_batch * config.context * (config.layers * 40 * config.width + 6 * config.vocabulary)
    shape = f"{config.layers} layers, {config.width} wide, context {config.context}"
    budget = f"{config.horizon:,} steps of {config.batch} x {config.context} = {tokens:,} tokens"
    optimizer, compiled = f", {config.optimizer}" if config.optimizer != "adamw" else "", ", compiled" if config.compile else ""
    schedule = " ".join([config.schedule["scheduler"], *(f"{k}={v}" for k, v in config.schedule.items() if k != "scheduler")])
    peak, note = rates.max(), ""
    if peak < 0.99 * config.lr:
        note = f": {peak / config.lr:.2f} of the base rate, which is never reached"
    lines = [
        f"model     {config.preset}: {parameters / 1e6:.2f}M parameters, {shape}{optimizer}",
        f"schedule  {schedule}, base learning rate {config.lr:g}, warmup {config.warmup}",
        f"largest   learning rate {peak:.4g} at step {rates.argmax() + 1:,}{note}",
        f"budget    {budget} of corpus {config.corpus!r}, seed {config.seed}",
        f"memory    about {(20 * parameters + activations) / 2**30:.2f} GiB a process: weights, gradients, moments, activations",
        f"on        {hardware(config)}, {config.dtype}{compiled}",
    ]
    if time:
        speed = config.batch * config.context / time[0]
        lines.append(f"time      about {duration(time[0] * config.horizon)}, {speed:,.0f} tokens/s ({time[1]})")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(90), duration(600), duration(9000)
    ('90 s', '10 min', '2.5 h')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def flops_per_token(shape: Shape) -> int:
    """Floating-point operations of a training step for one token: 6·matrix entries + 12·layers·width·context.

    The usual count of model-FLOP utilisation: two operations for each entry of a matrix and, in attention, each pair of
    positions, times three for forward and backward; causality is not counted in, nor is the embedding's look-up out, because
    the same matrix makes the logits.

    >>> from lastiterate.trainer import PRESETS
    >>> round(flops_per_token(PRESETS["124m"]) / 6e6)  # 124M parameters, and attention
    133
    """
    return 6 * shape.matrices + 12 * shape.layers * shape.width * shape.context
