"""Best rates of sweeps whose best rate is known."""

import numpy as np
import pandas as pd
import pytest

from lastiterate.experiments import sweeps


def test_vertex_of_the_bounds_shape():
    tried = np.geomspace(0.01, 1, 80)
    assert sweeps.vertex(tried, 0.2 / tried + 3 * tried) == pytest.approx((0.2 / 3) ** 0.5, rel=1e-4)
    assert sweeps.vertex([1, 2, 3], [1, 1.5, 0.5]) != sweeps.vertex([1, 2, 3], [1, 1.5, 0.5]), "NaN at an edge"


def test_best_of_each_sweep():
    tried = np.array([1e-3, 2e-3, 4e-3, 8e-3, 16e-3])
    inner = 2e-3 / tried + 100 * tried + 3.0
    falling = 1 / tried
    found = sweeps.best_of_each(pd.DataFrame([inner, falling], columns=tried))
    best = (2e-3 / 100) ** 0.5
    assert found[0] == pytest.approx([best, 2 * (2e-3 * 100) ** 0.5 + 3.0], rel=1e-9)
    assert found[1].tolist() == [16e-3, falling[-1]], "at the edge, as it was measured"


def test_losses_at_other_rates():
    tried = np.array([1e-3, 2e-3, 4e-3])
    sweep = pd.DataFrame([[3.0, 1.0, 2.0], [5.0, 3.0, 4.0]], columns=tried, index=[7, 8])
    assert sweeps.at(2e-3, sweep).tolist() == [1.0, 3.0]
    assert sweeps.at([(2e-3 * 4e-3) ** 0.5, 1e-3], sweep) == pytest.approx([1.5, 5.0])
    assert sweeps.at([1e-4, 1.0], sweep).tolist() == [3.0, 4.0], "beyond the rates tried"
    with pytest.raises(ValueError, match="lr must be one rate, or one for each of the 2 sweeps, got 3"):
        sweeps.at([1e-3, 2e-3, 4e-3], sweep)
    for lr in (0.0, -1.0, True, "a", np.nan):
        with pytest.raises(ValueError, match="lr must be"):
            sweeps.at(lr, sweep)


@pytest.mark.parametrize(
    "value", ["ab", ["1", "2", "3"], [True] * 3, [1.0, np.nan, 2.0], [-1.0, 1.0, 2.0], [[1, 2, 3]], 5], ids=repr
)
def test_bad_input(value):
    good = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=r"^tried must"):
        sweeps.vertex(value, good)
    with pytest.raises(ValueError, match=r"^losses must"):
        sweeps.vertex(good, value)
    with pytest.raises(ValueError, match=r"^losses must be a table"):
        sweeps.best_of_each(value)
    with pytest.raises(ValueError, match=r"^tried must ascend"):
        sweeps.vertex([3.0, 2.0, 1.0], good)
    with pytest.raises(ValueError, match=r"^rates, the columns of losses, must"):
        sweeps.best_of_each(pd.DataFrame([good], columns=["a", "b", "c"]))


def test_beside_a_rate_that_diverged_there_is_no_vertex():
    assert np.isnan(sweeps.vertex([1.0, 2.0, 3.0], [2.0, 1.0, np.inf]))
