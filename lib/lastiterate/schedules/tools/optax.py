"""The schedules of optax 0.2: functions of the count of steps done, i from 0, whose values are learning rates themselves."""

from __future__ import annotations

import numpy as np

from lastiterate.schedules.tools._run import Array, Run, choice, positive, share
from lastiterate.schedules.tools._run import cosine as half_wave


def constant_schedule(run: Run, value: float) -> Array | float:
    """value."""
    return run.own(value)


def polynomial_schedule(
    run: Run, init_value: float, end_value: float, power: float, transition_steps: int, transition_begin: int = 0
) -> Array | float:
    """(I − E)(1 − (i − B)/n)^power + E."""
    return run.own(_polynomial(run.i - transition_begin, init_value, end_value, power, transition_steps))


def linear_schedule(
    run: Run, init_value: float, end_value: float, transition_steps: int, transition_begin: int = 0
) -> Array | float:
    """The same with power 1."""
    return run.own(_polynomial(run.i - transition_begin, init_value, end_value, 1.0, transition_steps))


def cosine_decay_schedule(
    run: Run, init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0
) -> Array | float:
    """I·((1 − alpha)·(½(1 + cos(πi/n)))^exponent + alpha)."""
    return run.own(_cosine(run.i, init_value, decay_steps, alpha, exponent))


def exponential_decay(
    run: Run,
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Array | float:
    """I·rate^((i − B)/n), the exponent rounded down with staircase, not beyond end_value."""
    at = run.i - transition_begin
    return run.own(_exponential(at, init_value, transition_steps, decay_rate, staircase, end_value))


def warmup_constant_schedule(run: Run, init_value: float, peak_value: float, warmup_steps: int) -> Array | float:
    """A line from I at i = 0 to the peak at i = W, and there."""
    return run.own(_polynomial(run.i, init_value, peak_value, 1.0, warmup_steps))


def warmup_cosine_decay_schedule(
    run: Run,
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Array | float:
    """The same line, then the cosine from the peak to end_value at i = decay_steps."""
    alpha = end_value / peak_value if peak_value else 0.0
    ramp = _polynomial(run.i, init_value, peak_value, 1.0, warmup_steps)
    fall = _cosine(run.i - warmup_steps, peak_value, decay_steps - warmup_steps, alpha, exponent)
    return run.own(np.where(run.i < warmup_steps, ramp, fall))


def warmup_exponential_decay_schedule(
    run: Run,
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Array | float:
    """The same line, then the exponential."""
    ramp = _polynomial(run.i, init_value, peak_value, 1.0, warmup_steps)
    at = run.i - warmup_steps - transition_begin
    fall = _exponential(at, peak_value, transition_steps, decay_rate, staircase, end_value)
    return run.own(np.where(run.i < warmup_steps, ramp, fall))


def piecewise_constant_schedule(run: Run, init_value: float, boundaries: list[int], scales: list[float]) -> Array | float:
    """I times the scales whose boundary is ≤ i; optax takes both as one dict, boundaries_and_scales."""
    bounds, factors = _pieces(boundaries, scales)
    scale: Array = np.cumprod([1.0, *factors], dtype=np.float64)
    return run.own(init_value * scale[np.searchsorted(bounds, run.i, side="right")])


def piecewise_interpolate_schedule(
    run: Run, interpolate_type: str, init_value: float, boundaries: list[int], scales: list[float]
) -> Array | float:
    """From I·(the scales so far) at a boundary to the next, along a line or half a cosine wave."""
    bounds, factors = _pieces(boundaries, scales)
    kinds = {"linear": lambda x: x, "cosine": lambda x: 1 - half_wave(x)}
    values = init_value * np.cumprod([1.0, *factors])
    edges = np.array([0.0, *bounds])
    k = np.searchsorted(edges, run.i, side="right") - 1
    inside = np.minimum(k, len(edges) - 2)
    x = (run.i - edges[inside]) / np.maximum(edges[inside + 1] - edges[inside], 1)
    bend = choice("interpolate_type", interpolate_type, kinds)
    between = values[inside] + (values[inside + 1] - values[inside]) * bend(x)
    return run.own(np.where(run.i >= edges[-1], values[-1], between))


def linear_onecycle_schedule(
    run: Run,
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Array | float:
    """Lines from peak/div up to the peak, down to peak/div, and to that over final_div_factor."""
    positive(transition_steps=transition_steps, div_factor=div_factor, final_div_factor=final_div_factor)
    bounds = [int(pct_start * transition_steps), int(pct_final * transition_steps), transition_steps]
    scales = [div_factor, 1 / div_factor, 1 / final_div_factor]
    return piecewise_interpolate_schedule(run, "linear", peak_value / div_factor, bounds, scales)


def cosine_onecycle_schedule(
    run: Run,
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Array | float:
    """Half waves from peak/div up to the peak, and down to peak/(div·final_div)."""
    positive(transition_steps=transition_steps, div_factor=div_factor, final_div_factor=final_div_factor)
    bounds, scales = [int(pct_start * transition_steps), transition_steps], [div_factor, 1 / (div_factor * final_div_factor)]
    return piecewise_interpolate_schedule(run, "cosine", peak_value / div_factor, bounds, scales)


SCHEDULES = {
    function.__name__: function
    for function in (
        constant_schedule, polynomial_schedule, linear_schedule, cosine_decay_schedule, exponential_decay,
        warmup_constant_schedule, warmup_cosine_decay_schedule, warmup_exponential_decay_schedule,
        piecewise_constant_schedule, piecewise_interpolate_schedule, linear_onecycle_schedule, cosine_onecycle_schedule,
    )
}  # fmt: skip
REFUSED = {
    "join_schedules": "is made of others: for a warmup before one of them write its name with warmup=STEPS,join=after",
    "sgdr_schedule": "is made of others: cosine_restarts has its cosines",
    "reduce_on_plateau": "follows the losses of the run: no schedule is known beforehand",
}


def _polynomial(at, init, end, power, n):
    return (init - end) * (1 - share(at, n)) ** power + end if n > 0 else np.full(at.shape, float(init))


def _cosine(at, init, n, alpha, exponent):
    positive(decay_steps=n)
    return init * ((1 - alpha) * half_wave(np.minimum(at, n) / n) ** exponent + alpha)


def _exponential(at, init, n, rate, staircase, end):
    if n <= 0 or rate == 0:
        return np.full(at.shape, float(init))
    power = np.floor(at / n) if staircase else at / n
    eta = np.where(at <= 0, init, init * rate ** np.maximum(power, 0))
    return eta if end is None else np.maximum(eta, end) if rate < 1 else np.minimum(eta, end)


def _pieces(boundaries, scales):
    if len(boundaries) != len(scales) or not boundaries or min(scales) < 0:
        raise ValueError(f"scales must be numbers >= 0, one a boundary, got {scales!r} for {len(boundaries)} boundaries")
    return zip(*sorted(zip(boundaries, scales, strict=True)), strict=True)
