"""Workers: branches equal runs trained alone, failures and reruns, and nothing that is left running."""

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lastiterate import logs, trainer
from lastiterate.trainer import checkpoint, sweep, workers
from tiny import ROWS, alone
from tiny import TINY as SMALL

TINY = SMALL | {"lr": 3e-3}


def log_of(folder, job):
    return pd.read_parquet(folder / f"{job.run.name}.parquet")


def assert_equals_alone(folder, job, tmp_path):
    """A branch's rows are those of the run trained alone, on one thread like a worker, bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = alone(tmp_path, job.run.config, job.run.rates, f"alone-{job.run.name}")
    torch.set_num_threads(before)
    pd.testing.assert_frame_equal(log_of(folder, job), whole.iloc[job.start :].reset_index(drop=True), check_exact=True)


# --- training them ---------------------------------------------------------------------------------------------------


def test_local_sweep_equals_runs_trained_alone_and_is_not_repeated(jobs, tmp_path):
    folder = tmp_path / "sweep"
    assert set(workers.execute(jobs, folder, workers=2).values()) == {"finished"}
    assert not list(folder.glob("*.checkpoint"))
    assert [trainer.read_metadata(folder / f"{job.run.name}.parquet")["first_step"] for job in jobs] == [
        job.start + 1 for job in jobs
    ], "branches trained their own steps only"
    for job in jobs[1:3]:
        assert job.parent == jobs[0].run.name and job.start >= 10
        assert_equals_alone(folder, job, tmp_path)

    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    more = sweep.plan(sweep.runs([*ROWS, {**ROWS[0], "cooldown": 0.3}], **TINY))
    assert set(workers.execute(more, folder, workers=2).values()) == {"finished"}
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

    workers.execute(more, tmp_path / "at once", workers=2)
    sweep.record(more, tmp_path / "at once", tmp_path / "fresh")
    assert [(tmp_path / f"fresh.{suffix}").read_bytes() for suffix in ("csv", "parquet")] == [
        (tmp_path / f"recorded.{suffix}").read_bytes() for suffix in ("csv", "parquet")
    ], "a table that has grown is recorded as one that was trained at once"


def test_what_stands_first_is_trained_first(tmp_path, monkeypatch):
    rows = [{"schedule": "wsd", "cooldown": c, "horizon": 20, "lr": lr} for lr, c in ((1e-3, 0.2), (1e-3, 0.4), (2e-3, 0.2))]
    planned, begun = sweep.plan(sweep.runs(rows, **SMALL)), []
    begin = workers._Execution.begin
    monkeypatch.setattr(workers._Execution, "begin", lambda self, job, pool: begun.append(job) or begin(self, job, pool))
    assert set(workers.execute(planned, tmp_path, workers=1).values()) == {"finished"}
    assert begun == planned, "a branch before the trunks that stand behind it"


def test_a_failed_run_is_reported_and_the_others_go_on(jobs, tmp_path, capfd):
    (tmp_path / f"{jobs[0].run.name}.parquet.checkpoint").write_bytes(b"broken")
    status = workers.execute(jobs, tmp_path, workers=2)
    assert status[jobs[0].run.name].startswith("failed: ValueError") and "is not a checkpoint" in status[jobs[0].run.name]
    assert status[jobs[1].run.name] == f"not trained, because {jobs[0].run.name} was not"
    assert status[jobs[3].run.name] == "finished" and jobs[0].run.name in capfd.readouterr().err
    (tmp_path / f"{jobs[0].run.name}.parquet.checkpoint").unlink()
    assert set(workers.execute(jobs, tmp_path, workers=2).values()) == {"finished"}


def test_a_run_that_diverges_ends_those_that_branch_off_later(tmp_path):
    rows = [{"schedule": "wsd", "horizon": 60, "cooldown": c, "seed": 0} for c in (0.1, 0.3)]
    rows.append({"schedule": "two_stage", "horizon": 60, "cooldown": 0.3, "switch": 43, "rho": 0.9999, "seed": 0})
    jobs = sweep.plan(sweep.runs(rows, **TINY | {"lr": 1e30, "clip": 1e30}))
    jobs[2] = dataclasses.replace(jobs[2], parent=jobs[1].run.name)  # a branch of a branch
    assert jobs[1].parent and set(workers.execute(jobs, tmp_path, workers=1).values()) == {"diverged"}
    configs, _ = sweep.gather(jobs, tmp_path)
    assert configs["status"].tolist() == ["diverged"] * 3 and configs["final_val_loss"].isna().all()


def test_nothing_trained_yet_is_not_called_diverged(jobs, tmp_path):
    with pytest.raises(ValueError, match="has no log of these runs"):
        sweep.gather(jobs, tmp_path)
    workers.execute(jobs[3:], tmp_path, workers=1)
    configs, _ = sweep.gather(jobs, tmp_path)
    assert configs["status"].tolist() == ["not trained"] * 3 + ["finished"] and configs["shape"].isna().tolist()[3]


# --- what is left running: nothing ----------------------------------------------------------------------------------------


def descendants(pid):
    """Numbers of a process's children, their children, and so on."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(child)]
    return found


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.05)


@pytest.fixture
def sweeping(tmp_path):
    """A sweep of two runs under way in two workers, each with a checkpoint: (process, its descendants, folder)."""
    values = "".join(f"{k} = {str(v).lower() if isinstance(v, bool) else repr(v)}\n" for k, v in TINY.items())
    (tmp_path / "t.toml").write_text(f'[[runs]]\nschedule = "wsd"\nhorizon = 50000\nseed = [0, 1]\n{values}')
    folder = tmp_path / "runs"
    flags = ["sweep", str(tmp_path / "t.toml"), f"--folder={folder}", "--workers=2", "--checkpoint-seconds=0.2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lastiterate", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    found = []
    try:
        wait_for(lambda: len(list(folder.glob("*.parquet.checkpoint"))) == 2 or process.poll() is not None)
        found = descendants(process.pid)
        assert len(found) >= 2
        yield process, found, folder
    finally:
        for pid in (process.pid, *found):
            if running(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def saved_steps(folder):
    return sorted(torch.load(path, weights_only=True)["step"] for path in folder.glob("*.parquet.checkpoint"))


def test_a_terminated_sweep_saves_and_leaves_nothing(sweeping):
    process, workers_, folder = sweeping
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 130
    said = process.stderr.read()
    assert "the same command goes on" in said and "leaked" not in said, said
    wait_for(lambda: not any(map(running, workers_)), 5)
    assert len(saved_steps(folder)) == 2 and not list(folder.glob("*.partial")) and not list(folder.glob("*.lock"))


@pytest.mark.slow
@pytest.mark.parametrize("twice", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(sweeping, twice):
    process, workers_, folder = sweeping
    for pid in workers_:  # which cannot save now
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGSTOP)
    process.send_signal(twice)
    time.sleep(0.5)
    assert process.poll() is None, "it waits for its workers"
    process.send_signal(twice)
    assert process.wait(timeout=5) == 130
    wait_for(lambda: not any(map(running, workers_)), 5)
    assert len(saved_steps(folder)) == 2, "the last checkpoints are whole"


def test_a_killed_sweep_leaves_no_workers_and_its_runs_can_go_on(sweeping):
    process, workers_, folder = sweeping
    before = saved_steps(folder)
    process.kill()
    process.wait()
    wait_for(lambda: not any(map(running, workers_)), 15)
    after = saved_steps(folder)
    assert all(a >= b for a, b in zip(after, before, strict=True)) and not list(folder.glob("*.partial"))
    with checkpoint.locked(next(folder.glob("*.parquet.checkpoint")).with_suffix("")):
        pass


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_run_goes_on(tmp_path):
    jobs = sweep.plan(sweep.runs([{**ROWS[0], "horizon": 400, "seed": s} for s in (0, 1)], **TINY))
    states = [trainer.state_path(tmp_path / f"{job.run.name}.parquet") for job in jobs]

    def kill_one():
        wait_for(lambda: any(state.is_file() for state in states))
        multiprocessing.active_children()[0].kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    status = workers.execute(jobs, tmp_path, workers=2, checkpoint_seconds=0.05)
    killer.join()
    assert set(status.values()) == {"finished"}
    assert_equals_alone(tmp_path, jobs[0], tmp_path)


# --- on a Dask cluster ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_dask_cluster_of_two_workers_gives_the_same(jobs, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, env={"OMP_NUM_THREADS": "1"}
    ) as cluster:
        assert set(workers.execute(jobs, tmp_path / "dask", dask=cluster.scheduler_address).values()) == {"finished"}
    for job in jobs[:2]:
        assert_equals_alone(tmp_path / "dask", job, tmp_path)


@pytest.mark.slow
def test_a_run_of_a_killed_dask_worker_goes_on_elsewhere_from_its_checkpoint(tmp_path):
    distributed = pytest.importorskip("distributed")
    (job,) = sweep.plan(sweep.runs([{**ROWS[0], "horizon": 2000}], **TINY))
    out = tmp_path / f"{job.run.name}.parquet"
    state = trainer.state_path(out)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, env={"OMP_NUM_THREADS": "1"}
    ) as cluster:

        def kill_its_worker():
            wait_for(state.is_file)
            owner = int(out.with_name(f"{out.name}.lock").read_text().split()[1])
            os.kill(owner, signal.SIGSTOP)
            marked = torch.load(state, weights_only=True)
            marked["log"][0, trainer.COLUMNS.index("train_loss")] = 123.0
            torch.save(marked, state)
            os.kill(owner, signal.SIGKILL)

        killer = threading.Thread(target=kill_its_worker)
        killer.start()
        status = workers.execute([job], tmp_path, dask=cluster.scheduler_address, checkpoint_seconds=0.2)
        killer.join()
    assert status == {job.run.name: "finished"}
    log = log_of(tmp_path, job)
    assert log["train_loss"].iloc[0] == 123.0 and len(log) == 2000, "it went on, and did not begin again"


def test_a_dask_address_that_does_not_answer(jobs, tmp_path):
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match=r"dask must be the address of a scheduler that answers, got 'tcp://127.0.0.1:9'"):
        workers.execute(jobs, tmp_path, dask="tcp://127.0.0.1:9")


def test_dask_workers_with_several_threads(jobs, tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        pytest.raises(ValueError, match="dask must have workers with one thread each"),
    ):
        workers.execute(jobs, tmp_path, dask=cluster.scheduler_address)


@pytest.mark.parametrize("address", ["", "nonsense", "10.0.0.1", "tcp://", "a b:80", "host:port"])
def test_what_is_no_dask_address(jobs, tmp_path, address):
    with pytest.raises(ValueError, match=r"^dask must be the address of a scheduler, such as tcp://10.0.0.1:8786, got"):
        workers.execute(jobs, tmp_path, dask=address)
    for good in ("tcp://10.0.0.1:8786", "host:8786", "tls://[::1]:8786", "inproc://10.0.0.1/7/1"):
        workers.check_address(good)
