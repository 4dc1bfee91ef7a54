"""The files of a run: checkpoints of others and of nobody, kept ones that stay, the same bytes, and one process a run."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from lastiterate import _files, schedules, trainer
from lastiterate.trainer import checkpoint as files
from tiny import ENVIRONMENT, alone, command, tiny

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_checkpoint_of_another_config(tmp_path):
    config, rates = tiny()
    alone(tmp_path, config, rates, keep=[20])
    start = trainer.checkpoint_path(tmp_path / "alone.parquet", 20)
    with pytest.raises(ValueError, match=r"is of another config: its seed is 0, this run's 1"):
        alone(tmp_path, *tiny(seed=1), name="seed", start=start)
    with pytest.raises(ValueError, match="is of a run with other learning rates up to there"):
        alone(tmp_path, *tiny(schedules.linear(40)), name="linear", start=start)
    with pytest.raises(ValueError, match="is of another config: its horizon is 40"):
        alone(tmp_path, *tiny(schedules.wsd(50)))
    with pytest.raises(ValueError, match="start must be a checkpoint of before step 15, got one of step 20"):
        alone(tmp_path, *tiny(schedules.constant(15)), name="short", start=start)
    (tmp_path / "bad.checkpoint").write_bytes(start.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"bad.checkpoint is not a checkpoint of this trainer"):
        alone(tmp_path, config, rates, name="other", start=tmp_path / "bad.checkpoint")


def test_a_config_is_what_is_read_back(tmp_path):
    eta, about = trainer.make_schedule("step", 20, milestones=(5, np.int64(10)))
    config, rates = tiny(eta, about)
    alone(tmp_path, config, rates)
    assert trainer.read_metadata(tmp_path / "alone.parquet")["config"]["schedule"] == config.schedule
    alone(tmp_path, config, rates)  # is found finished, not "of another config"


# --- checkpoints that are none -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A checkpoint of step 20, and the config and rates of its run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("kept")
    config, rates = tiny()
    alone(folder, config, rates, keep=[20])
    torch.set_num_threads(before)
    return torch.load(trainer.checkpoint_path(folder / "alone.parquet", 20), weights_only=True), config, rates


def without(state, key):
    return {k: v for k, v in state.items() if k != key}


def other_moments(state):
    config, _ = tiny(optimizer="sgd")
    network = trainer.GPT(config.shape)
    (optimizer,) = trainer.make_optimizers(network, config)
    network(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()
    optimizer.step()
    return state | {"optimizer": [optimizer.state_dict()]}


def smaller_moments(state):
    for moments in state["optimizer"][0]["state"].values():
        moments["exp_avg"] = moments["exp_avg"][:1]
    return state


foreign = {
    "empty dict": (lambda state: {}, "is not a checkpoint of this trainer: KeyError"),
    "list": (lambda state: [1, 2], "is not a checkpoint of this trainer"),
    "tensor": (lambda state: torch.zeros(3), "is not a checkpoint of this trainer"),
    "no log": (lambda state: without(state, "log"), "is not a checkpoint of this trainer: KeyError"),
    "log of another length": (lambda state: state | {"log": state["log"][:3]}, "is not a checkpoint of this trainer"),
    "config that is no JSON": (lambda state: state | {"config": "{"}, "is not a checkpoint of this trainer"),
    "deep config": (lambda state: state | {"config": "[" * 100_000}, "is not a checkpoint of this trainer"),
    "config without anything": (lambda state: state | {"config": "{}"}, "is of another config: its layers is None"),
    "step": (lambda state: state | {"step": "20"}, "is not a checkpoint of this trainer"),
    "no weights": (lambda state: state | {"model": {}}, "does not fit this run's model"),
    "weights of another shape": (
        lambda state: state | {"model": state["model"] | {"norm.weight": torch.ones(3)}},
        "does not fit this run's model: size mismatch"
    ),
    "weights that are none": (lambda state: state | {"model": dict.fromkeys(state["model"], 3)}, "does not fit this run's model"),
    "no moments": (lambda state: state | {"optimizer": []}, "has no moments of this run's optimizer"),
    "moments of another optimizer": (other_moments, "has no moments of this run's optimizer"),
    "moments of another shape": (smaller_moments, "has no moments of this run's optimizer"),
    "moments that are none": (lambda state: state | {"optimizer": [{}]}, "has no moments of this run's optimizer"),
}  # fmt: skip


@pytest.mark.parametrize("what", foreign)
def test_foreign_checkpoints_are_refused_in_a_line(what, kept, tmp_path):
    import copy

    state, config, rates = kept
    damage, message = foreign[what]
    path = trainer.state_path(tmp_path / "run.parquet")
    torch.save(damage(copy.deepcopy(state)), path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=message) as refused:
        alone(tmp_path, config, rates, "run")
    assert path.name in str(refused.value) and "\n" not in str(refused.value)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


def test_foreign_checkpoints_as_weights(kept, tmp_path):
    state, config, rates = kept
    torch.save(state | {"model": {}}, tmp_path / "a.checkpoint")
    with pytest.raises(ValueError, match=r"a.checkpoint does not fit this run's model"):
        alone(tmp_path, config, rates, weights=tmp_path / "a.checkpoint")
    torch.save({}, tmp_path / "a.checkpoint")
    with pytest.raises(ValueError, match=r"a.checkpoint is not a checkpoint of this trainer"):
        alone(tmp_path, config, rates, weights=tmp_path / "a.checkpoint")


def test_checkpoints_as_they_once_were_still_serve(kept, tmp_path):
    state, config, rates = kept
    known = {k: v for k, v in json.loads(state["config"]).items() if k not in ("optimizer", "log_every")}
    torch.save(state | {"config": json.dumps(known), "optimizer": state["optimizer"][0]}, tmp_path / "old.20.checkpoint")
    log = alone(tmp_path, config, rates, start=tmp_path / "old.20.checkpoint")
    pd.testing.assert_frame_equal(log, alone(tmp_path, config, rates, "whole").iloc[20:].reset_index(drop=True), check_exact=True)


def test_foreign_logs(tmp_path):
    config, rates = tiny()
    for content in (b"", b"PAR1garbage"):
        (tmp_path / "a.parquet").write_bytes(content)
        with pytest.raises(ValueError, match=r"a.parquet is not a log of this trainer"):
            alone(tmp_path, config, rates, "a")
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a.parquet is not a log of this trainer"):
        alone(tmp_path, config, rates, "a")


# --- kept checkpoints ----------------------------------------------------------------------------------------------------


def test_a_kept_checkpoint_is_no_other_runs_state(tmp_path):
    config, rates = tiny()
    alone(tmp_path, config, rates, "m", keep=[20])
    kept = trainer.checkpoint_path(tmp_path / "m.parquet", 20)
    content = kept.read_bytes()
    log = alone(tmp_path, config, rates, "m.20")
    assert kept.read_bytes() == content and log["step"].tolist() == list(range(1, 41))
    names = {trainer.state_path(out) for out in ("m.parquet", "m.20.parquet", "m.parquet.20.parquet")}
    assert not names & {trainer.checkpoint_path(out, 20) for out in ("m.parquet", "m.parquet.parquet", "m.20.parquet")}


def test_kept_checkpoints_are_the_same_bytes_for_the_same_run(tmp_path):
    config, rates = tiny()
    alone(tmp_path, config, rates, "a", keep=[20, 30])
    alone(tmp_path, config, rates, "another name", keep=[20, 30])
    trainer.checkpoint_path(tmp_path / "a.parquet", 20).rename(trainer.state_path(tmp_path / "resumed.parquet"))
    alone(tmp_path, config, rates, "resumed", keep=[30])
    (a, b, c) = (trainer.checkpoint_path(tmp_path / f"{name}.parquet", 30) for name in ("a", "another name", "resumed"))
    assert a.read_bytes() == b.read_bytes(), "whatever its name"
    assert a.read_bytes() == c.read_bytes(), "also where it was stopped in between"


def test_names_with_signs_that_mean_something_elsewhere(tmp_path):
    folder = tmp_path / "{x}[1]*"
    folder.mkdir()
    config, rates = tiny(schedules.wsd(20))
    for name in ("{y}[0-9]", "a0"):  # the first is a pattern that the second fits
        alone(folder, config, rates, name, keep=[10])
    other = folder / "y0.parquet.host-1-00000000.partial"
    other.write_bytes(b"of another run")
    alone(folder, config, rates, "[xy]0")
    assert other.is_file() and len(pd.read_parquet(folder / "{y}[0-9].parquet")) == 20


# --- one process a run -----------------------------------------------------------------------------------------------------


HOLD = """import sys, time
from lastiterate.trainer import checkpoint
with checkpoint.locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of run.parquet."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run.parquet"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("locks", [True, False])
def test_the_second_training_of_a_run_is_refused_and_a_dead_ones_lock_taken(holder, tmp_path, monkeypatch, locks):
    if not locks:
        monkeypatch.setattr(files, "fcntl", None)  # as on a file system without them
    config, rates = tiny()
    with pytest.raises(ValueError, match=rf"is being trained by process {holder.pid} on .*run.parquet.lock"):
        alone(tmp_path, config, rates, "run")
    alone(tmp_path, config, rates, "other")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run.parquet.lock").is_file(), "a killed process leaves its file, not its lock"
    assert len(alone(tmp_path, config, rates, "run")) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.parquet", "run.parquet"]


@pytest.mark.slow
def test_two_commands_of_one_name(tmp_path):
    out = tmp_path / "run.parquet"
    flags = ("--steps=3000", f"--out={out}", "--checkpoint-seconds=0")
    first = subprocess.Popen(command(*flags), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while first.poll() is None and not trainer.state_path(out).is_file():
            time.sleep(0.02)
        second = subprocess.run(command(*flags), env=ENVIRONMENT, capture_output=True, text=True)
        assert second.returncode == 2 and second.stderr.startswith(f"error: {out} is being trained by process {first.pid} on ")
        assert first.poll() is None and trainer.state_path(out).is_file()
    finally:
        first.kill()
        first.wait()


def test_what_a_killed_run_was_writing_is_removed_and_what_lives_is_not(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    config, rates = tiny(schedules.wsd(20))
    with _files.atomic(tmp_path / "run.parquet.checkpoint") as mine:
        mine.write_bytes(b"")
        dead = [tmp_path / mine.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")]
        dead += [tmp_path / dead[0].name.replace("run.parquet.", "run.10.")]
        for path in dead:
            path.write_bytes(b"")
        alone(tmp_path, config, rates, "run", keep=[10])
        assert mine.is_file() and not any(path.is_file() for path in dead)
