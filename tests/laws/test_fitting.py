import time

import numpy as np
import pytest

from lastiterate import laws, schedules
from lastiterate.experiments.schedule_laws import mpl_rates
from law_curves import STEPS, TRUE, curves_of


@pytest.mark.parametrize("law", laws.NAMES)
def test_a_law_is_found_again_from_its_own_curves(law):
    true, curves = curves_of(law)
    found = laws.fit(curves, law)
    other = schedules.warmup(schedules.wsd(4000, 0.2), 100) * 1e-3
    assert found.residual < 2e-4
    np.testing.assert_allclose(found.predict(other, STEPS), true.predict(other, STEPS), atol=3e-3)
    assert tuple(found.parameters) == laws.LAWS[law].parameters and min(found.parameters.values()) >= 0


def test_the_seed_decides_the_fit():
    _, curves = curves_of("two_clock", 1e-3)
    one, two = laws.fit(curves, seed=1), laws.fit(curves, seed=1)
    assert one.parameters == two.parameters and one.starts[0][0] <= one.starts[-1][0]
    assert 0 < one.agreement <= 1


@pytest.mark.slow
def test_two_curves_of_24000_steps_and_five_parameters_take_less_than_three_seconds():
    lrs = [mpl_rates("cosine_24000"), mpl_rates("constant_24000")]
    steps = np.arange(2177, 24001, 128)
    true = laws.Fit(laws.LAWS["two_clock"], TRUE["two_clock"], 3e-4, float(lrs[1].sum()))
    noise = 5e-4 * np.random.default_rng(0).standard_normal((2, steps.size))
    curves = [(lr, steps, true.predict(lr, steps) + e) for lr, e in zip(lrs, noise, strict=True)]
    start = time.thread_time()
    laws.fit(curves)
    assert time.thread_time() - start < 3


def test_predictions_after_all_steps_are_those_after_some():
    true, _ = curves_of("two_clock")
    eta = 1e-3 * schedules.warmup(schedules.wsd(4000), 50)
    np.testing.assert_allclose(true.predict(eta)[STEPS - 1], true.predict(eta, STEPS), atol=1e-12)
    late = np.append(np.zeros(10), eta)
    assert np.isnan(true.predict(late)[:10]).all() and np.isfinite(true.predict(late)[10:]).all()


def test_held_out_error():
    _, curves = curves_of("bound")
    assert laws.fit(curves[:1] + curves[1:], "bound").error is None
    assert laws.fit(curves, "bound", held_out=curves[:1]).error < 1e-4


def test_rates_that_were_not_trained_are_marked():
    _, curves = curves_of("bound")
    found = laws.fit(curves, "bound")
    assert found.extrapolates(1e-3 * schedules.linear(1000)) is None
    assert "never trained" in found.extrapolates(2e-3 * schedules.linear(1000))
    assert "the lowest peak of the runs was 0.000999" in found.extrapolates(5e-4 * schedules.linear(1000))


def test_horizons_that_were_not_tried_are_marked():
    _, curves = curves_of("bound")
    found = laws.fit(curves, "bound")
    first, longest = found.span
    assert (first, longest) == (min(steps[0] for _, steps, _ in curves), max(lr.size for lr, _, _ in curves))
    assert found.extrapolates(1e-3 * schedules.linear(4 * longest)) is None
    assert "times those of the longest run" in found.extrapolates(1e-3 * schedules.linear(4 * longest + 1))
    assert found.extrapolates(1e-3 * schedules.linear(first - 1)) == "199 steps end before the first fitted loss, at step 200"


GOOD = (schedules.linear(100), np.arange(10, 101, 10), np.linspace(4, 3, 10))


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ([], "curves must be a list of"),
        ("log.csv", "curves must be a list of"),
        ([GOOD[:2]], r"curves\[0\] must be \(lr, steps, losses\)"),
        ([(GOOD[0], GOOD[1], GOOD[2] + 1j)], r"curves\[0\] losses must be numbers"),
        ([(GOOD[0], [[1], [2, 3]], GOOD[2])], r"curves\[0\] steps must be whole numbers"),
        ([(GOOD[0], [], [])], r"curves\[0\] steps must be whole numbers, one or more, got \[\]"),
        (np.zeros((1, 3, 40)), "curves must be a list of [^\n]*$"),
        ([GOOD, (GOOD[0], GOOD[1], GOOD[2][:-1])], r"curves\[1\] losses must be one a step of steps, 10, got shape \(9,\)"),
        (
            [(GOOD[0], GOOD[1], np.where(GOOD[1] > 80, np.nan, 3.0))],
            r"losses must be finite, got 2 of 10 that are not, the first at step 90",
        ),
        ([(GOOD[0], GOOD[1] + 1, GOOD[2])], r"steps must be in 1\.\.100, the steps that lr has, got 101"),
        ([(GOOD[0], GOOD[1] - 10, GOOD[2])], r"steps must be in 1\.\.100.*got 0"),
        ([(GOOD[0], GOOD[1][::-1], GOOD[2])], "steps must increase"),
        ([(GOOD[0], GOOD[1] + 0.5, GOOD[2])], "steps must be whole numbers"),
        ([(np.zeros(100), GOOD[1], GOOD[2])], "lr must have a positive step, got zeros only"),
        ([(-GOOD[0], GOOD[1], GOOD[2])], "lr must not be negative"),
        ([(GOOD[0], GOOD[1], GOOD[2] - 4)], "losses must be positive"),
        ([(np.append(np.zeros(50), GOOD[0][:50]), GOOD[1], GOOD[2])], "positive rate by its first scored step 10"),
        ([(GOOD[0], GOOD[1][:4], GOOD[2][:4])], "curves must have 5 points or more, one a parameter of two_clock, got 4"),
    ],
)
def test_bad_curves_are_refused_by_name(curves, message):
    with pytest.raises(ValueError, match=message):
        laws.fit(curves)


def test_bad_law_and_seed_are_refused():
    with pytest.raises(ValueError, match="law must be one of 'two_clock', "):
        laws.fit([GOOD], "kaplan")
    with pytest.raises(ValueError, match="seed must be an integer"):
        laws.fit([GOOD], "bound", seed=-1)


def test_a_fit_by_hand_that_lacks_a_parameter_is_refused():
    with pytest.raises(ValueError, match=r"parameters of a bound fit must have .*, got no"):
        laws.Fit(laws.LAWS["bound"], {}).predict([1.0, 0.5])
