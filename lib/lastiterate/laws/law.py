"""What a law is: a name, parameters, and features that the linear ones multiply."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lastiterate.laws.path import Path


@dataclass(frozen=True)
class Law:
    """A loss curve L_t = Σ_i coefficient_i · feature_i(t; the other parameters), with coefficients >= 0.

    Attributes:
        name: as in `laws.NAMES`.
        formula: in a line of text.
        linear: names of the coefficients, one a row of the features; all >= 0, so that a feature carries the sign.
        nonlinear: {name: (low, high)} of the other parameters, all > 0; starts are drawn between, evenly in the logarithm.
        features: (path, *nonlinear) -> array of shape (number of coefficients, n).
        source: paper, equation.
        note: what a user must know, such as which exponents were chosen on which data.
    """

    name: str
    formula: str
    linear: tuple[str, ...]
    nonlinear: Mapping[str, tuple[float, float]]
    features: Callable[..., np.ndarray]
    source: str
    note: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters, the linear ones first."""
        return (*self.linear, *self.nonlinear)

    def loss(self, path: Path, parameters: Mapping[str, float]) -> np.ndarray:
        """The curve at a path's steps, shape (n,)."""
        coefficients = np.array([parameters[name] for name in self.linear])
        return coefficients @ self.features(path, *(parameters[name] for name in self.nonlinear))


def rows(*features) -> np.ndarray:
    """Features as one array; a number is repeated."""
    return np.stack(np.broadcast_arrays(*features))
