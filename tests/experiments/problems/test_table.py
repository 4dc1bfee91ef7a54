"""The table: complete problems, means with standard errors, ranks, paired differences."""

import numpy as np
import pandas as pd
import pytest

from lastiterate.experiments import problems
from lastiterate.experiments.problems import suite


@pytest.fixture
def runs():
    """Made-up runs of "overfit": one schedule's loss is above the next one's by 1, one rate is best, seeds differ."""
    rates, steps = problems.PROBLEMS["overfit"].rates, problems.PROBLEMS["overfit"].steps
    rows = [
        ("overfit", name, lr, seed, steps, 9.0, 1.0 + i + abs(np.log(lr / rates[1])) + 0.1 * seed, 0.5)
        for i, name in enumerate(suite.SCHEDULES)
        for lr in rates
        for seed in range(suite.SEEDS if lr == rates[1] else suite.TUNING_SEEDS)
    ]
    return pd.DataFrame(rows, columns=[*suite.KEYS, "step", "train_loss", "loss", "error"])


def test_means_standard_errors_and_ranks(runs):
    found = problems.summary(runs, ["overfit"]).loc["overfit"]
    assert found.index.tolist() == suite.SCHEDULES and found["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (found["lr"] == 0.0316).all() and (found["edge"] == "").all() and (found["seeds"] == 5).all()
    np.testing.assert_allclose(found["loss"], 1.2 + np.arange(6))
    np.testing.assert_allclose(found["loss_se"], np.std(0.1 * np.arange(5), ddof=1) / 5**0.5)
    assert (found["error"] == 0.5).all() and (found["error_se"] == 0).all()


def test_paired_differences(runs):
    flat = problems.over_linear(runs, "overfit", "flat")
    assert flat.index.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(flat, suite.SCHEDULES.index("flat") - suite.SCHEDULES.index("linear"))


def test_a_problem_is_complete_when_nothing_is_due(runs):
    assert problems.complete(runs, "overfit")
    assert not problems.complete(runs.iloc[:-1], "overfit") and not problems.complete(runs, "mri")
    with pytest.raises(ValueError, match="have none"):
        problems.summary(runs[runs["schedule"] != "cosine"], ["overfit"])
