"""What to look at while a run is under way: sharpness, scores to set an alarm on, and a run of which all signals are measured.

Sharpness is the largest eigenvalue λ of the loss's Hessian, in the metric of the optimizer's preconditioner. Gradient descent
with rate η is stable along a direction of curvature λ while ηλ < 2; with momentum as an average (β₁ of Adam) while
ηλ < 2(1 + β₁)/(1 − β₁), which is 38 for β₁ = 0.9.
"""

# torch's _foreach functions have no good types
# pyright: reportPrivateImportUsage=false, reportCallIssue=false, reportArgumentType=false

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, bounds, trainer
from lastiterate.experiments import pico

SMOOTH = 9  # steps of the median through which a loss is looked at
WELL = slice(20, 60)  # steps after which a run has settled and is not yet in trouble: there the bound is fitted to it
PATIENCE = {"grad norm": 1, "update ratio": 1, "sharpness": 2, "above bound": 5}  # measurements that are high one after the other
FAR = 10**6  # the step whose batch the sharpness is measured on, one that no run comes to


def sharpness(
    loss: torch.Tensor,
    parameters: Iterable[torch.Tensor],
    preconditioner: Sequence[torch.Tensor] | None = None,
    iterations: int = 20,
    seed: int = 0,
) -> float:
    """Largest eigenvalue, in absolute value, of P^−½ H P^−½, by power iteration on Hessian-vector products.

    Args:
        loss: scalar tensor with a graph that can be differentiated twice.
        parameters: tensors that it depends on.
        preconditioner: diagonal of P, a list of tensors like the parameters, > 0; by default the identity. `adam_preconditioner`
            gives Adam's.
        iterations: of the power iteration, an integer >= 1.
        seed: of the vector that it begins with.

    Returns:
        The Rayleigh quotient after the last iteration, a float; negative where the largest in absolute value is.

    Raises:
        ValueError: on a bad argument.

    Source: Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, 2021, and Adaptive
    gradient methods at the edge of stability, 2022.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> round(sharpness(1.5 * x[0] ** 2 + 0.5 * x[1] ** 2, [x]), 4)
    3.0
    """
    iterations, seed = _check.integer("iterations", iterations), _check.integer("seed", seed, 0)
    _check_tensors(loss, parameters := _tensors("parameters", parameters))
    preconditioner = None if preconditioner is None else _tensors("preconditioner", preconditioner)
    scale = [torch.ones_like(p) for p in parameters] if preconditioner is None else [d.rsqrt() for d in preconditioner]
    if [s.shape for s in scale] != [p.shape for p in parameters]:
        raise ValueError(f"preconditioner must have a tensor like each of the {len(parameters)} parameters")
    try:
        gradients = torch.autograd.grad(loss, parameters, create_graph=True)
        torch.autograd.grad(gradients, parameters, [torch.zeros_like(p) for p in parameters], retain_graph=True)
    except RuntimeError as error:  # torch knows what a graph has when it is asked
        said = str(error).splitlines()[0]
        raise ValueError(f"loss must have second derivatives with respect to each of the parameters: {said}") from None
    generator = torch.Generator().manual_seed(seed)
    v = [torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device) for p in parameters]
    value = 0.0
    for _ in range(iterations):
        length = torch.stack(torch._foreach_norm(v)).norm()
        v = [x / length for x in v]
        product = torch.autograd.grad(gradients, parameters, [s * x for s, x in zip(scale, v, strict=True)], retain_graph=True)
        w = [s * h for s, h in zip(scale, product, strict=True)]
        value = sum(((x * y).sum() for x, y in zip(v, w, strict=True)), torch.zeros(())).item()
        v = w
    return value


def adam_preconditioner(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Diagonal √v̂ + ε by which torch's Adam or AdamW divides, a list of tensors in the order of its parameters.

    Raises:
        ValueError: for another optimizer, or one that has made no step.

    >>> x = torch.zeros(2, requires_grad=True)
    >>> adam = torch.optim.Adam([x], lr=0.1)
    >>> (3 * x[0] + 4 * x[1]).backward()
    >>> adam.step()
    >>> [p.round(decimals=3) for p in adam_preconditioner(adam)]
    [tensor([3., 4.])]
    """
    if not isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
        raise ValueError(f"optimizer must be torch's Adam or AdamW, got {_check.shown(optimizer)}")
    found = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state.get(p)
            if not state:
                raise ValueError("optimizer must have made a step: it has no second moments yet")
            corrected = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
            found.append(corrected.sqrt() + group["eps"])
    return found


def over_median(signal: ArrayLike, window: int = 20) -> NDArray[np.float64]:
    """Each entry of a signal over the median of the `window` entries before it.

    Args:
        signal: shape (T,); entries that were not measured are NaN.
        window: measured entries that the median is of, an integer >= 1.

    Returns:
        Array of shape (T,), NaN at the first `window` measured entries and where nothing was measured.

    Raises:
        ValueError: on a bad argument.

    >>> over_median([1.0, 1.1, 0.9, 1.0, 5.0], window=3)
    array([nan, nan, nan,  1.,  5.])
    """
    signal, window = _check.measured("signal", signal, missing=True, infinite=True), _check.integer("window", window)
    measured, found = np.flatnonzero(~np.isnan(signal)), np.full(signal.size, np.nan)
    for i in range(window, measured.size):
        found[measured[i]] = signal[measured[i]] / np.median(signal[measured[i - window : i]])
    return found


def first_step(condition: Iterable[bool], steps: Iterable[int], patience: int = 1) -> int | None:
    """The step at which a condition has held `patience` times in a row for the first time, or None.

    Args:
        condition: whether it holds, one a measurement.
        steps: their numbers.
        patience: an integer >= 1.

    Raises:
        ValueError: on a bad argument, or another number of steps than measurements.

    >>> first_step([True, False, True, True], [10, 20, 30, 40], patience=2)
    40
    """
    condition = _check.booleans("condition", condition)
    steps = [_check.integer("steps", step, 0) for step in _check.sequence("steps", steps)]
    if len(condition) != len(steps):
        raise ValueError(f"steps must be one a measurement, {len(condition)}, got {len(steps)}")
    patience, row = _check.integer("patience", patience), 0
    for step, holds in zip(steps, condition, strict=True):
        row = row + 1 if holds else 0
        if row == patience:
            return int(step)
    return None


def watched(rates: ArrayLike, seed: int = 0, every: int = 12, iterations: int = 6, **options: Any) -> pd.DataFrame:
    """Train the small language model of `pico` with AdamW, and measure at each step what might warn of a divergence.

    Args:
        rates: learning rates, shape (T,), T >= 22.
        seed: of weights and data.
        every: steps between measurements of the sharpness.
        iterations: of its power iteration.
        **options: as `trainer.configure`, such as a shorter context.

    Returns:
        DataFrame, a row a step: `step`, `lr`, `loss`; `grad norm`; `update ratio`, norm of the update over that of the weights;
        `sharpness`, times the rate, in Adam's metric and on a batch of its own, NaN where it was not measured (the embedding is
        left out: the rows of bytes that hardly occur have next to no second moments); `smooth`, the running median of the loss;
        `above bound`, its distance to the bound's fit (`bound_fit`).

    Raises:
        ValueError: on a bad argument.

    Source: this project.
    """
    rates, every = _check.schedule(rates, "rates"), _check.integer("every", every)
    _check.integer("iterations", iterations)
    if rates.size < WELL.start + 2:
        raise ValueError(f"rates must be of {WELL.start + 2} steps or more, for the bound's fit, got {rates.size}")
    config, _ = pico.configure(np.ones(rates.size), warmup=0, seed=seed, **options)
    corpus, network = trainer.corpus(config.corpus), trainer.GPT(config.shape)
    network.initialise(seed)
    (optimizer,) = trainer.make_optimizers(network, config)
    embedding = {id(p) for name, p in network.named_parameters() if "embed" in name}
    inner = [id(p) not in embedding for group in optimizer.param_groups for p in group["params"]]
    probe, rows = trainer.batch_at(corpus, config, FAR), []
    for t, rate in enumerate(rates):
        loss, gradient, ratio = _measured_step(network, optimizer, trainer.batch_at(corpus, config, t), rate)
        sharp = np.nan
        if t % every == every - 1:
            sharp = rate * abs(_adam_sharpness(network, optimizer, probe, inner, iterations))
        rows.append((t + 1, rate, loss, gradient, ratio, sharp))
    table = pd.DataFrame(rows, columns=["step", "lr", "loss", "grad norm", "update ratio", "sharpness"])
    table["smooth"] = table["loss"].rolling(SMOOTH, min_periods=1).median()
    table["above bound"] = table["smooth"] - bound_fit(table["lr"], table["grad norm"], table["smooth"])
    return table


def scores(table: pd.DataFrame, settled: int = 30, window: int = 20) -> pd.DataFrame:
    """What an alarm on each signal of a `watched` run is set on: it goes off where its score is above a limit.

    Args:
        table: of `watched`.
        settled: step up to which there are no scores, as the first turbulence is not over.
        window: steps before each that gradient norm and update ratio are compared with (`over_median`).

    Returns:
        DataFrame with the rows of `table` and the columns of PATIENCE: `grad norm` and `update ratio` over their median before,
        `sharpness` and `above bound` as they are; of each the least of its last PATIENCE measurements, NaN where there are none.

    Raises:
        ValueError: on a bad argument.

    Source: this project.
    """
    if not isinstance(table, pd.DataFrame) or not {"step", *PATIENCE} <= set(table):
        raise ValueError(f"table must be one of `watched`, got {_check.shown(table)}")
    settled, window = _check.integer("settled", settled, 0), _check.integer("window", window)
    raw = table[list(PATIENCE)].copy()
    for column in ("grad norm", "update ratio"):
        raw[column] = over_median(raw[column], window)
    raw = raw.where(table["step"] > settled)
    return pd.DataFrame({name: raw[name].dropna().rolling(row).min().reindex(raw.index) for name, row in PATIENCE.items()})


def bound_fit(rates: ArrayLike, grad_norms: ArrayLike, loss: ArrayLike, well: slice = WELL) -> NDArray[np.float64]:
    """What the bound makes of a run: a + b·Ω_t of its rates and gradient norms, with a and b fitted to its loss.

    Args:
        rates, grad_norms, loss: shape (T,).
        well: steps on which to fit, two or more, by least squares.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on a bad argument, or a loss that is not finite where it is fitted to.

    >>> omega = bounds.omega(np.full(80, 0.1))
    >>> np.abs(bound_fit(np.full(80, 0.1), np.ones(80), 3 + 2 * omega) - (3 + 2 * omega)).max() < 1e-12
    np.True_
    """
    rates, grad_norms = _check.schedule(rates, "rates"), _check.array("grad_norms", grad_norms)
    loss = _check.measured("loss", loss, missing=True, infinite=True)
    if not rates.size == grad_norms.size == loss.size:
        raise ValueError(f"rates, grad_norms and loss must have one length, got {rates.size}, {grad_norms.size}, {loss.size}")
    try:
        fitted = loss[well] if isinstance(well, slice) else loss[:0]
    except TypeError:  # a slice of something else
        fitted = loss[:0]
    if fitted.size < 2 or not np.isfinite(fitted).all():
        raise ValueError(f"well must be a slice of two steps or more, with finite losses, got {_check.shown(well)}")
    omega = np.asarray(bounds.omega(rates, grad_norms))
    b, a = np.polyfit(omega[well], fitted, 1)
    return a + b * omega


def _tensors(name, value):
    """A list of tensors of floats."""
    found = list(value) if isinstance(value, Iterable) and not isinstance(value, torch.Tensor | str | bytes) else None
    if found is None or not all(isinstance(t, torch.Tensor) and t.is_floating_point() for t in found):
        raise ValueError(f"{name} must be tensors of floats, got {_check.shown(value)}")
    return found


def _check_tensors(loss, parameters):
    if not isinstance(loss, torch.Tensor) or loss.ndim or not loss.is_floating_point():
        raise ValueError(f"loss must be a scalar tensor of floats, got {_check.shown(loss)}")
    if not parameters:
        raise ValueError("parameters must be one tensor or more, got none")


def _measured_step(network, optimizer, batch, rate):
    """One step at a rate: (loss before it, norm of the gradient, norm of the update over that of the weights)."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for group in optimizer.param_groups:
        group["lr"] = float(rate)
    loss = network(batch[:, :-1], batch[:, 1:])
    loss.backward()
    with torch.no_grad():
        gradient, size = _norm([p.grad for p in parameters]), _norm(parameters)
        before = [p.clone() for p in parameters]
        optimizer.step()
        optimizer.zero_grad()
        update = _norm(torch._foreach_sub(parameters, before))
    return loss.item(), gradient, update / size


def _adam_sharpness(network, optimizer, batch, inner, iterations):
    """`sharpness` in the metric of Adam, of those of the optimizer's parameters that are inner ones."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    pairs = zip(parameters, adam_preconditioner(optimizer), inner, strict=True)
    chosen, scale = zip(*((p, d) for p, d, keep in pairs if keep), strict=True)
    return sharpness(network(batch[:, :-1], batch[:, 1:]), chosen, scale, iterations)


def _norm(tensors):
    return torch.stack(torch._foreach_norm(tensors)).norm().item()
