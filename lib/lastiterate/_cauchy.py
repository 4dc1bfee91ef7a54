"""Causal Cauchy sums: what makes the bound at all horizons cost O(T log T)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAF = 64  # steps in a leaf block, at most: balances the O(T·LEAF) near field against the O(T/LEAF) far field
NODES = 18  # Chebyshev nodes a block: blocks at least their own length apart, so an error of (3 + √8)^-18 = 2e-14


def causal_cauchy_sums(steps: Array, weights: Array) -> Array:
    """C_t = Σ_{k<t} weights_k / (S_t − S_k) for every t, S the running sum of steps, in O(T log T).

    A tree code (a one-dimensional fast multipole method): steps are grouped in a binary tree of blocks; two blocks that lie
    at least the longer one's length apart (in S) act on each other through Chebyshev nodes, neighbours step by step.
    All terms are positive, so the relative error of the sum is that of the kernel.
    """
    T = steps.size
    depth = max(0, math.ceil(math.log2(T / LEAF)))
    leaves = 2**depth
    m = -(-T // leaves)
    pad = leaves * m - T
    steps = np.concatenate([steps, np.ones(pad)])  # the padding has no weight and lies behind everything
    weights = np.concatenate([weights, np.zeros(pad)])

    # Running sums in three parts, each that of the rounding errors of the one before, which are known exactly.
    high, errors = _running_sum(steps)
    low, errors = _running_sum(errors)
    lowest, _ = _running_sum(errors)

    def distance(i, j):  # S_i − S_j to full relative accuracy
        return (high[i] - high[j]) + ((low[i] - low[j]) + (lowest[i] - lowest[j]))

    # Blocks are numbered like a heap: 1 is all steps, the children of b are 2b and 2b + 1, leaves come last.
    blocks = np.arange(2 * leaves)
    level = np.frexp(np.maximum(blocks, 1))[1] - 1
    width = m * leaves >> level
    first = (blocks - (1 << level)) * width
    last = first + width - 1
    first[0] = last[0] = 0
    length = distance(last, first)

    near = _near_field(steps.reshape(leaves, m).T, weights.reshape(leaves, m).T)
    if depth < 2:
        far_pairs, leaf_pairs = np.empty((2, 0), int), np.empty((2, 0), int)
    else:
        far_pairs, leaf_pairs = _block_pairs(leaves, first, last, length, distance)
    for t, s in leaf_pairs.T:  # few: leaves that are close in S though not neighbours, where the rate changes sharply
        i, j = np.arange(first[t], last[t] + 1), np.arange(first[s], last[s] + 1)
        near[:, t - leaves] += (weights[j] / distance(i[:, None], j[None, :])).sum(axis=1)
    if far_pairs.size:
        near += _far_field(far_pairs, leaves, m, weights, first, length, distance)
    return near.T.ravel()[:T]


def _running_sum(values):
    """(running sums, rounding error of each addition): cumsum adds in order, so Knuth's two-sum applies to each step."""
    total = np.cumsum(values)
    before = np.concatenate([[0.0], total[:-1]])
    rounded = total - before
    return total, (before - (total - rounded)) + (values - rounded)


def _near_field(steps, weights):
    """Sums over each step's own leaf and the one before, lag by lag; columns are leaves. Only additions: nothing cancels."""
    m, leaves = steps.shape
    two = np.ones((2 * m, leaves)), np.zeros((2 * m, leaves))
    for both, own in zip(two, (steps, weights), strict=True):
        both[m:] = own
        both[:m, 1:] = own[:, :-1]
    steps, weights = two
    gap, total, term = np.zeros((3, m, leaves))
    for lag in range(1, 2 * m):
        r = max(0, lag - m)  # rows that still have a step at this lag
        gap[r:] += steps[m + r - lag + 1 : 2 * m - lag + 1]
        np.divide(weights[m + r - lag : 2 * m - lag], gap[r:], out=term[r:])
        total[r:] += term[r:]
    return total


def _block_pairs(leaves, first, last, length, distance):
    """Pairs (target, source) of blocks that cover all k < t but neighbouring leaves: well-separated ones, and leaf pairs."""
    target, source = np.array([1]), np.array([1])
    far, near = [], []
    while target.size:
        same = target == source
        neighbours = last[source] + 1 == first[target]
        apart = ~same & ~neighbours
        longer = np.maximum(length[target], length[source])
        separated = apart & (distance(first[target], last[source]) >= longer)
        both_leaves = (target >= leaves) & (source >= leaves)
        far.append(np.stack([target, source])[:, separated])
        near.append(np.stack([target, source])[:, both_leaves & apart & ~separated])

        go_on = ~separated & ~both_leaves
        t, s = target[go_on & same], source[go_on & same]
        target, source = target[go_on & ~same], source[go_on & ~same]
        split_target = (source >= leaves) | ((target < leaves) & (length[target] >= length[source]))
        tt, ts = target[split_target], source[split_target]
        st, ss = target[~split_target], source[~split_target]
        target = np.concatenate([2 * t, 2 * t + 1, 2 * t + 1, 2 * tt, 2 * tt + 1, st, st])
        source = np.concatenate([2 * s, 2 * s + 1, 2 * s, ts, ts, 2 * ss, 2 * ss + 1])
    return np.concatenate(far, axis=1), np.concatenate(near, axis=1)


def _far_field(pairs, leaves, m, weights, first, length, distance):
    """Sums over well-separated blocks, as an (m, leaves) array: weights up the tree, across, and values down the tree."""
    from scipy import sparse  # here: short schedules need NumPy alone

    nodes = 0.5 - 0.5 * np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    to_coefficients = _chebyshev(nodes) * (2 / NODES)
    to_coefficients[0] /= 2
    scale = np.where(length > 0, length, 1.0)  # a block whose steps but the first are zero is a point

    steps = np.arange(leaves * m).reshape(leaves, m).T
    basis = _chebyshev(distance(steps, first[leaves:]) / scale[leaves:])  # (NODES, m, leaves)
    blocks = np.arange(2, 2 * leaves)
    inside = distance(first[blocks], first[blocks >> 1])[:, None] + length[blocks][:, None] * nodes
    basis_child = _chebyshev(inside / scale[blocks >> 1][:, None])  # parent's polynomials at the child's nodes
    to_child = np.zeros((2 * leaves, NODES, NODES))
    to_child[2:] = np.tensordot(basis_child, to_coefficients, axes=(0, 0))

    moments = np.zeros((2 * leaves, NODES))  # weights moved to the nodes of their block
    moments[leaves:] = np.einsum("pml,ml->lp", basis, weights.reshape(leaves, m).T) @ to_coefficients
    values = np.zeros((2 * leaves, NODES))
    row = leaves
    while row > 1:
        up = (moments[row : 2 * row, None, :] @ to_child[row : 2 * row])[:, 0]
        row //= 2
        moments[row : 2 * row] = up[0::2] + up[1::2]

    for target, source in (p for p in np.array_split(pairs, max(1, pairs.shape[1] // 4096), axis=1)):
        start = distance(first[target], first[source])[:, None] + length[target][:, None] * nodes
        kernel = start[:, :, None] - (length[source][:, None] * nodes)[:, None, :]
        np.reciprocal(kernel, out=kernel)
        sums = (kernel @ moments[source][:, :, None])[:, :, 0]
        values += sparse.csr_array((np.ones(target.size), (target, np.arange(target.size))), (2 * leaves, target.size)) @ sums

    while row < leaves:
        parents = np.repeat(values[row : 2 * row], 2, axis=0)
        row *= 2
        values[row : 2 * row] += (to_child[row : 2 * row] @ parents[:, :, None])[:, :, 0]
    return np.einsum("pml,pl->ml", basis, to_coefficients @ values[leaves:].T)


def _chebyshev(x):
    """Chebyshev polynomials T_0..T_{NODES−1} of 2x − 1 for x in [0, 1], along a new first axis."""
    z = 2 * x - 1
    out = np.empty((NODES, *z.shape))
    out[0], out[1] = 1.0, z
    for n in range(2, NODES):
        np.multiply(2 * z, out[n - 1], out=out[n])
        out[n] -= out[n - 2]
    return out
