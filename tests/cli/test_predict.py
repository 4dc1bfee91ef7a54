"""`lastiterate predict`: answers, refusals, marks."""

import numpy as np
import pandas as pd
import pytest

from lastiterate import cli, laws, schedules
from lastiterate.experiments import other_schedules


def log(path, eta, **columns):
    at = np.arange(20, eta.size + 1, 20)
    true = laws.Fit(laws.LAWS["bound"], {"L0": 2.5, "A": 0.4, "B": 0.02, "a": 0.5}, 1e-3, float(1e-3 * eta.size))
    table = pd.DataFrame({"step": at, "lr": 1e-3 * eta[at - 1], "val_loss": true.predict(1e-3 * eta, at)})
    table.rename(columns=columns).to_csv(path, index=False)
    return str(path), true


def test_a_run_with_a_cooldown_says_what_others_would_give(tmp_path, capsys):
    path, true = log(tmp_path / "log.csv", schedules.wsd(1000, 0.3))
    out, plot = str(tmp_path / "best.csv"), str(tmp_path / "curves.png")
    words = ["predict", path, "--schedule", "linear", "--schedule", "wsd:cooldown=0.1", "--lr", "1e-3", "--law", "bound"]
    assert cli.main([*words, "--best", out, "--plot", plot]) == 0
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if line.startswith("linear"))
    assert float(row.split()[2]) == pytest.approx(true.predict(1e-3 * schedules.linear(1000), [1000])[0], abs=2e-3)
    assert "starts agree" in said and "best for bound" in said and (tmp_path / "curves.png").stat().st_size > 10_000
    assert schedules.named(out).size == 1000
    assert cli.main(["predict", path, "--law", "bound", "--best"]) == 0  # without a file
    assert "best for bound" in capsys.readouterr().out
    assert cli.main(["predict", path, "--schedule", "linear", "--lr", "4e-3"]) == 0
    assert "extrapolated: peak rate 0.004 was never trained" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("eta", "columns", "more", "message"),
    [
        (schedules.cosine(1000), {}, [], "log.csv: curves must determine a law, and do not: a single smooth decay"),
        (schedules.constant(1000), {}, [], "one rate throughout"),
        (schedules.wsd(1000), {"lr": "rate"}, [], "log.csv has no learning rates: column 'lr' is missed"),
        (schedules.wsd(1000), {"val_loss": "loss_on_val"}, ["--loss", "other"], "has no column 'other'"),
        (
            schedules.wsd(1000),
            {},
            ["--skip", "960", "--anyway"],
            "curves must have 5 losses or more behind their first steps, got 2",
        ),
        (schedules.wsd(1000), {}, ["--law", "kaplan"], "law must be one of 'two_clock'"),
        (schedules.wsd(1000), {}, ["--lr", "-1"], "lr must be a finite number > 0"),
    ],
)
def test_what_is_refused_in_one_line(tmp_path, capsys, eta, columns, more, message):
    path, _ = log(tmp_path / "log.csv", eta, **columns)
    assert cli.main(["predict", path, "--schedule", "linear", *more]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--schedule", "nosuch"], "'nosuch'"),
        (["--schedule", "linear:warmup=5000"], "warmup"),
        (["--schedule", "linear", "--steps", "-5"], "T must be"),
        (["--best", "--steps", "5"], "steps must be"),
        (["--schedule", "FILE", "--steps", "500"], "steps must come with a schedule that is no file"),
    ],
)
def test_what_is_asked_is_checked_before_the_fit(tmp_path, capsys, monkeypatch, words, message):
    path, _ = log(tmp_path / "log.csv", schedules.wsd(1000, 0.3))
    schedules.write_csv(tmp_path / "eta.csv", schedules.linear(300))
    monkeypatch.setattr(other_schedules, "fits", lambda *_: pytest.fail("fitted"))
    assert cli.main(["predict", path, *(str(tmp_path / "eta.csv") if word == "FILE" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_horizon_far_beyond_the_log_is_marked(tmp_path, capsys):
    path, _ = log(tmp_path / "log.csv", schedules.wsd(1000, 0.3))
    assert cli.main(["predict", path, "--schedule", "linear", "--steps", "4001"]) == 0
    assert "extrapolated: 4,001 steps are 4 times those of the longest run" in capsys.readouterr().out


def test_a_smooth_log_is_marked_when_it_is_predicted_from_anyway(tmp_path, capsys):
    path, _ = log(tmp_path / "log.csv", schedules.cosine(1000))
    assert cli.main(["predict", path, "--schedule", "linear", "--anyway"]) == 0
    assert "ill-posed" in capsys.readouterr().out


def test_nothing_asked(tmp_path, capsys):
    path, _ = log(tmp_path / "log.csv", schedules.wsd(1000))
    assert cli.main(["predict", path]) == 2
    assert "schedule must be given" in capsys.readouterr().err


def test_runs_of_one_file_and_of_several(tmp_path, capsys):
    tables = []
    for name, eta in (("a", schedules.cosine(1000)), ("b", schedules.constant(1000))):
        path, _ = log(tmp_path / f"{name}.csv", eta)
        tables.append(pd.read_csv(path).assign(run=name))
    both = tmp_path / "both.csv"
    pd.concat(tables).to_csv(both, index=False)
    ask = ["--schedule", "linear", "--law", "bound"]
    assert cli.main(["predict", str(both), "--run", "a", "--run", "b", *ask]) == 0
    of_one = capsys.readouterr().out
    assert cli.main(["predict", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), *ask]) == 0
    assert capsys.readouterr().out == of_one and of_one.count("fitted on") == 2
    for words, message in (
        ([str(both)], "run must be one of the 2 of both.csv, 'a', 'b', got None"),
        ([str(both), "--run", "c"], "run must be one of the 2 of both.csv, 'a', 'b', got 'c'"),
        ([str(both), str(both), "--run", "a"], "run must be given once a log"),
    ):
        assert cli.main(["predict", *words, *ask]) == 2
        assert message in capsys.readouterr().err
