"""The schedulers of torch.optim.lr_scheduler, PyTorch 2.13, stepped once a step, i from 0."""

from __future__ import annotations

import numpy as np

from lastiterate.schedules.tools._run import Array, Run, choice, cosine, positive, share


def StepLR(run: Run, step_size: int, gamma: float = 0.1) -> Array:
    """gamma^⌊i/step_size⌋."""
    positive(step_size=step_size)
    return gamma ** (run.i // step_size)


def MultiStepLR(run: Run, milestones: list[int], gamma: float = 0.1) -> Array:
    """gamma^#{m ≤ i}."""
    return gamma ** np.searchsorted(np.sort(milestones), run.i, side="right").astype(float)


def ConstantLR(run: Run, factor: float = 1 / 3, total_iters: int = 5) -> Array:
    """factor for i < total_iters, then 1."""
    return np.where(run.i < total_iters, factor, 1.0)


def LinearLR(run: Run, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5) -> Array:
    """From start_factor at i = 0 to end_factor at i = total_iters, and there."""
    positive(start_factor=start_factor)
    return start_factor + (end_factor - start_factor) * share(run.i, total_iters)


def ExponentialLR(run: Run, gamma: float) -> Array:
    """gamma^i."""
    return gamma**run.i


def PolynomialLR(run: Run, total_iters: int = 5, power: float = 1.0) -> Array:
    """(1 − i/n)^power, 0 from i = n on."""
    return (1 - share(run.i, total_iters)) ** power


def CosineAnnealingLR(run: Run, T_max: int, eta_min: float = 0.0) -> Array:
    """e + (1 − e)·½(1 + cos(πi/T_max)), e = eta_min/lr; it rises again behind T_max."""
    positive(T_max=T_max)
    end = run.factor("eta_min", eta_min)
    return end + (1 - end) * cosine(run.i / T_max)


def CosineAnnealingWarmRestarts(run: Run, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> Array:
    """The same over periods of T_0, T_0·T_mult, … steps."""
    positive(T_0=T_0, T_mult=T_mult)
    end = run.factor("eta_min", eta_min)
    edges, length = [0.0], float(T_0)
    while edges[-1] < run.T and T_mult > 1:
        edges.append(edges[-1] + length)
        length *= T_mult
    if T_mult == 1:
        return end + (1 - end) * cosine((run.i % T_0) / T_0)
    which = np.searchsorted(edges, run.i, side="right") - 1
    return end + (1 - end) * cosine((run.i - np.array(edges)[which]) / (T_0 * float(T_mult) ** which))


def OneCycleLR(
    run: Run,
    max_lr: float,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Array | float:
    """From max_lr/div_factor up to max_lr, and down to that over final_div_factor; T steps unless it says otherwise."""
    n = total_steps or (epochs or 0) * (steps_per_epoch or 0) or run.T
    if n < run.T:
        raise ValueError(f"total_steps must be at least the {run.T} steps of the run, got {n}")
    positive(max_lr=max_lr, div_factor=div_factor, final_div_factor=final_div_factor)
    bend = choice("anneal_strategy", anneal_strategy, {"cos": lambda x: 1 - cosine(x), "linear": lambda x: x})
    first = max_lr / div_factor
    last, top = first / final_div_factor, float(pct_start * n) - 1
    ends = [top, 2 * pct_start * n - 2, n - 1] if three_phase else [top, n - 1]
    values = [first, max_lr, first, last] if three_phase else [first, max_lr, last]
    eta, begin = np.full(run.T, last), 0.0
    for phase, end in reversed(list(enumerate(ends))):
        begin = ends[phase - 1] if phase else 0.0
        x = (run.i - begin) / (end - begin) if end != begin else np.ones(run.T)
        here = values[phase] + (values[phase + 1] - values[phase]) * bend(x)
        eta = np.where(run.i <= end, here, eta)
    return run.own(eta)


def CyclicLR(
    run: Run,
    base_lr: float,
    max_lr: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
) -> Array | float:
    """Triangles between base_lr and max_lr of height 1, 2^−(cycle − 1) or gamma^i."""
    positive(step_size_up=step_size_up, step_size_down=step_size_down or step_size_up)
    total = step_size_up + (step_size_down or step_size_up)
    cycle = np.floor(1 + run.i / total)
    x, ratio = 1 + run.i / total - cycle, step_size_up / total
    x = np.where(x <= ratio, x / ratio, (x - 1) / (ratio - 1) if ratio < 1 else 0.0)
    heights = {"triangular": np.ones(run.T), "triangular2": 0.5 ** (cycle - 1), "exp_range": gamma**run.i}
    return run.own(base_lr + (max_lr - base_lr) * np.maximum(x, 0) * choice("mode", mode, heights))


SCHEDULES = {
    function.__name__: function
    for function in (
        StepLR, MultiStepLR, ConstantLR, LinearLR, ExponentialLR, PolynomialLR, CosineAnnealingLR, CosineAnnealingWarmRestarts,
        OneCycleLR, CyclicLR,
    )
}  # fmt: skip
REFUSED = {
    "ReduceLROnPlateau": "follows the losses of the run: no schedule is known beforehand",
    "LambdaLR": "is a function of your own: write its values into a CSV file with a column eta",
    "MultiplicativeLR": "is a function of your own: write its values into a CSV file with a column eta",
    "SequentialLR": "is made of others: for a warmup before one of them write its name with warmup=STEPS,join=after",
    "ChainedScheduler": "is made of others: for a warmup over one of them write its name with warmup=STEPS",
}
