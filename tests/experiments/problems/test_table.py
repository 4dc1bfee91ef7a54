"""The table: complete problems, means with standard errors, ranks, paired differences."""

import numpy as np
import pandas as pd
import pytest

from lastiterate.experiments import problems
from lastiterate.experiments.problems import suite

SEEDS = problems.PROBLEMS["overfit"].seeds


@pytest.fixture
def runs():
    """Made-up runs of "overfit": one schedule's loss is above the next one's by 1, one rate is best, seeds differ."""
    rates, steps = problems.PROBLEMS["overfit"].rates, problems.PROBLEMS["overfit"].steps
    rows = [
        ("overfit", name, lr, seed, steps, 9.0, 1.0 + i + abs(np.log(lr / rates[1])) + 0.1 * seed, 2.0 ** (i - 9))
        for i, name in enumerate(suite.SCHEDULES)
        for lr in rates
        for seed in range(SEEDS)
    ]
    return pd.DataFrame(rows, columns=[*suite.KEYS, "step", "train_loss", "loss", "error"])


def test_means_standard_errors_and_ranks(runs):
    found = problems.summary(runs, ["overfit"]).loc["overfit"]
    assert found.index.tolist() == suite.SCHEDULES and found["loss_rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (found["lr"] == 0.0316).all() and (found["edge"] == "").all() and (found["seeds"] == SEEDS).all()
    np.testing.assert_allclose(found["loss"], 1 + 0.1 * np.mean(range(SEEDS)) + np.arange(6))
    np.testing.assert_allclose(found["loss_se"], np.std(0.1 * np.arange(SEEDS), ddof=1) / SEEDS**0.5)
    assert found["error_rank"].tolist() == [1, 2, 3, 4, 5, 6] and (found["error_se"] == 0).all()


def test_paired_differences(runs):
    loss = problems.over_linear(runs, "overfit", "flat")
    apart = suite.SCHEDULES.index("linear")
    np.testing.assert_allclose(loss, [np.log((1 + 0.1 * seed) / (1 + apart + 0.1 * seed)) for seed in range(SEEDS)])
    error = problems.over_linear(runs, "overfit", "flat", "error")
    np.testing.assert_allclose(error, -apart * np.log(2))
    only = runs[(runs["schedule"] != "flat") | (runs["seed"] > 0)]
    assert problems.over_linear(only, "overfit", "flat").index.tolist() == list(range(1, SEEDS)), "seeds that both have"


def test_a_problem_is_complete_when_nothing_is_due(runs):
    assert problems.complete(runs, "overfit")
    assert not problems.complete(runs.iloc[1:], "overfit") and not problems.complete(runs, "mri")
    with pytest.raises(ValueError, match="have none"):
        problems.summary(runs[runs["schedule"] != "cosine"], ["overfit"])
