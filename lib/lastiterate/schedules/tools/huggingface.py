"""The schedules of transformers.get_scheduler (and of `TrainingArguments.lr_scheduler_type`), transformers 5.23, i from 0:

the warmup is i/W, so that the first step has the rate 0 and step W + 1 is the first at the full rate; decays begin after it.
"""

from __future__ import annotations

import math

import numpy as np

from lastiterate.schedules.tools._run import Array, Run, choice, cosine


def constant(run: Run) -> float:
    """1."""
    return 1.0


def constant_with_warmup(run: Run, num_warmup_steps: int = 0) -> Array:
    """i/W for i < W, then 1."""
    return _after(run, num_warmup_steps, np.ones(run.T))


def linear(run: Run, num_warmup_steps: int = 0, num_training_steps: int | None = None) -> Array:
    """(T − i)/(T − W) for i ≥ W."""
    return _after(run, num_warmup_steps, np.maximum(1 - _progress(run, num_warmup_steps, num_training_steps), 0))


def cosine_(run: Run, num_warmup_steps: int = 0, num_training_steps: int | None = None, num_cycles: float = 0.5) -> Array:
    """½(1 + cos(2π·cycles·x)), x = (i − W)/(T − W)."""
    x = _progress(run, num_warmup_steps, num_training_steps)
    return _after(run, num_warmup_steps, np.maximum(cosine(2 * num_cycles * x), 0))


def cosine_with_restarts(
    run: Run, num_warmup_steps: int = 0, num_training_steps: int | None = None, num_cycles: int = 1
) -> Array:
    """½(1 + cos(π((cycles·x) mod 1))), 0 from x = 1 on."""
    x = _progress(run, num_warmup_steps, num_training_steps)
    return _after(run, num_warmup_steps, np.where(x < 1, np.maximum(cosine((num_cycles * x) % 1.0), 0), 0.0))


def polynomial(
    run: Run, num_warmup_steps: int = 0, num_training_steps: int | None = None, lr_end: float = 1e-7, power: float = 1.0
) -> Array:
    """e + (1 − e)·(1 − x)^power with e = lr_end/lr."""
    end, x = run.factor("lr_end", lr_end), _progress(run, num_warmup_steps, num_training_steps)
    if end >= 1:
        raise ValueError(f"lr_end must be below the base learning rate {run.lr:g}, got {lr_end!r}")
    return _after(run, num_warmup_steps, end + (1 - end) * np.maximum(1 - x, 0) ** power)


def inverse_sqrt(run: Run, num_warmup_steps: int = 0, timescale: int | None = None) -> Array:
    """√(s/(i + s − W)) for i ≥ W; the time scale s is W by default, or 10,000 without a warmup."""
    scale = timescale or num_warmup_steps or 10_000
    return _after(run, num_warmup_steps, np.sqrt(scale / np.maximum(run.i + scale - num_warmup_steps, 1e-300)))


def cosine_with_min_lr(
    run: Run,
    num_warmup_steps: int = 0,
    num_training_steps: int | None = None,
    num_cycles: float = 0.5,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> Array:
    """e + (1 − e)·½(1 + cos(2π·cycles·x)) with e = min_lr/lr or min_lr_rate."""
    end, x = _least(run, min_lr, min_lr_rate), _progress(run, num_warmup_steps, num_training_steps)
    return _after(run, num_warmup_steps, np.maximum(end + (1 - end) * cosine(2 * num_cycles * x), 0))


def cosine_warmup_with_min_lr(
    run: Run,
    num_warmup_steps: int = 0,
    num_training_steps: int | None = None,
    num_cycles: float = 0.5,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> Array:
    """(i + 1)/W, or from warmup_lr_rate to 1 at i = W − 1; then as cosine_with_min_lr with x = (i + 1 − W)/(T − W)."""
    W, T = num_warmup_steps, num_training_steps or run.T
    end = _least(run, min_lr, min_lr_rate)
    eta = np.maximum(end + (1 - end) * cosine(2 * num_cycles * (run.i - W + 1) / max(T - W, 1)), 0)
    plain, from_rate = (run.i + 1) / max(W, 1), run.i / max(W - 1, 1)
    ramp = plain if warmup_lr_rate is None else warmup_lr_rate + (1 - warmup_lr_rate) * from_rate
    return np.where(run.i < W, ramp, eta)


def warmup_stable_decay(
    run: Run,
    num_decay_steps: int,
    num_warmup_steps: int = 0,
    num_training_steps: int | None = None,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: float = 0.5,
) -> Array:
    """e + (1 − e)·w(i/W), then 1, then e + (1 − e)·d(x), x = (i − W − S)/D, then e."""
    W, D, e = num_warmup_steps, num_decay_steps, min_lr_ratio
    stable = (num_training_steps or run.T) - W - D if num_stable_steps is None else num_stable_steps
    if stable < 0:
        raise ValueError(f"num_decay_steps must leave steps for the warmup of {W}, got {D} of {run.T}")
    x, y = (run.i - W - stable) / max(D, 1), run.i / max(W, 1)
    falling = {
        "linear": lambda: 1 - x,
        "cosine": lambda: cosine(2 * num_cycles * x),
        "1-sqrt": lambda: 1 - np.sqrt(np.maximum(x, 0)),
    }
    rising = {
        "linear": lambda: y,
        "cosine": lambda: 1 - cosine(y),
        "1-sqrt": lambda: 1 - np.sqrt(np.maximum(1 - y, 0)),
    }
    down, up = choice("decay_type", decay_type, falling)(), choice("warmup_type", warmup_type, rising)()
    eta = np.where(x < 0, 1.0, np.where(x < 1, np.maximum(e + (1 - e) * down, 0), e))
    return np.where(run.i < W, np.maximum(e + (1 - e) * up, 0), eta)


SCHEDULES = {
    "constant": constant,
    "constant_with_warmup": constant_with_warmup,
    "linear": linear,
    "cosine": cosine_,
    "cosine_with_restarts": cosine_with_restarts,
    "polynomial": polynomial,
    "inverse_sqrt": inverse_sqrt,
    "cosine_with_min_lr": cosine_with_min_lr,
    "cosine_warmup_with_min_lr": cosine_warmup_with_min_lr,
    "warmup_stable_decay": warmup_stable_decay,
}
REFUSED = dict.fromkeys(("reduce_lr_on_plateau", "greedy"), "follows the losses of the run: no schedule is known beforehand")


def _after(run, W, eta):
    """The warmup i/W, then eta."""
    return np.where(run.i < W, run.i / max(W, 1), eta)


def _progress(run, W, T):
    T = run.T if T is None else T
    return (run.i - W) / max(T - W, 1)


def _least(run, min_lr, min_lr_rate):
    if (min_lr is None) == (min_lr_rate is None):
        raise ValueError("min_lr or min_lr_rate must be given, and not both")
    found = run.factor("min_lr", min_lr) if min_lr is not None else min_lr_rate
    if not 0 <= found <= 1 or math.isnan(found):
        raise ValueError(f"min_lr_rate must be a number in [0, 1], got {found!r}")
    return found
