import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import reference
from lastiterate import bounds, schedules

rates = arrays(float, st.integers(1, 300), elements=st.floats(1e-6, 1.0))
wild_rates = arrays(float, st.integers(1, 400), elements=st.floats(-12, 3)).map(lambda x: 10.0**x)
scales = st.floats(0.01, 100)


def decaying(T, exact=False):
    return [1 / mp.sqrt(t) for t in range(1, T + 1)] if exact else np.arange(1, T + 1) ** -0.5


@pytest.mark.parametrize("T", [1, 2, 60, 400, 2000])
@pytest.mark.parametrize("norms", ["constant", "decaying"])
def test_within_1e12_of_40_digits(T, norms):
    G, exact_G = (1.0, [mp.mpf(1)] * T) if norms == "constant" else (decaying(T), decaying(T, exact=True))
    for name, (eta, exact_eta) in reference.schedules(T).items() if T > 5 else [("constant", (np.ones(T), [mp.mpf(1)] * T))]:
        expected = float(reference.omega(exact_eta, exact_G))
        assert bounds.omega(eta, G, horizons=T) == pytest.approx(expected, rel=1e-12), name
        assert bounds.omega(eta, G)[-1] == pytest.approx(expected, rel=1e-12), name


@pytest.mark.parametrize("norms", ["decaying", pytest.param("constant", marks=pytest.mark.slow)])
def test_within_1e9_of_40_digits_at_44000(norms):
    T = 44_000
    G, exact_G = (1.0, [mp.mpf(1)] * T) if norms == "constant" else (decaying(T), decaying(T, exact=True))
    for name, (eta, exact_eta) in reference.schedules(T).items():
        expected = float(reference.omega(exact_eta, exact_G))
        assert bounds.omega(eta, G, horizons=T) == pytest.approx(expected, rel=1e-12), name
        assert bounds.omega(eta, G)[-1] == pytest.approx(expected, rel=1e-11), name


@settings(max_examples=60, deadline=None)
@given(wild_rates)
def test_all_horizons_equal_one_sum_each_for_wild_schedules(eta):
    assert bounds.omega(eta) == pytest.approx(reference.omega_all_directly(eta), rel=1e-12)


@pytest.mark.parametrize("T", [33, 64, 65, 129, 1000, 5000])
def test_all_horizons_equal_one_sum_each(T):
    t = np.arange(1, T + 1)
    cases = {
        "constant": np.ones(T), "cosine": schedules.cosine(T), "1/t": 1 / t, "rising": t / T, "exponential": 0.99**t,
        "steep": 0.97**t,
        "step": np.where(t < T / 2, 1.0, 1e-4), "spikes": np.where(t % 97 == 0, 1e6, 1.0),
    }  # fmt: skip
    for name, eta in cases.items():
        direct = reference.omega_all_directly(eta, decaying(T), 2.0)
        assert bounds.omega(eta, decaying(T), 2.0) == pytest.approx(direct, rel=1e-12), name


def test_steps_of_zero_inside_are_fine_and_other_horizons_finite():
    eta = np.ones(500)
    eta[100:300] = 0.0
    horizons = np.r_[1:101, 301:501]
    together = bounds.omega(eta, horizons=horizons)
    assert together == pytest.approx([bounds.omega(eta, horizons=int(t)) for t in horizons], rel=1e-13)


@pytest.mark.slow
def test_a_million_steps():
    T = 1_000_000
    eta = schedules.cosine(T)
    horizons = [1, 2, 1000, 123_456, 999_999, T]
    assert bounds.omega(eta)[np.array(horizons) - 1] == pytest.approx(bounds.omega(eta, horizons=horizons), rel=1e-12)


def test_horizons_in_any_form():
    eta = schedules.linear(100)
    every = bounds.omega(eta)
    assert every.shape == (100,)
    assert isinstance(bounds.omega(eta, horizons=100), float)
    assert bounds.omega(eta, horizons=[100, 7]) == pytest.approx(every[[99, 6]], rel=1e-13)
    assert bounds.average_omega(eta, horizons=7) == bounds.average_omega(eta)[6]


@settings(deadline=None)
@given(rates, scales, scales, scales)
def test_scaling(eta, a, G, D):
    base = bounds.omega(eta, G, D)
    assert bounds.omega(eta, a * G, a * D) == pytest.approx(a**2 * base, rel=1e-10)
    assert bounds.omega(a * eta, G / a, D) == pytest.approx(base / a, rel=1e-10)
    lr, bound = bounds.optimal_lr(eta, G, D)
    other_lr, other_bound = bounds.optimal_lr(a * eta, G, D)
    assert (other_lr, other_bound) == pytest.approx((lr / a, bound), rel=1e-10)


@settings(deadline=None)
@given(st.floats(0.01, 10), scales, scales)
def test_one_step(rate, G, D):
    expected = D**2 / (2 * rate) + rate * G**2 / 2
    for bound in (bounds.omega, bounds.average_omega):
        assert bound(np.array([rate]), G, D, horizons=1) == pytest.approx(expected, rel=1e-13)
    assert bounds.optimal_lr(np.array([rate]), G, D)[1] == pytest.approx(D * G, rel=1e-13)
    assert bounds.linear_decay_bound(1, G, D) == pytest.approx(D * G, rel=1e-13)


@settings(deadline=None)
@given(st.data(), st.integers(1, 100))
def test_convex_in_the_schedule_and_monotone_in_the_norms(data, T):
    a, b = (data.draw(arrays(float, T, elements=st.floats(1e-4, 1.0))) for _ in range(2))
    G = data.draw(arrays(float, T, elements=st.floats(0.0, 2.0)))
    middle = bounds.omega((a + b) / 2, G, horizons=T)
    assert middle <= (bounds.omega(a, G, horizons=T) + bounds.omega(b, G, horizons=T)) / 2 * (1 + 1e-12)
    assert bounds.omega(a, G, horizons=T) <= bounds.omega(a, G + 0.1, horizons=T)
    assert bounds.omega(a, G, 1.0, horizons=T) <= bounds.omega(a, G, 1.1, horizons=T)


@settings(deadline=None)
@given(rates, st.floats(0.1, 10))
def test_best_rate_is_best(eta, factor):
    for kind, bound in (("last", bounds.omega), ("average", bounds.average_omega)):
        lr, best = bounds.optimal_lr(eta, kind=kind)
        assert bound(lr * eta, horizons=eta.size) == pytest.approx(best, rel=1e-10)
        assert bound(factor * lr * eta, horizons=eta.size) >= best * (1 - 1e-12)
    t1, t2 = bounds.omega_terms(eta)
    assert t1 / factor + factor * t2 == pytest.approx(bounds.omega(factor * eta, horizons=eta.size), rel=1e-10)


def test_constant_schedule_closed_form():
    for T in (1, 2, 10, 1000):
        harmonic = np.sum(1 / np.arange(1, T))
        expected = 4 / (2 * 0.3 * T) + 0.3 / 2 * 2.25 * (1 + harmonic)
        assert bounds.omega(0.3 * np.ones(T), 1.5, 2.0, horizons=T) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("T", [10, 60, 400, 2000])
def test_wsd_theorem_is_above_the_bound_that_it_simplifies(T):
    for T0 in np.unique(np.linspace(2, T - 1, 25).astype(int)).tolist():
        n = T + 1 - T0
        eta = np.concatenate([np.ones(T0), np.arange(n - 1, 0, -1) / n])
        assert bounds.optimal_lr(eta)[1] <= bounds.wsd_theorem(T, T0) < 1.4 * bounds.optimal_lr(eta)[1]
    assert bounds.wsd_theorem(T, T // 2, G=3.0, D=2.0) == pytest.approx(6 * bounds.wsd_theorem(T, T // 2), rel=1e-13)


def test_wsd_theorem_formula_in_40_digits():
    def H(n):
        return mp.fsum(mp.mpf(1) / k for k in range(1, n + 1))

    for T, s in ((10, 4), (400, 320), (400, 399)):
        bracket = mp.mpf(2) / 3 + mp.mpf(T + 2 * s) / (3 * (T + s)) + H(T + s - 2) - H(T - s + 1)
        bracket -= mp.mpf((T - s) * (s - 1)) / (3 * (T - s + 2) * (T + s))
        bracket += mp.mpf(1) / (T - s) ** 2 + H(T - s - 1) / (T - s + 1)
        assert bounds.wsd_theorem(T, s) == pytest.approx(float(mp.sqrt(mp.mpf(4) / (T + s) * bracket)), rel=1e-13)


def test_linear_decay_bound():
    G = np.array([1.0, 2.0, 2.0])
    assert bounds.linear_decay_bound(3, G, 2.0) == pytest.approx(2.0)
    assert bounds.linear_decay_bound(100, 3.0, 2.0) == pytest.approx(0.6)


def test_numbers_of_the_paper():
    T = 400
    best = {
        "linear": (schedules.linear(T), 0.10063), "1-sqrt": (schedules.wsd(T, 1.0, "1-sqrt"), 0.10124),
        "cosine": (schedules.cosine(T), 0.10339), "wsd": (schedules.wsd(T), 0.10932),
        "inverse_sqrt": (schedules.inverse_sqrt(T), 0.12226), "constant": (schedules.constant(T), 0.13754),
    }  # fmt: skip
    for name, (eta, expected) in best.items():
        assert bounds.optimal_lr(eta)[1] == pytest.approx(expected, abs=6e-6), name


@settings(deadline=None)
@given(arrays(float, st.integers(1, 40), elements=st.floats(1e-3, 10)), st.floats(0.1, 10), st.floats(0.1, 10))
def test_tightened_bound_is_omega_at_its_best_last_step(eta, G, D):
    tight = bounds.tightened_omega(eta, G, D)
    last = np.append(eta[:-1], 1.0)
    tried = [bounds.omega(np.append(eta[:-1], s), G, D, eta.size) for s in np.geomspace(1e-6, 1e4, 400)]
    assert tight <= min(tried) * (1 + 1e-9) and tight > 0.98 * min(tried)
    assert bounds.tightened_omega(last, G, D) == tight
    assert bounds.tightened_omega(eta * G / D) * G * D == pytest.approx(tight, rel=1e-9)


def test_tightened_bound_of_linear_decay_is_about_twice_the_minimax_rate():
    for T in (20, 1000):
        eta = (1 - np.arange(1, T + 1) / T) / np.sqrt(T)
        assert bounds.tightened_omega(eta) * np.sqrt(T) == pytest.approx(2, abs=0.05)
    with pytest.raises(ValueError, match="G must be positive at the last step"):
        bounds.tightened_omega([1.0, 1.0], G=[1.0, 0.0])


# --- any scale --------------------------------------------------------------------------------------------------------


def agrees(call, *exact):
    """Whether a call gives these numbers, or says that float64 cannot hold one of them."""
    inside = [x == 0 or 2.3e-308 < x < mp.mpf("1.79e308") for x in exact]
    if all(inside):
        found = np.atleast_1d(call())
        for ours, theirs in zip(found.tolist(), exact, strict=True):
            assert abs(mp.mpf(ours) - theirs) <= mp.mpf("1e-12") * theirs
    elif not all(x == 0 or 2.2e-308 < x < mp.mpf("1.8e308") for x in exact):
        with pytest.raises(ValueError, match="which float64 cannot hold"):
            call()


exponents = st.floats(-300, 300)
positive = exponents.map(lambda x: 10.0**x)


@st.composite
def problems(draw):
    """(eta, G, D) at any scale, each array within a few powers of ten, or over all of float64."""
    T = draw(st.integers(1, 6))
    near = st.floats(-3, 3)

    def numbers():
        if draw(st.booleans()):
            return np.array(draw(st.lists(positive, min_size=T, max_size=T)))
        middle = draw(st.floats(-295, 295))
        return 10.0 ** (middle + np.array(draw(st.lists(near, min_size=T, max_size=T))))

    return numbers(), numbers(), draw(positive)


@settings(max_examples=300)
@given(problems())
def test_right_at_any_scale_or_refused(problem):
    eta, G, D = problem
    T = eta.size
    t1, t2 = reference.omega_terms(eta.tolist(), G.tolist(), D)
    agrees(lambda: bounds.omega_terms(eta, G, D), t1, t2)
    agrees(lambda: bounds.omega(eta, G, D, horizons=T), t1 + t2)
    agrees(lambda: bounds.optimal_lr(eta, G, D), mp.sqrt(t1 / t2), 2 * mp.sqrt(t1 * t2))
    every = [sum(reference.omega_terms(eta[:t].tolist(), G[:t].tolist(), D)) for t in range(1, T + 1)]
    agrees(lambda: bounds.omega(eta, G, D), *every)
    a1, a2 = reference.average_terms(eta.tolist(), G.tolist(), D)
    agrees(lambda: bounds.optimal_lr(eta, G, D, "average"), mp.sqrt(a1 / a2), 2 * mp.sqrt(a1 * a2))
    agrees(lambda: bounds.average_omega(eta, G, D, horizons=T), a1 + a2)
    squares = mp.fsum(mp.mpf(g) ** 2 for g in G.tolist())
    agrees(lambda: bounds.linear_decay_bound(T, G, D), D * mp.sqrt(squares) / T)
    inverse = mp.fsum(mp.mpf(g) ** -2 for g in G.tolist())
    agrees(lambda: bounds.refined_bound(G, D), D / mp.sqrt(inverse))
    steps = mp.fsum((mp.mpf(w) * mp.mpf(g)) ** 2 for w, g in zip(eta.tolist(), G.tolist(), strict=True))
    agrees(lambda: bounds.refined_bound(G, D, weights=eta), D * mp.sqrt(steps) / mp.fsum(eta.tolist()))


@settings(max_examples=200)
@given(rates, st.integers(-900, 900), st.integers(-900, 900))
def test_a_power_of_two_changes_the_exponent_only(eta, b, c):
    """Ω(2^(c−b) η, 2^b G, 2^c D) = 2^(b+c) Ω(η, G, D), and γ* is 2^(c−b) times as large."""
    G = np.linspace(1, 2, eta.size)
    if max(abs(c - b), abs(b + c)) < 950:
        found = bounds.omega(np.ldexp(eta, c - b), np.ldexp(G, b), np.ldexp(1.0, c), eta.size)
        assert np.ldexp(found, -b - c) == pytest.approx(bounds.omega(eta, G, 1.0, eta.size), rel=1e-13)
        lr, bound = bounds.optimal_lr(eta, np.ldexp(G, b), np.ldexp(1.0, c))
        assert (np.ldexp(lr, b - c), np.ldexp(bound, -b - c)) == pytest.approx(bounds.optimal_lr(eta, G), rel=1e-13)


@pytest.mark.parametrize("T", [50, 400])
@pytest.mark.parametrize(("eta", "G", "D"), [(1e-200, 1.0, 1.0), (1.0, 1e150, 1e150), (1e200, 1e-200, 1.0), (1e120, 1e-30, 1e90)])
def test_all_horizons_at_extreme_scales(T, eta, G, D):
    rates = eta * schedules.wsd(T)
    every = bounds.omega(rates, G, D)
    for t in (1, 2, T // 2, T):
        assert every[t - 1] == pytest.approx(bounds.omega(rates, G, D, horizons=t), rel=1e-12, abs=0)
    average = bounds.average_omega(rates, G, D)
    assert average[-1] == pytest.approx(bounds.average_omega(rates, G, D, horizons=T), rel=1e-12, abs=0)


def test_known_extremes():
    lr, bound = bounds.optimal_lr(1e-200 * np.ones(50))
    _, best = bounds.optimal_lr(np.ones(50))
    assert (1e-200 * lr, bound) == pytest.approx(bounds.optimal_lr(np.ones(50)), rel=1e-13)
    assert bounds.refined_bound([1e-200] * 50) == pytest.approx(1e-200 / np.sqrt(50), rel=1e-13, abs=0)
    for scale in (1e155, 1e200, 1e300):
        assert bounds.optimal_lr(np.ones(50), G=scale)[1] == pytest.approx(scale * best, rel=1e-13)
        with pytest.raises(ValueError, match=r"Ω is about 1e.*which float64 cannot hold"):
            bounds.omega(np.ones(50), G=scale)
        for D in (scale, 1 / scale):
            assert bounds.optimal_lr(np.ones(50), D=D)[1] == pytest.approx(
                D * bounds.optimal_lr(np.ones(50))[1], rel=1e-13, abs=0
            )
            assert bounds.wsd_theorem(400, 320, D=D) == pytest.approx(D * bounds.wsd_theorem(400, 320), rel=1e-13, abs=0)
    assert bounds.average_omega([1.7e308] * 4, G=1e-150, horizons=4) == pytest.approx(0.5 * 1.7e8, rel=1e-13)
    with pytest.raises(ValueError, match="cannot hold"):
        bounds.wsd_theorem(400, 320, G=1e200, D=1e200)


@settings(max_examples=30)
@given(problems())
def test_tightened_bound_at_any_scale(problem):
    eta, G, D = problem
    steps = np.abs(np.log10(eta)) + np.abs(np.log10(G)).max() * 2 + abs(np.log10(D))
    if steps.max() < 250:  # then every product of the formula is within float64, at some scale of eta
        tight = bounds.tightened_omega(eta, G, D)
        tried = [sum(reference.omega_terms([*eta[:-1].tolist(), 10.0**s], G.tolist(), D)) for s in range(-300, 300)]
        assert 0.3 * float(min(tried)) < tight <= float(min(tried)) * (1 + 1e-9)
