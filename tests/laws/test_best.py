import time

import numpy as np
import pytest
from scipy.optimize import minimize

from lastiterate import laws, schedules
from lastiterate.laws.best import FINAL, Blocks
from law_curves import TRUE, curves_of


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5, 2.0])
def test_closed_form_is_what_l_bfgs_b_finds(power):
    T, c, B = 60, 0.5, 0.2
    closed = laws.power_kernel_optimum(T, 1.0, B, c, power)

    def loss(eta):
        after = np.append(np.cumsum(eta[:0:-1])[::-1], 0.0) + 0.5 * eta
        return eta.sum() ** -0.5 + B * np.sum(eta**2 * (c + after) ** -power)

    options = {"maxiter": 5000, "maxfun": 10**6, "ftol": 1e-14, "gtol": 1e-10}
    found = minimize(loss, closed, method="L-BFGS-B", bounds=[(1e-9, 1.0)] * T, options=options)
    assert 0 <= loss(closed) - found.fun < 2e-3 * found.fun, "small steps are the limit: T = 60 is near it"


@pytest.mark.parametrize(
    "law",
    [
        "two_clock",
        "two_clock_fading",
        "two_clock_linear",
        "step_memory",
        "bound",
        "bound_power",
        "annealing",
        "multi_power",
        "functional",
    ],
)
def test_blocks_have_the_laws_own_final_loss(law):
    n = np.array([700, 300, 500, 200, 200, 60, 40])
    x = np.array([1.0, 0.9, 0.7, 0.6, 0.5, 0.3, 0.2])
    fit = laws.Fit(laws.LAWS[law], TRUE[law], 1.0, 2000.0)
    found = FINAL[law](Blocks(x[None].astype(complex), n, 2000.0), **fit.parameters)[0]
    assert found.real == pytest.approx(fit.predict(np.repeat(x, n), [2000])[0], abs=2e-4)


@pytest.mark.parametrize(
    "law",
    ["two_clock", "two_clock_fading", "two_clock_linear", "step_memory", "bound", "bound_power", "multi_power", "functional"],
)
def test_no_common_schedule_is_better(law):
    true, _ = curves_of(law)
    lr, loss, more = laws.best_schedule(true, 4000, warmup=100)
    assert lr.shape == (4000,) and lr.max() <= true.unit * (1 + 1e-12) and lr.min() >= 0
    zoo = (schedules.linear(4000), schedules.wsd(4000), schedules.cosine(4000), schedules.wsd(4000, 0.4, "1-sqrt"))
    assert loss <= min(true.predict(1e-3 * schedules.warmup(eta, 100), [4000])[0] for eta in zoo) + 1e-4
    if more["convex"]:
        assert more["spread"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("law", laws.NAMES)
def test_it_takes_less_than_a_second(law):
    true, _ = curves_of(law)
    start = time.thread_time()
    laws.best_schedule(true, 4000, warmup=100)
    assert time.thread_time() - start < 1


def test_the_annealing_law_wants_a_drop():
    true, _ = curves_of("annealing")
    lr, _, more = laws.best_schedule(true, 20000)
    assert more["convex"] and lr[-1] < 1e-3 * lr.max()


def test_bad_input():
    true, _ = curves_of("bound")
    with pytest.raises(ValueError, match=r"fit must be a laws.Fit of two_clock, "):
        laws.best_schedule("bound", 100)
    with pytest.raises(ValueError, match="T must be an integer"):
        laws.best_schedule(true, 5)
    with pytest.raises(ValueError, match="peak must be"):
        laws.best_schedule(true, 100, peak=-1)
    with pytest.raises(ValueError, match="warmup must be"):
        laws.best_schedule(true, 100, warmup=100)
    with pytest.raises(ValueError, match="power must be"):
        laws.power_kernel_optimum(100, 1.0, 0.1, power=3)
