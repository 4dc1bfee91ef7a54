"""The bench: its tasks, what it makes of its runs, and that the committed tables are what it makes."""

import numpy as np
import pandas as pd
import pytest

from lastiterate import cli, laws
from lastiterate.experiments import law_variants
from lastiterate.experiments import schedule_laws as bench
from lastiterate.laws import interval
from lastiterate.logs import published
from law_curves import curves_of


@pytest.fixture(scope="module")
def runs():
    return pd.read_csv(published.recorded("laws_runs.csv"))


def test_no_run_is_trained_on_and_tested_in_one_task():
    listed = bench.tasks()
    for task, rows in listed.groupby("task"):
        train, test = (set(rows.loc[rows["role"] == role, "run"]) for role in ("train", "test"))
        assert train and test and not train & test, task


def test_every_law_has_every_task(runs):
    assert {(t, law) for t in bench.tasks()["task"].unique() for law in laws.NAMES} == set(
        zip(runs["task"], runs["law"], strict=True)
    )


def test_the_interval_holds_nine_of_ten_final_losses_of_tasks_that_did_not_choose_its_factor(runs):
    held = bench.coverage(runs)
    assert held["factor"].notna().all() and (held.groupby("extrapolated")["inside"].mean() >= 0.9).all()
    used = held[~held["extrapolated"] & (held["task"] == "sch124 horizon")]["factor"].iloc[0]
    task = set(bench.tasks().query("task == 'sch124 horizon'")["run"])
    others = held[(held["task"] != "sch124 horizon") & ~held["run"].isin(task) & ~held["extrapolated"]]
    needed = ((others["measured"] - others["predicted"]).abs() - interval.FLOOR * others["predicted"]) / (others["range"] / 2)
    assert (needed <= used).mean() == pytest.approx(interval.LEVEL, abs=0.02)


def test_the_factors_are_what_all_tasks_ask_for(runs):
    held = bench.coverage(runs)
    for extrapolated, constant in ((False, interval.FACTOR), (True, interval.EXTRAPOLATED)):
        some = held[held["extrapolated"] == extrapolated]
        asked = interval.factor((some["measured"] - some["predicted"]).abs(), some["range"], some["predicted"])
        assert 0 <= constant - asked < 0.01


@pytest.mark.parametrize("law", ["two_clock", "two_clock_fading"])
def test_two_clocks_beat_the_published_error_by_a_fifth(law):
    table = pd.read_csv(published.recorded("laws.csv")).set_index(["task", "law", "fit"])
    for task, error in (("mpl100", 0.00142), ("mpl400", 0.00168)):
        assert table.loc[(task, law, "common"), "pred_e"] < 0.8 * error


def test_fresh_tasks_have_no_run_that_a_law_was_made_on():
    listed = bench.tasks()
    fresh = listed["task"].isin(bench.FRESH)
    assert set(listed.loc[fresh, "task"]) == set(bench.FRESH)
    assert not set(listed.loc[fresh & (listed["role"] == "test"), "run"]) & set(listed.loc[~fresh, "run"])


def test_every_task_determines_a_law():
    listed = bench.tasks()
    for task, rows in listed[listed["source"].isin(["nano", "pico"]) & (listed["role"] == "train")].groupby("task"):
        assert laws.ill_posed([bench.behind(row) for row in rows.itertuples()]) is None, task


def test_variants_are_the_laws_where_they_say_the_same(runs):
    """The variants' table, and the laws beside it: two laws are variants, and a ratio to a law is 1 for itself."""
    table = pd.read_csv(published.recorded("laws.csv"))
    beside = bench.against(pd.concat([table, pd.read_csv(published.recorded("laws_variants.csv"))]))
    assert set(beside.index) == {*laws.NAMES, *law_variants.VARIANTS}
    assert beside.loc["two_clock", ["chosen", "fresh"]].tolist() == [1, 1]
    lr, steps, _ = curves_of("two_clock")[1][0]
    path = laws.Path(lr, steps, lr.max(), lr.sum())
    for name, made in (
        ("two_clock_fading", law_variants.two_clocks("", q=0.1)),
        ("two_clock_linear", law_variants.two_clocks("", a=0.5, c=10.0)),
    ):
        values = [0.5, 0.01][: len(made.nonlinear)]
        np.testing.assert_allclose(made.features(path, *values), laws.LAWS[name].features(path, *values), rtol=1e-12)


def test_the_command_goes_on_where_it_was_stopped_and_writes_over_its_own_table(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "floor", lambda task: 0.0)
    runs.to_csv(tmp_path / "laws_runs.csv", index=False)
    for _ in range(2):
        assert cli.main(["laws", str(tmp_path / "laws.csv"), "--law", "bound"]) == 0
    assert "written" in capsys.readouterr().out and not (tmp_path / "laws_variants.csv").exists()


@pytest.mark.slow
def test_a_task_of_own_runs_is_what_is_committed(runs, tmp_path):
    found = bench.run("own", "bound")
    there = runs[(runs["task"] == "own") & (runs["law"] == "bound")].set_index("run")
    for row in found.itertuples():
        assert row.predicted == pytest.approx(there.loc[row.run, "predicted"], rel=1e-4)


def test_the_leaderboard_is_made_of_the_runs(runs, monkeypatch):
    monkeypatch.setattr(bench, "floor", lambda task: 0.0)
    some = runs[runs["task"].isin(["mpl100", "rates"])]
    made, there = bench.table(some), pd.read_csv(published.recorded("laws.csv"))
    there = there[there["task"].isin(["mpl100", "rates"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(made.drop(columns="floor"), there.drop(columns="floor"), rtol=1e-3, atol=2e-6)
    rows = bench.leaderboard(made)
    assert rows[0] == ["law", "mpl100", "rates"] and rows[2] == ["two_clock", "3.0 / 5.4", "16.5 / 13.9"]


def test_what_was_run_is_not_run_again(runs, tmp_path, monkeypatch):
    path, called = tmp_path / "runs.csv", []
    few = runs[(runs["task"] == "own") & (runs["law"] == "bound")]
    runs.drop(few.index).to_csv(path, index=False)
    monkeypatch.setattr(bench, "run", lambda *key: called.append(key) or few)
    whole = bench.record(path, report=lambda _: None)
    assert called == [("own", laws.LAWS["bound"], "common")] and len(whole) == len(runs) and (whole["law"] == runs["law"]).all()


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="task must be one of 'mpl100'"):
        bench.run("mpl25", "bound")
    with pytest.raises(ValueError, match="fit must be one of 'common'"):
        bench.run("own", "bound", "published")
    with pytest.raises(ValueError, match="run must be one of nano"):
        bench.curve("nano", "nano-unknown")
