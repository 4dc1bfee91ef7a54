"""Every public function refuses bad input with a ValueError that names the argument, before any work."""

import numpy as np
import pytest

from lastiterate import bounds, design, logs, schedules, transfer, worstcase

eta = np.ones(5)
with_nan, with_inf, negative = np.array([1, np.nan, 1]), np.array([1, np.inf, 1]), np.array([1, -0.1, 1])
makers = [schedules.constant, schedules.linear, schedules.cosine, schedules.wsd, schedules.polynomial]
makers += [schedules.inverse_sqrt, schedules.inverse_linear, design.optimal]


@pytest.mark.parametrize("make", makers)
@pytest.mark.parametrize("T", [0, -1, 2.5, 10.0, "10", None, True, np.nan])
def test_number_of_steps(make, T):
    with pytest.raises(ValueError, match=r"^T must be an integer >= 1, got"):
        make(T)


calls = {
    "wsd cooldown": (lambda: schedules.wsd(9, 1.2), r"cooldown must be a number in \[0, 1\], got 1.2"),
    "wsd cooldown nan": (lambda: schedules.wsd(9, np.nan), "cooldown"),
    "refine zero": (
        lambda: design.refine([1.0, 0.0, 0.0]),
        "grad_norms must be positive and finite: 2 are not, the first at step 2",
    ),
    "refine horizon": (lambda: design.refine([1.0, 2.0], horizon=1), "horizon must be an integer >= 2, got 1"),
    "refined bound": (lambda: bounds.refined_bound([1.0, 0.0]), "G must be positive, got 0 at step 2"),
    "refined bound weights": (
        lambda: bounds.refined_bound([1.0, 2.0], weights=[1.0]),
        "weights must have the length of G, 2, got 1",
    ),
    "refine inf": (lambda: design.refine(with_inf), "1 are not, the first at step 2"),
    "refine one": (lambda: design.refine([1.0]), "grad_norms must be a 1-D array of two or more"),
    "refine power": (lambda: design.refine([1.0, 2.0], power=0), "power"),
    "refine window": (lambda: design.refine([1.0, 2.0], window=1.5), "window"),
    "wsd shape": (lambda: schedules.wsd(9, 0.2, "sqrt"), "shape must be one of 'linear', '1-sqrt', got 'sqrt'"),
    "wsd final": (lambda: schedules.wsd(9, final=-0.1), "final"),
    "cosine final": (lambda: schedules.cosine(9, final=2), "final"),
    "cosine cycle": (lambda: schedules.cosine(9, cycle=0.1), "cycle"),
    "cosine cycle inf": (lambda: schedules.cosine(9, cycle=np.inf), "cycle"),
    "polynomial": (lambda: schedules.polynomial(9, -1), "power"),
    "inverse_sqrt": (lambda: schedules.inverse_sqrt(9, 0), "offset"),
    "inverse_linear": (lambda: schedules.inverse_linear(9, "a"), "offset"),
    "step milestones": (lambda: schedules.step(9, [3, 10]), "milestones"),
    "step twice": (lambda: schedules.step(9, [3, 3]), "milestones must be distinct"),
    "step factor": (lambda: schedules.step(9, [3], 0), "factor"),
    "two_stage switch": (lambda: schedules.two_stage(9, 8, 0.5, 0.4), "switch must be an integer in 0..6, got 8"),
    "two_stage rho": (lambda: schedules.two_stage(9, 3, -0.5), "rho"),
    "two_stage rho 0": (lambda: schedules.two_stage(9, 3, 0), "rho"),
    "warmup steps": (lambda: schedules.warmup(eta, 6), "steps must be an integer in 0..5, got 6"),
    "warmup start": (lambda: schedules.warmup(eta, 2, 1.5), "start"),
    "to_torch": (lambda: schedules.to_torch(None, negative), "eta must not be negative, got -0.1 at step 2"),
    "lr_ratio from": (lambda: transfer.lr_ratio(negative, eta), "eta_from"),
    "lr_ratio to": (lambda: transfer.lr_ratio(eta, with_nan), "eta_to"),
    "lr_ratio zero end": (lambda: transfer.lr_ratio(eta, [1.0, 0.0]), "eta_to must be positive at its last step"),
    "cooldown text": (lambda: transfer.extend_rate(100, 200, "0.2"), "cooldown must be a number"),
    "cooldown True": (lambda: schedules.wsd(9, True), "cooldown must be a number"),
    "to_torch optimizer": (lambda: schedules.to_torch(None, eta), "optimizer must be a torch optimizer, got None"),
    "horizons ragged": (lambda: bounds.omega(eta, horizons=[1, [2]]), "horizons must be integers in 1..5"),
    "load": (lambda: logs.load(["124m"]), r"runs must be a config table from `find`, got \['124m'\]"),
    "final_val_loss": (lambda: logs.final_val_loss(None), "runs must be a config table"),
    "load nothing": (lambda: logs.load(logs.find().iloc[:0]), "runs must be a config table"),
    "extend_rate shorter": (lambda: transfer.extend_rate(100, 99), "T2 must be an integer >= 100, got 99"),
    "extend_rate T1": (lambda: transfer.extend_rate(0, 99), "T1"),
    "extend_rate cooldown": (lambda: transfer.extend_rate(100, 200, 1.0), "cooldown must be below 1"),
    "extend_cooldown": (lambda: transfer.extend_cooldown(100, 200, -0.1), "cooldown"),
    "wsd_theorem T0": (lambda: bounds.wsd_theorem(10, 10), r"T0 must be an integer in 1..9, got 10"),
    "wsd_theorem G": (lambda: bounds.wsd_theorem(10, 5, G=0), "G"),
    "linear_decay_bound": (lambda: bounds.linear_decay_bound(3, [1, 2]), "G must be a scalar or an array of length 3"),
    "optimal_lr kind": (lambda: bounds.optimal_lr(eta, kind="mean"), "kind must be one of 'last', 'average', got 'mean'"),
    "optimal_lr no noise": (lambda: bounds.optimal_lr(eta, G=0.0), "G"),
    "optimal G": (lambda: design.optimal(3, G=[1, 0, 1]), "G must be positive, got 0 at step 2"),
    "optimal D": (lambda: design.optimal(3, D=-1), "D"),
    "optimal method": (lambda: design.optimal(3, method="x"), "method must be one of"),
    "exact": (lambda: worstcase.exact(with_inf), "eta must be finite, got inf at step 2"),
    "exact G": (lambda: worstcase.exact(eta, G=0), "G"),
    "find attribute": (lambda: logs.find(modle="124m"), "unknown attribute 'modle'; known are set, model, dataset"),
    "find value": (lambda: logs.find(model="125m"), "model must be one of '124m', .* got '125m'"),
    "find none": (lambda: logs.find(model="33m", scheduler="two_stage"), "no run of schaipp2025 has all of"),
    "find source": (lambda: logs.find("schaipp"), "source must be one of 'schaipp2025'"),
}


@pytest.mark.parametrize("name", calls)
def test_named_and_explained(name):
    call, message = calls[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("f", [bounds.omega, bounds.omega_terms, bounds.optimal_lr, bounds.average_omega, worstcase.exact])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((with_nan,), "eta must be finite, got nan at step 2"),
        ((with_inf,), "eta must be finite, got inf at step 2"),
        ((negative,), "eta must not be negative, got -0.1 at step 2"),
        ((np.zeros(3),), "eta must have a positive step"),
        ((np.ones((2, 2)),), "eta must be a non-empty 1-D array, got shape"),
        (([],), "eta must be a non-empty 1-D array"),
        (("abc",), "eta must be a 1-D array of real numbers"),
        ((["1", "2"],), "eta must be a 1-D array of real numbers"),
        ((np.array([1, 1j]),), "eta must be a 1-D array of real numbers"),
        (([1, [2]],), "eta must be a 1-D array of real numbers"),
        ((eta, "1"), "G must be a finite number"),
        ((eta, np.ones(4)), "G must be a scalar or an array of length 5"),
        ((eta, -1.0), "G must be a finite number"),
        ((eta, np.nan), "G must be a finite number"),
        ((eta, np.array([1, 1, np.nan, 1, 1])), "G must be finite, got nan at step 3"),
        ((eta, 1.0, 0.0), "D must be a finite number > 0"),
        ((eta, 1.0, np.inf), "D must be a finite number > 0"),
    ],
)
def test_bounds_refuse(f, args, message):
    with pytest.raises(ValueError, match=message):
        f(*args)


@pytest.mark.parametrize("f", [bounds.omega, bounds.omega_terms, bounds.optimal_lr])
def test_zero_last_step_is_explained(f):
    with pytest.raises(ValueError, match=r"last step of a bound, got 0 at step 3: Ω is infinite"):
        f(np.array([1.0, 0.5, 0.0]))


@pytest.mark.parametrize("horizons", [0, 6, -1, 2.5, [1, 9], [], [[1, 2]], "3", [1.0]])
@pytest.mark.parametrize("f", [bounds.omega, bounds.average_omega])
def test_horizons(f, horizons):
    with pytest.raises(ValueError, match=r"horizons must be integers in 1..5, got"):
        f(eta, horizons=horizons)
