"""What the laws need of a schedule: sums of its rates, and sums over its changes, at some of its steps.

A schedule is in units of the runs that a law is fitted on: rates over the highest, sums of rates over the highest sum.
Everything but `Memory` is exact to rounding; its sums over the steps at which the rate changes take far steps in blocks, to an
error of about 1e-7 (tests/laws/test_path.py).
"""

import functools

import numpy as np

from lastiterate._cauchy import causal_cauchy_sums

NODES = 5  # Gauss points of a block
TINY = 1e-16  # squares of polynomials below which they are rounding
SHORT = 2000  # steps up to which every step is summed by itself, for 200 wanted steps or fewer
MANY = 200 * SHORT  # pairs of a step and a wanted step from which on it is not
ROUGH = 20.0  # total change of the rates, in units of the highest, from which on every step is summed by itself, too
LEAF = 16  # steps in the shortest block
PAIRS = 2_000_000  # pairs of a step and a node that are in memory at once


class Path:
    """A schedule and the steps after which a loss is wanted.

    Args:
        lr: rate of every step, shape (T,).
        steps: numbers of steps done, 1..T, increasing, shape (n,).
        unit: the rate that counts as 1.
        total: the sum of rates that counts as 1, in units of `lr`.

    Attributes:
        rates: lr/unit, shape (T,).
        sums: S_1..S_T over `total`, shape (T,).
        eta, S: both after `steps`, shape (n,).
    """

    def __init__(self, lr, steps, unit=1.0, total=1.0):
        self.rates, self.length = np.asarray(lr, float) / unit, total / unit
        self.steps = np.asarray(steps)
        self.sums = np.cumsum(self.rates) / self.length
        self.eta, self.S = self.rates[self.steps - 1], self.sums[self.steps - 1]

    def U(self, s):
        """U_t = Σ_{k≤t} η_k^s, in units in which it is S_t for s = 1, shape (n,)."""
        return self.S if s == 1 else np.cumsum(self.rates**s)[self.steps - 1] / self.length

    @functools.cached_property
    def U75(self):
        """U_t for s = ¾."""
        return self.U(0.75)

    @functools.cached_property
    def bound_noise(self):
        """N_t = η_t + Σ_{k<t} η_k²/(S_t − S_k), the second term of the last-iterate bound; where the rate is 0, that before
        it."""
        rates = self.rates[self.rates > 0]
        return self._at_positive(rates + causal_cauchy_sums(rates, np.square(rates)))

    @functools.cached_property
    def shifted_noise(self):
        """Σ_{k≤t} η_k²/(S_t − S_{k−1}): as `bound_noise`, but with each step's own rate in its distance, so that it stays
        finite."""
        rates = self.rates[self.rates > 0]
        steps, weights = np.append(1.0, rates), np.append(np.square(rates), 0.0)
        return self._at_positive(causal_cauchy_sums(steps, weights)[1:])

    def _at_positive(self, values):
        done = np.cumsum(self.rates > 0)[self.steps - 1]
        return np.where(done > 0, values[np.maximum(done, 1) - 1], 0.0)

    @functools.cached_property
    def step_noise(self):
        """Σ_{k≤t} η_k/(t − k + 1), shape (n,)."""
        from scipy.signal import fftconvolve

        T = self.rates.size
        return np.maximum(fftconvolve(self.rates, 1 / np.arange(1.0, T + 1))[:T][self.steps - 1], 0.0)

    @functools.cached_property
    def annealed(self):
        """Σ_{i≤t} m_i with m_i = 0.999 m_{i−1} + (η_{i−1} − η_i), from the first step of the highest rate on, shape (n,)."""
        from scipy.signal import lfilter

        falls = -np.diff(self.rates, prepend=self.rates[0])
        falls[: int(np.argmax(self.rates >= self.rates.max() * (1 - 1e-9))) + 1] = 0.0
        return np.cumsum(np.asarray(lfilter([1.0], [1.0, -0.999], falls)))[self.steps - 1]

    @functools.cached_property
    def changes(self):
        """Memory of every change of the rate, from η_0 = 0 on: weights η_k − η_{k−1} at S_{k−1}."""
        return Memory(self, np.diff(self.rates, prepend=0.0), np.append(0.0, self.sums[:-1]))

    @functools.cached_property
    def falls(self):
        """Memory of the steps at which the rate falls: weights η_{k−1} − η_k > 0 at S_k."""
        return Memory(self, np.maximum(-np.diff(self.rates, prepend=0.0), 0.0), self.sums)


class Memory:
    """Sums over the steps k ≤ t at which the rate changes, of a function of how far back in S they lie.

        Σ_{k≤t} weight_k · extra_k · [1 − (1 + scale_k (S_t − position_k))^−power]

    The steps of t's own leaf and of the one before are summed one by one. Earlier ones are taken in blocks that are the longer
    the farther back they lie: at least their own length away from t, and from the start, where a warmup's rates are tiny. A
    block counts by its nodes, NODES Gauss points (in the number of the step) for its rises and as many for its falls, and a sum
    costs O(log T). In a short or rough schedule all steps are summed. `weight`, `position` and `rate` are arrays over the steps
    and nodes that are used.
    """

    def __init__(self, path, weights, positions):
        T, at = weights.size, path.steps - 1
        self.S = path.S
        parts = [np.stack([weights, np.arange(T)])]
        starts, stops = [np.maximum(at // LEAF - 1, 0) * LEAF], [at + 1]
        base, firsts = T, []
        long = T > SHORT or T * at.size > MANY
        size = LEAF if long and np.abs(weights).sum() < ROUGH * path.rates.max() else T
        if size == T:
            starts[0] = np.zeros(at.size, int)
        while 2 * size < T:
            count, block = T // size, at // size
            nodes = _nodes(weights[: count * size].reshape(count, size))
            parts.append(np.stack([nodes[0], nodes[1] + np.arange(count)[:, None] * size]).reshape(2, -1))
            first, width = np.maximum(2 * (block // 2 - 1), 0), nodes.shape[2]
            stop = np.maximum(block - 1, first)
            firsts.append((first == 0) & (stop > 0))  # where block 0 is taken at this size: instead of it, …
            starts.append(base + np.maximum(first, firsts[-1]) * width)
            stops.append(base + stop * width)
            base, size = base + count * width, 2 * size
            firsts[-1] = (firsts[-1], base - count * width + width, width)
        later = np.zeros(at.size, bool)
        for taken, second, width in firsts[::-1]:  # … block 1 of each smaller size, and the first leaf's steps
            starts.append(np.full(at.size, second))
            stops.append(second + later * width)
            later |= taken
        starts.append(np.zeros(at.size, int))
        stops.append(later * LEAF)
        self.weight, index = np.concatenate(parts, axis=1)
        steps = np.arange(T)
        part = index - np.floor(index)
        bend = np.pad(np.diff(positions, 2), 1, "edge") if T > 2 else np.zeros(T)
        self.position = np.interp(index, steps, positions) - part * (1 - part) / 2 * np.interp(index, steps, bend)
        self.rate = np.maximum(np.interp(index, steps, path.rates), 1e-12)
        self.starts, self.stops = np.stack(starts, axis=1), np.stack(stops, axis=1)
        size = max(1, PAIRS // max(1, int((self.stops - self.starts).sum(axis=1).max())))
        self.parts = np.split(np.arange(at.size), np.arange(size, at.size, size))
        self._kept = None
        if len(self.parts) == 1:
            column, distance, row = self._pairs(self.parts[0])
            used, column = np.unique(column, return_inverse=True)  # a few steps need few of the nodes
            self.weight, self.position, self.rate = self.weight[used], self.position[used], self.rate[used]
            self._kept = column, distance, row

    def sum(self, scale, power, extra=1.0):
        """The sum above after each of the path's steps, shape (n,); `scale` and `extra` are scalars or arrays like `weight`."""
        weight = self.weight * extra
        out = []
        for part in self.parts:
            column, distance, row = self._kept or self._pairs(part)
            x = distance * (scale[column] if np.ndim(scale) else scale)
            x += 1
            forgotten = 1 - (1 / np.sqrt(x) if power == 0.5 else np.exp(-power * np.log(x)))
            out.append(np.bincount(row, weight[column] * forgotten, part.size))
        return np.concatenate(out)

    def _pairs(self, part):
        """(node, distance, row of the step) of each pair of a step and a node with a weight."""
        starts, stops = self.starts[part], self.stops[part]
        counts = stops - starts
        column = _ranges(starts.ravel(), stops.ravel())
        row = np.repeat(np.arange(part.size), counts.sum(axis=1))
        some = self.weight[column] != 0
        column, row = column[some], row[some]
        return column, np.maximum(self.S[part][row] - self.position[column], 0.0), row


def _ranges(starts, stops):
    """The whole numbers of [start, stop) for each pair of them, one after another."""
    counts = stops - starts
    return np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())


def _nodes(weights):
    """(weights, places) of the nodes of blocks, shape (2, blocks, NODES or twice that); weights has a row a block, places count
    from its start."""
    signs = [sign for sign in (1, -1) if (sign * weights > 0).any()]
    parts = [np.stack(_gauss(np.maximum(sign * weights, 0.0))) * [[[sign]], [[1]]] for sign in signs]
    return np.concatenate(parts, axis=2) if parts else np.zeros((2, len(weights), 0))


def _gauss(weights):
    """Weights and places of the Gauss points of each row of weights >= 0, by the recurrence of its orthogonal polynomials."""
    total = weights.sum(axis=1)
    x = np.linspace(-1, 1, weights.shape[1])
    share = weights / np.where(total > 0, total, 1.0)[:, None]
    jacobi = np.zeros((len(weights), NODES, NODES))
    before, now, size = np.zeros_like(share), np.ones_like(share), np.ones(len(weights))
    for n in range(NODES):
        if n:
            grown = (share * now**2).sum(axis=1)
            ratio = np.where(grown > TINY, grown / size, 0.0)  # 0 where a row has fewer steps than nodes
            jacobi[:, n, n - 1] = jacobi[:, n - 1, n] = np.sqrt(ratio)
            size = np.where(grown > TINY, grown, 1.0)
        jacobi[:, n, n] = (share * now**2) @ x / size
        off = jacobi[:, n, n - 1][:, None] ** 2 if n else 0.0
        before, now = now, (x - jacobi[:, n, n][:, None]) * now - off * before
    places, vectors = np.linalg.eigh(jacobi)
    return total[:, None] * vectors[:, 0, :] ** 2, (weights.shape[1] - 1) / 2 * (1 + places.clip(-1, 1))
