"""SGD for many runs at once, against one run at a time in a plain loop, and the closed forms of the excess loss."""

import numpy as np
import pytest

from lastiterate.experiments import convex_sgd
from lastiterate.experiments.convex_sgd import AT_ONCE, PROBLEMS


def plain(name, rates, seed):
    """One run of one seed, a step at a time: its weights, those of the labels, and the inputs' deviations."""
    about, rng = PROBLEMS[name], np.random.default_rng(seed)
    sigma = np.arange(1.0, about.inputs + 1) ** (-about.decay / 2)
    best, W = rng.standard_normal((about.outputs, about.inputs)), np.zeros((about.outputs, about.inputs))
    x = labels = np.empty(0)
    for t, rate in enumerate(rates):
        if t % AT_ONCE == 0:
            x = sigma * rng.standard_normal((AT_ONCE, about.inputs))
            labels = about.label(rng, x @ best.T)
        seen = x[t % AT_ONCE]
        W = W - rate * np.outer(about.slope(W @ seen, labels[t % AT_ONCE]), seen)
    return W, best, sigma


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_many_runs_at_once_are_the_runs_one_by_one(name):
    runs = [np.full(30, 0.02), np.linspace(0.05, 0.01, 70), np.full(510, 0.01)]
    found = convex_sgd.sgd(name, runs, seeds=2)
    alone = [[PROBLEMS[name].excess(*plain(name, rates, seed)) for seed in range(2)] for rates in runs]
    np.testing.assert_allclose(found, alone, rtol=1e-10)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_excess_of_the_absolute_error_is_that_of_many_samples(noise):
    about = PROBLEMS["absolute error, noisy labels" if noise else "absolute error"]
    rng = np.random.default_rng(0)
    W, best = rng.standard_normal((2, 1, about.inputs))
    sigma = np.arange(1.0, about.inputs + 1) ** (-about.decay / 2)
    x = sigma * rng.standard_normal((200_000, about.inputs))
    z, star = x @ W[0], x @ best[0]
    y = star + (rng.laplace(0.0, noise, star.shape) if noise else 0.0)
    sampled = np.abs(z - y) - np.abs(star - y)
    assert about.excess(W, best, sigma) == pytest.approx(sampled.mean(), abs=5 * sampled.std() / np.sqrt(sampled.size))


@pytest.mark.parametrize("name", ["logistic regression", "logistic regression, ill-conditioned"])
def test_excess_of_logistic_regression_is_zero_at_the_labels_weights_alone(name):
    about, rng = PROBLEMS[name], np.random.default_rng(1)
    best = rng.standard_normal((about.outputs, about.inputs))
    sigma = np.arange(1.0, about.inputs + 1) ** (-about.decay / 2)
    assert about.excess(best, best, sigma) == 0
    assert all(about.excess(best + 0.1 * rng.standard_normal(best.shape), best, sigma) > 0 for _ in range(5))


@pytest.mark.parametrize(
    "problem, runs, seeds, name",
    [
        ("cubic", [[0.1]], 1, "problem"),
        ("absolute error", [], 1, "runs"),
        ("absolute error", [[-0.1]], 1, "runs"),
        ("absolute error", [[0.1]], 0, "seeds"),
        ("absolute error", 3, 1, "runs"),
    ],
)
def test_bad_arguments(problem, runs, seeds, name):
    with pytest.raises(ValueError, match=name):
        convex_sgd.sgd(problem, runs, seeds)


def test_bad_rates():
    with pytest.raises(ValueError, match="rates"):
        convex_sgd.final_losses("absolute error", {"a": [1.0]}, [0.1, 0.0], 1)
