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
