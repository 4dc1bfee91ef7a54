"""The subgradient method on the largest absolute error, f(w) = max_i |x_i·(w − w*)|: convex, not smooth, minimal at w*."""

import numpy as np
from numpy.typing import ArrayLike

from lastiterate import _check


def problem(seed: int, n: int = 20, d: int = 2, distance: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """A random problem: rows x_i uniform in the cube [−1, 1]^d, a minimiser w* in a random direction.

    Args:
        seed: of both.
        n: number of rows, an integer >= 1.
        d: number of variables, an integer >= 1.
        distance: of the minimiser from the start, 0; > 0.

    Returns:
        (X, minimiser), of shape (n, d) and (d,).

    Raises:
        ValueError: on a bad argument.

    Source: Schaipp et al. 2025, figure 17.

    >>> X, minimiser = problem(0)
    >>> X.shape, round(float(np.linalg.norm(minimiser)), 9)
    ((20, 2), 5.0)
    """
    n, d = _check.integer("n", n), _check.integer("d", d)
    _check.fits("n", "n times d", n * d)
    distance = _check.real("distance", distance, 0.0, open_low=True)
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    X = rng.uniform(-1, 1, (n, d))
    direction = rng.standard_normal(d)
    return X, distance * direction / np.linalg.norm(direction)


def subgradient_method(X: np.ndarray, minimiser: np.ndarray, rates: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Run w ← w − η_t g from w = 0, g = ±x_i the subgradient of a row with the largest error.

    Args:
        X, minimiser: from `problem`, of shape (n, d) and (d,).
        rates: learning rates η_t, shape (T,).

    Returns:
        (values, path): f before each step, shape (T,), and the iterates at which it was taken, shape (T, d).

    Raises:
        ValueError: on a bad argument.

    Source: Schaipp et al. 2025, figure 17.

    >>> subgradient_method(np.array([[1.0]]), np.array([2.0]), [0.5, 1.5, 1.0])[0]
    array([2. , 1.5, 0. ])
    """
    X, minimiser = _check.measured("X", X, ndim=2), _check.measured("minimiser", minimiser)
    if minimiser.size != X.shape[1]:
        raise ValueError(f"minimiser must have an entry for each of the {X.shape[1]} columns of X, got {minimiser.size}")
    rates = _check.schedule(rates, "rates")
    w, path, values = np.zeros(minimiser.size), [], []
    for rate in rates:
        residual = (X * (w - minimiser)).sum(axis=1)
        worst = np.abs(residual).argmax()
        path.append(w)
        values.append(abs(residual[worst]))
        w = w - rate * np.sign(residual[worst]) * X[worst]
    return np.array(values), np.array(path)
