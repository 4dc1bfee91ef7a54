import numpy as np
import pytest

from lastiterate import bounds, schedules
from lastiterate.experiments import absolute_error


def test_problem_is_a_function_of_its_seed():
    X, minimiser = absolute_error.problem(3, n=7, d=4, distance=2.0)
    assert X.shape == (7, 4) and np.abs(X).max() <= 1 and np.linalg.norm(minimiser) == pytest.approx(2)
    again, other = absolute_error.problem(3, n=7, d=4, distance=2.0), absolute_error.problem(4, n=7, d=4, distance=2.0)
    assert np.array_equal(again[0], X) and not np.array_equal(other[0], X)


def test_steps_are_those_of_the_subgradient_method():
    X, minimiser = absolute_error.problem(0)
    rates = 0.02 * schedules.wsd(50)
    values, path = absolute_error.subgradient_method(X, minimiser, rates)
    assert not path[0].any()
    np.testing.assert_allclose(values, np.abs((path - minimiser) @ X.T).max(axis=1))
    for t in range(49):
        g = (path[t] - path[t + 1]) / rates[t]
        for w in (minimiser, np.ones(2), -minimiser):  # f(w) ≥ f(w_t) + g·(w − w_t)
            assert np.abs(X @ (w - minimiser)).max() >= values[t] + g @ (w - path[t]) - 1e-12


def test_the_bound_holds_for_the_last_iterate():
    X, minimiser = absolute_error.problem(1)
    rates = 0.1 * schedules.linear(300)
    values, _ = absolute_error.subgradient_method(X, minimiser, rates)
    assert values[-1] <= bounds.omega(rates, G=np.linalg.norm(X, axis=1).max(), D=5.0, horizons=300)


@pytest.mark.parametrize(("argument", "value"), [("n", 0), ("d", 0), ("distance", 0.0), ("seed", -1)])
def test_bad_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=f"^{argument} must be"):
        absolute_error.problem(**({"seed": 0} | {argument: value}))
    with pytest.raises(ValueError, match="rates must"):
        absolute_error.subgradient_method(*absolute_error.problem(0), [-1.0])


X, minimiser = absolute_error.problem(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *[((v, minimiser, [1.0]), "X must be") for v in ("ab", [1.0], [[True]], [["1"]], np.full((2, 2), np.nan), np.ma.masked)],
        *[((X, v, [1.0]), "minimiser must be") for v in ("ab", [True, True], [np.nan, 1.0], [[1.0, 2.0]], 5, [np.inf, 1])],
        ((X, [1.0, 2.0, 3.0], [1.0]), "minimiser must have an entry for each of the 2 columns of X, got 3"),
        *[((X, minimiser, v), "rates must") for v in ([np.nan], [True], ["1"], [-1.0], [[1.0]], [])],
    ],
)
def test_bad_input_of_the_method(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        absolute_error.subgradient_method(*arguments)
