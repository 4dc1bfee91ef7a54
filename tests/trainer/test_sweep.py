"""Sweeps: the plan is the prefix tree of the rates, branches equal runs trained alone, failures and reruns."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastiterate import logs, schedules, sweep, train

TINY = {"layers": 1, "heads": 1, "width": 32, "context": 32, "batch": 4, "warmup": 5, "eval_every": 10, "eval_sequences": 8}
TINY |= {"device": "cpu", "compile": False, "lr": 3e-3}
ROWS = [
    {"schedule": "wsd", "horizon": 40, "cooldown": 0.2, "seed": 0},
    {"schedule": "wsd", "horizon": 40, "cooldown": 0.5, "seed": 0},
    {"schedule": "wsd", "horizon": 60, "cooldown": 0.2, "seed": 0},
    {"schedule": "cosine", "horizon": 40, "seed": 0},
]


@pytest.fixture(scope="module")
def jobs():
    return sweep.plan(sweep.runs(ROWS, **TINY))


def log_of(folder, job):
    return pd.read_parquet(folder / f"{job.run.name}.parquet")


def assert_equals_alone(folder, job, tmp_path):
    """A branch's rows are those of the run trained alone, in a process like a worker, bit for bit."""
    code = (
        "import pickle, sys, torch; from lastiterate import train; torch.set_num_threads(1);"
        "config, rates = pickle.load(sys.stdin.buffer); train.train(config, rates, sys.argv[1], progress=False)"
    )
    import pickle

    out = tmp_path / f"alone-{job.run.name}.parquet"
    subprocess.run([sys.executable, "-c", code, out], input=pickle.dumps((job.run.config, job.run.rates)), check=True)
    whole = pd.read_parquet(out).iloc[job.start :].reset_index(drop=True)
    pd.testing.assert_frame_equal(log_of(folder, job), whole, check_exact=True)


# --- the plan --------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(1, 2), min_size=1, max_size=7), min_size=1, max_size=12, unique_by=tuple))
def test_the_plan_trains_each_shared_step_once(schedules_):
    config, _ = train.configure(schedules.constant(40), **TINY)
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


# --- training them ---------------------------------------------------------------------------------------------------


def test_local_sweep_equals_runs_trained_alone_and_is_not_repeated(jobs, tmp_path):
    folder = tmp_path / "sweep"
    assert set(sweep.execute(jobs, folder, workers=2).values()) == {"finished"}
    assert not list(folder.glob("*.checkpoint"))
    assert [train.read_metadata(folder / f"{job.run.name}.parquet")["first_step"] for job in jobs] == [
        job.start + 1 for job in jobs
    ], "branches trained their own steps only"
    for job in jobs[1:3]:
        assert job.parent == jobs[0].run.name and job.start >= 10
        assert_equals_alone(folder, job, tmp_path)

    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    more = sweep.plan(sweep.runs([*ROWS, {**ROWS[0], "cooldown": 0.3}], **TINY))
    assert set(sweep.execute(more, folder, workers=2).values()) == {"finished"}
    assert {path: path.stat().st_mtime_ns for path in times} == times, "only the new run is trained"

    sweep.record(more, folder, tmp_path / "recorded")
    table = logs.find(tmp_path / "recorded.csv")
    assert table["status"].eq("finished").all() and len(table) == 5
    whole = logs.load(table)
    for job in more:
        own = whole[whole["run"] == job.run.name]
        np.testing.assert_array_equal(own["step"], np.arange(1, job.run.config.horizon + 1))
        np.testing.assert_array_equal(own["lr"], job.run.rates)
        assert own["val_loss"].iloc[-1] == pytest.approx(logs.final_val_loss(table)[job.run.name])
    found = logs.find(tmp_path / "recorded.csv", scheduler="wsd", cooldown=0.5)
    assert found.index.tolist() == [jobs[1].run.name] and found["trunk"].iloc[0] == jobs[0].run.name


def test_a_failed_run_is_reported_and_the_others_go_on(jobs, tmp_path, capfd):
    (tmp_path / f"{jobs[0].run.name}.checkpoint").write_bytes(b"broken")
    status = sweep.execute(jobs, tmp_path, workers=2)
    assert status[jobs[0].run.name].startswith("failed: ValueError") and "is not a checkpoint" in status[jobs[0].run.name]
    assert status[jobs[1].run.name] == f"not trained, because {jobs[0].run.name} was not"
    assert status[jobs[3].run.name] == "finished" and jobs[0].run.name in capfd.readouterr().err
    (tmp_path / f"{jobs[0].run.name}.checkpoint").unlink()
    assert set(sweep.execute(jobs, tmp_path, workers=2).values()) == {"finished"}


def test_a_run_that_diverges_ends_those_that_branch_off_later(tmp_path):
    rows = [{"schedule": "wsd", "horizon": 60, "cooldown": c, "seed": 0} for c in (0.1, 0.3)]
    rows.append({"schedule": "two_stage", "horizon": 60, "cooldown": 0.3, "switch": 43, "rho": 0.9999, "seed": 0})
    jobs = sweep.plan(sweep.runs(rows, **TINY | {"lr": 1e30, "clip": 1e30}))
    jobs[2] = dataclasses.replace(jobs[2], parent=jobs[1].run.name)  # a branch of a branch
    assert jobs[1].parent and set(sweep.execute(jobs, tmp_path, workers=1).values()) == {"diverged"}
    configs, _ = sweep.gather(jobs, tmp_path)
    assert configs["status"].tolist() == ["diverged"] * 3 and configs["final_val_loss"].isna().all()


def test_nothing_trained_yet_is_not_called_diverged(jobs, tmp_path):
    with pytest.raises(ValueError, match="has no log of these runs"):
        sweep.gather(jobs, tmp_path)
    sweep.execute(jobs[3:], tmp_path, workers=1)
    configs, _ = sweep.gather(jobs, tmp_path)
    assert configs["status"].tolist() == ["not trained"] * 3 + ["finished"] and configs["shape"].isna().tolist()[3]


def test_interrupted_workers_save_their_state_and_a_rerun_goes_on(tmp_path):
    names, values = ",".join(TINY), ",".join(map(str, TINY.values()))
    (tmp_path / "t.csv").write_text(
        f"schedule,horizon,seed,{names}\nwsd,50000,0,{values}\nwsd,50000,1,{values}\n".replace("False", "")
    )
    flags = ["-m", "lastiterate.sweep", str(tmp_path / "t.csv"), f"--folder={tmp_path / 'runs'}", "--workers=1"]
    process = subprocess.Popen([sys.executable, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(12)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 130 and "the same command goes on" in process.stderr.read()
    for _ in range(100):
        if saved := list((tmp_path / "runs").glob("*.checkpoint")):
            break
        time.sleep(0.2)
    assert len(saved) == 1, "the run that was under way, and not the one behind it"


def test_a_killed_worker_is_replaced(tmp_path):
    jobs = sweep.plan(sweep.runs([{**ROWS[0], "horizon": 400, "seed": s} for s in (0, 1)], **TINY))
    code = (
        "import sys, pickle; from pathlib import Path; from lastiterate import sweep\n"
        "if __name__ == '__main__':\n"
        "    jobs = pickle.load(sys.stdin.buffer)\n"
        "    sys.stdin = open('/dev/null')\n"
        "    print(sweep.execute(jobs, Path(sys.argv[1]), workers=1))"
    )
    import pickle

    (tmp_path / "main.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "main.py", tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    process.stdin.write(pickle.dumps(jobs))
    process.stdin.close()
    first = tmp_path / f"{jobs[0].run.name}.parquet"
    for _ in range(600):
        if first.is_file():
            break
        time.sleep(0.1)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid), "-f", "spawn_main"], capture_output=True, text=True
    ).stdout.split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    assert children and process.wait(timeout=120) == 0
    assert process.stdout.read().decode().count("'finished'") == 2 and (tmp_path / f"{jobs[1].run.name}.parquet").is_file()


def test_dask_cluster_of_two_workers_gives_the_same(jobs, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, env={"OMP_NUM_THREADS": "1"}
    ) as cluster:
        assert set(sweep.execute(jobs, tmp_path / "dask", dask=cluster.scheduler_address).values()) == {"finished"}
    for job in jobs[:2]:
        assert_equals_alone(tmp_path / "dask", job, tmp_path)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_dask_address_that_does_not_answer(jobs, tmp_path):
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match=r"dask must be the address of a scheduler that answers, got 'tcp://127.0.0.1:9'"):
        sweep.execute(jobs, tmp_path, dask="tcp://127.0.0.1:9")


def test_dask_workers_with_several_threads(jobs, tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        pytest.raises(ValueError, match="dask must have workers with one thread each"),
    ):
        sweep.execute(jobs, tmp_path, dask=cluster.scheduler_address)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.json", "{}", "table must be a .csv or .toml file"),
        ("t.toml", "runs = 3 4", "t.toml: "),
        ("t.toml", "", "has no runs"),
        ("t.csv", "schedule,lr\nwsd,0.1\n", "run 1 has no 'horizon'"),
        ("t.csv", "schedule,horizon,lr\nwsd,60,0.1\ntriangle,60,0.1\n", "run 2 of the table: schedule must be one of constant"),
        ("t.csv", "schedule,horizon,lr\nwsd,60,-0.1\n", "run 1 of the table: lr must be"),
        ("t.csv", "schedule,horizon,lr,colour\nwsd,60,0.1,red\n", "schedule 'wsd' has no parameter 'colour'"),
        ("t.csv", "schedule,horizon,baseline\nwsd,60,\nrefined,60,nothing\n", "baseline must be one of the table's other runs"),
        ("t.csv", "schedule,horizon,baseline\nrefined,60,\n", "run 1 of the table: _refined() missing"),
        ("t.toml", '[runs]\nschedule = "wsd"\n', "runs must stand as [[runs]]"),
        ("t.toml", '[[runs]]\nschedule = "wsd"\nhorizon = "60"\n', "run 1 of the table: T must be an integer"),
        ("t.csv", "schedule,horizon,lr,preset\nwsd,60,0.1,huge\n", "run 1 of the table: preset must be one of"),
    ],
)
def test_bad_tables(name, content, message, tmp_path, capsys):
    (tmp_path / name).write_text(content)
    assert sweep.main([str(tmp_path / name), "--dry-run"]) == 2
    assert message in capsys.readouterr().err


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


def test_command_line_with_a_refined_schedule(tmp_path, capsys):
    options = "\n".join(f"{k} = {str(v).lower() if isinstance(v, bool) else repr(v)}" for k, v in TINY.items())
    baseline = sweep.runs([{"schedule": "linear", "horizon": 30, "seed": 0}], **TINY)[0].name
    refined = f'schedule = "refined"\nbaseline = "{baseline}"\npower = 1\n'
    (tmp_path / "t.toml").write_text(
        "".join(f"[[runs]]\n{text}horizon = 30\nseed = 0\n{options}\n" for text in ('schedule = "linear"\n', refined))
    )
    flags = [str(tmp_path / "t.toml"), f"--folder={tmp_path / 'runs'}", "--workers=1", f"--record={tmp_path / 'recorded'}"]
    assert sweep.main([*flags, "--dry-run"]) == 0 and "30 steps with schedules refined" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
    assert sweep.main(flags) == 0, capsys.readouterr().err
    assert "about" in (said := capsys.readouterr().out) and "recorded in" in said
    from lastiterate import design

    log = logs.load(logs.find(tmp_path / "recorded.csv"))
    linear, refined = (log[log["run"].str.contains(name)] for name in ("linear", "refined"))
    eta = schedules.warmup(design.refine(linear["grad_norm_l1"].to_numpy(), power=1), 5)
    np.testing.assert_allclose(refined["lr"], 3e-3 * eta)
