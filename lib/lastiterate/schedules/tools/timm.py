"""The schedulers of timm 1.0 with t_in_epochs=False: `step_update(num_updates)` after each step, i from 0, without noise.

With a warmup the rate goes from warmup_lr_init at i = 0 to the base rate, which step warmup_t + 1 would have; without
warmup_prefix the schedule runs under it unseen, and begins at i = warmup_t with the value that it has there.
"""

from __future__ import annotations

import numpy as np

from lastiterate.schedules.tools._run import Array, Run, positive
from lastiterate.schedules.tools._run import cosine as half_wave


def cosine(
    run: Run,
    t_initial: int,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    k_decay: float = 1.0,
) -> Array:
    """e + (h − e)·½(1 + cos(π t^k/n^k)) in cycle c of height h = decay^c; e behind the last cycle."""
    end = run.factor("lr_min", lr_min)
    t, n, c = _cycles(_after(run, warmup_t, warmup_prefix), t_initial, cycle_mul)
    eta = end + (cycle_decay**c - end) * half_wave(t**k_decay / n**k_decay)
    return _warm(run, warmup_t, warmup_lr_init, np.where(c < cycle_limit, eta, end))


def tanh(
    run: Run,
    t_initial: int,
    lb: float = -7.0,
    ub: float = 3.0,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
) -> Array:
    """e + (h − e)·½(1 − tanh(lb(1 − t/n) + ub·t/n)); without a prefix the warmup ends where the schedule is at its end."""
    end = run.factor("lr_min", lr_min)

    def value(at):
        t, n, c = _cycles(at, t_initial, cycle_mul)
        eta = end + (cycle_decay**c - end) * 0.5 * (1 - np.tanh(lb * (1 - t / n) + ub * t / n))
        return np.where(c < cycle_limit, eta, end)

    top = 1.0 if warmup_prefix else float(value(np.array([float(warmup_t)]))[0])
    return _warm(run, warmup_t, warmup_lr_init, value(_after(run, warmup_t, warmup_prefix)), top)


def step(
    run: Run,
    decay_t: float,
    decay_rate: float = 1.0,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
) -> Array:
    """rate^⌊t/decay_t⌋."""
    positive(decay_t=decay_t)
    return _warm(run, warmup_t, warmup_lr_init, decay_rate ** (_after(run, warmup_t, warmup_prefix) // decay_t))


def multistep(
    run: Run,
    decay_t: list[int],
    decay_rate: float = 1.0,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
) -> Array:
    """rate^#{m ≤ t + 1}: a milestone m takes effect at t = m − 1, one step before PyTorch's."""
    drops = np.searchsorted(np.sort(decay_t), _after(run, warmup_t, warmup_prefix) + 1, side="right")
    return _warm(run, warmup_t, warmup_lr_init, decay_rate ** drops.astype(float))


def poly(
    run: Run,
    t_initial: int,
    power: float = 0.5,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    k_decay: float = 1.0,
) -> Array:
    """e + (h − e)·(1 − t^k/n^k)^power."""
    end = run.factor("lr_min", lr_min)
    t, n, c = _cycles(_after(run, warmup_t, warmup_prefix), t_initial, cycle_mul)
    eta = end + (cycle_decay**c - end) * np.maximum(1 - t**k_decay / n**k_decay, 0) ** power
    return _warm(run, warmup_t, warmup_lr_init, np.where(c < cycle_limit, eta, end))


SCHEDULES = {"cosine": cosine, "tanh": tanh, "step": step, "multistep": multistep, "poly": poly}
ALIASES = {
    "CosineLRScheduler": "cosine",
    "TanhLRScheduler": "tanh",
    "StepLRScheduler": "step",
    "MultiStepLRScheduler": "multistep",
    "PolyLRScheduler": "poly",
    "PlateauLRScheduler": "plateau",
}
REFUSED = {"plateau": "follows the losses of the run: no schedule is known beforehand"}


def _after(run, warmup_t, prefix):
    """The schedule's own count of steps."""
    return np.maximum(run.i - warmup_t, 0) if prefix else run.i


def _cycles(at, n, multiple):
    """(count within its cycle, length of that, number of the cycle)."""
    positive(t_initial=n, cycle_mul=multiple)
    if multiple == 1:
        return at % n, np.full(at.shape, float(n)), at // n
    inside = 1 - at / n * (1 - multiple)
    c = np.floor(np.log(np.maximum(inside, 1e-300)) / np.log(multiple))
    return at - (1 - multiple**c) / (1 - multiple) * n, multiple**c * n, c


def _warm(run, W, first, eta, top=1.0):
    low = run.factor("warmup_lr_init", first) if W else 0.0
    return np.where(run.i < W, low + run.i * (top - low) / max(W, 1), eta)
