"""Plans for going on from a checkpoint: what is solved, what is feasible, and that the wsd case is the paper's."""

import numpy as np
import pytest

from lastiterate import bounds, continuation, schedules, transfer

SPECS = ["wsd:cooldown=0.2", "wsd:cooldown=0.3,warmup=40", "cosine", "linear:warmup=20", "inverse_sqrt:cooldown=0.2"]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("have", [100, 350, 400])
def test_a_lower_rate_and_a_longer_cooldown_keep_the_best_rate(spec, have):
    eta = schedules.named(spec, 400)
    tuned = bounds.optimal_lr(eta)[0]
    plans = continuation.plans(eta, 900, have)
    for name, plan in plans.items():
        assert plan.eta.shape == (900,) and plan.eta.min() > 0
        np.testing.assert_allclose(plan.eta[: plan.needs], eta[: plan.needs], atol=1e-12)
        best = bounds.optimal_lr(plan.eta)[0]
        if "lower rate" in name and plan.rate < 1:
            assert best == pytest.approx(tuned, rel=1e-10), name
        if name == "longer cooldown":
            assert best == pytest.approx(tuned, rel=0.01), name  # a cooldown has a whole number of steps
    assert plans["lower rate"].needs >= have and plans["same rate and cooldown"].needs >= have
    assert "longer cooldown" in plans or "cooldown at once" in plans


def test_from_the_step_before_the_cooldown_it_is_the_plan_of_the_paper():
    plans = continuation.plans(schedules.wsd(4000), 8000, 3200, switch=3200)
    known = transfer.extension_plans(4000, 8000)
    for name, eta in known.items():
        np.testing.assert_allclose(plans[name].eta, eta, atol=1e-12)
    assert plans["longer cooldown"].needs == 2940 < 3200, "it needs an earlier checkpoint"
    assert plans["cooldown at once"].needs >= 3200


@pytest.mark.parametrize("exponent", [0.24, 0.65])
def test_norms(exponent):
    G = transfer.assumed_norms(900, exponent)
    eta = schedules.named("cosine", 400)
    plan = continuation.plans(eta, 900, 400, G=G)["lower rate"]
    assert bounds.optimal_lr(plan.eta, G)[0] == pytest.approx(bounds.optimal_lr(eta, G[:400])[0], rel=1e-10)


def test_rate_takes_the_gentler_of_two_roots():
    prefix, rest = schedules.wsd(500), schedules.wsd(20_000)[500:]
    lr = bounds.optimal_lr(prefix)[0]
    rho = continuation.rate(prefix, rest, lr)
    above = [bounds.optimal_lr(np.concatenate([prefix, x * rest]))[0] for x in np.linspace(rho * 1.001, 1, 50)]
    assert max(above) < lr


def test_without_a_prefix_the_rate_is_the_ratio_of_best_rates():
    eta, lr = schedules.wsd(300), bounds.optimal_lr(schedules.wsd(300))[0]
    assert continuation.rate([], eta, 4 * lr) == pytest.approx(0.25, rel=1e-9)
    assert continuation.rate([], eta, 0.5 * lr) == 1.0, "a rate is not raised"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: continuation.plans([1.0, 0.5], 2, 1), "T must be an integer in 3"),
        (lambda: continuation.plans([1.0, 0.5], 9, 3), r"have must be an integer in 1\.\.2"),
        (lambda: continuation.plans([1.0, 0.5], 9, 1, switch=2), r"switch must be an integer in 1\.\.1"),
        (lambda: continuation.plans([1.0, 0.5], 9, 1, fraction=2), "fraction must be a number"),
        (lambda: continuation.plans([1.0, 0.5], 9, 1, shape="round"), "shape must be one of"),
        (lambda: continuation.rate([1.0, -1.0], [1.0], 1.0), "prefix must not be negative"),
        (lambda: continuation.rate([1.0], [1.0], 0.0), "lr must be"),
        (lambda: continuation.rate([1.0], [1.0], 1.0, G=np.ones(3)), "length"),
        (lambda: continuation.cooldown([1.0], 9, 9.0), "even a cooldown over 9 of 9 steps"),
        (lambda: continuation.cooldown(np.ones(12), 9, 1.0), "prefix must have fewer than T = 9"),
    ],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
