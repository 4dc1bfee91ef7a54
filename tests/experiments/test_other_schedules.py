"""Logs as curves, and what laws fitted on them expect of other schedules."""

import json

import numpy as np
import pandas as pd
import pytest

from lastiterate import laws, logs, schedules
from lastiterate.experiments import other_schedules

OWN = "nano-wsd-0.2-linear-lr0.0009-800-seed0"


def test_a_recorded_run_begins_with_its_trunk():
    name, (lr, steps, losses) = other_schedules.curve(logs.recorded("runs/nano.parquet"), OWN)
    assert name == "val_loss" and lr.size == 800 and lr[60:640].min() == pytest.approx(9e-4) and lr[0] < 1e-4
    assert steps.tolist() == list(range(50, 801, 50)) and losses[-1] < losses[0]


def test_a_training_loss_is_that_before_its_step(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [{"step": t, "loss": 4 - 0.01 * t, "lr": 0.0 if t == 1 else 1e-3} for t in range(1, 101)]
    path.write_text("\n".join(map(json.dumps, rows)))
    name, (lr, steps, losses) = other_schedules.curve(path, skip=0)
    assert name == "train_loss" and lr.size == 100 and steps[0] == 2 and losses[0] == pytest.approx(3.97)


@pytest.mark.parametrize(
    ("columns", "more", "message"),
    [
        ({"lr": "rate"}, {}, "log.csv has no learning rates"),
        ({"lr": [1e-3] + [np.nan] * 38}, {}, "log.csv must have two rows with a learning rate, got one"),
        ({"val_loss": [3.0] * 39, "lr": [1e-3] * 30 + [np.nan] * 9}, {}, "they end at step 30, and val_loss at 39"),
        ({"val_loss": "note"}, {}, "log.csv has no losses"),
        ({}, {"skip": 99}, r"skip must be an integer in 0\.\.38"),
        ({}, {"skip": 35}, r"skip must leave losses to fit, got 35 of 39 steps in log\.csv"),
        ({}, {"loss": "note"}, "log.csv has no column 'note'"),
    ],
)
def test_logs_that_are_no_curves(tmp_path, columns, more, message):
    table = pd.DataFrame({"step": range(1, 40), "lr": 1e-3, "val_loss": [3.0] * 30 + [np.nan] * 9})
    new = {name: values for name, values in columns.items() if not isinstance(values, str)}
    renamed = {name: value for name, value in columns.items() if name not in new}
    table.assign(**new).rename(columns=renamed).to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(ValueError, match=message):
        other_schedules.curve(tmp_path / "log.csv", **more)


def test_losses_that_no_law_can_have(tmp_path):
    losses = np.where(np.arange(39) < 36, 3.0, -3.0)
    pd.DataFrame({"step": range(1, 40), "lr": 1e-3, "val_loss": losses}).to_csv(tmp_path / "log.csv", index=False)
    said = r"log.csv must have finite losses > 0, got -3 in val_loss at step 37, and 3 of 37 such"
    with pytest.raises(ValueError, match=said):
        other_schedules.curve(tmp_path / "log.csv")


def test_a_few_validation_losses_alone_are_named_as_what_they_are(tmp_path):
    table = pd.DataFrame({"step": range(1, 5), "lr": 1e-3, "val_loss": [4.0, 3.5, 3.2, 3.0]})
    table.to_csv(tmp_path / "log.csv", index=False)
    name, (_, steps, _) = other_schedules.curve(tmp_path / "log.csv")
    assert name == "val_loss" and steps.tolist() == [1, 2, 3, 4]


def test_losses_that_stay_the_same_determine_nothing():
    eta, steps = schedules.wsd(1000, 0.3), np.arange(50, 1001, 50)
    with pytest.raises(ValueError, match="losses that stay the same"):
        other_schedules.fits([(eta, steps, np.full(20, 3.0))])


def test_outcomes_are_those_of_the_law_that_made_the_run():
    true = laws.Fit(laws.LAWS["bound"], {"L0": 2.5, "A": 0.4, "B": 0.02, "a": 0.5}, total=800.0)
    eta, steps = schedules.wsd(1000, 0.3), np.arange(50, 1001, 50)
    fits = other_schedules.fits([(eta, steps, true.predict(eta, steps))], "bound")
    assert list(fits) == ["bound", "two_clock", "step_memory", "bound_power"]
    table = other_schedules.outcomes(fits, {"shorter": schedules.wsd(800, 0.1), "higher": 2 * schedules.linear(1000)})
    assert table["steps"].tolist() == [800, 1000]
    assert table.loc["shorter", "bound"] == table.loc["shorter", "loss"]
    assert table.loc["shorter", "loss"] == pytest.approx(true.predict(schedules.wsd(800, 0.1), [800])[0], abs=1e-3)
    assert (table["low"] < table["loss"]).all() and (table["loss"] < table["high"]).all()
    assert table.loc["shorter", "extrapolated"] == "" and "never trained" in table.loc["higher", "extrapolated"]
    with pytest.raises(ValueError, match="asked must not be negative"):
        other_schedules.outcomes(fits, {"asked": [-1.0]})


def test_a_smooth_curve_is_refused_with_what_to_log_instead():
    curve = schedules.cosine(1000), np.arange(50, 1001, 50), np.linspace(4, 3, 20)
    with pytest.raises(ValueError, match=r"curves must determine a law, and do not: a single smooth decay.*log a second run"):
        other_schedules.fits([curve])
    with pytest.raises(ValueError, match="curves must have 5 losses or more"):
        other_schedules.fits([(schedules.cosine(1000), [500, 1000], [4.0, 3.0])], anyway=True)
