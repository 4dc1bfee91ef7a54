"""Rows of config tables, sweeps, pairs of a seed, and norms along runs."""

import numpy as np
import pandas as pd
import pytest

from lastiterate.logs import find, load, select

TABLE = pd.DataFrame({"scheduler": ["wsd", "wsd", "cosine"], "cooldown": [0.2, 0.4, np.nan], "lr": [1e-3] * 3}, index=list("abc"))


def test_rows_have_all_the_values_or_there_are_none():
    assert select.rows(TABLE, scheduler="wsd", lr=1e-3).index.tolist() == ["a", "b"]
    assert select.rows(TABLE, scheduler="wsd", cooldown=0.4).index.tolist() == ["b"]
    assert select.rows(TABLE, scheduler="cosine", cooldown=0.2).empty
    assert select.rows(TABLE).equals(TABLE)
    with pytest.raises(ValueError, match="column must be one of 'scheduler', 'cooldown', 'lr', got 'rate'"):
        select.rows(TABLE, rate=1e-3)


def test_cooldown_sweep_of_recorded_runs():
    runs = select.cooldown_sweep("nano", horizon=800, cooldown=[0.2, 1.0])
    assert list(runs[["cooldown", "lr", "seed"]].itertuples(index=False, name=None)) == [
        (c, lr, seed) for c in (0.2, 1.0) for lr in (5e-4, 9e-4, 1.6e-3, 2.8e-3, 5e-3) for seed in (0, 1, 2)
    ]
    assert runs["final_loss"].equals(runs["final_val_loss"].rename("final_loss")) and set(runs["shape"]) == {"linear"}


def test_cooldown_sweep_takes_a_run_published_twice_from_the_paper(monkeypatch):
    monkeypatch.setattr(select, "final_val_loss", lambda runs: pd.Series(range(len(runs)), index=runs.index))
    attributes = {"model": "124m", "dataset": "slimpajama", "set": ["main", "grad_norm"], "horizon": 50_000}
    runs = select.cooldown_sweep("schaipp2025", **attributes)
    assert not runs.duplicated(["cooldown", "lr"]).any() and runs["final_loss"].tolist() == list(range(len(runs)))
    every = find(scheduler="wsd", shape="linear", **attributes)
    assert len(runs) == len(every[["cooldown", "lr"]].drop_duplicates()) < len(every)
    twice = every[every["set"] == "main"].index
    assert set(twice) <= set(runs.index) and set(runs["set"]) == {"main", "grad_norm"}
    order = runs[["cooldown", "lr"]].apply(tuple, axis=1).tolist()
    assert order == sorted(order)


def test_norms_that_were_logged_unevenly_are_refused(logged):
    with pytest.raises(ValueError, match=r"every n steps, got 'grad_norm' after \[50, 100\] steps"):
        select.norm_courses(logged([50, 150, 200]))
    with pytest.raises(ValueError, match="every n steps"):
        select.norm_courses(logged([]))
