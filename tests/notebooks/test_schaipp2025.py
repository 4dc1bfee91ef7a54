"""What the notebooks of Schaipp et al. 2025 show and what cannot fail unless code breaks."""

import numpy as np
import pandas as pd

from lastiterate import bounds, logs, schedules, transfer
from lastiterate.experiments import absolute_error


def test_the_exact_worst_case_never_exceeds_the_bound():  # figure 7
    table = pd.read_csv(logs.recorded("worstcase.csv"))
    for (name, T), part in table.groupby(["schedule", "T"]):
        eta = getattr(schedules, name)(T)
        omega = bounds.omega(bounds.optimal_lr(eta)[0] * eta)[part["t"] - 1]
        assert np.all(part["exact"] <= omega * (1 + 1e-6)), name


def test_the_loss_drops_in_the_cooldown_of_a_problem_in_two_dimensions():  # figure 17
    for seed in range(10):
        X, minimiser = absolute_error.problem(seed, 20, 2, 5.0)
        values, _ = absolute_error.subgradient_method(X, minimiser, 0.02 * schedules.wsd(400, 0.2))
        assert np.median(values[280:320]) > 2 * values[-1]


def test_the_order_of_six_schedules():  # figure 18
    makers = (schedules.linear, schedules.cosine, schedules.wsd, schedules.inverse_sqrt, schedules.constant)
    linear, *others = (bounds.optimal_lr(make(400))[1] for make in makers)
    ends = [linear, bounds.optimal_lr(schedules.wsd(400, 1.0, "1-sqrt"))[1], *others]
    assert np.all(np.diff(ends) > 0)


def test_the_longer_the_cycle_of_cosine_the_higher_the_bound():  # figure 19
    etas = [schedules.cosine(400, 0.1, cycle) for cycle in (1, 1.5, 2, 4, 5)]
    gamma = bounds.optimal_lr(etas[0])[0]
    assert np.all(np.diff([bounds.omega(gamma * eta, horizons=400) for eta in etas]) > 0)
    assert np.all(np.diff([bounds.optimal_lr(eta)[1] for eta in etas]) > 0)


def test_cosine_and_wsd_end_close_together_and_longer_runs_lower():  # figure 1b
    ends = np.array(
        [
            [bounds.omega(gamma * make(T), horizons=T) for T in (22_000, 33_000, 44_000)]
            for make, gamma in ((schedules.cosine, 0.005), (schedules.wsd, 0.0025))
        ]
    )
    assert np.all(np.abs(ends[1] / ends[0] - 1) < 0.1) and np.all(np.diff(ends, axis=1) < 0)


def test_tuned_cosine_is_slightly_lower_than_tuned_wsd():  # figure 2
    for T in (200, 300, 400, 500, 600):
        assert 1 < bounds.optimal_lr(schedules.wsd(T))[1] / bounds.optimal_lr(schedules.cosine(T))[1] < 1.1


def test_the_bound_of_the_average_iterate_has_no_drop_in_the_cooldown():  # figure 13
    for kind, bound, faster in (("average", bounds.average_omega, False), ("last", bounds.omega, True)):
        eta = schedules.wsd(400, 0.2)
        before, start, within = bound(bounds.optimal_lr(eta, kind=kind)[0] * eta)[[280, 320, 360]]
        assert (start - within > before - start) == faster


def test_no_cooldown_is_best_for_the_average_iterate():  # figure 15
    tuned = [bounds.optimal_lr(schedules.wsd(400, n / 401), kind="average")[1] for n in range(1, 401)]
    assert np.all(np.diff(tuned) > -1e-15)


def test_a_cooldown_removes_the_logarithm():  # figure 20
    drift = {
        make: np.sqrt(16) * bounds.optimal_lr(make(8000))[1] / bounds.optimal_lr(make(500))[1]
        for make in (schedules.wsd, schedules.constant)
    }
    assert abs(drift[schedules.wsd] - 1) < 0.02 < 0.1 < drift[schedules.constant] - 1


def test_a_lowered_rate_and_a_longer_cooldown_end_below_the_same_rate():  # figures 8 and 9
    gamma, names = bounds.optimal_lr(schedules.wsd(400))[0], ("same rate and cooldown", "lower rate", "longer cooldown")
    for T in (600, 800, 1000, 1200, 1400):
        plans = transfer.extension_plans(400, T)
        same, lower, longer = (bounds.omega(gamma * plans[name], horizons=T) for name in names)
        assert longer < lower < same


def test_the_faster_norms_fall_the_smaller_the_drop_in_the_cooldown():  # figure 6
    drops = []
    for alpha in (0.0, -0.5, -1.0):
        G, eta = np.arange(1, 401) ** alpha, schedules.wsd(400)
        omega = bounds.omega(bounds.optimal_lr(eta, G)[0] * eta, G)
        drops.append(1 - omega[-1] / omega[320])
    assert np.all(np.diff(drops) < 0)
