import numpy as np
import pytest

from lastiterate import laws, schedules

AT = np.arange(50, 1001, 50)


def curve(eta, at=AT):
    return eta, at, np.linspace(4, 3, at.size)


def test_rates_between_those_logged():
    np.testing.assert_allclose(laws.rates([2, 4], [1.0, 0.5]), [1, 1, 0.75, 0.5])
    np.testing.assert_allclose(
        laws.rates([1, 2, 3], [1.0, 1.0, 0.0]), [1, 1, 1], err_msg="a last 0 of a constant rate is an artefact"
    )
    np.testing.assert_allclose(laws.rates([1, 2, 3], [1.0, 0.5, 0.0]), [1, 0.5, 0])
    assert laws.rates([10, 20], [1.0, 1.0], T=25).size == 25
    for steps, lr in (([1, 1], [1, 1]), ([1], [1, 1]), ([1, 2], [0, 0]), ([2, 1], [1, 1])):
        with pytest.raises(ValueError):
            laws.rates(steps, lr)


def test_what_determines_a_law_and_what_does_not():
    smooth = [
        curve(schedules.cosine(1000)),
        curve(schedules.linear(1000)),
        curve(schedules.warmup(schedules.inverse_sqrt(1000), 50)),
    ]
    for one in smooth:
        assert "a single smooth decay" in laws.ill_posed([one])
    assert "one rate throughout" in laws.ill_posed([curve(schedules.constant(1000))])
    assert "one rate throughout" in laws.ill_posed([curve(schedules.constant(1000)), curve(schedules.constant(1000))])
    assert "hardly differ" in laws.ill_posed([smooth[0], smooth[0]])
    for good in (schedules.wsd(1000, 0.3), schedules.step(1000, [500]), schedules.warmup(schedules.wsd(1000, 0.3), 100)):
        assert laws.ill_posed([curve(good)]) is None
    assert laws.ill_posed([curve(schedules.cosine(1000)), curve(schedules.constant(1000))]) is None


def test_errors_and_rankings():
    found = laws.scoring.errors([3.0, 2.0], [3.0, 2.5])
    assert found["mae"] == 0.25 and found["final"] == -0.5 and found["worst"] == 0.5 and found["r2"] == pytest.approx(-1.0)
    tau, regret = laws.scoring.ranking([1, 2, 3, 9], [2, 1, 3, 0], ["a", "a", "a", "b"])
    assert tau == pytest.approx(1 / 3) and regret == 1
    assert np.isnan(laws.scoring.ranking([1.0], [1.0], ["a"])).all()
    assert np.isnan(laws.scoring.noise_floor([1.0, 2.0]))
    with pytest.raises(ValueError, match="length of measured"):
        laws.scoring.errors([1.0], [1.0, 2.0])


def test_intervals_widen_with_disagreement_and_with_extrapolation():
    losses = dict.fromkeys(laws.interval.PANEL, 3.0)
    narrow = laws.interval.around(losses)
    wide = laws.interval.around(losses | {"bound": 3.05})
    wider = laws.interval.around(losses | {"bound": 3.05}, extrapolated=True)
    assert narrow[1] - narrow[0] < wide[1] - wide[0] < wider[1] - wider[0]
    with pytest.raises(ValueError, match="'bound' is missing"):
        laws.interval.around({k: v for k, v in losses.items() if k != "bound"})
