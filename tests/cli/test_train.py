"""`lastiterate train` and `lastiterate sweep`: options of the config, budgets, files, and what is refused in a line."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from lastiterate import cli, design, logs, schedules, trainer
from lastiterate.trainer import step as steps
from lastiterate.trainer import sweep
from lastiterate.trainer.config import OPTIONS
from tiny import FLAGS, TINY

pytestmark = pytest.mark.usefixtures("one_thread")


def train(*flags):
    return cli.main(["train", *FLAGS, *flags])


def test_every_option_of_the_config_is_one_of_the_command():
    help = cli.parser("train", cli.command_module("train")).format_help()
    for name, field in OPTIONS.items():
        assert f"--{name.replace('_', '-')}" in help and field.metadata["text"][:20] in re.sub(r"\s+", " ", help), name


def test_dry_run_says_what_it_would_cost(tmp_path, capsys):
    assert train("--steps=100", "--dry-run", f"--out={tmp_path / 'run.parquet'}") == 0
    said = capsys.readouterr().out
    for word in (
        "parameters",
        "12,800 tokens",
        "GiB",
        "tokens/s",
        "about",
        "measured",
        "largest   learning rate 0.002 at step 5\n",
    ):
        assert word in said
    assert not list(tmp_path.iterdir())


def test_a_large_model_on_a_cpu_is_estimated(capsys, monkeypatch):
    monkeypatch.setattr(steps, "seconds_per_step", lambda *_: pytest.fail("no real steps"))
    assert cli.main(["train", "--preset=124m", "--device=cpu", "--dry-run"]) == 0
    assert "(estimated from the speed of multiplying matrices)" in capsys.readouterr().out


def test_a_budget_in_tokens_and_a_schedule_from_a_file(tmp_path, capsys):
    file, out = tmp_path / "mine.csv", tmp_path / "run.parquet"
    pd.DataFrame({"step": range(1, 11), "eta": schedules.linear(10)}).to_csv(file, index=False)
    assert train(f"--schedule={file}", "--lr=0.002", f"--out={out}", f"--tokens={10 * 4 * 32 - 5}") == 0
    np.testing.assert_array_equal(pd.read_parquet(out)["lr"], 0.002 * schedules.warmup(schedules.linear(10), 5))
    assert "finished: validation loss" in capsys.readouterr().out
    out = tmp_path / "own.parquet"
    assert train(f"--schedule={file}", f"--out={out}") == 0 and len(pd.read_parquet(out)) == 10, "its length is the budget"
    assert train(f"--schedule={file}", "--steps=11") == 2 and "must have 11 rows, one a step, got 10" in capsys.readouterr().err
    file.write_text("a,b\n1,2\n")
    assert train(f"--schedule={file}", "--steps=1") == 2 and "must have a column 'eta'" in capsys.readouterr().err


def test_parameters_in_the_schedule_and_as_options(tmp_path):
    flags = [flag for flag in FLAGS if "warmup" not in flag]
    out = tmp_path / "run.parquet"
    words = ["--schedule=inverse_sqrt:offset=4,warmup=0.25", "--cooldown", "0.4", "--steps=20", "--lr=0.002", f"--out={out}"]
    assert cli.main(["train", *flags, *words]) == 0
    eta = schedules.warmup(schedules.cooldown(schedules.inverse_sqrt(20, 4), 0.4), 5)
    np.testing.assert_array_equal(pd.read_parquet(out)["lr"], 0.002 * eta)
    about = trainer.read_metadata(out)["config"]
    assert about["warmup"] == 5 and about["schedule"] == {"scheduler": "inverse_sqrt", "offset": 4, "cooldown": 0.4}
    out = tmp_path / "steps.parquet"
    assert (
        train("--schedule=step", "--milestones", "3", "6", "--factor=0.5", "--steps=8", "--warmup=0", "--lr=1e-3", f"--out={out}")
        == 0
    )
    np.testing.assert_allclose(pd.read_parquet(out)["lr"], 1e-3 * schedules.step(8, [3, 6], 0.5))


def test_an_optimizer_is_in_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("--steps=10", "--optimizer=muon", "--log-every=5", "--weight-decay=0") == 0
    (out,) = tmp_path.rglob("*.parquet")
    assert out.stem.endswith("-muon") and pd.read_parquet(out)["step"].tolist() == [5, 10]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--preset=huge"], "preset must be one of"),
        (["--schedule=triangle"], "schedule must be one of constant, linear, polynomial, cosine"),
        (["--schedule=linear", "--cycle=2"], "schedule 'linear' has no parameter 'cycle'; it has"),
        (["--schedule=step"], "schedule 'step' must have a parameter 'milestones'"),
        (["--schedule=step", "--milestones", "3", "x"], "milestones must be integers"),
        (["--schedule=wsd:cooldown=0.2", "--cooldown=0.4"], "cooldown must be given once"),
        (["--schedule=wsd:warmup=3"], "warmup must be given once, got 3 in the schedule and 5 beside it"),
        (["--cooldown=2"], r"must be a number in \[0, 1\], got 2"),
        (["--cooldown=word"], r"must be a number in \[0, 1\], got 'word'"),
        (["--steps=0"], "T must be an integer >= 1"),
        (["--steps=" + "9" * 400], "T must be an integer"),
        (["--steps=3"], "warmup must be at most the budget of 3 steps, got 5"),
        (["--tokens=-1"], "tokens must be"),
        (["--tokens=nan"], "tokens must be"),
        (["--from=nowhere.checkpoint"], "there is no checkpoint nowhere.checkpoint"),
        (["--seed=9223372036854775808"], "seed must be an integer in 0..9223372036854775807"),
        (["--beta1=1"], "beta1 must be below 1, got 1.0"),
        (["--lr=1e400"], "lr must be a finite number > 0, got inf"),
        (["--checkpoint-seconds=nan"], "checkpoint_seconds must be a finite number >= 0, got nan"),
        (["--checkpoint-seconds=-1"], "checkpoint_seconds must be a finite number >= 0, got -1"),
        (["--optimizer=lion"], "optimizer must be one of 'adamw', 'muon', 'sgd', got 'lion'"),
        (["--log-every=0"], "log_every must be an integer >= 1, got 0"),
        (["--device=cuda"], "device must be 'cpu', got 'cuda': PyTorch sees no GPU here"),
        (["--device=cuda", "--dry-run"], "device must be 'cpu', got 'cuda': PyTorch sees no GPU here"),
        (["--tokens=1e4", "--batch=-8"], "batch must be an integer >= 1, got -8"),
        (["--out=foo.txt"], r"out must be a file name that ends in \.parquet, got 'foo.txt'"),
        (["--keep", "99999"], r"keep must be an integer in 0\.\.20, got 99999"),
        (["--weights=x", "--from=y"], "start and weights must not both be given"),
        (["--weights=nosuch.checkpoint"], "there is no checkpoint nosuch.checkpoint"),
        (["--corpus=nowhere"], "corpus must be 'python', 'shakespeare', a text file, .* got 'nowhere'"),
    ],
)
def test_bad_input_is_refused_in_a_line(flags, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    budget = [] if any("--tokens" in flag for flag in flags) else ["--steps=20"]
    for dry in ([], ["--dry-run"]):
        assert train(*budget, *flags, *dry) == 2
        found = capsys.readouterr().err
        assert found.startswith("error: ") and found.count("\n") == 1 and re.search(message, found), found
    assert not list(tmp_path.rglob("*.parquet*"))


def test_a_dry_run_looks_at_the_files_of_the_run(tmp_path, capsys):
    out = tmp_path / "run.parquet"
    assert train("--steps=20", "--lr=0.002", f"--out={out}", "--keep", "10") == 0
    kept = trainer.checkpoint_path(out, 10)
    for flags, message in (
        (["--steps=20", "--lr=0.001", f"--out={out}"], "is of another config: its lr is 0.002"),
        (["--steps=20", "--lr=0.001", f"--from={kept}"], "is of a run with other learning rates up to there"),
        (["--steps=9", "--lr=0.002", f"--from={kept}"], "start must be a checkpoint of before step 9, got one of step 10"),
        (["--steps=20", f"--from={out}"], "is not a checkpoint of this trainer"),
        (["--steps=20", f"--weights={kept}", "--width=64"], "are of another model: width 32, this run's 64"),
    ):
        assert train(*flags, "--dry-run") == 2 and message in capsys.readouterr().err, flags
    (tmp_path / "mine.parquet").write_bytes(b"mine")
    assert train("--steps=20", f"--out={tmp_path / 'mine.parquet'}", "--dry-run") == 2
    assert "is not a log of this trainer" in capsys.readouterr().err
    assert train("--steps=20", "--lr=0.002", f"--from={kept}", f"--out={tmp_path / 'new.parquet'}", "--dry-run") == 0


def test_a_model_beyond_the_memory_is_refused_without_being_made(capsys, monkeypatch):
    monkeypatch.setattr(steps, "time_of_step", lambda *_: pytest.fail("something was made"))
    assert cli.main(["train", "--dry-run", "--width=10000000", "--layers=10000000", "--heads=1", "--device=cpu"]) == 2
    said = capsys.readouterr().err
    assert "width = 10000000" in said and "must fit into the memory of" in said and said.count("\n") == 1


# --- sweep -------------------------------------------------------------------------------------------------------------


def table(path, *sets):
    options = "\n".join(f"{k} = {str(v).lower() if isinstance(v, bool) else repr(v)}" for k, v in (TINY | {"lr": 3e-3}).items())
    path.write_text("".join(f"[[runs]]\n{text}\nhorizon = 30\nseed = 0\n{options}\n" for text in sets))


@pytest.mark.slow
def test_a_sweep_with_a_refined_schedule_of_a_run_that_branches_off(tmp_path, capsys):
    baseline = sweep.runs([{"schedule": "wsd", "cooldown": 0.5, "horizon": 30, "seed": 0}], **TINY, lr=3e-3)[0].name
    refined = f'schedule = "refined"\nbaseline = "{baseline}"\npower = 1'
    table(tmp_path / "t.toml", 'schedule = "wsd"\ncooldown = [0.2, 0.5]', refined)
    flags = [str(tmp_path / "t.toml"), f"--folder={tmp_path / 'runs'}", "--workers=2", f"--record={tmp_path / 'recorded'}"]
    assert cli.main(["sweep", *flags, "--dry-run"]) == 0
    assert "30 steps with schedules refined" in (said := capsys.readouterr().out) and "from step 16 on" in said
    assert not (tmp_path / "runs").exists()
    assert cli.main(["sweep", *flags, "--every=10"]) == 0, capsys.readouterr().err
    assert "about" in (said := capsys.readouterr().out) and "recorded in" in said
    whole, _ = sweep.whole_log(tmp_path / "runs", baseline)
    eta = schedules.warmup(design.refine(whole["grad_norm_l1"].to_numpy(), power=1), 5)
    log = logs.load(logs.find(tmp_path / "recorded.csv"))
    found = log[log["run"].str.contains("refined")]
    assert found["step"].tolist() == [10, 20, 30]
    np.testing.assert_allclose(found["lr"], 3e-3 * eta[9::10])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--checkpoint-seconds=nan"], "checkpoint_seconds must be a finite number >= 0, got nan"),
        (["--every=0"], "every must be an integer >= 1, got 0"),
        (["--workers=0"], "workers must be an integer >= 1, got 0"),
        (["--preset=huge"], "run 1 of the table: preset must be one of"),
        (["--every=7"], "every must come with --record, whose rows it thins, got 7 alone"),
        (["--dask=nonsense"], "dask must be the address of a scheduler, such as tcp://10.0.0.1:8786, got 'nonsense'"),
        (["--record=t.toml/x"], "record must be in a folder that can be written to, got 't.toml/x.csv'"),
        (["--folder=t.toml"], "folder must be a folder, or the name of a new one, got 't.toml'"),
    ],
)
def test_bad_options_of_a_sweep(flags, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "t.toml", 'schedule = "wsd"')
    for dry in ([], ["--dry-run"]):
        assert cli.main(["sweep", "t.toml", "--folder=runs", *flags, *dry]) == 2
        assert message in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_a_cycle_of_refined_schedules_is_refused(tmp_path, capsys):
    sets = [f'schedule = "refined"\nbaseline = "{name}"\npower = {power}' for name, power in (("a", 1), ("b", 2))]
    table(tmp_path / "t.toml", *sets)
    assert cli.main(["sweep", str(tmp_path / "t.toml"), "--dry-run"]) == 2
    assert "baseline must be one of the table's other runs, and not refined itself" in capsys.readouterr().err
