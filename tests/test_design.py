import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lastiterate import bounds, design, schedules

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
