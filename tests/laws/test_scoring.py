"""Errors, rankings and noise, against values by hand."""

import numpy as np
import pytest

from lastiterate import laws


def test_errors_and_rankings():
    found = laws.scoring.errors([3.0, 2.0], [3.0, 2.5])
    assert found["mae"] == 0.25 and found["final"] == -0.5 and found["worst"] == 0.5 and found["r2"] == pytest.approx(-1.0)
    tau, regret = laws.scoring.ranking([1, 2, 3, 9], [2, 1, 3, 0], ["a", "a", "a", "b"])
    assert tau == pytest.approx(1 / 3) and regret == 1
    assert np.isnan(laws.scoring.ranking([1.0], [1.0], ["a"])).all()
    assert np.isnan(laws.scoring.noise_floor([1.0, 2.0]))
    with pytest.raises(ValueError, match="length of measured"):
        laws.scoring.errors([1.0], [1.0, 2.0])
