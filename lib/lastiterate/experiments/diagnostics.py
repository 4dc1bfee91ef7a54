"""What to look at while a run is under way: sharpness, and alarms on a signal.

Sharpness is the largest eigenvalue λ of the loss's Hessian, in the metric of the optimizer's preconditioner. Gradient descent
with rate η is stable along a direction of curvature λ while ηλ < 2; with momentum as an average (β₁ of Adam) while
ηλ < 2(1 + β₁)/(1 − β₁), which is 38 for β₁ = 0.9.
"""

import numpy as np
import torch

from lastiterate import _check


def sharpness(loss, parameters, preconditioner=None, iterations=20, seed=0):
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
    parameters, iterations = list(parameters), _check.integer("iterations", iterations)
    scale = [torch.ones_like(p) for p in parameters] if preconditioner is None else [d.rsqrt() for d in preconditioner]
    if [s.shape for s in scale] != [p.shape for p in parameters]:
        raise ValueError(f"preconditioner must have a tensor like each of the {len(parameters)} parameters")
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    generator = torch.Generator().manual_seed(seed)
    v = [torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device) for p in parameters]
    value = 0.0
    for _ in range(iterations):
        length = torch.stack(torch._foreach_norm(v)).norm()
        v = [x / length for x in v]
        product = torch.autograd.grad(gradients, parameters, [s * x for s, x in zip(scale, v, strict=True)], retain_graph=True)
        w = [s * h for s, h in zip(scale, product, strict=True)]
        value = sum((x * y).sum() for x, y in zip(v, w, strict=True)).item()
        v = w
    return value


def adam_preconditioner(optimizer):
    """Diagonal √v̂ + ε by which torch's Adam or AdamW divides, a list of tensors in the order of its parameters.

    Raises:
        ValueError: for an optimizer that has made no step.

    >>> x = torch.zeros(2, requires_grad=True)
    >>> adam = torch.optim.Adam([x], lr=0.1)
    >>> (3 * x[0] + 4 * x[1]).backward()
    >>> adam.step()
    >>> [p.round(decimals=3) for p in adam_preconditioner(adam)]
    [tensor([3., 4.])]
    """
    found = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state.get(p)
            if not state:
                raise ValueError("optimizer must have made a step: it has no second moments yet")
            corrected = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
            found.append(corrected.sqrt() + group["eps"])
    return found


def alarm(signal, window=20, factor=2.0, patience=1):
    """First step at which a signal is `factor` times the median of the `window` entries before it, `patience` times in a row.

    Args:
        signal: shape (T,); entries that were not measured are NaN.
        window: measured entries that the median is of, an integer >= 1; there is no alarm before there are so many.
        factor: > 0.
        patience: an integer >= 1.

    Returns:
        Step number from 1, or None.

    Raises:
        ValueError: on a bad argument.

    >>> alarm([1.0, 1.1, 0.9, 1.0, 5.0, 6.0], window=3)
    5
    """
    signal = np.asarray(signal, dtype=float)
    if signal.ndim != 1:
        raise ValueError(f"signal must be a 1-D array, got shape {signal.shape}")
    window, patience = _check.integer("window", window), _check.integer("patience", patience)
    factor = _check.real("factor", factor, 0.0, open_low=True)
    measured, row = np.flatnonzero(~np.isnan(signal)), 0
    for i in range(window, measured.size):
        above = signal[measured[i]] > factor * np.median(signal[measured[i - window : i]])
        row = row + 1 if above else 0
        if row == patience:
            return int(measured[i]) + 1
    return None
