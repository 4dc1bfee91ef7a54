import numpy as np
import pandas as pd
import pytest

from lastiterate import logs
from lastiterate.experiments import convex, convex_table

pytestmark = pytest.mark.usefixtures("one_thread")


def made(losses, errors):
    """A table with one data set a column of the losses."""
    rows = [
        (f"set{i}", name, 0.1, 0.0, 0.0, losses[j][i], errors[j][i], False, False)
        for i in range(2)
        for j, name in enumerate(convex_table.NAMES)
    ]
    return pd.DataFrame(rows, columns=convex.COLUMNS)


def test_excess_is_above_the_best_of_each_set():
    losses = np.array([[1.0 + 0.1 * j, 4.0 - 0.2 * j] for j in range(9)])
    found = convex_table.excess(made(losses, np.zeros((9, 2))))
    assert list(found.index) == convex_table.NAMES and list(found) == ["set0", "set1"]
    np.testing.assert_allclose(found["set0"], 0.1 * np.arange(9), atol=1e-12)
    np.testing.assert_allclose(found["set1"], (4.0 - 0.2 * np.arange(9)) / 2.4 - 1, atol=1e-12)


def test_standard_error_of_the_mean_over_sets():
    losses, errors = np.ones((9, 2)), np.zeros((9, 2))
    losses[0] = 1.02, 1.04
    errors[0] = 0.03, 0.04
    found = convex_table.mean_excess(made(losses, errors))
    assert found.loc["flat"].tolist() == pytest.approx([3.0, 2.5]) and not found.iloc[1:].to_numpy().any()


def test_the_recorded_table(repository):
    table = pd.read_csv(logs.recorded("convex.csv"))
    found = convex_table.mean_excess(table[~table["separable"]])
    assert found["mean excess loss, %"].idxmin() == "linear"
    assert found.loc["1/t"].round(3).tolist() == [5.670, 0.618]


def test_norms_are_those_of_linear_decay():
    X, y = convex.load("iris")
    T = convex.steps(len(X), 4)
    found = convex_table.norms("iris", 0.3, [0, 4], epochs=4)
    runs = convex.train(X, y, 0.3 * convex.schedule("linear", T)[None], [0, 4])
    assert found["l1"].shape == (T,) and np.all(found["l1"] >= found["l2"])
    np.testing.assert_allclose(found["l2"], runs["l2"][:, 0].mean(axis=0), rtol=1e-6)
    double = convex_table.norms("iris", 0.3, [0, 4], epochs=4, double=True)["l2"]
    assert np.any(double != found["l2"])
    np.testing.assert_allclose(double, found["l2"], rtol=1e-3)


@pytest.mark.filterwarnings("ignore::lastiterate.design.DegenerateSchedule")
def test_norms_that_vanish_stay_positive(monkeypatch):
    monkeypatch.setattr(convex, "train", lambda *_, **__: {"l1": np.zeros((2, 1, 5)), "l2": np.ones((2, 1, 5))})
    found = convex_table.norms("wine", 1.0, [0, 1])
    assert np.all(found["l1"] == np.finfo(np.float32).tiny) and np.all(found["l2"] == 1)


def test_curves_end_where_the_comparison_does():
    seeds, rates = [0, 1], [0.3]
    table = convex.compare("iris", seeds=seeds, rates=rates, epochs=6)
    etas, at, losses = convex_table.curves("iris", dict.fromkeys(convex_table.NAMES, 0.3), seeds, 5, epochs=6)
    assert list(losses) == list(etas) == convex_table.NAMES and at.shape == (5,) and at[-1] == 6
    ends = [losses[name][-1] for name in table["schedule"]]
    np.testing.assert_allclose(ends, table["loss"], rtol=1e-4)
