"""Claims: the rule of verdicts, intervals, what is recorded."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lastiterate.companion import claims, report
from lastiterate.companion.claims import Measured, claim

FEW = st.floats(-10, 10)


@pytest.mark.parametrize(
    ("stated", "measured", "verdict"),
    [
        ({"paper": 0.7}, 0.7499, "agrees"),  # half a unit of the last digit
        ({"paper": "0.70"}, 0.7499, "differs"),
        ({"paper": "0.70"}, 0.7049, "agrees"),
        ({"paper": 0.625, "grid": 0.025}, 0.637, "agrees"),
        ({"paper": 0.625, "grid": 0.025}, 0.639, "differs"),
        ({"paper": [0.5, 0.475]}, [0.5004, 0.4746], "agrees"),
        ({"paper": [0.5, 0.475]}, [0.5006, 0.4746], "differs"),  # a column has one number of digits
        ({"paper": 2}, 2.4, "agrees"),
        ({"paper": 2, "opposite": 1}, Measured(1.6, 1.2, 2.0, "t"), "agrees"),
        ({"paper": 2, "opposite": 1}, Measured(1.6, 0.9, 2.3, "t"), "undecided"),
        ({"paper": 2, "opposite": 1}, Measured(1.2, 1.1, 1.3, "t"), "differs"),
        ({"paper": 2, "opposite": 1}, Measured(0.9, 0.8, 1.1, "t"), "differs"),
        ({"above": 0}, 0.1, "agrees"),
        ({"above": 0}, Measured(0.1, -0.1, 0.3, "t"), "undecided"),
        ({"above": 0}, Measured(-0.2, -0.3, -0.1, "t"), "differs"),
        ({"below": 1}, [Measured(0.5, 0.4, 0.6, "t"), 0.9], "agrees"),
        ({"below": 1}, [Measured(0.5, 0.4, 1.6, "t"), 0.9], "undecided"),
        ({"below": 1}, [Measured(0.5, 0.4, 1.6, "t"), 1.9], "differs"),
        ({"within": (-0.01, 0.01)}, Measured(0.0, -0.009, 0.009, "t"), "agrees"),
        ({"within": (-0.01, 0.01)}, Measured(0.0, -0.011, 0.009, "t"), "undecided"),
        ({"within": (-0.01, 0.01)}, Measured(0.02, 0.011, 0.03, "t"), "differs"),
    ],
)
def test_verdicts(stated, measured, verdict):
    record = claim("test", "so", measured, data="theory", **stated)
    assert record["verdict"] == verdict
    assert json.loads(json.dumps(record)) == record


def test_intervals_found_in_several_ways_name_each_of_them():
    several = [Measured(1.0, 0.9, 1.1, "bootstrap"), Measured(1.0, 0.8, 1.2, "t, 3 seeds"), Measured(2.0, 1.9, 2.1, "bootstrap")]
    assert claim("test", "so", several, above=0, data="own runs")["how"] == "bootstrap; t, 3 seeds"
    assert claim("test", "so", [1.0, 2.0], above=0, data="theory")["how"] == "exact"


@given(FEW, FEW, FEW, FEW)
def test_the_opposite_statement_gets_the_opposite_verdict(a, b, bound, shift):
    low, high = sorted((a, b))
    swap = {claims.AGREES: claims.DIFFERS, claims.DIFFERS: claims.AGREES, claims.UNDECIDED: claims.UNDECIDED}
    above = claims.verdict(low, high, (bound, math.inf))
    below = claims.verdict(low, high, (-math.inf, bound))
    if bound not in (low, high):
        assert below == swap[above]
    moved = claims.verdict(-high, -low, (-math.inf, -bound))
    assert moved == above


@given(FEW, st.floats(0, 5), st.floats(0, 5), FEW)
def test_a_wider_interval_never_decides_what_a_narrower_one_left_open(value, half, more, bound):
    narrow = claims.verdict(value - half, value + half, (bound, math.inf))
    wide = claims.verdict(value - half - more, value + half + more, (bound, math.inf))
    assert wide in (narrow, claims.UNDECIDED)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"paper": 1, "above": 0}, "one of paper, above, below and within"),
        ({}, "one of paper, above, below and within"),
        ({"above": 0, "data": "hearsay"}, "data must be one of theory, authors' logs, own runs"),
        ({"above": math.nan}, "above must be"),
        ({"within": (2, 1)}, "within must be"),
        ({"above": 0, "measured": math.nan}, "measured must be"),
        ({"above": 0, "measured": Measured(1.0, 2.0, 3.0)}, "its own interval"),
        ({"paper": [1, 2], "measured": [1.0]}, "as many values as paper, 2, got 1"),
        ({"paper": 1, "measured": Measured(1.0, 0.0, 2.0)}, "opposite must be given"),
        ({"above": 0, "measured": None}, "must be a value"),
    ],
)
def test_claims_that_cannot_be_judged(arguments, words):
    with pytest.raises(ValueError, match=words):
        claim("test", "so", **{"data": "theory", "measured": 1.0} | arguments)


def test_claims_are_not_compared_under_other_parameters(monkeypatch):
    monkeypatch.setenv("LASTITERATE_OTHER_PARAMETERS", "1")
    assert claim("test", "so", 3.0, paper=1, data="theory")["verdict"] == claims.NOT_COMPARED
    record = claim("test", "so", None, paper=1, data="theory")
    assert record["verdict"] == claims.NOT_COMPARED and record["measured"] == []
    assert claim("test", "so", [1.0], paper=[1, 2], data="theory")["verdict"] == claims.NOT_COMPARED, "fewer horizons, say"


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    samples = rng.normal(1.0, 2.0, (400, 20))
    t = [claims.over_seeds(row) for row in samples]
    again = [claims.bootstrap(np.mean, row, draws=200) for row in samples[:200]]
    assert 0.92 < np.mean([m.low <= 1 <= m.high for m in t]) < 0.98
    assert 0.85 < np.mean([m.low <= 1 <= m.high for m in again]) < 0.98


def test_intervals_of_fits_and_grids():
    x = np.array([1.0, 2.0, 4.0, 9.0])
    m = claims.over_seeds(x)
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    assert (m.low, m.high) == pytest.approx(tuple(expected))
    assert claims.leaving_one_out(np.sum, x, "rate")[:3] == (16.0, 7.0, 16.0)
    assert claims.spread(x, "four cases")[:3] == (4.0, 1.0, 9.0)
    assert claims.on_grid(2.0, 1.0, 4.0)[:3] == (2.0, 1.5, 3.0)
    with pytest.raises(ValueError, match="at least 2 finite numbers"):
        claims.over_seeds([1.0])


def test_the_page_has_every_claim():
    listed = {"papers": {"guide": {"title": "Guide"}, "other": {"title": "Other"}}}
    made = [claim(f"id{i}", "a | b", 1.0, above=0, data="theory", note="why") | {"notebook": "guide/x"} for i in range(3)]
    page = report.claims_page(listed, made)
    assert page.count("✓ agrees") == 3 and r"a \| b" in page and "3 claims: 3 agree, 0 differ, 0 undecided" in page
    assert json.loads(report.claims_file(made)) == made


def test_rerun_of_a_difference_is_students_interval():
    pairs = np.array([0.001, -0.002, 0.001, 0.002, -0.001])
    found = claims.rerun(lambda x: x[1] - x[0], [3.0, 3.1], pairs, draws=20_000)
    half = stats.t.ppf(0.975, pairs.size) * np.sqrt(np.mean(pairs**2))
    assert [found.value, found.low, found.high] == pytest.approx([0.1, 0.1 - half, 0.1 + half], abs=0.05 * half)
    best = claims.rerun(np.argmin, [1.0, 0.5, 0.5003], pairs)
    assert (best.value, best.low, best.high) == (1, 1, 2)
    with pytest.raises(ValueError, match="pairs must be at least 2 finite numbers"):
        claims.rerun(np.mean, [1.0], [0.1])


@pytest.mark.parametrize(
    ("counts", "low", "high"),  # Newcombe 1998, table II, method 10
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ],
)
def test_a_difference_of_shares_has_newcombes_interval(counts, low, high):
    found = claims.shares(*counts)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    hits, of, other_hits, other_of = counts
    swapped = claims.shares(other_hits, other_of, hits, of)
    assert [-swapped.low, -swapped.high] == pytest.approx([found.high, found.low])


@pytest.mark.parametrize("counts", [(3, 2, 0, 1), (-1, 2, 0, 1), (0, 0, 0, 1), (0.5, 2, 0, 1), (1, 2, 0, 0)])
def test_shares_of_what_cannot_be_counted(counts):
    with pytest.raises(ValueError, match="hits must be an integer from 0 to the number of runs"):
        claims.shares(*counts)
