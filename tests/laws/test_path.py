"""Sums over the changes of a schedule against sums step by step; the exact quantities against their definitions."""

import numpy as np
import pytest

from lastiterate import schedules
from lastiterate.experiments.schedule_laws import mpl_rates
from lastiterate.laws.path import Path

FLOOR = 3e-4  # nats: the lowest noise floor of the bench; what is summed is multiplied by 0.1 to 0.4 nats
SCHEDULES = {
    **{name: mpl_rates(name) for name in ("cosine_24000", "constant_24000", "wsdcon_9", "wsd_20000_24000", "wsdld_20000_24000")},
    "linear": schedules.linear(24000),
    "wsd": schedules.wsd(24000, 0.1),
    "cosine to zero": schedules.warmup(schedules.cosine(9000), 300),
    "short": schedules.cosine(300),
    "rough": schedules.linear(5000) * np.random.default_rng(0).uniform(0.9, 1.1, 5000),
}


def some(T, seed=0):
    return np.unique(np.concatenate([np.random.default_rng(seed).integers(1, T, 40), np.arange(T // 12, T + 1, T // 12), [T]]))


def directly(path, weights, positions, scale, power, extra=1.0):
    scale, extra = np.broadcast_to(scale, weights.shape), np.broadcast_to(extra, weights.shape)
    terms = (weights[:t] * extra[:t] * (1 - (1 + scale[:t] * (path.sums[t - 1] - positions[:t])) ** -power) for t in path.steps)
    return np.array([term.sum() for term in terms])


@pytest.mark.parametrize("name", SCHEDULES)
def test_sums_over_changes_are_those_step_by_step(name):
    lr = SCHEDULES[name]
    path = Path(lr, some(lr.size), lr.max(), lr.sum())
    weights, positions = np.diff(path.rates, prepend=0.0), np.append(0.0, path.sums[:-1])
    for c in (1e-4, 3e-3, 0.1):
        found = path.changes.sum(1 / c, 0.5)
        np.testing.assert_allclose(found, directly(path, weights, positions, 1 / c, 0.5), atol=1e-3 * FLOOR / 0.4, rtol=0)
    found = path.changes.sum(10 * path.changes.rate**-0.65, 0.6)
    there = directly(path, weights, positions, 10 * np.maximum(path.rates, 1e-12) ** -0.65, 0.6)
    np.testing.assert_allclose(found, there, atol=1e-3 * FLOOR / 0.4, rtol=0)
    falls, done = np.maximum(-weights, 0.0), np.maximum(path.sums, 1e-12) ** -0.5
    found = path.falls.sum(50.0, 0.5, 0.1 + np.maximum(path.falls.position, 1e-12) ** -0.5)
    np.testing.assert_allclose(found, directly(path, falls, path.sums, 50.0, 0.5, 0.1 + done), atol=1e-3 * FLOOR / 0.1, rtol=0)


def test_many_steps_in_parts_are_few_steps(monkeypatch):
    lr = schedules.warmup(schedules.cosine(6000), 200)
    whole = Path(lr, np.arange(1, 6001)).changes
    monkeypatch.setattr("lastiterate.laws.path.PAIRS", 10_000)
    parts = Path(lr, np.arange(1, 6001)).changes
    assert len(whole.parts) == 1 < len(parts.parts)
    np.testing.assert_allclose(parts.sum(2.0, 0.5), whole.sum(2.0, 0.5), atol=1e-12)


def test_exact_quantities_are_their_definitions():
    rng = np.random.default_rng(1)
    lr = rng.uniform(0.1, 1.0, 60)
    path, S = Path(lr, np.arange(1, 61)), np.cumsum(lr)
    for t in (1, 2, 30, 60):
        earlier = sum(lr[k - 1] ** 2 / (S[t - 1] - S[k - 1]) for k in range(1, t))
        assert path.bound_noise[t - 1] == pytest.approx(lr[t - 1] + earlier, rel=1e-10)
        own = sum(lr[k - 1] ** 2 / (S[t - 1] - S[k - 1] + lr[k - 1]) for k in range(1, t + 1))
        assert path.shifted_noise[t - 1] == pytest.approx(own, rel=1e-10)
        assert path.step_noise[t - 1] == pytest.approx(sum(lr[k - 1] / (t - k + 1) for k in range(1, t + 1)), rel=1e-10)
    np.testing.assert_allclose(path.U(0.75), np.cumsum(lr**0.75))


def test_momentum_of_the_annealing_law_starts_behind_the_warmup():
    lr = np.array([0.5, 1.0, 1.0, 0.4, 0.4])
    m = [0, 0, 0, 0.6, 0.6 * 0.999]
    np.testing.assert_allclose(Path(lr, np.arange(1, 6)).annealed, np.cumsum(m))


def test_rates_of_zero_keep_every_quantity_finite():
    lr = np.concatenate([[0.0], schedules.linear(50), np.zeros(5)])
    path = Path(lr, np.arange(2, 57))
    for name in ("bound_noise", "shifted_noise", "step_noise", "annealed"):
        values = getattr(path, name)
        assert np.all(np.isfinite(values)), name
    assert path.bound_noise[-1] == path.bound_noise[-6], "a step of size 0 moves nothing"
