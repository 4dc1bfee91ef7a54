"""From logged columns to what a law is fitted on: the rate of every step, and losses at some of them."""

import numpy as np

from lastiterate import _check
from lastiterate.laws.fitting import checked_curves

LEVEL = 0.03  # rates within 3 % are one level
SAME = 1e-6  # of a loss, by which it does not change
FALL = 0.2  # a rate that falls by less tells nothing of the noise


def rates(steps, lr, T=None):
    """The rate of every step from those that were logged: linear in between, the first one before, the last one after.

    Args:
        steps: numbers of the steps with a logged rate, increasing, shape (n,).
        lr: the rates, shape (n,).
        T: number of steps; the last logged one by default.

    Returns:
        Array of shape (T,). A last rate of 0 behind a constant rate, as some trainers log it after the last step, is left out.

    Raises:
        ValueError: on bad input.

    >>> rates([1, 3, 5], [1.0, 1.0, 0.5])
    array([1.  , 1.  , 1.  , 0.75, 0.5 ])
    """
    steps, lr = np.asarray(steps, float), _check.schedule(lr, "lr")
    if steps.shape != lr.shape or (np.diff(steps) <= 0).any() or not np.all(np.isfinite(steps)) or steps[0] < 0:
        raise ValueError(f"steps must increase and be one a rate, {lr.size}, got {str(steps)[:80]}")
    if lr.size > 2 and lr[-1] == 0 and abs(lr[-2] - lr[-3]) <= 1e-6 * lr[-2]:
        lr = np.append(lr[:-1], lr[-2])
    T = int(steps[-1]) if T is None else _check.steps("T", T)
    return np.interp(np.arange(1, T + 1), steps, lr)


def ill_posed(curves):
    """Why some curves do not determine a law, and what to log instead, in a line; None where they may do.

    The progress of a run and the noise of its rate can be told apart only where the same progress was made at another rate: a
    plateau with a fall behind it, a jump, or a second run with another schedule. A single smooth decay fits many laws, which
    then predict differently.

    Args:
        curves: as `fit`.

    Returns:
        str or None.

    Raises:
        ValueError: on bad input.

    >>> from lastiterate import schedules
    >>> at = np.arange(50, 1001, 50)
    >>> def curve(eta):
    ...     return eta, at, np.linspace(4, 3, 20)
    >>> print(ill_posed([curve(schedules.cosine(1000))])[:39])
    a single smooth decay: a plateau of the
    >>> ill_posed([curve(schedules.wsd(1000, 0.5))])                  # None
    >>> ill_posed([curve(schedules.cosine(1000)), curve(schedules.constant(1000))])                  # None
    """
    curves = checked_curves(curves)
    advice = (
        "log a second run with another schedule, such as a constant rate, or a run with a plateau and a cooldown, or with a jump"
    )
    if all(np.ptp(losses) <= SAME * losses.max() for _, _, losses in curves):
        return "losses that stay the same: log them while they fall"
    falls = [_falls(lr, steps) for lr, steps, _ in curves]
    if any(falls):
        return None
    if len(curves) > 1 and _differ(curves):
        return None
    if all(np.ptp(lr[steps - 1]) <= LEVEL * lr.max() for lr, steps, _ in curves):
        return (
            "one rate throughout, which says nothing of what another would do: log a second run whose rate falls, or let it fall "
            "in this one, by a cooldown or a jump"
        )
    if len(curves) == 1:
        return (
            f"a single smooth decay: a plateau of the rate, or a jump, is missing, and many laws fit such a curve alike: {advice}"
        )
    return f"{len(curves)} runs whose schedules hardly differ: {advice}"


def _falls(lr, steps):
    """Whether three scored points lie on a plateau, and three behind it where the rate has fallen."""
    at = lr[steps - 1]
    jump = np.abs(np.diff(lr)) > FALL * lr.max()
    level = at >= (1 - LEVEL) * lr.max()
    plateau = level.sum() >= max(3, 0.2 * at.size) and np.count_nonzero(lr >= (1 - LEVEL) * lr.max()) >= 0.3 * lr.size
    behind = np.flatnonzero(level)[-1] + 1 if level.any() else at.size
    fallen = np.count_nonzero(at[behind:] <= (1 - FALL) * lr.max()) >= 3
    return bool((plateau and fallen) or (jump.any() and at.size >= 6 and np.ptp(at) > FALL * lr.max()))


def _differ(curves):
    """Whether two runs have at some sum of rates, at which both were scored, rates that differ."""
    for i, (lr, steps, _) in enumerate(curves):
        for other, others, _ in curves[:i]:
            S, at = np.cumsum(lr)[steps - 1], lr[steps - 1]
            theirs, there = np.cumsum(other)[others - 1], other[others - 1]
            inside = (theirs[0] * 0.9 <= S) & (theirs[-1] * 1.1 >= S)
            there = np.interp(S[inside], theirs, there)
            if np.count_nonzero(np.abs(at[inside] - there) > FALL * np.maximum(at[inside], there)) >= 3:
                return True
    return False
