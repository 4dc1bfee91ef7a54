"""What a problem is."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

Batch = Callable[[nn.Module, np.random.Generator], torch.Tensor]
HeldOut = Callable[[nn.Module], tuple[float, float]]


@dataclass(frozen=True)
class Problem:
    """A network with its data, and how it is trained."""

    make: Callable[[int], tuple[nn.Module, Batch, HeldOut]]
    """From a seed: the network, `batch(network, rng)` the loss of a batch drawn with rng, and `held_out(network)` the mean loss
    and the error on held-out data. Torch's seed is set before."""
    error: str
    """What the error is; less is better."""
    steps: int
    rates: list[float] = field(repr=False)
    """Learning rates tried, spaced evenly on a logarithmic scale."""
    seconds: float
    """That a run takes on one core, about."""
    adam: bool = False
    """AdamW with β = (0.9, 0.95) and weight decay 0.1, or else SGD with momentum 0.9."""
    offsets: bool = False
    """Whether all offsets of the 1/t and 1/√t schedules are run."""
    evaluations: int = 4
    tuning: int = 2
    """Seeds of every rate."""
    seeds: int = 5
    """Seeds of the best rate."""

    @property
    def power(self):
        """Of the refinement: 1 for AdamW, with l1 norms; 2 for SGD, with l2 norms."""
        return 1 if self.adam else 2

    def optimizer(self, parameters):
        """Of the parameters, with learning rate 1."""
        if self.adam:
            return torch.optim.AdamW(parameters, lr=1.0, betas=(0.9, 0.95), weight_decay=0.1)
        return torch.optim.SGD(parameters, lr=1.0, momentum=0.9)


def classified(logits, target):
    """(mean cross entropy, share of wrong answers), of logits of shape (n, classes) and classes of shape (n,).

    >>> loss, error = classified(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([1, 0]))
    >>> round(loss, 3), error
    (0.503, 0.5)
    """
    return F.cross_entropy(logits, target).item(), (logits.argmax(1) != target).float().mean().item()
