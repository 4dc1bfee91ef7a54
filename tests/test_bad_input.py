"""Every public function refuses bad input with a ValueError that names the argument, before any work."""

import collections
import datetime
import decimal
import fractions
import functools
import sys
import types

import numpy as np
import pytest

from lastiterate import _check, _extras, bounds, design, logs, schedules, transfer, worstcase
from lastiterate.experiments import quadratic

eta, optimizer = np.ones(5), types.SimpleNamespace(param_groups=[{}])
with_nan, with_inf, negative = np.array([1, np.nan, 1]), np.array([1, np.inf, 1]), np.array([1, -0.1, 1])
makers = [schedules.constant, schedules.linear, schedules.cosine, schedules.wsd, schedules.polynomial]
makers += [schedules.inverse_sqrt, schedules.inverse_linear, design.optimal]


@pytest.mark.parametrize("make", makers)
@pytest.mark.parametrize("T", [0, -1, 2.5, 10.0, "10", None, True, np.nan, 10**12, 2**63, 10**400])
def test_number_of_steps(make, T):
    with pytest.raises(ValueError, match=r"^T must be an integer in 1\.\.100000000, got"):
        make(T)


calls = {
    "wsd cooldown": (lambda: schedules.wsd(9, 1.2), r"cooldown must be a number in \[0, 1\], got 1.2"),
    "wsd cooldown nan": (lambda: schedules.wsd(9, np.nan), "cooldown"),
    "refine zero": (
        lambda: design.refine([1.0, 0.0, 0.0]),
        "grad_norms must be positive and finite: 2 are not, the first at step 2",
    ),
    "refine horizon": (lambda: design.refine([1.0, 2.0], horizon=1), r"horizon must be an integer in 2\.\.100000000, got 1"),
    "refined bound": (lambda: bounds.refined_bound([1.0, 0.0]), "G must be positive, got 0 at step 2"),
    "refined bound weights": (
        lambda: bounds.refined_bound([1.0, 2.0], weights=[1.0]),
        "weights must have the length of G, 2, got 1",
    ),
    "refine inf": (lambda: design.refine(with_inf), "1 are not, the first at step 2"),
    "refine one": (lambda: design.refine([1.0]), "grad_norms must be a 1-D array of two or more"),
    "refine power": (lambda: design.refine([1.0, 2.0], power=0), "power"),
    "refine window": (lambda: design.refine([1.0, 2.0], window=1.5), "window"),
    "wsd shape": (lambda: schedules.wsd(9, 0.2, "sqrt"), "shape must be one of 'linear', '1-sqrt', .*, got 'sqrt'"),
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
    "to_torch": (
        lambda: schedules.to_torch(optimizer, negative),
        "eta must not be negative, got -0.1 at step 2",
    ),
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
    "extend_rate shorter": (lambda: transfer.extend_rate(100, 99), r"T2 must be an integer in 100\.\.100000000, got 99"),
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


# --- what is no number, in every numeric argument ---------------------------------------------------------------------

norms = np.linspace(1, 2, 5)
# name of the argument: (call with it, whether it may be an array)
NUMERIC = {
    "T": [schedules.constant, schedules.linear, schedules.cosine, schedules.wsd, design.optimal, bounds.linear_decay_bound],
    "power": [lambda v: schedules.polynomial(5, v), lambda v: design.refine(norms, v)],
    "final": [
        lambda v: schedules.cosine(5, v), lambda v: schedules.wsd(5, final=v), lambda v: schedules.exponential(5, v),
        lambda v: schedules.one_cycle(9, final=v), lambda v: schedules.cosine_restarts(5, 2, final=v),
        lambda v: schedules.cooldown(eta, 0.5, final=v),
    ],
    "cycle": [lambda v: schedules.cosine(5, cycle=v)],
    "cooldown": [
        lambda v: schedules.wsd(5, v), lambda v: schedules.two_stage(5, 1, 0.5, v), lambda v: transfer.extend_rate(5, 9, v),
        lambda v: transfer.extend_cooldown(5, 9, v), lambda v: transfer.extension_plans(5, 9, v),
    ],
    "switch": [lambda v: schedules.two_stage(5, v, 0.5)],
    "rho": [lambda v: schedules.two_stage(5, 1, v)],
    "offset": [lambda v: schedules.inverse_sqrt(5, v), lambda v: schedules.inverse_linear(5, v)],
    "milestones": [lambda v: schedules.step(5, v)],
    "factor": [lambda v: schedules.step(5, [1], v)],
    "peak": [lambda v: schedules.one_cycle(9, v)],
    "start": [
        lambda v: schedules.one_cycle(9, start=v), lambda v: schedules.warmup(eta, 2, v),
        lambda v: quadratic.expected_loss(eta, [1.0], 1.0, v),
    ],
    "up": [lambda v: schedules.cyclic(5, v)],
    "down": [lambda v: schedules.cyclic(5, 2, v)],
    "low": [lambda v: schedules.cyclic(5, 2, low=v)],
    "decay": [lambda v: schedules.cyclic(5, 2, decay=v), lambda v: quadratic.power_law(3, v)],
    "first": [lambda v: schedules.cosine_restarts(5, v)],
    "multiple": [lambda v: schedules.cosine_restarts(5, 2, v)],
    "steps": [lambda v: schedules.warmup(eta, v)],
    "fraction": [lambda v: schedules.cooldown(eta, v)],
    "eta": [
        bounds.omega, bounds.omega_terms, bounds.optimal_lr, bounds.average_omega, bounds.tightened_omega, worstcase.exact,
        lambda v: schedules.warmup(v, 1), lambda v: schedules.cooldown(v, 0.5), lambda v: schedules.at_tokens(v, eta),
    ],
    "batch": [lambda v: schedules.at_tokens(eta, v), lambda v: quadratic.expected_loss(eta, [1.0], 1.0, 1.0, v)],
    "G": [
        *(lambda v, f=f: f(eta, v) for f in (bounds.omega, bounds.omega_terms, bounds.optimal_lr, bounds.average_omega)),
        lambda v: bounds.tightened_omega(eta, v), lambda v: bounds.linear_decay_bound(5, v), bounds.refined_bound,
        lambda v: bounds.wsd_theorem(5, 2, v), lambda v: design.optimal(5, v), lambda v: worstcase.exact(eta, v),
        lambda v: transfer.lr_ratio(eta, eta, v),
    ],
    "D": [
        *(lambda v, f=f: f(eta, 1.0, v) for f in (bounds.omega, bounds.omega_terms, bounds.optimal_lr, bounds.average_omega)),
        lambda v: bounds.tightened_omega(eta, 1.0, v), lambda v: bounds.linear_decay_bound(5, 1.0, v),
        lambda v: bounds.refined_bound(norms, v), lambda v: bounds.wsd_theorem(5, 2, 1.0, v), lambda v: design.optimal(5, 1.0, v),
        lambda v: worstcase.exact(eta, 1.0, v),
    ],
    "horizons": [lambda v: bounds.omega(eta, horizons=v), lambda v: bounds.average_omega(eta, horizons=v)],
    "T0": [lambda v: bounds.wsd_theorem(5, v)],
    "weights": [lambda v: bounds.refined_bound(norms, weights=v)],
    "prefix": [lambda v: design.optimal(9, prefix=v)],
    "cap": [lambda v: design.optimal(5, cap=v)],
    "warmup": [lambda v: design.optimal(5, warmup=v), lambda v: schedules.make("linear", 5, {"warmup": v})],
    "grad_norms": [design.refine, design.smooth],
    "window": [lambda v: design.refine(norms, window=v), lambda v: design.smooth(norms, v)],
    "horizon": [lambda v: design.refine(norms, horizon=v)],
    "eta_from": [lambda v: transfer.lr_ratio(v, eta)],
    "eta_to": [lambda v: transfer.lr_ratio(eta, v)],
    "lr": [lambda v: transfer.fit_lr(v, norms), lambda v: schedules.to_optax(eta, v)],
    "loss": [lambda v: transfer.fit_lr(norms, v)],
    "T1": [lambda v: transfer.extend_rate(v, 9), lambda v: transfer.extend_cooldown(v, 9)],
    "T2": [lambda v: transfer.extend_rate(5, v), lambda v: transfer.extend_cooldown(5, v)],
    "rates": [lambda v: quadratic.expected_loss(v, [1.0], 1.0, 1.0), lambda v: quadratic.grad_norms(v, [1.0], 1.0, 1.0)],
    "h": [lambda v: quadratic.expected_loss(eta, v, 1.0, 1.0)],
    "noise": [lambda v: quadratic.expected_loss(eta, [1.0], v, 1.0), lambda v: quadratic.continuum_loss(eta, noise=v)],
    "tried": [lambda v: quadratic.tuned(v, eta, [1.0], 1.0, 1.0)],
}  # fmt: skip

STRANGERS = {
    "text": "1", "bytes": b"1", "bool": True, "NumPy's bool": np.bool_(True), "complex": 1 + 0j,
    "NumPy's complex": np.complex128(1), "date": datetime.date(2024, 1, 1), "duration": datetime.timedelta(1),
    "NumPy's date": np.datetime64("2024-01-01"), "NumPy's duration": np.timedelta64(1, "s"), "beyond floats": 10**400,
    "of thousands of digits": 10**5000, "masked": np.ma.masked, "masked scalar": np.ma.array(1.0, mask=True), "object": object(),
    "dict": {1: 2}, "set": {1, 2}, "function": len, "decimal": decimal.Decimal(1), "bool of no dimension": np.array(True),
    "text of no dimension": np.array("1"), "object of no dimension": np.array(1, dtype=object), "nan": np.nan, "infinity": np.inf,
}  # fmt: skip


def listed(value):
    return [1, value, 1, 1, 1]


STRANGERS |= {
    "texts": np.array(["1"] * 5), "bools": np.ones(5, bool), "complex numbers": np.ones(5, complex),
    "objects": np.ones(5, object),
    "dates": np.array(["2024-01-01"] * 5, "datetime64[D]"), "durations": np.ones(5, "timedelta64[s]"),
    "one masked": np.ma.array(np.ones(5), mask=[0, 1, 0, 0, 0]), "all masked": np.ma.array(np.ones(5, int), mask=True),
    "records": np.ones(5, [("a", float)]), "ragged": [1, [2], 3, 4, 5],
    "deep": functools.reduce(lambda inner, _: [inner], range(2000), 1),
    "a bool in a list": listed(True), "NumPy's bool in a list": listed(np.bool_(True)), "text in a list": listed("1"),
    "complex in a list": listed(1j), "date in a list": listed(datetime.date(2024, 1, 1)), "None in a list": listed(None),
    "duration in a list": listed(np.timedelta64(1, "s")), "masked in a list": listed(np.ma.masked),
    "beyond floats in a list": listed(10**400), "thousands of digits in a list": listed(10**5000), "list in a list": listed([1]),
    "nan in a list": listed(np.nan),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("argument", NUMERIC)
def test_what_is_no_number_is_refused_by_name(argument):
    for name, given in STRANGERS.items():
        for call in NUMERIC[argument]:
            with pytest.raises(ValueError, match=f"^{argument} must ") as error:
                call(given)
                pytest.fail(f"{name} was taken")
            assert "\n" not in str(error.value) and len(str(error.value)) < 300, f"{name}: one short line"


def test_what_is_a_number():
    for one in (1, 1.0, np.float32(1), np.int8(1), np.uint64(1), np.array(1.0), np.ma.array(1.0), fractions.Fraction(1)):
        assert bounds.omega(eta, D=one, horizons=5) == bounds.omega(eta, horizons=5)
    for five in ([1] * 5, (1, 1.0, 1, 1, 1), [np.float64(1)] * 5, np.ones(5, np.float16), np.ma.array(np.ones(5))):
        assert np.array_equal(bounds.omega(five), bounds.omega(eta))
        assert np.array_equal(bounds.omega(eta, five), bounds.omega(eta))
    assert np.array_equal(bounds.omega(range(1, 6)), bounds.omega([1, 2, 3, 4, 5]))
    assert bounds.omega(eta, horizons=np.uint8(5)) == bounds.omega(eta, horizons=5)
    assert bounds.omega(eta, horizons=[np.int64(5), 1]).shape == (2,)


def test_arguments_are_left_as_they_are():
    given = np.ones(5)
    for call in (lambda v: schedules.warmup(v, 3), lambda v: schedules.cooldown(v, 0.5), design.smooth):
        call(given)
        assert np.array_equal(given, np.ones(5))


@pytest.mark.parametrize("missing", ["cvxpy", "clarabel", "PEPit", "pandas", "tqdm"])
def test_what_is_not_installed_is_one_line_with_the_command(missing, monkeypatch, tmp_path):
    calls = {
        "cvxpy": [lambda: design.optimal(9, monotone=True), lambda: worstcase.exact(eta)],
        "clarabel": [lambda: design.optimal(9, method="clarabel"), lambda: worstcase.exact(eta)],
        "PEPit": [lambda: worstcase.exact(eta)],
        "pandas": [lambda: worstcase.table(tmp_path / "a.csv", [])],
        "tqdm": [lambda: worstcase.table(tmp_path / "a.csv", [])],
    }
    monkeypatch.setitem(sys.modules, missing, None)
    extra = "logs" if missing in ("pandas", "tqdm") else "solvers"
    for call in calls[missing]:
        with pytest.raises(_extras.MissingExtra, match=rf'{missing}, .* pip install "lastiterate\[{extra}\]"$'):
            call()
    assert design.optimal(9, cap=1e3)[1] == pytest.approx(design.optimal(9)[1], rel=1e-14), "the closed form needs none of them"


@pytest.mark.parametrize(
    "value",
    [
        [1.0, np.array(True)],
        collections.deque([1.0, True]),
        [1.0, np.array("2020", "M8[Y]")],
        [1.0, np.ma.masked_array([2.0], [True])],
    ],
)
def test_what_is_hidden_in_a_list_is_no_number_either(value):
    for call in (bounds.omega, schedules.warmup, design.smooth, lambda eta: bounds.omega([1.0, 1.0], G=eta)):
        with pytest.raises(ValueError, match="must be a"):
            call(*([value, 1] if call is schedules.warmup else [value]))


def test_products_that_leave_float64_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"lr \* eta must be finite"):
        schedules.write_csv(tmp_path / "o.csv", [10, 1.0], lr=1e308)
    with pytest.raises(ValueError, match=r"lr \* eta must have a positive step"):
        schedules.write_csv(tmp_path / "o.csv", [1e-320], lr=1e-10)
    with pytest.raises(ValueError, match="lr must be in"):
        transfer.fit_lr([1e-310, 2e-310, 4e-310], [3.4, 3.1, 3.2])
    with pytest.raises(ValueError, match="cycle must be"):
        schedules.cosine(10, cycle=1e30)
    assert schedules.at_tokens([1, 0.5, 0.25], [1e308] * 3).tolist() == [1, 0.5, 0.25]
    for spec in ("wsd:cooldown=1_0e-1", "wsd:cooldown=٠.٥", "wsd:warmup=1_0"):
        with pytest.raises(ValueError, match="must be"):
            schedules.named(spec, 40)


def test_what_is_a_sequence():
    for two in (
        [1, 2],
        (1, 2),
        {1, 2},
        {1: 3, 2: 4}.keys(),
        range(1, 3),
        np.array([1, 2]),
        (i for i in (1, 2)),
        {1: 1, 2: 2}.values(),
    ):
        assert _check.sequence("keep", two) == [1, 2]
    for other in ("12", b"12", 5, None, np.array(5), len):
        with pytest.raises(ValueError, match=r"^keep must be a list"):
            _check.sequence("keep", other)
