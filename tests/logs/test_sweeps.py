import numpy as np
import pandas as pd
import pytest

from lastiterate.logs import final_val_loss, find, sweeps


def test_best_rate_has_the_lowest_mean_not_the_lowest_run():
    found = sweeps.best([0.1, 0.1, 0.2, 0.2, 0.4, 0.4], [5.0, 5.0, 4.0, 4.2, 1.0, 9.0])
    assert found == (0.2, 3, "", pytest.approx(4.1), pytest.approx(np.sqrt(0.02)))


@pytest.mark.parametrize(("loss", "lr", "edge"), [([1, 2, 3], 0.1, "lowest"), ([3, 2, 1], 0.4, "highest"), ([2, 1, 2], 0.2, "")])
def test_edges_are_said(loss, lr, edge):
    found = sweeps.best([0.1, 0.2, 0.4], loss)
    assert (found.lr, found.edge) == (lr, edge) and np.isnan(found.std)


def test_a_run_that_diverged_is_not_the_best():
    assert sweeps.best([0.1, 0.2, 0.2], [4.0, 1.0, np.nan]).lr == 0.1
    with pytest.raises(ValueError, match="loss must be finite"):
        sweeps.best([0.1, 0.2], [np.nan, np.inf])
    with pytest.raises(ValueError, match="loss must have the length of lr, 2, got shape"):
        sweeps.best([0.1, 0.2], [1.0])


def test_of_recorded_runs():
    runs = find("nano", scheduler="cosine", horizon=800)
    loss = final_val_loss(runs)
    found = sweeps.best(runs["lr"], loss)
    table = pd.Series(loss).groupby(runs["lr"]).agg(["mean", "std"])
    assert found.lr == table["mean"].idxmin() == 0.0028 and found.tried == len(table) == 5
    assert (found.mean, found.std) == (pytest.approx(table.loc[0.0028, "mean"]), pytest.approx(table.loc[0.0028, "std"]))


@pytest.mark.parametrize(
    "value",
    [
        "ab",
        ["1", "2"],
        [True, True],
        np.ma.array([1.0, 2.0], mask=[0, 1]),
        np.array(["2024-01-01"] * 2, "M8[D]"),
        [[1, 2]],
        5,
        [],
    ],
    ids=repr,
)
def test_what_is_no_rate_or_loss(value):
    with pytest.raises(ValueError, match=r"^lr must be"):
        sweeps.best(value, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^loss must be"):
        sweeps.best([1.0, 2.0], value)
    for lr in ([0.0, 1.0], [-1.0, 1.0], [np.nan, 1.0], [np.inf, 1.0]):
        with pytest.raises(ValueError, match=r"^lr must be finite numbers > 0"):
            sweeps.best(lr, [1.0, 2.0])
