"""What a paper states beside what is measured here, with a verdict by rule.

A claim is a `Measured` value with its interval, and a statement as a region of numbers: the paper's value to its own digits, or a
bound that the value lies above, below or within. `verdict` is the rule; no notebook decides.
"""

import decimal
import math
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from lastiterate.companion import outputs

AGREES, DIFFERS, UNDECIDED, NOT_COMPARED = "agrees", "differs", "undecided", "not compared: other parameters"
MARKS = {AGREES: "✓", DIFFERS: "✗", UNDECIDED: "?", NOT_COMPARED: "–"}
DATA = ("theory", "authors' logs", "own runs")


class Measured(NamedTuple):
    """A number with its interval, and how that was found."""

    value: float
    low: float
    high: float
    how: str = ""


def over_seeds(values: ArrayLike, level: float = 0.95) -> Measured:
    """Mean over seeds with Student's interval, mean ± t s/√n; of a paired comparison, give the differences.

    Args:
        values: one a seed, shape (n,), n >= 2.
        level: of the interval.

    Raises:
        ValueError: fewer than two values, or one that is not finite.

    >>> over_seeds([1.0, 2.0, 3.0])
    Measured(value=2.0, low=-0.48413771175033027, high=4.48413771175033, how='95 % t interval, 3 seeds')
    """
    x = _finite("values", values, at_least=2)
    half = stats.t.ppf((1 + level) / 2, x.size - 1) * x.std(ddof=1) / math.sqrt(x.size)
    return Measured(
        float(x.mean()),
        float(x.mean() - half),
        float(x.mean() + half),
        f"{level:.0%} t interval, {x.size} seeds".replace("%", " %"),
    )


def bootstrap(statistic: Callable[[np.ndarray], float], rows: ArrayLike, what: str = "rows", draws: int = 1000) -> Measured:
    """A statistic with the interval that holds 95 % of its values over rows drawn with replacement (percentiles, seed 0).

    Args:
        statistic: from an array of rows to a number.
        rows: shape (n, …), n >= 2.
        what: the rows' name in words.
        draws: number of resamplings.

    >>> bootstrap(np.mean, [1.0, 2.0, 3.0, 4.0], "runs")
    Measured(value=2.5, low=1.5, high=3.5, how='95 % bootstrap over 4 runs')
    """
    x = _finite("rows", rows, at_least=2)
    rng = np.random.default_rng(0)
    drawn = [statistic(x[rng.integers(0, len(x), len(x))]) for _ in range(draws)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Measured(float(statistic(x)), float(low), float(high), f"95 % bootstrap over {len(x)} {what}")


def leaving_one_out(statistic: Callable[[np.ndarray], float], rows: ArrayLike, what: str = "row") -> Measured:
    """A statistic with its smallest and largest value when one row is left out, such as one rate of a fit.

    >>> leaving_one_out(np.mean, [1.0, 2.0, 3.0], "rate")
    Measured(value=2.0, low=1.5, high=2.5, how='leaving one rate out')
    """
    x = _finite("rows", rows, at_least=2)
    value = float(statistic(x))
    left = [value, *(float(statistic(np.delete(x, i, axis=0))) for i in range(len(x)))]
    return Measured(value, min(left), max(left), f"leaving one {what} out")


def spread(values: ArrayLike, how: str) -> Measured:
    """Mean of values with the smallest and the largest: where each is a case of its own, and all are to agree.

    >>> spread([1.0, 3.0], "four pairs")
    Measured(value=2.0, low=1.0, high=3.0, how='from the least to the largest of four pairs')
    """
    x = _finite("values", values)
    return Measured(float(x.mean()), float(x.min()), float(x.max()), f"from the least to the largest of {how}")


def shares(hits: int, of: int, other_hits: int, other_of: int) -> Measured:
    """A share minus another, of runs that have nothing to do with each other, with Newcombe's 95 % interval from those of Wilson.

    Args:
        hits: runs that have what is counted, of `of`.
        of: number of runs, at least 1.
        other_hits, other_of: of the share that is taken away.

    Raises:
        ValueError: a number that is not an integer, no runs, or more hits than runs.

    Source: Newcombe, Interval estimation for the difference between independent proportions, 1998, method 10.

    >>> found = shares(9, 10, 3, 10)
    >>> f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]", found.how
    ('0.60 [0.17, 0.81]', "95 % interval of Newcombe's, 10 and 10 runs")
    """
    (p, low, high), (q, other_low, other_high) = _wilson(hits, of), _wilson(other_hits, other_of)
    below, above = math.hypot(p - low, other_high - q), math.hypot(high - p, q - other_low)
    value, how = p - q, f"95 % interval of Newcombe's, {of} and {other_of} runs"
    return Measured(value, max(value - below, -1.0), min(value + above, 1.0), how)


def on_grid(value: float, below: float, above: float) -> Measured:
    """A value read off a grid: it is known to half a step to the point below and to the point above.

    >>> on_grid(0.2, 0.1, 0.4)
    Measured(value=0.2, low=0.15, high=0.3, how='half a step of the grid')
    """
    x, low, high = _finite("value, below, above", [value, below, above]).tolist()
    return Measured(x, round((x + low) / 2, 12), round((x + high) / 2, 12), "half a step of the grid")


def rerun(statistic: Callable[[np.ndarray], float], losses: ArrayLike, pairs: ArrayLike, draws: int = 1000) -> Measured:
    """A statistic of losses of single runs, with the interval that holds 95 % of its values if all were run again (seed 0).

    Each loss gets normal noise whose variance, half the mean square of the pairs' differences, is itself drawn as the few pairs
    leave it open: the difference of two losses comes out with Student's interval.

    Args:
        statistic: from an array of losses to a number.
        losses: of any shape.
        pairs: differences of runs that were made twice, shape (n,), such as `select.reruns` finds.
        draws: number of reruns.

    >>> gain = rerun(lambda x: x[1] - x[0], [3.0, 3.1], [0.001, -0.002, 0.001, 0.002])
    >>> f"{gain.value:.2f} [{gain.low:.3f}, {gain.high:.3f}]", gain.how
    ('0.10 [0.096, 0.104]', '95 % rerun interval, 4 pairs')
    """
    x, d = _finite("losses", losses), _finite("pairs", pairs, at_least=2)
    rng = np.random.default_rng(0)
    deviation = np.sqrt(np.sum(d**2) / 2 / rng.chisquare(d.size, draws))
    drawn = [statistic(x + s * rng.standard_normal(x.shape)) for s in deviation]
    value, (low, high) = float(statistic(x)), np.quantile(drawn, [0.025, 0.975]).tolist()
    return Measured(value, min(low, value), max(high, value), f"95 % rerun interval, {d.size} pairs")


def verdict(low: float, high: float, region: tuple[float, float], opposite: float | None = None, value: bool = False) -> str:
    """The rule: *agrees*, *differs* or *undecided*, from the interval [low, high] of what is measured and the statement's region.

    A statement that bounds (an ordering: a difference above 0) agrees where the whole interval lies in its region, differs where
    none of it does, and is undecided between. A stated value agrees where the interval meets the value to its digits, unless it
    holds the statement's opposite too (0 for a gain, 1 for a ratio): then it is undecided.

    >>> verdict(0.1, 0.3, (0, math.inf)), verdict(-0.1, 0.3, (0, math.inf)), verdict(-0.2, -0.1, (0, math.inf))
    ('agrees', 'undecided', 'differs')
    >>> ratio = (1.95, 2.05)  # the statement: about 2.0, and not 1
    >>> verdict(1.4, 2.2, ratio, 1.0, True), verdict(0.9, 2.2, ratio, 1.0, True), verdict(1.1, 1.7, ratio, 1.0, True)
    ('agrees', 'undecided', 'differs')
    """
    if high < region[0] or low > region[1]:
        return DIFFERS
    if value:
        return UNDECIDED if opposite is not None and low <= opposite <= high else AGREES
    return AGREES if region[0] <= low and high <= region[1] else UNDECIDED


def claim(
    id: str,
    says: str,
    measured: Measured | float | Sequence[Measured | float] | None,
    *,
    data: str,
    paper: float | str | Sequence[float | str] | None = None,
    above: float | None = None,
    below: float | None = None,
    within: tuple[float, float] | None = None,
    grid: float = 0.0,
    opposite: float | None = None,
    note: str = "",
    source: str = "the paper",
) -> dict[str, Any]:
    """Record a statement beside what is measured here, and show the verdict.

    Args:
        id: short name, unique, such as "fig03-cosine-A".
        says: the statement, in words.
        measured: ours, one or several of the same kind: a `Measured`, or a number where there is nothing to estimate (exact
            theory); None where parameters other than the paper's leave nothing to measure.
        data: what ours comes from: "theory", "authors' logs" or "own runs".
        paper: the stated value, or one a measured value, as the paper prints it: half a unit of its last digit is its tolerance
            (as text where it ends in a zero, "1.010").
        above, below, within: instead of a value, what the statement bounds ours by.
        grid: step of the grid that the paper reads its value off; half of it joins the tolerance.
        opposite: of a stated value: the value if the statement were not so, such as 1 for a ratio.
        note: what explains a difference, or what else was measured.
        source: whose the statement is, such as "common advice" where it is not a paper's.

    Returns:
        A dict with these, the intervals and the verdict: of several values the worst one.

    Raises:
        ValueError: no statement or two, lengths that differ, a value that is not finite or outside its own interval, unknown
            data, a stated value beside an interval without `opposite`: any interval that is wide enough would agree.

    >>> claim("doc-example", "the gap is 0.7", Measured(0.67, 0.47, 0.69), paper=0.7, opposite=0, data="own runs")["verdict"]
    'agrees'
    """
    if data not in DATA:
        raise ValueError(f"data must be one of {', '.join(DATA)}, got {data!r}")
    stated, regions = _regions(paper, above, below, within, grid)
    one = isinstance(measured, Measured) or not isinstance(measured, list | tuple | np.ndarray)
    each: Any = [] if measured is None else [measured] if one else measured
    ours = [_measured(m) for m in each]
    if paper is not None and opposite is None and any(m.low < m.high for m in ours):
        raise ValueError(f"opposite must be given where a stated value is beside an interval ({id})")
    if os.environ.get("LASTITERATE_OTHER_PARAMETERS"):  # set by `make notebook`: the paper's value is for its own
        decided = NOT_COMPARED
    elif not ours:
        raise ValueError(f"measured must be a value where the parameters are the paper's ({id})")
    elif paper is not None and len(regions) != len(ours):
        raise ValueError(f"measured must have as many values as paper, {len(regions)}, got {len(ours)}")
    else:
        regions = regions if paper is not None else regions * len(ours)
        found = [verdict(m.low, m.high, r, opposite, paper is not None) for m, r in zip(ours, regions, strict=True)]
        decided = next(v for v in (DIFFERS, UNDECIDED, AGREES) if v in found)
    record = {
        "id": id,
        "says": says,
        "source": source,
        "stated": stated,
        "measured": [_digits(m.value) for m in ours],
        "interval": [[_digits(m.low), _digits(m.high)] for m in ours] if any(m.how or m.low < m.high for m in ours) else None,
        "how": "; ".join(dict.fromkeys(m.how for m in ours if m.how)) or "exact",
        "data": data,
        "note": note,
        "verdict": decided,
    }
    text = f"{MARKS[decided]} **{decided}** ({id}): {source}: {says}, {stated}; here {ours_in_words(record)}." + (
        f" {note}" if note else ""
    )
    outputs.display({"text/markdown": text, outputs.CLAIM: record, "text/plain": text})
    return record


def ours_in_words(record: dict[str, Any]) -> str:
    """What a claim measured, as short text: four digits, or as many decimals as are stated.

    >>> ours_in_words({"stated": "0.7", "measured": [0.67], "interval": [[0.47, 0.69]], "how": "leaving one rate out"})
    '0.67 [0.47, 0.69] (leaving one rate out)'
    >>> ours_in_words({"stated": "0.10004", "measured": [0.100039], "interval": None, "how": "exact"})
    '0.10004'
    """
    if not record["measured"]:
        return "–"
    stated = re.findall(r"\d+\.(\d+)", record["stated"])
    decimals = max(map(len, stated), default=0)

    def shown(value):
        return max(f"{value:.4g}", f"{value:.{decimals}f}", key=len) if stated else f"{value:.4g}"

    if record["interval"] is None:
        return ", ".join(map(shown, record["measured"]))
    both = zip(record["measured"], record["interval"], strict=True)
    return f"{', '.join(f'{shown(v)} [{shown(low)}, {shown(high)}]' for v, (low, high) in both)} ({record['how']})"


def totals(records: Sequence[dict[str, Any]]) -> str:
    """How many claims there are of each verdict.

    >>> totals([{"verdict": "agrees"}, {"verdict": "undecided"}, {"verdict": "agrees"}])
    '3 claims: 2 agree, 0 differ, 1 undecided'
    """
    count = [record["verdict"] for record in records].count
    return f"{len(records)} claims: {count(AGREES)} agree, {count(DIFFERS)} differ, {count(UNDECIDED)} undecided"


def _regions(paper, above, below, within, grid):
    """The statement in words and symbols, and its region of numbers, one a stated value."""
    bounds = {"above": above, "below": below, "within": within}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    if (paper is None) != (len(given) == 1) or len(given) > 1:
        raise ValueError("one of paper, above, below and within must be given")
    if paper is None:
        name, bound = next(iter(given.items()))
        low, high = {"above": (bound, math.inf), "below": (-math.inf, bound), "within": bound}[name]
        _finite(name, bound)
        if low > high:
            raise ValueError(f"within must be (low, high), got {bound!r}")
        text = f"{low:g} to {high:g}" if name == "within" else f"{'>' if name == 'above' else '<'} {bound:g}"
        return text, [(float(low), float(high))]
    values = list(paper) if isinstance(paper, list | tuple | np.ndarray) else [paper]
    printed = [decimal.Decimal(str(value)) for value in values]
    finest = min(
        int(value.as_tuple().exponent) for value in printed
    )  # one table has one number of digits: 0.5 among 0.475 is 0.500
    half = 0.5 * 10.0**finest + grid / 2
    half += 1e-12 * max(1.0, *(abs(float(value)) for value in printed))  # a value at the edge is within
    return ", ".join(map(str, values)), [(float(value) - half, float(value) + half) for value in printed]


def _wilson(hits, of):
    """A share with Wilson's 95 % interval."""
    if not all(isinstance(n, int | np.integer) for n in (hits, of)) or not 0 <= hits <= of or of < 1:
        raise ValueError(f"hits must be an integer from 0 to the number of runs, got {hits!r} of {of!r}")
    found = stats.binomtest(int(hits), int(of)).proportion_ci(0.95, "wilson")
    return hits / of, float(found.low), float(found.high)


def _measured(value):
    made = value if isinstance(value, Measured) else Measured(float(value), float(value), float(value))
    _finite("measured", made[:3])
    if not made.low <= made.value <= made.high:
        raise ValueError(f"measured must lie in its own interval, got {made}")
    return made


def _digits(value):
    return float(f"{value:.6g}")


def _finite(name, values, at_least=1):
    x = np.asarray(values, float)
    if len(np.atleast_1d(x)) < at_least or not np.all(np.isfinite(x)):
        raise ValueError(f"{name} must be at least {at_least} finite numbers, got {values!r}")
    return x
