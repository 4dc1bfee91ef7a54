import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lastiterate import schedules as s
from reference import schedules as exact_schedules


@pytest.mark.parametrize("T", [7, 60, 400, 2001])
def test_definitions_in_40_digits(T):
    for name, (ours, exact) in exact_schedules(T).items():
        assert ours.shape == (T,) and ours.dtype == np.float64, name
        relative = [abs(float((a - b) / b)) for a, b in zip(ours.tolist(), exact, strict=True)]
        assert max(relative) < 2e-15, (name, int(np.argmax(relative)) + 1)


@given(T=st.integers(1, 300), cooldown=st.floats(0, 1), shape=st.sampled_from(list(s.SHAPES)))
def test_wsd_is_flat_then_falls_and_stays_positive(T, cooldown, shape):
    eta = s.wsd(T, cooldown, shape, final=0.1 if shape == "exponential" else 0.0)
    flat = T + 1 - min(int(np.floor(cooldown * (T + 1))), T)
    assert np.all(eta[:flat] == 1)
    assert np.all(np.diff(eta[flat - 1 :]) < 0)
    assert eta[-1] > 0


def test_linear_is_exact_and_wsd_with_full_cooldown():
    for T in (1, 2, 49, 400, 44_000):
        assert s.linear(T)[-1] == 1 / T
        assert np.array_equal(s.wsd(T, 1.0), s.linear(T))
        assert np.array_equal(s.polynomial(T), s.linear(T))
        assert np.array_equal(s.wsd(T, 0.0), s.constant(T))


@pytest.mark.parametrize("make", [s.constant, s.linear, s.cosine, s.wsd, s.polynomial, s.inverse_sqrt, s.inverse_linear])
@pytest.mark.parametrize("T", [1, 2, 3, 10])
def test_shortest_schedules_have_peak_one(make, T):
    eta = make(T)
    assert eta.shape == (T,) and eta[0] == 1 == eta.max() and eta.min() > 0


def test_final_values():
    assert s.cosine(1000, final=0.1)[-1] == pytest.approx(0.1, abs=1e-5)
    assert s.wsd(1000, 0.2, final=0.3)[-1] > 0.3 > s.wsd(1000, 0.2)[-1]


def test_two_stage_over_a_ramp():
    sudden, eta = s.two_stage(100, 40, 0.5, 0.3), s.two_stage(100, 40, 0.5, 0.3, ramp=10)
    assert np.array_equal(np.delete(eta, np.s_[40:50]), np.delete(sudden, np.s_[40:50]))
    np.testing.assert_allclose(eta[39:51], [1, *np.arange(0.95, 0.49, -0.05), 0.5], rtol=1e-14)
    assert s.two_stage(100, 40, 0.5, 0.3, ramp=31)[70] == 0.5  # up to where the cooldown begins
    with pytest.raises(ValueError, match="ramp"):
        s.two_stage(100, 40, 0.5, 0.3, ramp=32)


def test_two_stage_without_change_is_wsd():
    assert np.array_equal(s.two_stage(100, 40, 1.0, 0.3), s.wsd(100, 0.3))
    eta = s.two_stage(100, 40, 0.5, 0.3)
    assert np.all(eta[:40] == 1) and np.all(eta[40:71] == 0.5) and eta[-1] == 0.5 / 30


def test_warmup_scales_only_the_first_steps():
    eta = s.linear(100)
    warm = s.warmup(eta, 10, start=0.5)
    assert np.array_equal(warm[9:], eta[9:])
    assert warm[0] == eta[0] * (0.5 + 0.5 / 10)
    assert np.array_equal(s.warmup(eta, 0), eta)
    assert eta[0] == 1, "the argument is left alone"


def test_step_is_multisteplr():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[3, 7], gamma=0.1)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert s.step(10, [3, 7]) == pytest.approx(rates, rel=1e-14)


def test_to_torch_steps_through_the_array_and_keeps_the_last_rate():
    eta = s.cosine(5)
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.1, 2.0)]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    scheduler = s.to_torch(optimizer, eta)
    for t in range(8):
        expected = eta[min(t, 4)]
        assert [g["lr"] for g in optimizer.param_groups] == [0.1 * expected, 2.0 * expected]
        optimizer.step()
        scheduler.step()


def test_one_cycle_at_its_own_bound():
    for T in range(3, 3000):
        eta = s.one_cycle(T, peak=2 / T)
        assert eta.shape == (T,) and eta[1] == 1 == eta.max()


def restarts_one_by_one(T, first, multiple, final):
    parts, total, n = [], 0, first
    while total < T:
        parts.append(np.cos(0.5 * np.pi * np.arange(min(n, T - total)) / n) ** 2)
        total, n = total + n, n * multiple
    return final + (1 - final) * np.concatenate(parts)


@given(T=st.integers(1, 400), first=st.integers(1, 500), multiple=st.integers(1, 5), final=st.sampled_from([0.0, 0.1, 1.0]))
def test_restarts_are_those_of_a_loop(T, first, multiple, final):
    assert np.array_equal(s.cosine_restarts(T, first, multiple, final), restarts_one_by_one(T, first, multiple, final))


@pytest.mark.parametrize("arguments", [(2_000_000, 1), (2_000_000, 3), (2_000_000, 1, 2), (100_000, 7, 10**18)])
def test_restarts_take_no_loop_over_periods(arguments):
    start = time.process_time()
    assert s.cosine_restarts(*arguments).size == arguments[0]
    assert time.process_time() - start < 1


def test_warmup_that_overlaps_a_decay_has_a_lower_peak():
    assert s.warmup(s.linear(200), 50).max() == pytest.approx(0.755, abs=1e-12)
