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
        (c, lr, seed) for c in (0.2, 1.0) for lr in (5e-4, 9e-4, 1.6e-3, 2.8e-3, 5e-3) for seed in (0, 1, 2, 3)
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


def test_reruns_are_pairs_of_equal_settings(monkeypatch):
    monkeypatch.setattr(select, "final_val_loss", lambda runs: runs["lr"] + (runs["set"] == "main"))
    found = select.reruns()
    assert len(found) == 16 and np.allclose(abs(found), 1)  # one of the two is of the paper's set
    assert "124m-wsd-0.2-linear-lr0.001-50000-grad_norm" in found and not found.index.str.contains("wsd-0-").any()


def test_by_seed_pairs_runs():
    wsd, cosine = (find("nano", lr=1.6e-3, horizon=800, **kind) for kind in ({"cooldown": 0.2}, {"scheduler": "cosine"}))
    wsd = wsd[wsd["scheduler"] == "wsd"]
    gap = select.by_seed(wsd.iloc[::-1]) - select.by_seed(cosine)
    assert gap.index.tolist() == [0, 1, 2, 3] and not gap.isna().any()
    one = [table[table["seed"] == 2]["final_val_loss"].item() for table in (wsd, cosine)]
    assert gap[2] == one[0] - one[1]


def test_by_seed_refuses_what_cannot_be_paired():
    with pytest.raises(ValueError, match="one a seed, got 20 of the seeds"):
        select.by_seed(find("nano", scheduler="cosine", horizon=800))
    with pytest.raises(ValueError, match="must have a column seed"):
        select.by_seed(find(model="210m", set="main"))


def test_norm_courses_are_means_over_seeds():
    runs = find("nano", scheduler="cosine", horizon=800, lr=[9e-4, 1.6e-3])
    courses = select.norm_courses({"cosine": runs})
    assert list(courses) == [("cosine", 9e-4), ("cosine", 1.6e-3)]
    course = courses["cosine", 1.6e-3]
    assert course.step.tolist() == list(range(1, 801))
    log = load(runs[runs["lr"] == 1.6e-3])
    at = log[log["step"] == 400]
    assert len(at) == 4 and course.norm[course.step == 400].item() == pytest.approx(at["grad_norm"].mean(), rel=1e-12)
    first = log[(log["run"] == at["run"].iloc[0]) & (log["step"] <= 400)]
    assert course.total[course.step == 400].item() == pytest.approx(first["lr"].sum(), rel=1e-12)


@pytest.fixture
def logged(monkeypatch):
    """Runs whose log has the given steps, with the rate 0.1 and the norm of each step its number."""

    def make(steps):
        monkeypatch.setattr(
            select,
            "load",
            lambda runs: pd.DataFrame({"run": "a", "step": steps, "lr": 0.1, "grad_norm": np.asarray(steps, dtype=float)}),
        )
        return {"wsd": pd.DataFrame({"lr": [1e-3], "warmup": [100]}, index=["a"])}

    return make


def test_norms_that_were_logged_every_so_many_steps(logged):
    course = select.norm_courses(logged([50, 100, 150, 200]))["wsd", 1e-3]
    assert course.step.tolist() == course.norm.tolist() == [50, 100, 150, 200]
    np.testing.assert_allclose(course.total, [2.55, 7.55, 12.55, 17.55])  # from 0 on a line in the first 50 steps


def test_sums_of_rates_between_logged_steps(monkeypatch):
    ramp = np.minimum(np.arange(1, 401) / 100, 1.0)
    log = pd.DataFrame({"run": "a", "step": np.arange(1, 401), "lr": ramp, "grad_norm": 1.0})
    monkeypatch.setattr(select, "load", lambda runs: log[log["step"] % 50 == 0])
    runs = {"wsd": pd.DataFrame({"lr": [1.0], "warmup": [100]}, index=["a"])}
    course = select.norm_courses(runs)["wsd", 1.0]
    np.testing.assert_allclose(course.total, np.cumsum(ramp)[49::50])
    np.testing.assert_allclose(course.rate, ramp[49::50])


def test_norms_that_were_logged_unevenly_are_refused(logged):
    with pytest.raises(ValueError, match=r"every n steps, got 'grad_norm' after \[50, 100\] steps"):
        select.norm_courses(logged([50, 150, 200]))
    with pytest.raises(ValueError, match="every n steps"):
        select.norm_courses(logged([]))


@pytest.mark.parametrize("runs", [5, None, [1], "nano"], ids=repr)
def test_what_is_no_table_of_runs(runs):
    for call in (select.rows, select.by_seed, select.norm_courses, lambda v: select.norm_courses({"a": v})):
        with pytest.raises(ValueError, match=r"^runs must be a (config table|dict of config tables)"):
            call(runs)
    with pytest.raises(ValueError, match=r"^column must be one of 'grad_norm', 'grad_norm_l1', got 'lr'"):
        select.norm_courses({}, "lr")
