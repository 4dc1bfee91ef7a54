"""What is understood of a log, in words."""

import json

import numpy as np
import pandas as pd
import pytest

from lastiterate import logs


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", "step,loss\n1,2\n", "CSV with commas"),
        ("a.csv", "step;loss\n1;2,5\n", "CSV with semicolons and decimal commas"),
        ("a.tsv", "step\tloss\n1\t2.5\n", "CSV with tabs"),
        ("a.jsonl", '{"step": 1, "loss": 2}\n', "JSON lines"),
        ("main.log", "s:0 tel:11.0\ns:0 trl:11.0 lr:0.1 norm:2\n", "text of llm.c"),
        ("out.txt", "iter 0: loss 11.1, time 9ms, mfu -1%\n", "text of nanoGPT"),
        ("state.json", json.dumps({"log_history": [{"step": 1, "loss": 2.0}]}), "trainer_state.json of Hugging Face"),
    ],
)
def test_formats_are_named(tmp_path, name, content, kind):
    found = logs.about(write(tmp_path, name, content))
    assert found.format == kind and found.runs == [] and len(found.table) >= 1


def test_it_is_the_table_that_is_read(tmp_path):
    path = write(tmp_path, "log.csv", "Step,train/loss,lr,note\n1,5,0.1,9\n2,4,0.2,9\n3,,0.3,9\n")
    found = logs.about(path)
    pd.testing.assert_frame_equal(found.table, logs.read(path))
    assert found.columns == {"step": "Step", "lr": "lr", "train_loss": "train/loss"} and found.unread == ["note"]


def test_runs_are_listed_where_none_is_chosen(tmp_path):
    path = write(tmp_path, "log.csv", "run,step,val_loss\na,1,2\nb,1,3\n")
    found = logs.about(path)
    assert found.runs == ["a", "b"] and found.table is None
    assert logs.about(path, run="b").table["val_loss"].tolist() == [3]
    with pytest.raises(ValueError, match="run must be one of the 2"):
        logs.about(path, run="c")
    path = write(tmp_path, "wandb.csv", '"Step","fox - loss","fox - loss__MIN","owl - loss"\n1,5,5,6\n2,4,4,5\n')
    found = logs.about(path)
    assert found.runs == ["fox", "owl"] and found.table is None
    assert logs.about(path, run="owl").table["train_loss"].tolist() == [6, 5]


def test_a_resume_is_noted(tmp_path):
    path = write(tmp_path, "log.csv", "step,loss\n1,5\n2,4\n2,3\n")
    with pytest.warns(logs.LogNote, match="1 superseded by a resume"):
        assert logs.about(path).table["train_loss"].tolist() == [5, 3]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (range(1, 9), "every step"),
        (range(10, 100, 10), "every 10"),
        ([*range(1, 101), *range(200, 1001, 100)], "every step to 100, then every 100"),
        ([*range(1, 50), *range(90, 120)], "every step, but for a gap from 49 to 90"),
        ([0, 10, 20, 30, 35], "every 10"),  # the last one is where the run ended
        ([1, 10, 20, 30], "every 9 to 10, then every 10"),
        ([3], "once"),
        ([3, 9], "every 6"),
        (np.cumsum([1, 5, 2, 8, 3, 9, 4, 7, 1, 6]), "unevenly, 1 to 9 steps apart"),
    ],
)
def test_intervals(steps, said):
    assert logs.intervals(list(steps)) == said


def test_what_cannot_be_read_is_refused(tmp_path):
    for name, content in {"a.csv": "", "b.csv": "step,loss\n", "c.json": "{}", "d.csv": "x,y\n1,2\n"}.items():
        with pytest.raises(ValueError, match=name):
            logs.about(write(tmp_path, name, content))
    with pytest.raises(ValueError, match="there is none"):
        logs.about(tmp_path / "nowhere.csv")
