"""What the tools' schedules are made of: the numbers of the steps, and units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Run:
    """A run of T steps, as a tool counts them: i = 0 … T − 1, in units of its base learning rate."""

    def __init__(self, T: int, lr: float | None):
        self.T, self.lr, self.absolute = T, lr, False
        self.i: Array = np.arange(T, dtype=float)

    def factor(self, name: str, rate: float) -> float:
        """A parameter that is a learning rate, in units of the base learning rate."""
        if rate < 0:
            raise ValueError(f"{name} must be a finite number >= 0, got {rate!r}")
        if rate and self.lr is None:
            raise ValueError(f"{name} must come with the base learning rate lr, in whose units it is, got {rate!r} alone")
        return rate / self.lr if rate and self.lr else 0.0

    def own(self, eta: Array | float) -> Array | float:
        """Rates, not factors: the schedule has no base learning rate but its own."""
        self.absolute = True
        return eta


def share(at: Array, of: float) -> Array:
    """Progress at/of, held between 0 and 1; 1 where there is nothing to do."""
    return np.clip(at / of, 0, 1) if of > 0 else np.ones_like(at)


def cosine(x: Any) -> Any:
    """½(1 + cos πx)."""
    return 0.5 * (1 + np.cos(np.pi * np.asarray(x)))


def positive(**values: float) -> None:
    """A ValueError that names a parameter which is not above 0."""
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be above 0, got {value!r}")


def choice(name: str, value: str, among: dict) -> Any:
    """What a word stands for."""
    if value not in among:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, among))}, got {value!r}")
    return among[value]
