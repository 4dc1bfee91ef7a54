"""torchtitan's lr_scheduler.decay_type, by the names of its settings; i from 0.

Source: `build_lr_schedulers` in torchtitan/components/lr_scheduler.py. The warmup is (i + 1)/(W + 1), so that step W + 1 is the
first at the full rate. Without a decay_ratio the decay takes all steps after the warmup, and begins below the full rate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lastiterate.schedules.tools._run import Array, Run, cosine

TYPES: dict[str, Callable] = {"linear": lambda x: 1 - x, "sqrt": lambda x: 1 - np.sqrt(x), "cosine": cosine}


def linear(run: Run, warmup_steps: int = 200, decay_ratio: float | None = None, min_lr_factor: float = 0.0) -> Array:
    """e + (1 − e)(1 − x) over the last d steps, x = (i + 1 − T + d)/(d + 1)."""
    return _decay(run, "linear", warmup_steps, decay_ratio, min_lr_factor)


def sqrt(run: Run, warmup_steps: int = 200, decay_ratio: float | None = None, min_lr_factor: float = 0.0) -> Array:
    """e + (1 − e)(1 − √x)."""
    return _decay(run, "sqrt", warmup_steps, decay_ratio, min_lr_factor)


def cosine_(run: Run, warmup_steps: int = 200, decay_ratio: float | None = None, min_lr_factor: float = 0.0) -> Array:
    """e + (1 − e)·½(1 + cos πx)."""
    return _decay(run, "cosine", warmup_steps, decay_ratio, min_lr_factor)


SCHEDULES = {"linear": linear, "sqrt": sqrt, "cosine": cosine_}


def _decay(run, kind, W, ratio, end):
    d = run.T - W if ratio is None else min(round(run.T * ratio), run.T - W)
    x = np.clip((run.i + 1 - run.T + d) / (d + 1), 0, 1)
    eta = np.where((x <= 0) | (d <= 0), 1.0, end + (1 - end) * TYPES[kind](x))
    return np.where(run.i < W, (run.i + 1) / (W + 1), eta)
