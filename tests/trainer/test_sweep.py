"""Sweeps: tables become runs, the plan is the prefix tree of the rates, and logs are gathered and thinned."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastiterate import cli, design, logs, schedules, trainer
from lastiterate.trainer import checkpoint, sweep
from tiny import ROWS, alone, tiny
from tiny import TINY as SMALL

TINY = SMALL | {"lr": 3e-3}
ROW = '[[runs]]\nschedule = "wsd"\nhorizon = 60\n'

# --- the plan --------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(1, 2), min_size=1, max_size=7), min_size=1, max_size=12, unique_by=tuple))
def test_the_plan_trains_each_shared_step_once(schedules_):
    config, _ = trainer.configure(schedules.constant(40), **TINY)
    runs = [sweep.Run(str(i), dataclasses.replace(config, horizon=len(s)), np.array(s, float)) for i, s in enumerate(schedules_)]
    least, sweep.LEAST = sweep.LEAST, 1
    try:
        jobs = sweep.plan(runs)
    finally:
        sweep.LEAST = least
    nodes = {tuple(s[: i + 1]) for s in schedules_ for i in range(len(s))}
    # a run that another one begins with still trains its last step, after which it is validated
    earlier = [[tuple(t) for t in schedules_[:i]] for i in range(len(schedules_))]
    prefixes = sum(any(t[: len(s)] == tuple(s) for t in before) for s, before in zip(schedules_, earlier, strict=True))
    assert sum(job.steps for job in jobs) == len(nodes) + prefixes
    place = {job.run.name: i for i, job in enumerate(jobs)}
    for job in jobs:
        assert 0 <= job.start < job.run.config.horizon
        if job.parent:
            parent = jobs[place[job.parent]]
            assert place[job.parent] < place[job.run.name] and parent.start <= job.start and job.start in parent.keep
            np.testing.assert_array_equal(job.run.rates[: job.start], parent.run.rates[: job.start])


def test_runs_of_other_configs_do_not_share(jobs):
    other = sweep.plan(sweep.runs([*ROWS, {**ROWS[0], "seed": 1}, {**ROWS[1], "seed": 1}], **TINY))
    assert [job.parent for job in other[:4]] == [job.parent for job in jobs]
    assert other[4].parent is None and other[5].parent == other[4].run.name


def test_savings_are_counted_for_each_set(jobs):
    rows = [{**row, "set": "wsd" if row["schedule"] == "wsd" else "others"} for row in ROWS]
    said = sweep.describe(sweep.plan(sweep.runs(rows, **TINY))).splitlines()
    assert [line.split()[0] for line in said] == ["all", "wsd", "others"]
    wsd = [job for job in jobs if job.run.config.schedule["scheduler"] == "wsd"]
    saved = 1 - sum(job.steps for job in wsd) / 140
    assert f"{saved:.0%} saved" in said[1] and "0% saved" in said[2]
    assert all(job.run.name in sweep.tree(jobs) for job in jobs)


def test_the_recorded_sets_save_what_they_should(repository):
    rows = [row for row in sweep.read_table(repository / "data" / "runs" / "nano.toml") if "baseline" not in row]
    saved = {}
    for label in ("rates, wsd", "extension"):
        jobs = sweep.plan(sweep.runs([row for row in rows if row["set"] == label]))
        saved[label] = 1 - sum(job.steps for job in jobs) / sum(job.run.config.horizon for job in jobs)
    assert saved["rates, wsd"] >= 0.4 and saved["extension"] >= 0.5


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.json", "{}", "table must be a .csv or .toml file"),
        ("t.toml", "runs = 3 4", "t.toml cannot be read: "),
        ("t.toml", "", "has no runs"),
        ("t.csv", "schedule,lr\nwsd,0.1\n", "run 1 has no 'horizon'"),
        ("t.csv", "schedule,horizon,lr\nwsd,60,0.1\ntriangle,60,0.1\n", "run 2 of the table: schedule must be one of constant"),
        ("t.csv", "schedule,horizon,lr\nwsd,60,-0.1\n", "run 1 of the table: lr must be"),
        ("t.csv", "schedule,horizon,lr,colour\nwsd,60,0.1,red\n", "schedule 'wsd' has no parameter 'colour'"),
        ("t.csv", "schedule,horizon,baseline\nwsd,60,\nrefined,60,nothing\n", "baseline must be one of the table's other runs"),
        (
            "t.csv",
            "schedule,horizon,baseline\nrefined,60,\n",
            "run 1 of the table: baseline of a refined schedule must be the name",
        ),
        ("t.toml", '[runs]\nschedule = "wsd"\n', "runs must stand as [[runs]]"),
        ("t.toml", '[[runs]]\nschedule = "wsd"\nhorizon = "60"\n', "run 1 of the table: horizon must be an integer"),
        ("t.csv", "schedule,horizon,lr,preset\nwsd,60,0.1,huge\n", "run 1 of the table: preset must be one of"),
        ("t.csv", "", "t.csv cannot be read: "),
        ("t.csv", b"\xff\xfe\x00\x81", "t.csv cannot be read: "),
        ("t.toml", b"\xff\xfe\x00\x81", "t.toml cannot be read: "),
        ("t.toml", "\0", "t.toml cannot be read: "),
        ("t.toml", "runs = " + "[" * 100_000, "t.toml cannot be read: "),
        ("t.toml", ROW + "corpus = 5", "run 1 of the table: corpus must be 'python'"),
        ("t.toml", ROW + 'compile = "no"', "run 1 of the table: compile must be true or false"),
        ("t.toml", ROW + "beta1 = 1", "run 1 of the table: beta1 must be below 1, got 1"),
        ("t.toml", ROW + f"seed = {2**63}", "run 1 of the table: seed must be an integer in 0.."),
        ("t.toml", ROW + f"lr = {10**400}", "run 1 of the table: lr must be a finite number"),
        ("t.toml", ROW.replace("60", str(10**400)), "run 1 of the table: horizon must be"),
        ("t.toml", ROW.replace("60", "1" + "0" * 5000), "t.toml cannot be read: "),
        ("t.toml", ROW.replace("wsd", "wsd:warmup=5") + "warmup = 6", "warmup must be given once"),
        ("t.toml", ROW.replace("wsd", "wsd:cooldown=0.1") + "cooldown = 0.2", "cooldown must be given once"),
        ("t.toml", ROW.replace('"wsd"', "5"), "run 1 of the table: schedule must be text"),
    ],
)
def test_bad_tables(name, content, message, tmp_path, capsys):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert cli.main(["sweep", str(tmp_path / name), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("error: ") and said.count("\n") == 1


def test_a_toml_table_stands_for_all_combinations(tmp_path):
    (tmp_path / "t.toml").write_text(
        '[[runs]]\nschedule = "wsd"\nhorizon = [50, 100]\nlr = [0.1, 0.2, 0.3]\ncooldown = 0.2\n'
        '[[runs]]\nschedule = "step"\nmilestones = [3, 5]\nhorizon = 60\n'
    )
    rows = sweep.read_table(tmp_path / "t.toml")
    assert len(rows) == 7 and rows[-1]["milestones"] == [3, 5]
    assert [(r["horizon"], r["lr"]) for r in rows[:6]] == list(itertools.product([50, 100], [0.1, 0.2, 0.3]))
    (tmp_path / "t.csv").write_text("schedule,horizon,lr,cooldown,power\nwsd,60,0.1,0.2,\npolynomial,60,0.1,,2\n")
    assert sweep.read_table(tmp_path / "t.csv")[1] == {"schedule": "polynomial", "horizon": 60, "lr": 0.1, "power": 2}


# --- logs ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def branched(tmp_path, one_thread):
    """A folder with a run and one that branches off it; their plan; the second one's log had it been trained alone."""
    jobs = sweep.plan(sweep.runs(ROWS[:2], **TINY))
    for job in jobs:
        start = job.parent and trainer.checkpoint_path(tmp_path / f"{job.parent}.parquet", job.start)
        alone(tmp_path, job.run.config, job.run.rates, job.run.name, keep=job.keep, start=start)
    assert jobs[1].start > 0
    return tmp_path, jobs, alone(tmp_path, jobs[1].run.config, jobs[1].run.rates, "whole")


def test_a_refined_schedules_baseline_may_branch_off(branched):
    folder, jobs, whole = branched
    log, about = sweep.whole_log(folder, jobs[1].run.name)
    pd.testing.assert_frame_equal(log, whole, check_exact=True)
    assert about["first_step"] == jobs[1].start + 1
    row = {"schedule": "refined", "horizon": 40, "baseline": jobs[1].run.name, "power": 1, "seed": 0}
    eta = schedules.warmup(design.refine(whole["grad_norm_l1"].to_numpy(), power=1), 5)
    np.testing.assert_array_equal(sweep.runs([row], folder, **TINY)[0].rates, 3e-3 * eta)


def test_a_refined_schedule_of_a_thinned_log_has_all_steps(tmp_path, one_thread):
    row = {"schedule": "linear", "horizon": 60, "seed": 0, "log_every": 4}
    (run,) = sweep.runs([row], **TINY)
    alone(tmp_path, run.config, run.rates, run.name)
    refined = sweep.runs([{**row, "schedule": "refined", "baseline": run.name}], tmp_path, **TINY)[0]
    assert refined.rates.size == 60 and (refined.rates[:-1] > 0).all()


def test_logs_that_branch_off_themselves_or_nothing(tmp_path, one_thread):
    config, rates = tiny()
    table = alone(tmp_path, config, rates, "a")
    about = {"status": "finished", "first_step": 21, "last_step": 40}
    for name, parent in (("a", "b.20.checkpoint"), ("b", "a.20.checkpoint")):
        checkpoint.write_log(tmp_path / f"{name}.parquet", table, config, rates, parent=parent, **about)
    row = {"schedule": "refined", "horizon": 40, "baseline": "a"}
    with pytest.raises(ValueError, match=r"run 1 of the table: .*a.parquet branches off itself"):
        sweep.runs([row], tmp_path, **TINY)
    (tmp_path / "b.parquet").unlink()
    with pytest.raises(ValueError, match=r"there is no log .*b.parquet, from which a branched off"):
        sweep.whole_log(tmp_path, "a")


def test_a_log_is_recorded_whole_or_thinned(branched):
    folder, jobs, _ = branched
    sweep.record(jobs, folder, folder / "all")
    sweep.record(jobs, folder, folder / "thin", every=4)
    every, thin = (logs.load(logs.find(folder / f"{name}.csv")) for name in ("all", "thin"))
    kept = (every["step"] % 4 == 0) | every["val_loss"].notna()
    pd.testing.assert_frame_equal(thin, every[kept].reset_index(drop=True), check_exact=True)
    assert len(thin) < 0.4 * len(every)
    assert (folder / "all.csv").read_bytes() == (folder / "thin.csv").read_bytes()
    with pytest.raises(ValueError, match="every must be an integer >= 1, got 0"):
        sweep.record(jobs, folder, folder / "thin", every=0)


def test_logs_of_before_there_were_optimizers_are_recorded(tmp_path, one_thread):
    (run,) = sweep.runs([ROWS[0]], **TINY)
    out = tmp_path / f"{run.name}.parquet"
    table = alone(tmp_path, run.config, run.rates, run.name)
    about = checkpoint.read_metadata(out)
    about["config"] = {k: v for k, v in about["config"].items() if k not in ("optimizer", "log_every")}
    checkpoint.write_parquet(out, table, about)
    pd.testing.assert_frame_equal(alone(tmp_path, run.config, run.rates, run.name), table)
    sweep.record(sweep.plan([run]), tmp_path, tmp_path / "recorded")
    assert "optimizer" not in logs.find(tmp_path / "recorded.csv")


def test_optimizers_are_recorded_where_there_are_others(tmp_path, one_thread):
    runs = sweep.runs([ROWS[0], {**ROWS[0], "optimizer": "muon"}], **TINY)
    jobs = sweep.plan(runs)
    assert jobs[1].parent is None and runs[1].name == f"{runs[0].name}-muon"
    for run in runs:
        alone(tmp_path, run.config, run.rates, run.name)
    sweep.record(jobs, tmp_path, tmp_path / "recorded")
    assert logs.find(tmp_path / "recorded.csv", optimizer="muon").index.tolist() == [runs[1].name]


# --- what is no table, no plan; files that are not to be lost ---------------------------------------------------------


def test_a_bad_cell_is_named_by_its_own_run(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("schedule,horizon,lr\nwsd,60,0.1\nwsd,x,0.2\n")
    assert cli.main(["sweep", str(tmp_path / "t.csv"), "--dry-run"]) == 2
    assert "run 2 of the table: horizon must be an integer in 1..100000000, got 'x'" in capsys.readouterr().err
    (tmp_path / "t.csv").write_text("schedule,horizon,lr,compile\nwsd,60,nan,false\n")
    assert sweep.read_table(tmp_path / "t.csv")[0]["compile"] is False
    with pytest.raises(ValueError, match=r"run 7 of the table: lr must be a finite number > 0, got nan"):
        sweep.runs(sweep.read_table(tmp_path / "t.csv"), numbers=[7])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("schedule,horizon\nwsd,60,5\n", "run 1 has more values than there are columns, 2"),
        ("schedule,,horizon\nwsd,1,60\n", "its first line must name each column once"),
        ("schedule,horizon,horizon\nwsd,60,60\n", "its first line must name each column once"),
        ("schedule,horizon,T\nwsd,60,60\n", "run 1 of the table: T must be given once, got 60 and 60"),
        ("schedule,horizon,spec\nwsd,60,60\n", "run 1 of the table: schedule 'wsd' has no parameter 'spec'"),
        ("schedule,horizon,baseline,T\nrefined,60,a,60\n", "run 1 of the table: schedule 'refined' has no parameter 'T'"),
        ("schedule,horizon,baseline,power\nrefined,60,a,0\n", "run 1 of the table: power must be a finite number > 0, got 0"),
        (
            "schedule,horizon,baseline,window\nrefined,60,a,1.5\n",
            "run 1 of the table: window must be a number in [0, 1], got 1.5",
        ),
        (
            "schedule,horizon,baseline\nrefined,1,a\n",
            "run 1 of the table: horizon of a refined schedule must be 2 or more, got 1",
        ),
    ],
)
def test_bad_tables_that_passed(content, message, tmp_path, capsys):
    (tmp_path / "t.csv").write_text(content)
    assert cli.main(["sweep", str(tmp_path / "t.csv"), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("error: ") and said.count("\n") == 1


def test_a_refined_run_of_another_horizon_is_refused_at_once(tmp_path, capsys):
    (run,) = sweep.runs([{"schedule": "wsd", "horizon": 60, "lr": 0.1}])
    (tmp_path / "t.csv").write_text(f"schedule,horizon,lr,baseline\nwsd,60,0.1,\nrefined,80,0.1,{run.name}\n")
    assert cli.main(["sweep", str(tmp_path / "t.csv"), "--dry-run"]) == 2
    assert "must be its baseline's, 60, got 80" in capsys.readouterr().err


@pytest.mark.parametrize(
    "rows", [None, 5, "ab", [5], [{"schedule": "linear"}], [{"horizon": 5}], [[("schedule", "linear")]]], ids=repr
)
def test_what_are_no_rows(rows):
    with pytest.raises(ValueError, match=r"^rows must be"):
        sweep.runs(rows)


@pytest.mark.parametrize("jobs", [[], None, 5, ["a"]], ids=repr)
def test_what_is_no_plan(jobs, tmp_path):
    for call in (
        sweep.describe,
        sweep.tree,
        lambda v: sweep.gather(v, tmp_path),
        lambda v: sweep.record(v, tmp_path, tmp_path / "x"),
    ):
        with pytest.raises(ValueError, match=r"^jobs must be"):
            call(jobs)


def test_a_table_is_a_path():
    for table in (5, None, b"t.csv"):
        with pytest.raises(ValueError, match=r"^table must be a path"):
            sweep.read_table(table)


def test_a_record_replaces_recorded_runs_only(tmp_path, one_thread, capsys):
    (run,) = sweep.runs([ROWS[0]], **TINY)
    alone(tmp_path, run.config, run.rates, run.name)
    jobs, mine = sweep.plan([run]), tmp_path / "mine"
    for _ in range(2):  # its own files it replaces
        sweep.record(jobs, tmp_path, mine)
    foreign = {
        "t.csv": b"schedule,horizon\nwsd,60\n",
        "u.parquet": (tmp_path / f"{run.name}.parquet").read_bytes(),
        "v.parquet": b"abc",
    }
    foreign |= {"w.csv": b"", "x.csv": None}
    for name, content in foreign.items():
        path = tmp_path / name
        path.mkdir() if content is None else path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^record must"):
            sweep.record(jobs, tmp_path, path.with_suffix(""))
        assert content is None or path.read_bytes() == content
    for to in (tmp_path / "t.csv" / "below", tmp_path / ("n" * 300), tmp_path / "a\0b"):
        with pytest.raises(ValueError, match=r"^record must"):
            sweep.record_files(to)
    table = tmp_path / "t.csv"
    assert cli.main(["sweep", str(table), f"--folder={tmp_path / 'runs'}", f"--record={tmp_path / 't'}", "--dry-run"]) == 2
    assert "is not of recorded runs: name another" in capsys.readouterr().err and table.read_bytes() == foreign["t.csv"]
