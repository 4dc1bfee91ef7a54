"""How good a prediction is: errors of curves, of final losses, and of what is chosen by them."""

import numpy as np

from lastiterate import _check


def errors(predicted, measured):
    """Errors of one predicted curve.

    Args:
        predicted, measured: losses at the same steps, shape (n,), the last one the final loss.

    Returns:
        Dict of floats: `mae`, mean absolute error; `r2`, share of the variance explained; `pred_e`, mean absolute error relative
        to the loss; `worst`, the largest absolute error; `final`, predicted minus measured final loss; `bias`, predicted minus
        measured, mean.

    >>> found = errors([3.0, 2.5, 2.1], [3.0, 2.4, 2.0])
    >>> round(found["mae"], 4), round(found["final"], 4)
    (0.0667, 0.1)
    """
    predicted, measured = np.asarray(predicted, float), _check.array("measured", measured)
    if predicted.size != measured.size:
        raise ValueError(f"predicted must have the length of measured, {measured.size}, got {predicted.size}")
    off = predicted - measured
    spread = float(np.sum((measured - measured.mean()) ** 2))
    return {
        "mae": float(np.mean(np.abs(off))),
        "r2": 1 - float(np.sum(off**2)) / spread if spread > 0 else float("nan"),
        "pred_e": float(np.mean(np.abs(off) / measured)),
        "worst": float(np.max(np.abs(off))),
        "final": float(off[-1]),
        "bias": float(np.mean(off)),
    }


def ranking(predicted, measured, groups):
    """How well predicted final losses order schedules, within groups (of one horizon).

    Args:
        predicted, measured: final losses, shape (n,).
        groups: what only schedules of the same are compared by, shape (n,).

    Returns:
        (tau, regret): Kendall's rank correlation, over all pairs within groups; the measured loss of the schedule that is
        predicted best, minus that of the best one, mean over groups. NaN where no group has two.

    >>> ranking([1.0, 2.0, 3.0], [1.1, 2.2, 2.1], ["a", "a", "a"])
    (0.3333333333333333, 0.0)
    """
    predicted, measured, groups = np.asarray(predicted, float), np.asarray(measured, float), np.asarray(groups)
    signs, regrets = [], []
    for group in dict.fromkeys(groups.tolist()):
        p, m = predicted[groups == group], measured[groups == group]
        if p.size > 1:
            i, j = np.triu_indices(p.size, 1)
            signs.append(np.sign((p[i] - p[j]) * (m[i] - m[j])))
            regrets.append(m[p.argmin()] - m.min())
    if not signs:
        return float("nan"), float("nan")
    return float(np.mean(np.concatenate(signs))), float(np.mean(regrets))


def bootstrap(values, seed=0, draws=2000, level=0.95):
    """Interval of a mean over schedules, by resampling them.

    Returns:
        (low, high): quantiles of the means of `draws` resamples.

    >>> low, high = bootstrap([1.0, 2.0, 3.0])
    >>> low < 2 < high
    True
    """
    values = np.asarray(values, float)
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    means = values[rng.integers(0, values.size, (draws, values.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def noise_floor(losses, half=2):
    """Size of a curve's noise that no law can predict: mean absolute difference from a smooth curve through it.

    Args:
        losses: at even intervals of steps, shape (n,).
        half: the smooth curve is at each point a parabola through so many neighbours on either side, without the point itself.

    Returns:
        Mean absolute difference, in units in which it is that of a single point's noise; NaN for fewer than 2 half + 1 points.

    >>> rng = np.random.default_rng(0)
    >>> 0.0007 < noise_floor(3 + 1e-3 * rng.standard_normal(1000)) < 0.0009         # mean |noise| = 0.8e-3
    True
    """
    losses = np.asarray(losses, float)
    x = np.array([i for i in range(-half, half + 1) if i])
    weights = np.linalg.pinv(np.vander(x, 3))[-1]  # of the neighbours, in the parabola's value at 0
    if losses.size < 2 * half + 1:
        return float("nan")
    smooth = sum(w * losses[half + i : losses.size - half + i] for i, w in zip(x.tolist(), weights.tolist(), strict=True))
    return float(np.mean(np.abs(losses[half : losses.size - half] - smooth)) / np.sqrt(1 + np.sum(weights**2)))
