"""Variants of the law with two clocks: what the search for a better one tried, for the bench to run beside the laws.

Each changes one thing: an exponent is fixed or another, the memory is a number of steps, the noise fades, momentum delays it.
"""

import functools

from scipy.signal import lfilter

from lastiterate.laws.law import Law, rows
from lastiterate.laws.path import Path

BOUNDS = {"a": (0.05, 2.0), "c": (1e-5, 1.0), "q": (1e-3, 1.0)}  # of what is free


def two_clocks(
    name: str,
    a: float | None = None,
    c: float | None = None,
    q: float | None = 0.0,
    s: float = 0.75,
    p: float = 0.5,
    b: float = 0.7,
    delay: int = 0,
) -> Law:
    """L0 + A U^−a + B (M S^−q)^b, U_t = Σ η^s, M_t = Σ (η_k − η_{k−1}) [1 − (1 + (S_t − S_{k−1})/c)^−p]; what is None is free.

    Args:
        name: of the law.
        a, q, s, p, b: exponents.
        c: in steps at the highest rate of the training runs.
        delay: steps over which momentum spreads a rate, which M is then made of, exponentially; 0 for none.

    >>> two_clocks("a = 1/2", a=0.5).parameters
    ('L0', 'A', 'B', 'c')
    """
    free = {key: BOUNDS[key] for key, value in (("a", a), ("c", c), ("q", q)) if value is None}

    def features(path, *values):
        found = {"a": a, "c": c and c / path.length, "q": q} | dict(zip(free, values, strict=True))
        noise = (_delayed(path, delay) if delay else path).changes.sum(1 / found["c"], p).clip(0.0) * path.S ** -found["q"]
        return rows(1.0, path.U(s) ** -found["a"], noise**b)

    return Law(name, f"two_clock with {name}", ("L0", "A", "B"), free, features, "this project")


@functools.lru_cache(maxsize=64)  # features are asked for often, of a task's few paths
def _delayed(path, delay):
    rates = lfilter([1 / delay], [1.0, 1 / delay - 1], path.rates)
    return Path(rates, path.steps, 1.0, path.length)


_TRIED = (
    two_clocks("a = 0.5", a=0.5),
    two_clocks("c of 10 steps", c=10.0),
    two_clocks("clock s = 0.5", s=0.5),
    two_clocks("clock s = 1", s=1.0),
    two_clocks("kernel p = 0.35", p=0.35),
    two_clocks("kernel p = 1", p=1.0),
    two_clocks("noise b = 0.5", b=0.5),
    two_clocks("noise b = 1", b=1.0),
    two_clocks("fading 0.05", q=0.05),
    two_clocks("fading 0.2", q=0.2),
    two_clocks("fading free", q=None),
    two_clocks("delay of 10 steps", delay=10),
    two_clocks("linear and fading 0.1", a=0.5, c=10.0, q=0.1),
)
VARIANTS = {law.name: law for law in _TRIED}
