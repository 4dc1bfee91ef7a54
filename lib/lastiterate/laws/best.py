"""The schedule that a law likes best: by a closed form where there is one, else by a convex program in blocks."""

import numpy as np

from lastiterate import _check
from lastiterate.laws import two_clock_linear
from lastiterate.laws.fitting import Fit

BLOCKS = 80  # of the program
FALLING = ("multi_power", "functional")  # laws that are made for falling rates, and exploited by rising ones
CONVEX = ("bound", "annealing")  # the others raise a convex noise to a power below 1, or are not convex at all


def power_kernel_optimum(T, peak, noise, c=1.0, power=1.0, progress=1.0, exponent=0.5):
    """Best schedule for a law whose noise is a sum with a power-law kernel, in closed form.

        minimise  A S^−a + B Σ_k η_k² (c + R_k)^−p  over 0 ≤ η_k ≤ peak,    S = Σ_k η_k,  R_k = S_T − S_k

    In the limit of small steps the optimum is η = min(peak, κ (c + R)^{p/2}): for a fixed S the sum is least where η² (c + R)^−p
    is constant in R. In remaining steps that is a power p/(2 − p): 1, linear decay, for p = 1, and exponential decay for p = 2.
    κ is found by one search.

    Args:
        T: number of steps.
        peak: highest rate allowed, > 0.
        noise, progress: B and A, > 0.
        c, power: of the kernel, c > 0 and 0 <= p <= 2.
        exponent: a, > 0.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad input.

    Source: this project.

    >>> eta = power_kernel_optimum(1000, 1.0, noise=0.3, c=1e-6, power=1.0)
    >>> falling = eta[eta < 1]
    >>> bool(np.ptp(np.diff(falling)) < 1e-3 * falling.max())            # a straight line
    True
    """
    from scipy.optimize import minimize_scalar

    T = _check.steps("T", T)
    peak, noise, c = (_check.real(n, v, 0.0, open_low=True) for n, v in (("peak", peak), ("noise", noise), ("c", c)))
    power = _check.real("power", power, 0.0, 2.0)
    progress, exponent = (
        _check.real("progress", progress, 0.0, open_low=True),
        _check.real("exponent", exponent, 0.0, open_low=True),
    )

    def schedule(kappa):
        """From the end: n steps before it, (c + R)^{1 − p/2} has grown by (1 − p/2) κ n, until the rate is the peak."""
        n = np.arange(T) + 0.5
        q = 1 - power / 2
        y = c * np.exp(np.minimum(kappa * n, 700.0)) if q == 0 else (c**q + q * kappa * n) ** (1 / q)
        return np.minimum(kappa * y ** (power / 2), peak)[::-1]

    def loss(log):
        eta = schedule(np.exp(log))
        after = np.append(np.cumsum(eta[:0:-1])[::-1], 0.0) + 0.5 * eta
        return progress * eta.sum() ** -exponent + noise * float(np.sum(eta**2 * (c + after) ** -power))

    low, high = np.log(1e-9 * peak), np.log(10 * peak / c ** (power / 2))
    grid = np.linspace(low, high, 60)
    values = [loss(log) for log in grid]
    i = int(np.argmin(values))
    found = minimize_scalar(loss, bounds=(grid[max(i - 1, 0)], grid[min(i + 1, 59)]), method="bounded", options={"xatol": 1e-9})
    return schedule(np.exp(found.x))  # pyright: ignore[reportAttributeAccessIssue]


def best_schedule(fit, T, peak=None, warmup=0, floor=0.0):
    """The schedule of T steps, up to a peak rate, for which a fitted law predicts the lowest final loss.

    The law is minimised over schedules of BLOCKS constant rates, shorter and shorter towards the end, 0 ≤ rate ≤ peak, by
    L-BFGS-B with exact gradients (complex steps), from linear decay and three plateaus with a cooldown; rates in between are
    interpolated. Where the law is a convex function of the rates all starts end in one optimum. A law without a lasting memory
    has a degenerate optimum, a drop at the very end. For the laws of FALLING the rates may not rise.

    Args:
        fit: from `laws.fit`, with one of this library's laws.
        T: number of steps, 10 or more.
        peak: highest rate; by default that of the training runs.
        warmup: steps at the start at which the rate rises to its first value, as in the training runs.
        floor: lowest rate, as a fraction of the peak.

    Returns:
        (lr, loss, more): rates of shape (T,), the predicted final loss, and a dict with `convex`, whether the law is a convex
        function of the rates; `spread`, of the final losses from the starts; `drop`, the share of the steps behind the
        last one at half the peak: below 0.01 the optimum is degenerate.

    Raises:
        ValueError: on bad input.

    Source: this project. Under a second.
    """
    from scipy.optimize import minimize

    if not isinstance(fit, Fit) or fit.law.name not in FINAL:
        raise ValueError(f"fit must be a laws.Fit of {', '.join(FINAL)}, got {getattr(getattr(fit, 'law', fit), 'name', fit)!r}")
    T = _check.steps("T", T, 10)
    peak = fit.unit if peak is None else _check.real("peak", peak, 0.0, open_low=True)
    warmup, floor = _check.integer("warmup", warmup, 0, T - 1), _check.real("floor", floor, 0.0, 1.0)
    edges = np.unique(T - np.append(0, np.geomspace(1, T, BLOCKS)).round()).astype(int)
    n, centres = np.diff(edges), (edges[:-1] + edges[1:]) / 2
    rise = np.minimum((centres + 0.5) / max(warmup, 1), 1.0)
    scale, length = peak / fit.unit, fit.total / fit.unit
    parameters, final = fit.parameters, FINAL[fit.law.name]

    falling = fit.law.name in FALLING
    low, place = max(floor, 1e-3 if falling else 1e-6), 1 - centres / T

    def rates(x):
        return np.exp(-np.cumsum(x, axis=-1)).clip(low) if falling else x

    def value(x):
        """Loss and its gradient: one evaluation of a batch, each row moved along one rate by an imaginary step."""
        batch = rates(x + 1e-30j * np.eye(x.size))
        losses = final(Blocks(batch * rise * scale, n, length), **parameters)
        return float(losses[0].real), losses.imag / 1e-30

    starts = [np.clip(place / cooldown, low, 1.0) for cooldown in (1.0, 0.4, 0.2, 0.1)]
    bounds = [(low, 1.0)] * n.size
    if falling:
        starts = [-np.diff(np.log(start), prepend=0.0) for start in starts]
        bounds = [(0.0, -np.log(low))] * n.size
    found = [minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300}) for start in starts]
    steps = np.arange(1, T + 1)

    def whole(x):
        return peak * np.interp(steps, centres + 0.5, rates(x)) * np.minimum(steps / max(warmup, 1), 1.0)

    # Rates in between the blocks' are interpolated, which a law that is exploited by jumps minds: what is best then counts.
    made = [whole(x) for x in (*(result.x for result in found), *starts)]
    finals = [float(fit.predict(lr, [T])[0]) for lr in made]
    lr = made[int(np.argmin(finals))]
    losses = [result.fun for result in found]
    behind = T - (np.flatnonzero(lr >= 0.5 * lr.max())[-1] + 1)
    more = {"convex": fit.law.name in CONVEX, "spread": float(max(losses) - min(losses)), "drop": behind / T}
    return lr, min(finals), more


class Blocks:
    """Schedules of constant rates: x, a row each, over n steps; what laws need of them at their end, in the units of `Path`."""

    def __init__(self, x, n, length):
        self.x, self.n, self.length = x, n, length
        self.added = x * (n / length)
        self.S = self.added.sum(axis=1)
        self.before = np.cumsum(self.added[:, ::-1], axis=1)[:, ::-1]  # the sum of rates from each block's start to the end
        self.after = self.before - self.added
        self.change = np.diff(x, axis=1, prepend=0.0)
        steps = np.cumsum(n[::-1])[::-1]
        self.start, self.end = steps, steps - n  # steps to the end, from each block's start and from its end

    def U(self, s):
        return (self.x**s * (self.n / self.length)).sum(axis=1)

    def forgotten(self, scale, power):
        """Σ changes · [1 − (1 + scale · sum of rates since)^−power]."""
        return (self.change * (1 - (1 + scale * self.before) ** -power)).sum(axis=1)

    def cauchy(self, own=True):
        """Σ_k η_k²/(sum of rates from k on); without its `own` rate in the distance, but for the last step, as in the bound."""
        r = self.after * self.length / self.x  # steps of this rate that are behind the block
        if own:
            return (self.x * (_digamma(self.n + 1 + r) - _digamma(1 + r))).sum(axis=1)
        terms = _digamma(self.n[:-1] + r[:, :-1]) - _digamma(r[:, :-1])
        last = _digamma(self.n[-1] + 0.0) - _digamma(1.0) + 1
        return (self.x[:, :-1] * terms).sum(axis=1) + self.x[:, -1] * last


def _digamma(x):
    """ψ(x) for x > 0, also of complex x, to 6e-3: ½ ln(y² − y + e^−2γ) of y = x + 1, and ψ(x) = ψ(x + 1) − 1/x."""
    return 0.5 * np.log(x * x + x + np.exp(-2 * np.euler_gamma)) - 1 / x


def _two_clock(blocks, L0, A, B, a, c, s=0.75, b=0.7):
    return L0 + A * blocks.U(s) ** -a + B * blocks.forgotten(1 / c, 0.5) ** b


def _two_clock_fading(blocks, L0, A, B, a, c):
    return L0 + A * blocks.U(0.75) ** -a + B * (blocks.forgotten(1 / c, 0.5) * blocks.S**-0.1) ** 0.7


def _two_clock_linear(blocks, L0, A, B):
    return _two_clock(blocks, L0, A, B, 0.5, two_clock_linear.STEPS / blocks.length)


def _step_memory(blocks, L0, A, B, a, b):
    from scipy.special import digamma

    return L0 + A * blocks.U(0.75) ** -a + B * (blocks.x * (digamma(blocks.start + 1) - digamma(blocks.end + 1))).sum(axis=1) ** b


def _bound(blocks, L0, A, B, a, b=None):
    return L0 + A * blocks.S**-a + B * (blocks.cauchy(own=False) if b is None else blocks.cauchy() ** b)


def _annealing(blocks, L0, A, C, a):
    kept = (1 - 0.999**blocks.start) / 0.001
    return L0 + A * blocks.S**-a + C * (blocks.change * kept)[:, 1:].sum(axis=1)


def _multi_power(blocks, L0, A, B, a, C, beta, gamma):
    return L0 + A * blocks.S**-a + B * blocks.forgotten(C * blocks.x**-gamma, beta)


def _functional(blocks, L0, A, c2, a, c3, c4, gamma):
    falls = np.where(blocks.change.real < 0, -blocks.change, 0.0)
    done = blocks.S[:, None] - blocks.before + 1e-9
    return L0 + A * blocks.S**-a - c2 * (falls * (c3 + done**-a) * (1 - (1 + c4 * blocks.before) ** -gamma)).sum(axis=1)


FINAL = {  # the law's loss at the end of blocks
    "two_clock": _two_clock, "two_clock_fading": _two_clock_fading, "two_clock_linear": _two_clock_linear,
    "two_clock_free": _two_clock, "step_memory": _step_memory,
    "bound": _bound, "bound_power": _bound, "annealing": _annealing, "multi_power": _multi_power, "functional": _functional,
}  # fmt: skip
