"""The noisy quadratic: recursion against simulation, closed forms and the bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastiterate import bounds, schedules
from lastiterate.experiments import quadratic

H = np.array([1.0, 0.3, 0.05])


def test_recursion_is_the_mean_of_simulations():
    rates, batch = 0.4 * schedules.wsd(60), np.repeat([1.0, 4.0], 30)
    expected = quadratic.expected_loss(rates, H, 0.5, 1.0, batch)
    runs = quadratic.simulate(rates, H, 0.5, 1.0, batch, runs=20_000)
    error = runs.std(axis=0) / np.sqrt(len(runs))
    assert np.all(np.abs(runs.mean(axis=0) - expected) < 5 * error + 1e-12)


def test_constant_rate_has_its_closed_form():
    T, eta, h, s = 200, 0.3, 0.7, 0.4
    q = (1 - eta * h) ** 2
    closed = 0.5 * h * (4.0 * q**T + eta**2 * s**2 * (1 - q**T) / (1 - q))
    assert quadratic.expected_loss(np.full(T, eta), [h], s, 2.0)[-1] == pytest.approx(closed, rel=1e-12)


def test_many_schedules_at_once_are_each_alone():
    rates = np.stack([0.2 * schedules.linear(30), 0.5 * schedules.cosine(30)])
    together = quadratic.expected_loss(rates, H, 0.3, 1.0, 2.0)
    for alone, row in zip(rates, together, strict=True):
        np.testing.assert_allclose(quadratic.expected_loss(alone, H, 0.3, 1.0, 2.0), row, rtol=1e-14)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.floats(0.01, 1.9), st.floats(0, 3), st.sampled_from(["linear", "wsd", "cosine", "constant"]))
def test_the_bound_holds(T, gamma, noise, name):
    rates = gamma * getattr(schedules, name)(T)
    norms = quadratic.grad_norms(rates, H, noise, 1.0)
    # x_T is reached after T − 1 steps
    loss = quadratic.expected_loss(rates, H, noise, 1.0)[T - 1]
    assert (
        loss
        <= bounds.tightened_omega(rates, norms, np.sqrt(3.0)) * (1 + 1e-9)
        <= bounds.omega(rates, norms, np.sqrt(3.0), T) * (1 + 1e-8)
    )


def test_norms_are_those_of_simulated_gradients():
    rates = 0.3 * schedules.linear(20)
    norms = quadratic.grad_norms(rates, H, 0.0, 1.0)
    x = np.ones(3)
    for eta, norm in zip(rates, norms, strict=True):
        assert np.linalg.norm(H * x) == pytest.approx(norm, rel=1e-12)
        x = x - eta * H * x


def test_continuum_is_the_limit_of_many_dimensions():
    h, start = quadratic.power_law(200_000, decay=1.2, source=1.7)
    rates = 0.02 * schedules.wsd(2000, 0.3)
    exact = quadratic.expected_loss(rates, h, 0.3 * np.sqrt(h), start)[-1]
    assert quadratic.continuum_loss(rates, 1.2, 1.7, 0.3) == pytest.approx(exact, rel=0.03)


def test_divergence_is_infinite_not_nan():
    loss = quadratic.expected_loss(np.full(2000, 5.0), [1.0], 0.1, 1.0)
    assert loss[-1] == np.inf and not np.isnan(loss).any()


def test_random_problems():
    h, start = quadratic.random_problem(np.random.default_rng(0), 20_000, decades=3.0)
    assert h.min() > 1e-3 and h.max() < 1 and np.mean(h < 10**-1.5) == pytest.approx(0.5, abs=0.02)
    assert start @ start == pytest.approx(1, abs=0.05)


def test_tuned_is_the_lowest_of_the_rates_tried():
    tried, eta = [0.05, 0.2, 0.9, 1.5], schedules.wsd(40)
    ends = [quadratic.expected_loss(rate * eta, H, 0.4, 1.0, 3.0)[-1] for rate in tried]
    rate, loss = quadratic.tuned(tried, eta, H, 0.4, 1.0, 3.0)
    assert loss == pytest.approx(min(ends), rel=1e-14) and rate == tried[int(np.argmin(ends))]


def test_the_bound_is_loosest_away_from_the_time_scale_of_the_run():
    eta = schedules.linear(100)
    ratios = [quadratic.bound_over_loss(eta, h, 0.1) for h in (1e-4, 3e-2, 1.0)]
    assert min(ratios) == ratios[1] > 2 * np.e, "of the first term of the bound alone the best case is 2e"
    lr, omega = bounds.optimal_lr(eta, 0.1)  # in a flat direction there is nothing but noise in the norms
    loss = quadratic.expected_loss(lr * eta, [1e-6], 0.1, 1.0)[-2]
    assert quadratic.bound_over_loss(eta, 1e-6, 0.1) == pytest.approx(omega / loss, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([-1.0], [1.0], 0, 1), "rates must be finite and >= 0"),
        (([1.0], [0.0], 0, 1), "h must be positive, got 0"),
        (([1.0], [1.0, 2.0], [1, 2, 3], 1), r"noise must be a finite scalar or of shape \(2,\)"),
        (([1.0], [1.0], -1, 1), "noise must not be negative, got -1"),
        (([1.0], [1.0], 0, 1, 0), "batch must be positive, got 0"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        quadratic.expected_loss(*arguments)


def test_what_overflows_is_infinite_and_silent():
    rates = np.full(2000, 5.0)
    for call in (quadratic.simulate, quadratic.grad_norms, quadratic.expected_loss):
        found = call(rates, [1.0, 0.5], 0.1, 1.0)
        assert not np.isnan(found).any() and np.isposinf(np.ravel(found)[-1])
        assert np.isposinf(np.ravel(call([0.1], [1.0], 0.0, 1e200))[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quadratic.power_law(3, decay=1e308), r"decay must be a number in \(0, 644\.4\d*\], got 1e\+308"),
        (lambda: quadratic.power_law(3, source=1e308), "source must be a number in"),
        (lambda: quadratic.power_law(10**12), r"d must be an integer in 1\.\.100000000, got 1000000000000"),
        (lambda: quadratic.random_problem(np.random.default_rng(0), 10**12), r"d must be an integer in 1\.\.100000000"),
        (lambda: quadratic.random_problem(5, 3), "rng must be one of NumPy's generators, got 5"),
        (lambda: quadratic.random_problem(np.random.default_rng(0), 3, 400), r"decades must be a number in \[0, 300\]"),
        (lambda: quadratic.continuum_loss([1.0], noise=1e200), r"noise must be a number in \[0, 1e\+70\], got 1e\+200"),
        (lambda: quadratic.continuum_loss([1e308, 1e308]), r"rates must be at most 1e\+70, got 1e\+308"),
        (lambda: quadratic.continuum_loss([1.0], source=1e5), "source must be such that the loss is a number, got 100000.0"),
        (lambda: quadratic.continuum_loss([1e-300], source=4.0), "source must be such that the loss is a number"),
        (lambda: quadratic.simulate([1.0], [1.0], 0, 1, runs=10**10), "runs must be such that .* at most 100,000,000 numbers"),
        (lambda: quadratic.tuned(np.ones(10**5), np.ones(10**4), [1.0], 0, 1), "tried must be such that rates times steps"),
        (lambda: quadratic.bound_over_loss([1.0], 1e200, 0.1), "curvature must be a number in"),
        (lambda: quadratic.bound_over_loss([1.0], 1.0, np.nan), "noise must be a number in"),
    ],
)
def test_what_is_beyond_floats_or_memory(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


def test_the_continuum_of_tiny_rates_is_that_of_small_ones():
    found = [quadratic.continuum_loss([1.0, rate], 1.5, 1.7, 0.3) for rate in (1e-300, 1e-17, 1e-14)]
    assert found[0] == pytest.approx(found[1], rel=1e-9) and found[1] == pytest.approx(found[2], rel=1e-9)
