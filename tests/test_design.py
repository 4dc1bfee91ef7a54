import contextlib
import warnings

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lastiterate import bounds, design, schedules, worstcase

norms = arrays(float, st.integers(1, 60), elements=st.floats(0.05, 20))


@pytest.mark.parametrize(("T", "best"), [(100, 0.200114), (400, 0.100187), (2000, 0.044756)])
def test_optimum(T, best):
    eta, bound, certificate = design.optimal(T)
    assert bound == pytest.approx(best, abs=6e-7)
    assert eta.shape == (T,) and eta.max() == 1 and eta.min() > 0
    assert bounds.omega(certificate["lr"] * eta, horizons=T) == pytest.approx(bound, rel=1e-13)
    assert abs(certificate["gap"]) < 1e-13
    assert bound < bounds.optimal_lr(schedules.linear(T))[1]


@settings(deadline=None)
@given(norms, st.floats(0.1, 10))
def test_recursion_attains_its_lower_bound_for_any_norms(G, D):
    _, bound, certificate = design.optimal(G.size, G, D)
    assert bound == pytest.approx(certificate["lower_bound"], rel=1e-12)


@settings(deadline=None)
@given(norms, st.integers(0, 2**32 - 1))
def test_no_schedule_is_below_the_lower_bound(G, seed):
    eta = 10.0 ** np.random.default_rng(seed).uniform(-3, 0, G.size)
    assert bounds.optimal_lr(eta, G)[1] >= design.optimal(G.size, G)[2]["lower_bound"] * (1 - 1e-12)


@pytest.mark.parametrize("T", [1, 2, 3, 50, 400])
@pytest.mark.parametrize("decay", [0.0, -0.5])
def test_clarabel_agrees_without_knowing_the_recursion(T, decay):
    G = 3.0 * np.arange(1.0, T + 1) ** decay
    eta, bound, _ = design.optimal(T, G, 2.0)
    eta_conic, bound_conic, certificate = design.optimal(T, G, 2.0, method="clarabel")
    assert bound_conic == pytest.approx(bound, rel=1e-7)
    assert -1e-12 < certificate["gap"] < 1e-7
    assert eta_conic == pytest.approx(eta, abs=2e-3)
    for value in ("solver_primal", "solver_dual"):
        assert certificate[value] == pytest.approx(bound, rel=1e-5)


def test_clarabel_says_when_it_fails():
    with pytest.raises(RuntimeError, match="use method='recursion'"):
        design.optimal(50, 10.0 ** -np.arange(50), method="clarabel")


@pytest.mark.parametrize("power", [1, 2, 0.5])
def test_equal_norms_are_refined_to_linear_decay(power):
    np.testing.assert_allclose(design.refine(np.full(50, 3.0), power), np.arange(49, -1, -1) / 49, atol=1e-14)


@given(arrays(float, st.integers(2, 60), elements=st.floats(1e-3, 1e3)), st.floats(1e-6, 1e6), st.sampled_from([1, 2]))
def test_refined_schedule_does_not_depend_on_the_unit_of_the_norms(norms, unit, power):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", design.DegenerateSchedule)
        eta = design.refine(norms, power)
        np.testing.assert_allclose(design.refine(unit * norms, power), eta, rtol=1e-9)
    assert eta.shape == norms.shape and eta.max() == 1 and eta.min() == eta[-1] == 0


def test_refinement_is_the_formula():
    norms = np.random.default_rng(0).uniform(1, 3, 40)
    weights = norms**-2.0
    plain = np.array([weights[t] * weights[t + 1 :].sum() for t in range(40)])
    np.testing.assert_allclose(design.refine(norms, window=0), plain / plain.max(), rtol=1e-12)
    smooth = np.array([np.median(np.concatenate([[norms[0]] * 4, norms, norms[::-1][:4]])[t : t + 9]) for t in range(40)])
    np.testing.assert_allclose(design.refine(norms, window=0.2), design.refine(smooth, window=0), rtol=1e-12)


def test_early_fall_gives_warmup_and_late_rise_gives_annealing():
    norms = np.concatenate([np.linspace(5, 1, 100), np.ones(800), np.linspace(1, 3, 100)])
    eta, linear = design.refine(norms), design.refine(np.ones(1000))
    assert 80 < eta.argmax() < 200 and eta[0] < 0.1
    assert eta[-50] < 0.5 * linear[-50]


def test_refined_schedule_at_another_horizon_is_the_same_curve():
    norms = np.concatenate([np.linspace(5, 1, 100), np.ones(800), np.linspace(1, 3, 100)])
    eta, longer = design.refine(norms), design.refine(norms, horizon=10_000)
    assert longer.size == 10_000 and longer.max() == 1
    np.testing.assert_allclose(longer[5::10], eta, atol=5e-3)
    np.testing.assert_allclose(design.refine(norms, horizon=1000), eta, rtol=1e-12)


def test_degenerate_norms_are_noticed():
    with pytest.warns(design.DegenerateSchedule, match="the schedule is a spike at step 97. of 1000"):
        design.refine(np.geomspace(1, 1e-9, 1000))
    with pytest.warns(design.DegenerateSchedule, match="a window of 0.1 of 8 norms has fewer than three of them"):
        design.refine(np.ones(8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        design.refine(np.ones(8), window=0)
        design.refine(np.ones(80))


def test_guarantee_of_refined_steps_is_attained_by_the_exact_worst_case():
    G = np.random.default_rng(1).uniform(0.5, 2, 6)
    w = G**-2.0
    steps = w * np.append(np.cumsum(w[:0:-1])[::-1], 0) / w.sum() / np.linalg.norm(w * G)
    assert worstcase.exact(steps, G) == pytest.approx(bounds.refined_bound(G), rel=1e-6)
    worse = bounds.refined_bound(G, weights=np.ones(6))
    assert bounds.refined_bound(G) < worse < np.linalg.norm(G) / 6 * (1 + 1e-12)


# --- optimal under constraints ----------------------------------------------------------------------------------------

CONSTRAINTS = {
    "prefix": {"prefix": np.full(30, 0.12)},
    "prefix with zeros": {"prefix": np.array([0.3, 0.0, 0.1, 0.0])},
    "cap": {"cap": 0.08},
    "monotone": {"monotone": True},
    "warmup": {"warmup": 20},
    "all but a prefix": {"cap": 0.09, "monotone": True, "warmup": 12},
    "prefix, cap": {"prefix": np.linspace(0.01, 0.2, 40), "cap": 0.1},
    "prefix, monotone": {"prefix": np.full(40, 0.05), "monotone": True},
}


def is_feasible(rates, prefix=(), cap=np.inf, monotone=False, warmup=1, slack=1e-9):
    k = len(prefix)
    after = rates[max(k - 1, warmup - 1, 0) :]
    return (
        np.allclose(rates[:k], prefix, rtol=1e-9)
        and rates[k:].max() <= cap * (1 + slack)
        and (not monotone or np.all(np.diff(after) <= slack))
        and np.all(rates[: warmup - 1] <= np.arange(1, warmup) / warmup * rates[warmup - 1] * (1 + slack))
    )


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("kind", ["constant", "falling", "random"])
def test_constraints_are_kept_and_the_certificate_closes(name, kind):
    T, rng = 100, np.random.default_rng(5)
    G = {"constant": np.ones(T), "falling": np.arange(1, T + 1) ** -0.5, "random": rng.uniform(0.5, 2, T)}[kind]
    eta, bound, certificate = design.optimal(T, G, 2.0, **CONSTRAINTS[name])
    rates = certificate["lr"] * eta
    assert is_feasible(rates, **CONSTRAINTS[name])
    assert bounds.omega(rates, G, 2.0, T) == pytest.approx(bound, rel=1e-12)
    assert -1e-10 < certificate["gap"] < 1e-6
    assert bound >= design.optimal(T, G, 2.0)[1] * (1 - 1e-12)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_no_feasible_schedule_is_below_the_lower_bound(name):
    constraints, T, rng = CONSTRAINTS[name], 60, np.random.default_rng(3)
    G = rng.uniform(0.5, 2, T)
    lower = design.optimal(T, G, **constraints)[2]["lower_bound"]
    best, prefix = np.inf, constraints.get("prefix", np.zeros(0))
    start = constraints.get("warmup", 1) - 1
    for _ in range(300):
        scale = 10.0 ** rng.uniform(-2, 0)
        free = np.minimum(scale * rng.uniform(0.2, 1, T - len(prefix)), constraints.get("cap", np.inf))
        if constraints.get("monotone"):
            free[start:] = np.sort(np.minimum(free[start:], prefix[-1] if len(prefix) else np.inf))[::-1]
        free[:start] = np.minimum(free[:start], np.arange(1, start + 1) / (start + 1) * free[start])
        rates = np.append(prefix, free)
        assert is_feasible(rates, **constraints)
        best = min(best, bounds.omega(rates, G, 1.0, T))
    assert lower <= best < 3 * lower


@pytest.mark.parametrize("prefix", [np.full(200, 0.07), np.linspace(0, 0.3, 399), np.r_[np.zeros(10), 1.0]])
def test_closed_form_behind_a_prefix_is_the_convex_program(prefix):
    eta, bound, certificate = design.optimal(400, prefix=prefix)
    _, conic, _ = design.optimal(400, prefix=prefix, method="clarabel")
    assert conic == pytest.approx(bound, rel=1e-7) and abs(certificate["gap"]) < 1e-12
    np.testing.assert_allclose((certificate["lr"] * eta)[: prefix.size], prefix, rtol=1e-12)


def test_a_prefix_of_the_optimum_is_continued_by_the_optimum():
    eta, bound, certificate = design.optimal(300)
    rates = certificate["lr"] * eta
    again, same, more = design.optimal(300, prefix=rates[:120])
    assert same == pytest.approx(bound, rel=1e-12)
    np.testing.assert_allclose(more["lr"] * again, rates, rtol=1e-6)


def test_constraints_that_do_not_bind_change_nothing():
    eta, bound, certificate = design.optimal(200)
    loose = design.optimal(200, cap=10 * certificate["lr"])
    assert loose[1] == pytest.approx(bound, rel=1e-8)
    np.testing.assert_allclose(loose[2]["lr"] * loose[0], certificate["lr"] * eta, atol=1e-5)


@pytest.mark.parametrize(
    "constraints", [{"cap": 0.012}, {"monotone": True}, {"warmup": 200}, {"prefix": np.full(1000, 0.016), "monotone": True}]
)
def test_program_in_blocks_is_the_full_one(constraints, monkeypatch):
    _, bound, _ = design.optimal(2000, **constraints)
    monkeypatch.setattr(design._program, "FULL", 100)
    monkeypatch.setattr(design, "GAP", np.inf)
    eta, in_blocks, certificate = design.optimal(2000, **constraints)
    assert bound * (1 - 1e-8) < in_blocks < bound * (1 + 1e-6)
    assert certificate["gap"] < 2e-6
    assert is_feasible(certificate["lr"] * eta, **constraints)


def test_long_horizons_in_blocks():
    for constraints in ({"cap": 0.002}, {"monotone": True, "warmup": 1000}):
        _, bound, certificate = design.optimal(50_000, **constraints)
        assert 0 < bound - certificate["lower_bound"] < 1e-6 * bound


def test_norms_that_blocks_cannot_follow_get_the_full_program(monkeypatch):
    monkeypatch.setattr(design._program, "FULL", 100)
    G = np.random.default_rng(0).lognormal(0, 0.3, 400)
    assert design.optimal(400, G, monotone=True)[2]["gap"] < 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prefix": np.ones(10)}, "prefix must have fewer than T = 10 rates, got 10"),
        ({"prefix": [1.0, -1.0]}, "prefix must not be negative, got -1.0 at step 2"),
        ({"cap": 0.0}, "cap must be a finite number > 0, got 0.0"),
        ({"monotone": 1}, "monotone must be True or False, got 1"),
        ({"warmup": 11}, r"warmup must be an integer in 1\.\.10, got 11"),
        ({"warmup": 3, "prefix": [1.0]}, "warmup must be None with a prefix, got 3"),
        ({"monotone": True, "prefix": [1.0, 0.0]}, "prefix must end with a positive rate"),
        ({"method": "recursion", "cap": 1.0}, "method must be 'clarabel' with cap, monotone or warmup"),
        ({"method": "simplex"}, "method must be one of 'recursion', 'clarabel'"),
    ],
)
def test_bad_constraints(arguments, message):
    with pytest.raises(ValueError, match=message):
        design.optimal(10, **arguments)


# --- caps of any size, problems in any unit ---------------------------------------------------------------------------

SMALL = 30
ALONG = {
    "alone": {},
    "monotone": {"monotone": True},
    "warmup": {"warmup": 7},
    "warmup, monotone": {"warmup": 7, "monotone": True},
    "prefix": {"prefix": np.full(10, 0.1)},
    "prefix, monotone": {"prefix": np.linspace(0.02, 0.1, 10), "monotone": True},
    "prefix that ends with zeros": {"prefix": np.r_[np.full(8, 0.1), 0.0, 0.0]},
}
CAPS = 10.0 ** np.r_[-30, -20, -12, -8, -6, -5, np.arange(-4, 1, 0.5), 1, 2, 4, 6]


@pytest.mark.parametrize("name", ALONG)
@pytest.mark.parametrize("kind", ["constant", "falling", "random"])
def test_caps_of_any_size(name, kind):
    G = {"constant": np.ones(SMALL), "falling": np.arange(1, SMALL + 1) ** -0.5, "random": random_norms(SMALL)}[kind]
    free, last = design.optimal(SMALL, G, **ALONG[name])[1], np.inf
    prefix = ALONG[name].get("prefix", np.zeros(0))
    for cap in CAPS.tolist():
        eta, bound, certificate = design.optimal(SMALL, G, cap=cap, **ALONG[name])
        assert -1e-9 < certificate["gap"] < 1e-6, cap
        rates = certificate["lr"] * eta
        assert rates[prefix.size :].max() <= cap * (1 + 1e-9)
        assert is_feasible(rates, **ALONG[name], slack=1e-9)
        assert bound <= last * (1 + 1e-6), "a larger cap is no worse"
        assert bound >= free * (1 - 1e-6)
        highest = min(cap, prefix[-1]) if prefix.size and "monotone" in ALONG[name] else cap
        flat = np.append(prefix, np.full(SMALL - prefix.size, highest))
        if "warmup" in ALONG[name]:
            flat[:7] *= np.arange(1, 8) / 7
        assert bound <= bounds.omega(flat, G, horizons=SMALL) * (1 + 1e-9), "a constant rate is allowed"
        if cap < 1e-4:
            np.testing.assert_allclose(rates, flat, rtol=1e-13)
        if cap > 100:
            assert bound == pytest.approx(free, rel=1e-6)
        last = bound


def random_norms(n):
    return np.random.default_rng(7).uniform(0.5, 2, n)


def test_cap_that_binds_at_all_steps_is_known_without_a_solver(monkeypatch):
    monkeypatch.setattr(design._program, "solve", lambda *_: pytest.fail("solved"))
    for T in (1, 2, 10, 1000):
        eta, bound, certificate = design.optimal(T, cap=1e-6 / T)
        assert np.array_equal(eta, np.ones(T)) and certificate["lr"] == 1e-6 / T and certificate["gap"] == 0
        assert bound == pytest.approx(bounds.omega(np.full(T, 1e-6 / T), horizons=T), rel=1e-14)
        assert design.optimal(T, cap=1e6)[1] == pytest.approx(design.optimal(T)[1], rel=1e-14)


@pytest.mark.parametrize("scale", [1e-250, 1e-160, 1e-60, 1e60, 1e130])
@pytest.mark.parametrize("name", ["free", "prefix", "cap", "prefix, monotone", "warmup"])
def test_problems_in_any_unit(name, scale):
    T, G = 40, random_norms(40)
    options = {
        "free": {}, "prefix": {"prefix": np.full(10, 0.1)}, "cap": {"cap": 0.1}, "warmup": {"warmup": 5},
        "prefix, monotone": {"prefix": np.linspace(0.02, 0.1, 10), "monotone": True},
    }[name]  # fmt: skip
    eta, bound, certificate = design.optimal(T, G, 2.0, **options)

    def scaled(factor):
        return {key: value if key in ("monotone", "warmup") else factor * value for key, value in options.items()}

    for other in (design.optimal(T, scale * G, 2.0, **scaled(1 / scale)), design.optimal(T, G, 2.0 * scale, **scaled(scale))):
        assert other[1] == pytest.approx(scale * bound, rel=1e-8, abs=0)
        assert other[2]["lower_bound"] == pytest.approx(scale * certificate["lower_bound"], rel=1e-8, abs=0)
        np.testing.assert_allclose(other[0], eta, atol=1e-5)
    with pytest.raises(ValueError, match="which float64 cannot hold"):
        design.optimal(T, 1e200 * G, 1e200)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cap": 1e-200}, "cap must be at least 1e-100 D/G, got 1e-200"),
        ({"prefix": [1e-200], "monotone": True}, "prefix must end with at least 1e-100 D/G, got 1e-200"),
        ({"G": np.r_[np.ones(9), 1e-200]}, "G must not span more than 140 powers of ten"),
    ],
)
def test_beyond_what_float64_can_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        design.optimal(10, **arguments)


def test_a_prefix_that_dwarfs_the_rest():
    """Steps so long that D is nothing beside them: Ω goes with their scale."""
    one = design.optimal(20, prefix=[1e60, 1e60])
    other = design.optimal(20, prefix=[1e80, 1e80])
    assert other[1] == pytest.approx(1e20 * one[1], rel=1e-9)
    assert abs(other[2]["gap"]) < 1e-9


@settings(max_examples=60)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.floats(-4, 0), st.booleans())
def test_lower_bound_holds_for_any_multipliers(n, seed, exponent, large):
    """Also where a prefix outweighs what is behind it."""
    rng = np.random.default_rng(seed)
    k, cap = int(rng.integers(0, 4)), 10.0**exponent
    G, prefix = rng.uniform(0.5, 2, n + k), rng.uniform(0, 10.0 if large else 0.2, k)
    multipliers = rng.uniform(0, 3, n) * rng.choice([0.0, 1.0, 100.0])
    lower = design._program.lower_bound(G, 1.0, prefix, float(rng.uniform(0.1, 2) * cap), -multipliers, cap * multipliers.sum())
    for _ in range(20):
        rates = np.append(prefix, cap * rng.uniform(0.01, 1, n))
        assert lower <= bounds.omega(rates, G, horizons=n + k) * (1 + 1e-9)


# --- refinement of norms of any range ---------------------------------------------------------------------------------


def exact_refinement(norms, power):
    weights = [mp.mpf(g) ** -mp.mpf(power) for g in norms]
    eta = [w * mp.fsum(weights[t + 1 :]) for t, w in enumerate(weights)]
    return np.array([float(x / max(eta)) for x in eta])


@settings(max_examples=150)
@given(st.lists(st.floats(-300, 300), min_size=2, max_size=12), st.sampled_from([0.5, 1, 2, 7.5, 40]), st.booleans())
def test_refinement_of_norms_of_any_range(exponents, power, near):
    norms = 10.0 ** (np.array(exponents) * (0.01 if near else 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", design.DegenerateSchedule)
        eta = design.refine(norms, power, window=0)
    expected = exact_refinement(norms.tolist(), power)
    np.testing.assert_allclose(eta, expected, rtol=1e-11 if power > 2 else 1e-12, atol=1e-100)


def test_weights_in_logarithms_are_the_plain_ones(monkeypatch):
    norms = np.random.default_rng(2).lognormal(0, 2, 50_000)
    plain = design.refine(norms, 2)
    monkeypatch.setattr(design, "SAFE", np.inf)
    np.testing.assert_allclose(design.refine(norms, 2), plain, rtol=1e-12)


@pytest.mark.parametrize("norms", [[1e170] * 9 + [1], [1] * 9 + [1e170], [1e-300, 1e300] * 5, list(np.geomspace(1, 1e300, 10))])
@pytest.mark.parametrize("power", [2, 1e3, 1e300, 1.7e308, 1e-300])
@pytest.mark.parametrize("horizon", [None, 7, 100])
def test_refinement_is_finite_whatever_overflows(norms, power, horizon):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", design.DegenerateSchedule)
        eta = design.refine(norms, power, window=0, horizon=horizon)
    assert np.isfinite(eta).all() and eta.max() == 1 and eta.min() >= 0 and eta[-1] == 0


def test_known_refinement_that_overflowed():
    with pytest.warns(design.DegenerateSchedule):
        eta = design.refine([1e170] * 9 + [1], window=0.2)
    np.testing.assert_allclose(eta, [1] * 9 + [0], rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("more", [{}, {"warmup": 5}, {"cap": 0.3}])
def test_rates_that_must_not_rise_under_norms_that_jump(seed, more):
    G = 10 ** np.random.default_rng(seed).uniform(-1, 1, 12)
    eta, bound, certificate = design.optimal(12, G, monotone=True, **more)
    assert certificate["gap"] < 1e-3
    start = more.get("warmup", 1) - 1
    assert np.all(np.diff(eta[start:]) <= 0)
    other = np.minimum(1, np.arange(1, 13) / (start + 1)) * np.linspace(1, 0.1, 12)
    if not more.get("cap"):
        assert bound <= bounds.optimal_lr(other, G)[1]


def test_a_solver_that_finds_nothing_says_so():
    G = 10 ** np.random.default_rng(0).uniform(-3, 3, 40)
    with contextlib.suppress(RuntimeError):
        assert design.optimal(40, G, monotone=True)[2]["gap"] < 1e-3


@pytest.mark.parametrize("power", [1e15, 5e299, 1e300, 1.7e308])
def test_a_huge_power_leaves_the_smallest_norm(power):
    assert design.refine([2.0, 3, 1, 4, 5], power=power, window=0) == pytest.approx([1, 0, 0, 0, 0])
    assert design.refine([1, 0.82, 0.64, 0.46, 0.28, 0.1], power=power, window=0) == pytest.approx([0, 0, 0, 0, 1, 0])
