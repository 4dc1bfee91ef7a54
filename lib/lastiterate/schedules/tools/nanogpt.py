"""nanoGPT's one schedule, by the names of its settings; i from 0.

Source: `get_lr` in train.py. The warmup is (i + 1)/(W + 1). Its loop makes max_iters + 1 updates.
"""

from __future__ import annotations

import numpy as np

from lastiterate.schedules.tools._run import Array, Run, cosine


def cosine_(
    run: Run, warmup_iters: int = 2000, lr_decay_iters: int = 600_000, min_lr: float = 6e-5, decay_lr: bool = True
) -> Array | float:
    """e + (1 − e)·½(1 + cos πx), x = (i − W)/(n − W); 1 without decay_lr."""
    if not decay_lr:
        return 1.0
    if lr_decay_iters <= warmup_iters:
        raise ValueError(f"lr_decay_iters must be above warmup_iters = {warmup_iters}, got {lr_decay_iters}")
    end = run.factor("min_lr", min_lr)
    x = (run.i - warmup_iters) / (lr_decay_iters - warmup_iters)
    eta = np.where(x > 1, end, end + (1 - end) * cosine(np.clip(x, 0, 1)))
    return np.where(run.i < warmup_iters, (run.i + 1) / (warmup_iters + 1), eta)


SCHEDULES = {"cosine": cosine_}
