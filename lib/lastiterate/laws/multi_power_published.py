"""The Multi-Power Law's published protocol, which stops early: reported beside the common fit, never mixed with it.

Start: L0 + A S^−a − B(η_max − η) by L-BFGS-B from 135 points. Then C = 1, β = γ = ½, and AdamW over all seven parameters in raw
units: rate 0.05 for L0, A, B, C and 0.005 for the exponents, weight decay 0.01, at most 200 steps, until 20 in a row bring no
lower loss; the parameters of the lowest training loss count.
"""

import itertools

import numpy as np

from lastiterate.laws import multi_power
from lastiterate.laws.fitting import DELTA, Fit, checked_curves
from lastiterate.laws.path import Path

NAMES: tuple[str, ...] = ("L0", "A", "a", "B", "C", "beta", "gamma")
RATES = np.array([0.05, 0.05, 0.005, 0.05, 0.05, 0.005, 0.005])
STEPS, PATIENCE, DECAY = 200, 20, 0.01
TIGHT = {"maxiter": 10**5, "ftol": 1e-9, "gtol": 1e-6}
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def fit(curves, law="multi_power", seed=0) -> Fit:
    """Fit the Multi-Power Law by its authors' protocol; deterministic.

    Args:
        curves: as `laws.fit`.
        law, seed: for the common interface; there is but one law, and no random start.

    Returns:
        Fit, with parameters in raw units.

    Raises:
        ValueError: as `laws.fit`.

    Source: Luo et al. 2025, arXiv 2503.12811, and their public code; here with gradients by central differences.
    """
    curves = checked_curves(curves)
    peak = max(float(lr.max()) for lr, _, _ in curves)
    paths = [Path(lr, steps) for lr, steps, _ in curves]
    losses = np.log(np.concatenate([losses for _, _, losses in curves]))
    S, eta = np.concatenate([p.S for p in paths]), np.concatenate([p.eta for p in paths])
    theta = np.append(_start(S, peak - eta, losses), [1.0, 0.5, 0.5])
    theta, objective = _adamw(theta, lambda theta: _loss(theta, paths, losses))
    made = Fit(multi_power.LAW, dict(zip(NAMES, theta.tolist(), strict=True)), objective=objective, peaks=(peak, peak))
    off = np.concatenate([np.abs(made.predict(lr, steps) - values) for lr, steps, values in curves])
    object.__setattr__(made, "residual", float(off.mean()))
    return made


def huber(r):
    """Sum of the Huber loss of residuals."""
    size = np.abs(r)
    return float(np.sum(np.where(size <= DELTA, 0.5 * r**2, DELTA * (size - 0.5 * DELTA))))


def _loss(theta, paths, losses):
    parameters = dict(zip(NAMES, theta.tolist(), strict=True))
    curve = np.concatenate([multi_power.LAW.loss(path, parameters) for path in paths])
    return huber(losses - np.log(curve))


def _start(S, below, losses):
    """(L0, A, a, B) of the formula without memory, the best of 135 starts."""
    from scipy.optimize import minimize

    low = float(np.exp(losses.min()))
    slope, intercept = np.polyfit(np.log(S), np.log(np.exp(losses) - low + 0.01), 1)
    axes = (
        np.linspace(low - 0.2, low + 0.2, 5),
        np.exp(intercept) + np.array([-0.1, 0, 0.1]),
        -slope + np.array([-0.1, 0, 0.1]),
        [100, 550, 1000],
    )

    def objective(theta):
        L0, A, a, B = theta
        power = S**-a
        curve = np.maximum(L0 + A * power - B * below, 1e-6)
        r = np.clip(losses - np.log(curve), -DELTA, DELTA)  # the Huber loss's slope
        columns = np.stack([np.ones_like(S), power, -A * power * np.log(S), -below])
        return huber(losses - np.log(curve)), -(columns / curve) @ r

    found = [
        minimize(objective, np.maximum(start, 0), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 4, options=TIGHT)
        for start in itertools.product(*axes)
    ]
    return min(found, key=lambda result: result.fun).x


def _adamw(theta, objective):
    """The point of the lowest loss on the way, and that loss."""
    m, v, best, lowest, idle = np.zeros_like(theta), np.zeros_like(theta), theta, np.inf, 0
    for step in range(1, STEPS + 1):
        loss, gradient = objective(theta), _gradient(objective, theta)
        idle = 0 if loss < lowest else idle + 1
        if step > PATIENCE and idle >= PATIENCE:
            break
        m, v = BETA1 * m + (1 - BETA1) * gradient, BETA2 * v + (1 - BETA2) * gradient**2
        size = np.sqrt(v / (1 - BETA2**step)) + EPS
        theta = theta * (1 - DECAY * RATES) - RATES * (m / (1 - BETA1**step)) / size
        if loss < lowest:
            best, lowest = theta, loss  # as in their code: the parameters a step behind the loss
    return best, lowest


def _gradient(objective, theta, relative=1e-5):
    out = np.empty_like(theta)
    for i, value in enumerate(theta):
        step = np.zeros_like(theta)
        step[i] = relative * max(abs(value), 1e-3)
        out[i] = (objective(theta + step) - objective(theta - step)) / (2 * step[i])
    return out
