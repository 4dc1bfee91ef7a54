"""What the bound predicts, and what is measured, where made-up runs have known answers."""

import numpy as np
import pandas as pd
import pytest

from lastiterate import bounds, logs, schedules, transfer
from lastiterate.experiments import advice, sweeps


@pytest.mark.parametrize("P", [0.1, 0.5, 0.9])
def test_exponent_of_best_rates_that_fall_like_a_power(P):
    T = np.array([500, 1000, 4000])
    rates = np.geomspace(1e-4, 10.0, 61)
    losses = np.exp(np.log(rates / (3.0 * T[:, None] ** -P)) ** 2)[None]
    assert sweeps.exponent(T, advice.best_rates(losses, rates)) == pytest.approx(P, abs=1e-9)


def test_share_of_the_bound_is_that_of_its_values():
    T1, T2 = 500, 1000
    rho = transfer.extend_rate(T1, T2)
    lr, short = bounds.optimal_lr(schedules.wsd(T1))
    same, lower = (float(bounds.omega(lr * eta)[-1]) for eta in (schedules.wsd(T2), schedules.two_stage(T2, 400, rho)))
    found = advice.predicted_share(T1, schedules.two_stage(T2, 400, rho))
    assert found == pytest.approx((same - lower) / (short - same), rel=1e-9)


def test_plans_are_those_of_each_exponent():
    found = advice.plans(500, 1000, [0.5, 0.3])
    for P in (0.5, 0.3):
        made = transfer.extension_plans(500, 1000, exponent=P)
        for name in ("lower rate", "longer cooldown"):
            np.testing.assert_array_equal(found[name, P], made[name])
    np.testing.assert_array_equal(advice.plans(500, 2000, [0.5])["longer cooldown", 0.5], schedules.linear(2000))


def test_extended_runs_are_paired_by_seed():
    runs = logs.find("nano")
    found = advice.extended(runs, 400, 800, 1.6e-3, longer=0.622)
    alone = runs[(runs["scheduler"] == "two_stage") & (runs["horizon"] == 800)].set_index("seed")["final_val_loss"]
    pd.testing.assert_series_equal(found["lower rate"], alone.loc[found.index], check_names=False)
    with pytest.raises(ValueError, match="longer cooldown"):
        advice.extended(runs, 400, 800, 1.6e-3, longer=0.5)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: sweeps.exponent([1000], [0.1]), "horizons"),
        (lambda: sweeps.exponent([1000, 2000], [0.1, -0.1]), "best"),
        (lambda: advice.best_rates([[1.0, 2.0]], [0.1, 0.2]), "losses"),
        (lambda: advice.share([3.0], [3.1], [3.0]), "same"),
        (lambda: advice.predicted_share(500, [1.0, -1.0]), "plan"),
    ],
)
def test_bad_arguments(call, name):
    with pytest.raises(ValueError, match=name):
        call()
