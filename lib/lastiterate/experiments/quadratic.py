r"""SGD on a noisy quadratic: a training problem whose expected loss is known at every step, for any schedule and batch size.

    f(x) = ½ Σ_i h_i x_i²,     x_{t+1} = x_t − η_t (h ∘ x_t + ξ_t),     ξ_t independent, of mean 0 and variance s_i²/B_t

In the eigenbasis coordinates do not mix, and the mean m and variance v of each follow

    m_i ← (1 − η_t h_i) m_i,     v_i ← (1 − η_t h_i)² v_i + η_t² s_i²/B_t,     E f(x_t) = ½ Σ_i h_i (m_i² + v_i).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, bounds

LIMIT = 1e70  # of numbers that are squared and multiplied, so that the product is a number


def expected_loss(rates: ArrayLike, h: ArrayLike, noise: ArrayLike, start: ArrayLike, batch: ArrayLike = 1.0) -> NDArray:
    """E f(x_t) − f* before each of the steps and after the last one.

    Args:
        rates: learning rates, shape (T,), or (R, T) for R schedules at once.
        h: eigenvalues, shape (d,), > 0.
        noise: standard deviation s of a single example's gradient noise, scalar or shape (d,), >= 0.
        start: x_1 in the eigenbasis, scalar or shape (d,).
        batch: examples a step, scalar or shape (T,), > 0; the noise's variance is s²/batch.

    Returns:
        Array of shape (T + 1,) or (R, T + 1): entry t is the loss after t steps, infinite where it overflows.

    Raises:
        ValueError: on bad input.

    Source: the noisy quadratic model (Zhang et al. 2019, Which algorithmic choices matter at which batch sizes?).

    >>> expected_loss([0.5, 0.5], h=[1.0], noise=0.0, start=2.0)
    array([2.   , 0.5  , 0.125])
    >>> expected_loss([0.5, 0.5], h=[1.0], noise=1.0, start=0.0, batch=4)
    array([0.        , 0.03125   , 0.0390625])
    """
    rates, h, noise, start, batch = _checked(rates, h, noise, start, batch)
    stacked = np.atleast_2d(rates)
    _check.fits("h", "its entries times the schedules", len(stacked) * h.size)
    loss = np.empty((len(stacked), rates.shape[-1] + 1))
    with np.errstate(over="ignore", invalid="ignore"):
        second = np.broadcast_to(np.square(start), (len(stacked), h.size)).copy()  # m² + v: both shrink by the same factor
        loss[:, 0] = 0.5 * second @ h
        for t in range(rates.shape[-1]):
            eta = stacked[:, t : t + 1]
            second = np.square(1 - eta * h) * second + np.square(eta * noise) / batch[t]
            loss[:, t + 1] = 0.5 * second @ h
    loss = np.where(np.isfinite(loss), loss, np.inf)
    return loss if rates.ndim == 2 else loss[0]


def grad_norms(rates: ArrayLike, h: ArrayLike, noise: ArrayLike, start: ArrayLike, batch: ArrayLike = 1.0) -> NDArray:
    """Root mean square gradient norm √E‖g_t‖² at each step, t = 1..T: what `bounds.omega` takes as G.

    Args, raises: as `expected_loss`, for one schedule.

    Returns:
        Array of shape (T,), infinite where it overflows.

    >>> grad_norms([0.5, 0.5], h=[1.0], noise=0.0, start=2.0)
    array([2., 1.])
    """
    rates, h, noise, start, batch = _checked(rates, h, noise, start, batch)
    if rates.ndim != 1:
        raise ValueError(f"rates must be of one schedule, got shape {rates.shape}")
    norms = np.empty(rates.size)
    with np.errstate(over="ignore", invalid="ignore"):
        second = np.square(start)
        for t, eta in enumerate(rates.tolist()):
            norms[t] = np.sum(np.square(h) * second + np.square(noise) / batch[t])
            second = np.square(1 - eta * h) * second + np.square(eta * noise) / batch[t]
    return np.sqrt(np.where(np.isfinite(norms), norms, np.inf))


def simulate(
    rates: ArrayLike, h: ArrayLike, noise: ArrayLike, start: ArrayLike, batch: ArrayLike = 1.0, runs: int = 100, seed: int = 0
) -> NDArray:
    """f(x_t) of simulated runs with Gaussian noise, to be compared with `expected_loss`.

    Args: as `expected_loss`, for one schedule; runs: how many; seed: of the noise.

    Returns:
        Array of shape (runs, T + 1), infinite where it overflows.

    Raises:
        ValueError: on bad input, or where runs times steps or dimensions are above 10⁸.

    >>> simulate([0.5], h=[1.0], noise=0.0, start=2.0, runs=2)
    array([[2. , 0.5],
           [2. , 0.5]])
    """
    rates, h, noise, start, batch = _checked(rates, h, noise, start, batch)
    if rates.ndim != 1:
        raise ValueError(f"rates must be of one schedule, got shape {rates.shape}")
    rng, runs = np.random.default_rng(_check.integer("seed", seed, 0)), _check.integer("runs", runs)
    _check.fits("runs", "runs times steps, and runs times dimensions,", runs * max(h.size, rates.size + 1))
    x = np.broadcast_to(start, (runs, h.size)).copy()
    loss = np.empty((runs, rates.size + 1))
    with np.errstate(over="ignore", invalid="ignore"):
        loss[:, 0] = 0.5 * np.square(x) @ h
        for t, eta in enumerate(rates.tolist()):
            x -= eta * (h * x + noise / np.sqrt(batch[t]) * rng.standard_normal(x.shape))
            loss[:, t + 1] = 0.5 * np.square(x) @ h
    return np.where(np.isfinite(loss), loss, np.inf)


def power_law(d: int, decay: float = 1.0, source: float = 1.5) -> tuple[NDArray, NDArray]:
    """Spectrum of a large problem: eigenvalues h_i = i^−a, and a start with h_i x_i² = i^−b, so that f(x_1) = ½ Σ i^−b.

    Args:
        d: dimension, an integer in 1..10⁸.
        decay: a > 0, so small that d^−a is a number.
        source: b > 0, as decay; the smaller, the more of the loss lies in flat directions.

    Returns:
        (h, start), each of shape (d,).

    Raises:
        ValueError: on a bad argument.

    >>> power_law(3, decay=1.0, source=2.0)[0].round(3)
    array([1.   , 0.5  , 0.333])
    """
    i = np.arange(1.0, _check.steps("d", d) + 1)
    most = 708 / math.log(i[-1]) if i.size > 1 else 1e300  # e^−708 is near the smallest number
    decay = _check.real("decay", decay, 0.0, most, open_low=True)
    source = _check.real("source", source, 0.0, most, open_low=True)
    return i**-decay, i ** ((decay - source) / 2)


def continuum_loss(rates: ArrayLike, decay: float = 1.0, source: float = 1.5, noise: float = 0.0) -> float:
    r"""E f after the last step for a power law of infinite dimension in continuous time, with noise s_i² = σ² h_i.

        ½ Γ(p)/a · (2S)^{−p},  p = (b − 1)/a,    plus    ½ σ²/a Σ_t η_t² (2τ_t)^{−q} γ(q, 2τ_t),  q = 2 − 1/a,

    with S the sum of all rates, τ_t that of the rates behind t (half of η_t included) and γ the lower incomplete gamma
    function: only sums of rates matter, not steps.

    Args:
        rates: shape (T,), each at most LIMIT.
        decay, source: a > ½ and b > 1 of `power_law`.
        noise: σ, at most LIMIT.

    Returns:
        A float.

    Raises:
        ValueError: on a bad argument, or where the loss is above all floats.

    Source: this project; the sums over i in `expected_loss` as integrals, (1 − ηh)² as e^{−2ηh}.

    >>> round(continuum_loss(np.full(1000, 0.5), source=2.0), 6)          # ½ Γ(1)/(2 · 500)
    0.0005
    """
    from scipy.special import gamma, gammainc

    rates, noise = _check.schedule(rates, "rates"), _check.real("noise", noise, 0.0, LIMIT)
    if rates.max() > LIMIT:
        raise ValueError(f"rates must be at most {LIMIT:g}, got {rates.max():g}")
    a, b = _check.real("decay", decay, 0.5, open_low=True), _check.real("source", source, 1.0, open_low=True)
    p, q = (b - 1) / a, 2 - 1 / a
    behind = 2 * (np.cumsum(rates[::-1])[::-1] - rates / 2)
    with np.errstate(all="ignore"):
        kernel = np.where(behind > 1e-16, behind**-q * gamma(q) * gammainc(q, behind), 1 / q)
        bias = 0.5 * gamma(p) / a * (2 * rates.sum()) ** -p
    loss = float(bias + 0.5 * noise**2 / a * np.sum(np.square(rates) * kernel))
    if not math.isfinite(loss):
        raise ValueError(
            f"source must be such that the loss is a number, got {_check.shown(source)} with decay {a:g}: it is {loss}"
        )
    return loss


def random_problem(rng: np.random.Generator, d: int, decades: float = 2.0) -> tuple[NDArray, NDArray]:
    """A problem at random: eigenvalues spread evenly in logarithm over the decades below 1, and a start with E‖x_1‖² = 1.

    Args:
        rng: where it is drawn from.
        d: dimension, an integer in 1..10⁸.
        decades: in [0, 300].

    Returns:
        (h, start), each of shape (d,).

    >>> h, start = random_problem(np.random.default_rng(0), 3)
    >>> h.round(3), start.round(3)
    (array([0.188, 0.035, 0.012]), array([ 0.061, -0.309,  0.209]))
    """
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be one of NumPy's generators, got {_check.shown(rng)}")
    d, decades = _check.steps("d", d), _check.real("decades", decades, 0.0, 300.0)
    return 10.0 ** rng.uniform(-decades, 0, d), rng.standard_normal(d) / np.sqrt(d)


def tuned(
    tried: ArrayLike, eta: ArrayLike, h: ArrayLike, noise: ArrayLike, start: ArrayLike, batch: ArrayLike = 1.0
) -> tuple[float, float]:
    """A schedule at its best base learning rate: that rate, of those tried, and the expected loss at the end.

    Args:
        tried: base learning rates γ, shape (R,).
        eta: schedule, shape (T,).
        h, noise, start, batch: as `expected_loss`.

    Raises: as `expected_loss`.

    >>> tuned([0.25, 1.0, 1.5], [1.0, 1.0], h=[1.0], noise=0.0, start=2.0)
    (1.0, 0.0)
    """
    rates, eta = _check.array("tried", tried), _check.schedule(eta)
    _check.fits("tried", "rates times steps", rates.size * eta.size)
    losses = expected_loss(np.outer(rates, eta), h, noise, start, batch)[:, -1]
    i = int(losses.argmin())
    return float(rates[i]), float(losses[i])


def bound_over_loss(eta: ArrayLike, curvature: float, noise: float, rounds: int = 60) -> float:
    """How loose the bound is in one dimension: Ω_T over E f(x_T) from x_1 = 1, at the rate that is best for the bound.

    The norms G_t that the bound needs depend on the rate, and its best rate γ* on the norms: γ ← ½γ + ½ min(γ*(G), 1.9/h).

    Args:
        eta: schedule, shape (T,), positive at its last step.
        curvature: h > 0.
        noise: standard deviation of the gradient noise, >= 0.
        rounds: of that iteration.

    Returns:
        A float, at least 1.

    Raises:
        ValueError: on bad input.

    Source: this project.
    """
    curvature, noise = _check.real("curvature", curvature, 0.0, LIMIT, open_low=True), _check.real("noise", noise, 0.0, LIMIT)
    eta, h, lr = _check.schedule(eta), [curvature], 1.0
    for _ in range(_check.integer("rounds", rounds)):
        best = bounds.optimal_lr(eta, grad_norms(lr * eta, h, noise, 1.0))[0]
        lr = 0.5 * lr + 0.5 * min(best, 1.9 / curvature)
    norms, T = grad_norms(lr * eta, h, noise, 1.0), eta.size
    loss = expected_loss(lr * eta, h, noise, 1.0)[T - 1]  # x_T is reached after T − 1 steps
    return float(bounds.omega(lr * eta, norms, 1.0, T) / max(loss, 1e-300))


def _checked(
    rates: ArrayLike, h: ArrayLike, noise: ArrayLike, start: ArrayLike, batch: ArrayLike
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    rates = _check.numbers("rates", rates).astype(float)
    _check.fits("rates", "they", rates.size)
    if rates.ndim not in (1, 2) or not rates.size or not np.isfinite(rates).all() or (rates < 0).any():
        raise ValueError(f"rates must be finite and >= 0, of shape (T,) or (R, T), got shape {rates.shape}")
    h = _check.array("h", h)
    if not h.all():
        raise ValueError("h must be positive, got 0")
    found = []
    for name, value, size in (("noise", noise, h.size), ("start", start, h.size), ("batch", batch, rates.shape[-1])):
        value = _check.numbers(name, value, said="a real number or an array of them").astype(float)
        if value.ndim > 1 or value.size not in (1, size) or not np.isfinite(value).all():
            raise ValueError(f"{name} must be a finite scalar or of shape ({size},), got shape {value.shape}")
        found.append(np.broadcast_to(value, (size,)))
    if (found[0] < 0).any():
        raise ValueError(f"noise must not be negative, got {found[0].min():g}")
    if (found[2] <= 0).any():
        raise ValueError(f"batch must be positive, got {found[2].min():g}")
    return rates, h, found[0], found[1], found[2]
