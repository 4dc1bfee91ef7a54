"""Intervals from the disagreement of laws."""

import pytest

from lastiterate import laws


def test_intervals_widen_with_disagreement_and_with_extrapolation():
    losses = dict.fromkeys(laws.interval.PANEL, 3.0)
    narrow = laws.interval.around(losses)
    wide = laws.interval.around(losses | {"bound": 3.05})
    wider = laws.interval.around(losses | {"bound": 3.05}, extrapolated=True)
    assert narrow[1] - narrow[0] < wide[1] - wide[0] < wider[1] - wider[0]
    assert laws.interval.around(losses | {"bound": 900.0})[0] == 0.0
    with pytest.raises(ValueError, match="'bound' is missing"):
        laws.interval.around({k: v for k, v in losses.items() if k != "bound"})
