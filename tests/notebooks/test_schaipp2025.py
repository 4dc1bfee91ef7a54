"""What the notebooks of Schaipp et al. 2025 show and what cannot fail unless code breaks."""

import numpy as np
import pandas as pd

from lastiterate import bounds, logs, schedules
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
