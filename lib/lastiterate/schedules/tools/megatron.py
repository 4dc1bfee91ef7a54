"""Megatron-LM's --lr-decay-style, by its flags without the dashes in front; i iterations are done.

Source: `OptimizerParamScheduler.get_lr` in megatron/core/optimizer_param_scheduler.py. It steps in samples, a global batch an
iteration, so that with a fixed batch only the ratios count. --lr-decay-iters counts from the start, the warmup included, and is
--train-iters by default; the warmup goes from --lr-warmup-init at the first iteration to --lr at iteration W + 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lastiterate.schedules.tools._run import Array, Run, choice, cosine

STYLES: dict[str, Callable] = {"linear": lambda x: 1 - x, "cosine": cosine}
WSD_STYLES: dict[str, Callable] = STYLES | {"exponential": lambda x: 2 * 0.5**x - 1, "minus_sqrt": lambda x: 1 - np.sqrt(x)}


def constant(run: Run, lr_warmup_iters: int = 0, lr_warmup_init: float = 0.0) -> Array:
    """1."""
    return _warm(run, lr_warmup_iters, lr_warmup_init, np.ones(run.T))


def linear(
    run: Run, lr_warmup_iters: int = 0, lr_warmup_init: float = 0.0, lr_decay_iters: int | None = None, min_lr: float = 0.0
) -> Array:
    """e + (1 − e)(1 − x), x = (i − W)/(n − W), e = min_lr/lr."""
    return _decay(run, "linear", lr_warmup_iters, lr_warmup_init, lr_decay_iters, min_lr)


def cosine_(
    run: Run, lr_warmup_iters: int = 0, lr_warmup_init: float = 0.0, lr_decay_iters: int | None = None, min_lr: float = 0.0
) -> Array:
    """e + (1 − e)·½(1 + cos πx)."""
    return _decay(run, "cosine", lr_warmup_iters, lr_warmup_init, lr_decay_iters, min_lr)


def inverse_square_root(
    run: Run, lr_warmup_iters: int = 0, lr_warmup_init: float = 0.0, lr_decay_iters: int | None = None, min_lr: float = 0.0
) -> Array:
    """√(W/i), not below e."""
    eta = np.maximum(np.sqrt(max(lr_warmup_iters, 1) / np.maximum(run.i, 1)), run.factor("min_lr", min_lr))
    eta = np.where(run.i > (lr_decay_iters or run.T), run.factor("min_lr", min_lr), eta)
    return _warm(run, lr_warmup_iters, lr_warmup_init, eta)


def WSD(
    run: Run,
    lr_wsd_decay_iters: int,
    lr_wsd_decay_style: str = "exponential",
    lr_warmup_iters: int = 0,
    lr_warmup_init: float = 0.0,
    lr_decay_iters: int | None = None,
    min_lr: float = 0.0,
) -> Array:
    """1, then e + (1 − e)·s((i − n + d)/d) over the last d iterations; s is 1 − x, ½(1 + cos πx), 2·½^x − 1 or 1 − √x."""
    n, end = lr_decay_iters or run.T, run.factor("min_lr", min_lr)
    x = (run.i - n + lr_wsd_decay_iters) / max(lr_wsd_decay_iters, 1)
    height = choice("lr_wsd_decay_style", lr_wsd_decay_style, WSD_STYLES)(np.clip(x, 0, 1))
    eta = np.where(run.i > n, end, np.where(x <= 0, 1.0, end + (1 - end) * height))
    return _warm(run, lr_warmup_iters, lr_warmup_init, eta)


SCHEDULES = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine_,
    "inverse-square-root": inverse_square_root,
    "WSD": WSD,
}


def _decay(run, style, W, init, n, min_lr):
    n, end = n or run.T, run.factor("min_lr", min_lr)
    if n <= W:
        raise ValueError(f"lr_warmup_iters must be below lr_decay_iters = {n}, got {W}")
    x = (run.i - W) / (n - W)
    return _warm(run, W, init, np.where(x > 1, end, end + (1 - end) * STYLES[style](np.clip(x, 0, 1))))


def _warm(run, W, init, eta):
    low = run.factor("lr_warmup_init", init)
    return np.where((run.i <= W) & (W > 0), low + (1 - low) * run.i / max(W, 1), eta)
