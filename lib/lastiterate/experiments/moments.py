"""What Adam's moments and the number format do to an update."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check

FORMATS = ("float32", "bfloat16", "bfloat16, stochastic rounding")


def update_sizes(gradients: ArrayLike, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> NDArray[np.float64]:
    """Root mean square of Adam's updates over coordinates, at each step, for a rate of 1.

        m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²,   update m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)

    Args:
        gradients: shape (steps, coordinates).
        beta1, beta2, eps: of Adam.

    Returns:
        Array of shape (steps,).

    Raises:
        ValueError: on a bad argument.

    Source: Kingma and Ba, Adam, 2015.

    >>> update_sizes([[2.0, -0.1], [2.0, -0.1]]).round(6)  # of equal gradients all updates have size 1
    array([1., 1.])
    """
    gradients = _check.measured("gradients", gradients, -1e150, 1e150, ndim=2)
    beta1, beta2 = _check.below("beta1", beta1, 1.0), _check.below("beta2", beta2, 1.0)
    eps = _check.real("eps", eps, 0.0, open_low=True)
    m = v = np.zeros(gradients.shape[1])
    sizes = []
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        sizes.append(np.sqrt(np.mean((m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)) ** 2)))
    return np.array(sizes)


def surviving(weights: torch.Tensor, updates: torch.Tensor, lr: float) -> float:
    """Share of bfloat16 weights that a step changes; an update below 2^−9 to 2^−8 of its weight is rounded away.

    Args:
        weights, updates: float32 tensors of one shape.
        lr: the step subtracts lr times the updates.

    Raises:
        ValueError: on a bad argument.

    >>> surviving(torch.ones(2), torch.tensor([0.1, 1.0]), 0.01)
    0.5
    """
    _check_tensor("weights", weights)
    _check_tensor("updates", updates)
    if updates.shape != weights.shape:
        raise ValueError(f"updates must have the shape of weights, {tuple(weights.shape)}, got {tuple(updates.shape)}")
    lr, before = _check.real("lr", lr), weights.bfloat16()
    return float(((before - lr * updates).bfloat16() != before).float().mean())


def rounded(x: torch.Tensor, number_format: str, generator: torch.Generator) -> torch.Tensor:
    """Numbers as a format has them, in float32 again.

    Stochastic rounding goes up or down to a number that bfloat16 has with the probabilities that keep the mean: 16 random bits
    are added to those that are cut off.

    Args:
        x: float32 tensor.
        number_format: in FORMATS.
        generator: of the random bits.

    Raises:
        ValueError: on a bad argument, such as an unknown format.

    >>> rounded(torch.tensor([1.001, 1.006]), "bfloat16", torch.Generator())
    tensor([1.0000, 1.0078])
    """
    _check.choice("number_format", number_format, FORMATS)
    _check_tensor("x", x)
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator must be a torch.Generator, got {_check.shown(generator)}")
    if number_format == "float32":
        return x
    if number_format == "bfloat16":
        return x.bfloat16().float()
    bits = x.view(torch.int32) + torch.randint(0, 2**16, x.shape, generator=generator, dtype=torch.int32)
    return (bits & -(2**16)).view(torch.float32)


def sgd(
    rates: ArrayLike, number_format: str, seed: int = 0, d: int = 400, curvature: float = 0.2, noise: float = 0.02
) -> list[float]:
    """Loss along SGD on a quadratic with weights in a number format: ½ h times the mean squared distance to the minimum.

    The minimum is drawn around one, where bfloat16 has few numbers, and the run starts 0.5 from it in each coordinate.

    Args:
        rates: learning rates, shape (T,).
        number_format: of the weights, in FORMATS; gradients are float32.
        seed: of the minimum, the gradient noise and the rounding.
        d: dimension.
        curvature: h.
        noise: standard deviation of the gradient noise.

    Returns:
        Losses after each step, T floats.

    Raises:
        ValueError: on a bad argument.

    >>> exact = sgd([0.5] * 20, "float32", d=10, noise=0.0)
    >>> round(exact[-1] / (0.1 * 0.25 * 0.9**40), 4)  # ½ h · ½² · (1 − ηh)^2T
    1.0
    """
    rates, number_format = _check.schedule(rates, "rates"), _check.choice("number_format", number_format, FORMATS)
    seed, d = _check.integer("seed", seed, 0), _check.steps("d", d)
    curvature, noise = _check.real("curvature", curvature, 0.0, open_low=True), _check.real("noise", noise, 0.0)
    generator = torch.Generator().manual_seed(seed)
    minimum = 1 + 0.3 * torch.randn(d, generator=generator)
    x, losses = minimum + 0.5, []
    for rate in rates.tolist():
        gradient = curvature * (x - minimum) + noise * torch.randn(d, generator=generator)
        x = rounded(x - rate * gradient, number_format, generator)
        losses.append(0.5 * curvature * float((x - minimum).square().mean()))
    return losses


def _check_tensor(name, value):
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32 or not value.numel():
        raise ValueError(f"{name} must be a float32 tensor, not empty, got {_check.shown(value)}")
