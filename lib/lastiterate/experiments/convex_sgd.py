"""Stochastic gradient descent on convex, Lipschitz problems with noise that stays: what the last-iterate theorem is about.

Linear models z = Wx of a random input x ~ N(0, diag(k^−p)), one sample a step, from W = 0, whose excess loss is known exactly or
over inputs that are held out. A seed is a problem of its own, and a stream of samples: all runs of a seed see the same ones.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check

Array = NDArray[np.float64]
AT_ONCE = 500  # samples that are drawn together


class Problem(NamedTuple):
    """A linear model z = Wx with a convex loss of z, and labels from a model of its kind with weights W*."""

    inputs: int
    outputs: int
    decay: float
    """p, where the k-th input has variance k^−p."""
    label: Callable[[np.random.Generator, Array], Array]
    """(generator, z* of shape (n, outputs)) -> labels, shape (n, outputs)."""
    slope: Callable[[Array, Array], Array]
    """(z of shape (…, outputs), labels) -> derivative of the loss by z."""
    excess: Callable[[Array, Array, Array], Array]
    """(W, W*, deviations of the inputs) -> expected loss above its minimum; W of shape (runs, outputs, inputs)."""


def sgd(problem: str, runs: Sequence[ArrayLike], seeds: int = 20) -> Array:
    """Excess loss of the last iterate of w ← w − η_t g_t, for many runs and seeds at once.

    Args:
        problem: in PROBLEMS.
        runs: learning rates η_t of each run, of shape (T,); T may differ.
        seeds: number of seeds.

    Returns:
        Array of shape (runs, seeds): f(w_{T+1}) − min f, in the units of the loss.

    Raises:
        ValueError: on a bad argument.

    Source: this project's.

    >>> sgd("absolute error", [[0.0], [0.1] * 200], seeds=2).round(2)
    array([[3.08, 2.83],
           [1.9 , 1.58]])
    """
    about = PROBLEMS[_check.choice("problem", problem, PROBLEMS)]
    rates = [_check.array("runs", run) for run in _check.sequence("runs", runs)]
    if not rates:
        raise ValueError("runs must have one or more runs, got none")
    seeds = _check.integer("seeds", seeds)
    order = sorted(range(len(rates)), key=lambda i: -rates[i].size)  # those that go on stand first
    ends = np.array([rates[i].size for i in order])
    padded = np.zeros((ends[0], len(order)))
    for column, i in enumerate(order):
        padded[: rates[i].size, column] = rates[i]
    sigma = np.arange(1.0, about.inputs + 1) ** (-about.decay / 2)
    streams = [np.random.default_rng(seed) for seed in range(seeds)]
    best = np.stack([stream.standard_normal((about.outputs, about.inputs)) for stream in streams])
    W, going = np.zeros((seeds, len(order), about.outputs, about.inputs)), len(order)
    found, x, labels = np.empty((len(order), seeds)), np.empty(0), np.empty(0)
    for t in range(ends[0]):
        if t % AT_ONCE == 0:
            x = np.stack([sigma * stream.standard_normal((AT_ONCE, about.inputs)) for stream in streams])
            labels = np.stack([about.label(s, x[i] @ best[i].T) for i, s in enumerate(streams)])
        now, seen = W[:, :going], x[:, t % AT_ONCE]
        flat = now.reshape(seeds, -1, about.inputs)
        z = np.matmul(flat, seen[:, :, None]).reshape(seeds, going, about.outputs)
        steps = padded[t, :going, None] * about.slope(z, labels[:, None, t % AT_ONCE])
        now -= steps[..., None] * seen[:, None, None, :]
        while going and ends[going - 1] == t + 1:
            going -= 1
            found[order[going]] = [about.excess(W[i, going], best[i], sigma) for i in range(seeds)]
    return found


def final_losses(problem: str, etas: Mapping[Any, ArrayLike], rates: ArrayLike, seeds: int = 20) -> pd.DataFrame:
    """Excess loss of the last iterate for schedules times base learning rates, by `sgd`.

    Args:
        problem: in PROBLEMS.
        etas: schedules by name, of shape (T,); T may differ.
        rates: base learning rates, shape (n,), > 0.
        seeds: number of seeds.

    Returns:
        DataFrame with a column a seed and an index of `schedule` and `lr`.

    Raises:
        ValueError: on a bad argument.

    Source: this project's.

    >>> final_losses("absolute error", {"constant": [1.0] * 100}, [0.05, 0.1], seeds=2).mean(axis=1).round(2).to_dict()
    {('constant', 0.05): 2.46, ('constant', 0.1): 2.24}
    """
    rates = _check.measured("rates", rates, 0.0, open_low=True)
    index = pd.MultiIndex.from_product([list(etas), rates.tolist()], names=["schedule", "lr"])
    runs = [lr * _check.schedule(eta, "etas") for eta in etas.values() for lr in rates]
    return pd.DataFrame(sgd(problem, runs, seeds), index)


def _absolute(noise: float) -> Problem:
    """|z − y|, y = z* + Laplace noise of scale b: at a distance s in z, E|N(0, s²) + noise| = s√(2/π) + b erfcx(s/(b√2))."""
    from scipy.special import erfcx

    def excess(W, best, sigma):
        s = np.linalg.norm((W - best) * sigma)
        return s * np.sqrt(2 / np.pi) + (noise * (erfcx(s / (noise * np.sqrt(2))) - 1) if noise else 0.0)

    def label(stream, z):
        return z + stream.laplace(0.0, noise, z.shape) if noise else z

    return Problem(100, 1, 0.5, label, lambda z, y: np.sign(z - y), excess)


def _softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _logistic(decay: float, inputs: int = 20, classes: int = 4, held_out: int = 2000) -> Problem:
    """Cross entropy of softmax(z), labels drawn from softmax(z*): its excess is the mean divergence, over held-out inputs."""
    fixed = np.random.default_rng(2**32).standard_normal((held_out, inputs))

    def label(stream, z):
        drawn = (_softmax(z).cumsum(axis=1) < stream.random((len(z), 1))).sum(axis=1)
        return np.eye(classes)[np.minimum(drawn, classes - 1)]

    def excess(W, best, sigma):
        p, q = (_softmax(fixed * sigma @ weights.T) for weights in (best, W))
        return (p * (np.log(np.maximum(p, 1e-300)) - np.log(np.maximum(q, 1e-300)))).sum(axis=1).mean()

    return Problem(inputs, classes, decay, label, lambda z, y: _softmax(z) - y, excess)


PROBLEMS: dict[str, Any] = {
    "absolute error": _absolute(0.0),
    "absolute error, noisy labels": _absolute(1.0),
    "logistic regression": _logistic(0.5),
    "logistic regression, ill-conditioned": _logistic(2.0),
}
