import warnings

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
