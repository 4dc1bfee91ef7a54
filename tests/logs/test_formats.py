"""Small made-up files with the shapes of what programs write: each is read right, or refused by name."""

import gzip
import json
import sys

import numpy as np
import pandas as pd
import pytest

from lastiterate import design, logs

NAN = float("nan")
HEADING = "step,lr,train_loss,grad_norm\n"
ROWS = [(1, 1e-3, 5.0, 2.5), (2, 2e-3, 4.0, 2.4), (3, 1e-3, 3.5, 1.9)]
MEGATRON = (
    " [2026-01-01 00:00:00] iteration {0:8d}/     500 | consumed samples: {0:12d} | elapsed time per iteration (ms): 810.1 | "
    "learning rate: {1:.6E} | global batch size:   64 | lm loss: {2:.6E} | loss scale: 1.0 | grad norm: {3:.3f} | "
    "number of skipped iterations:   0 | number of nan iterations:   0 |\n"
)
TITAN = "[rank0]:\x1b[36m2026-01-01 - root - INFO - \x1b[31mstep: {0:2d}  \x1b[32mloss: {2:7.4f}  \x1b[33mgrad_norm: {3:7.4f}  "
TITAN += "\x1b[38;2;180;60;0mmemory: 10.20GiB(12.9%)  \x1b[34mtps: 1,234\x1b[39m\n"


def lines(form):
    return "".join(form.format(*row) for row in ROWS)


EVERYTHING = {  # name: content
    "plain.csv": HEADING + lines("{},{},{},{}\n"),
    "windows.csv": (HEADING + lines("{},{},{},{}\n")).replace("\n", "\r\n"),
    "upper.CSV": HEADING.upper() + lines("{},{},{},{}\n"),
    "tabs.tsv": (HEADING + lines("{},{},{},{}\n")).replace(",", "\t"),
    "semicolons.csv": (HEADING + lines("{},{},{},{}\n")).replace(",", ";"),
    "decimal_commas.csv": (HEADING + lines("{},{},{},{}\n")).replace(",", ";").replace(".", ","),
    "quoted.csv": '"step","lr","train_loss","grad_norm"\n' + lines('"{}","{}","{}","{}"\n'),
    "spaces.csv": "step, lr, train_loss, grad_norm\n" + lines("{}, {}, {}, {}\n"),
    "wandb_history.csv": "_step,_runtime,_timestamp,train/learning_rate,train/loss,train/grad_norm\n"
    + lines("{0},9,9,{1},{2},{3}\n"),
    "wandb_export.csv": '"Step","fox-3 - lr","fox-3 - lr__MIN","fox-3 - lr__MAX","fox-3 - train/loss","fox-3 - grad_norm"\n'
    + lines("{0},{1},0,9,{2},{3}\n"),
    "trl.csv": "epoch,global_step,learning_rate,loss,grad_norm\n" + lines("0.1,{},{},{},{}\n"),
    "torchtitan_wandb.csv": "step,lr,loss_metrics/global_avg_loss,grad_norm\n" + lines("{},{},{},{}\n"),
    "metrics.jsonl": lines('{{"step": {}, "lr": {}, "loss": {}, "grad_norm": {}, "note": "x"}}\n'),
    "nested.jsonl": lines('{{"step": {}, "train": {{"lr": {}, "loss": {}, "grad_norm": {}}}}}\n'),
    "no_suffix_of_json.log": lines('{{"step": {}, "lr": {}, "train_loss": {}, "grad_norm": {}}}\n'),
    "trainer_state.json": json.dumps(
        {"log_history": [{"step": s, "learning_rate": r, "loss": x, "grad_norm": g, "epoch": 0.1} for s, r, x, g in ROWS]}
    ),
    "main.log": "s:0 tel:11.0\n" + "".join(f"s:{s - 1} trl:{x} lr:{r} norm:{g}\n" for s, r, x, g in ROWS),
    "modded.txt": "import torch\nprint('code first')\n"
    + lines("step:{0}/5960 train_loss:{2} lr:{1} grad_norm:{3} train_time:12ms\n"),
    "index_first.csv": ",step,lr,train_loss,grad_norm\n" + lines("7,{},{},{},{}\n"),
    "shuffled_columns.csv": "grad_norm,comment,train_loss,step,lr\n" + lines("{3},x,{2},{0},{1}\n"),
    "scientific.csv": HEADING + lines("{:.3e},{:.6e},{:.6e},{:.6e}\n"),
    "blank_lines.csv": HEADING + lines("{},{},{},{}\n\n"),
    "unsorted.csv": HEADING + "".join("{},{},{},{}\n".format(*row) for row in reversed(ROWS)),
    "extra_text.jsonl": lines(
        '{{"step": {}, "lr": {}, "loss": {}, "grad_norm": {}, "time": "12:00", "ok": true, "list": [1]}}\n'
    ),
    "slashes.csv": "trainer/global_step,train/learning_rate,train/loss,train/grad_norm\n" + lines("{},{},{},{}\n"),
    "lines.ndjson": lines('{{"global_step": {}, "learning_rate": {}, "train_loss": {}, "grad_norm": {}}}\n'),
    "megatron.log": "building GPT model\n" + lines(MEGATRON),
}


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", EVERYTHING)
def test_rate_loss_and_norm_of_every_step(tmp_path, name):
    path = write(tmp_path, name, EVERYTHING[name])
    table = logs.read(path).dropna(subset="train_loss")
    assert list(table[["step", "lr", "train_loss", "grad_norm"]].itertuples(index=False, name=None)) == ROWS
    assert table["run"].unique().tolist() == [path.stem] and list(table) == logs.COLUMNS
    assert logs.norms(path).tolist() == [2.5, 2.4, 1.9]
    assert logs.read(path, run="mine")["run"].unique().tolist() == ["mine"]


@pytest.mark.parametrize("name", ["plain.csv", "metrics.jsonl", "main.log"])
def test_compressed_and_in_the_encoding_that_a_byte_order_mark_names(tmp_path, name):
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(EVERYTHING[name].encode()))
    assert logs.norms(path).tolist() == [2.5, 2.4, 1.9]
    for encoding in ("utf-8-sig", "utf-16"):
        path = write(tmp_path, name, EVERYTHING[name].encode(encoding))
        assert logs.norms(path).tolist() == [2.5, 2.4, 1.9]


def test_validation_of_each_format(tmp_path):
    files = {
        "main.log": "s:0 tel:11.5\ns:0 trl:11.1 lr:0.1 norm:2\ns:1 trl:10.9 lr:0.1 norm:2\ns:2 tel:10.5\n",
        "modded.log": "step:0/9 val_loss:11.5 train_time:0ms\nstep:2/9 val_loss:10.5 train_time:9ms\n",
        "nano.log": "step 0: train loss 11.4, val loss 11.5\niter 0: loss 11.1, time 9ms, mfu -1%\niter 1: loss 10.9, time 9ms\n"
        "step 2: train loss 10.4, val loss 10.5\n",
        "megatron.log": MEGATRON.format(2, 1e-3, 3.0, 1.0)
        + " validation loss at iteration 0 | lm loss value: 1.15E+01 | lm loss PPL: 9E+04 |\n"
        + " validation loss at iteration 2 | lm loss value: 1.05E+01 | lm loss PPL: 4E+04 |\n",
        "trainer_state.json": json.dumps({"log_history": [{"step": 0, "eval_loss": 11.5}, {"step": 2, "eval_loss": 10.5}]}),
        "lightning.csv": "epoch,step,train_loss_step,val_loss\n0,0,,11.5\n0,1,9,\n0,2,8,\n0,2,,10.5\n",
    }
    for name, content in files.items():
        found = logs.read(write(tmp_path, name, content)).dropna(subset="val_loss")
        assert found[["step", "val_loss"]].to_numpy().tolist() == [[0, 11.5], [2, 10.5]], name


def test_torchtitan_prints_colours_and_no_rate(tmp_path):
    found = logs.read(write(tmp_path, "titan.log", lines(TITAN)))
    assert found[["step", "train_loss", "grad_norm"]].to_numpy().tolist() == [[1, 5, 2.5], [2, 4, 2.4], [3, 3.5, 1.9]]


def test_runs_are_compared_as_text(tmp_path):
    path = write(tmp_path, "runs.csv", "run,step,grad_norm\n1,1,2\n1,2,1\n2,1,4\n2,2,3\n")
    for run in (1, "1"):
        assert logs.norms(path, run=run).tolist() == [2, 1] and logs.read(path, run)["grad_norm"].tolist() == [2, 1]
    for run in (None, "3"):
        for read in (logs.read, logs.norms):
            with pytest.raises(ValueError, match=r"run must be one of the 2 of runs.csv, '1', '2', got"):
                read(path, run=run)
    parquet = tmp_path / "runs.parquet"
    pd.read_csv(path).to_parquet(parquet)
    assert logs.norms(parquet, run="2").tolist() == [4, 3]
    wide = write(tmp_path, "wide.csv", "Step,a - grad_norm,b - grad_norm\n1,2,4\n2,1,3\n")
    assert logs.norms(wide, run="b").tolist() == [4, 3] and logs.read(wide, run="a")["grad_norm"].tolist() == [2, 1]
    with pytest.raises(ValueError, match=r"run must be one of the 2 of wide.csv, 'a', 'b'"):
        logs.read(wide)


def test_a_resume_supersedes_and_is_said(tmp_path):
    path = write(tmp_path, "log.csv", "step,train_loss,grad_norm\n1,5,9\n2,4,8\n3,100,800\n2,3.9,7\n3,3.5,6\n4,3,5\n")
    with pytest.warns(logs.LogNote, match=r"log.csv: 4 of 6 rows; 2 superseded by a resume"):
        assert logs.norms(path).tolist() == [9, 7, 6, 5]
    with pytest.warns(logs.LogNote, match="2 superseded"):
        assert logs.read(path)["train_loss"].tolist() == [5, 3.9, 3.5, 3]


def test_rows_of_one_step_with_different_columns_are_joined(tmp_path, recwarn):
    path = write(tmp_path, "metrics.csv", "epoch,step,train_loss,val_loss\n0,49,7.62,\n0,99,7.52,\n0,99,,4.13\n0,149,7.36,\n")
    table = logs.read(path)
    assert table["step"].tolist() == [49, 99, 149] and table["train_loss"].tolist() == [7.62, 7.52, 7.36]
    assert table["val_loss"].dropna().tolist() == [4.13] and not recwarn.list


def test_what_was_not_logged_is_left_out_and_said(tmp_path):
    path = write(tmp_path, "log.csv", "step,train_loss,grad_norm\n1,5,9\n2,4,\n3,4,7\n5,4,5\n")
    with pytest.warns(logs.LogNote, match="3 of 4 rows; 1 without a norm left out"):
        assert logs.norms(path).tolist() == [9, 7, 5]


def test_time_is_the_step_and_not_the_row(tmp_path):
    T = 10_000
    full = 1 + 5 * np.exp(-np.arange(1, T + 1) / 2000)
    steps = [*range(1, 101), *range(200, T + 1, 100)]
    thinned = tmp_path / "thinned.csv"
    pd.DataFrame({"step": steps, "grad_norm": full[np.array(steps) - 1]}).to_csv(thinned, index=False)
    found = logs.norms(thinned)
    assert found.size == T
    np.testing.assert_allclose(found, full, rtol=2e-3)
    np.testing.assert_allclose(design.refine(found), design.refine(full), atol=2e-3)
    shuffled = tmp_path / "shuffled.csv"
    pd.read_csv(thinned).sample(frac=1, random_state=0).to_csv(shuffled, index=False)
    np.testing.assert_array_equal(logs.norms(shuffled), found)


@pytest.mark.parametrize("step", ["-1", "inf", "nan", "1.5", "", "x"])
def test_steps_that_are_none(tmp_path, step):
    path = write(tmp_path, "log.csv", f"step,grad_norm\n1,2\n{step},3\n")
    for read in (logs.read, logs.norms):
        with pytest.raises(ValueError, match=r"log.csv: (steps must be whole numbers >= 0|column 'step' must have numbers)"):
            read(path)


def test_columns_that_are_not_known_are_listed_and_can_be_named(tmp_path):
    path = write(tmp_path, "log.csv", "step,perplexity,my norm\n1,9,2\n2,8,1\n")
    with pytest.raises(ValueError, match=r"log.csv has no column with a known name but 'step'; it has 'step', 'perplexity'"):
        logs.read(path)
    with pytest.raises(ValueError, match=r"column must be named, for log.csv has 'step', 'perplexity', 'my norm'"):
        logs.norms(path)
    assert logs.read(path, grad_norm="my norm")["grad_norm"].tolist() == logs.norms(path, "my norm").tolist() == [2, 1]
    only_loss = write(tmp_path, "loss.csv", "step,loss\n1,9\n2,8\n")
    with pytest.raises(ValueError, match=r"column must be named, for loss.csv has 'step', 'loss'"):
        logs.norms(only_loss)
    with pytest.raises(ValueError, match="has no column 'x'"):
        logs.read(path, lr="x")


def test_a_heading_that_stands_twice_is_refused(tmp_path):
    path = write(tmp_path, "log.csv", "step,grad_norm\n1,0.9\nstep,grad_norm\n2,0.8\n")
    for read in (logs.read, logs.norms):
        with pytest.raises(ValueError, match=r"log.csv: column '\w+' must have numbers, got '\w+' in row 2"):
            read(path)


@pytest.mark.slow
def test_a_gigabyte_in_bounded_memory(tmp_path):
    import resource
    import subprocess
    import sys
    import time

    path = tmp_path / "large.csv"
    row = "{0},0.00030000000000,3.14159265358979,2.71828182845904,{0}000000,some words that nobody asked for and that are long\n"
    with path.open("w") as out:
        out.write("step,lr,train_loss,grad_norm,tokens,comment\n")
        for block in range(100):
            out.write("".join(row.format(step) for step in range(block * 90_000 + 1, (block + 1) * 90_000 + 1)))
    assert path.stat().st_size > 1e9
    code = f"from lastiterate import logs; t = logs.read({str(path)!r}); print(len(t))"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "9000000" and time.monotonic() - start < 60
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2e6, "kilobytes"


GARBAGE = {
    "empty": b"",
    "a heading alone": b"step,grad_norm\n",
    "binary": bytes(range(256)) * 20,
    "null bytes": b"step,grad_norm\n1,\0\n2,\0\n",
    "not UTF-8": "step,größe\n1,2\n2,3\n".encode("latin-1"),
    "a huge field": b"step,grad_norm\n1," + b"9" * 200_000 + b"x\n2,3\n",
    "deep JSON": b"[" * 100_000,
    "another JSON": b'{"config": []}',
    "a list": b"[1, 2]",
    "huge numbers": b'{"history": {"train": {"iter": [' + b"9" * 5000 + b"]}}}",
}


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".parquet", ".json", ".txt"])
@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_refused_by_name(tmp_path, what, suffix):
    path = tmp_path / f"log{suffix}"
    path.write_bytes(GARBAGE[what])
    for read in (logs.read, logs.norms):
        with pytest.raises(ValueError, match=r"log\."):
            found = read(path)
            assert not len(found), found  # nothing to read makes no log
            raise ValueError("log. is empty")


@pytest.mark.parametrize("path", [None, 5, b"log.csv", "", ".", "nowhere.csv", ["log.csv"]])
def test_paths_that_are_none(path):
    for read in (logs.read, logs.norms):
        with pytest.raises(ValueError, match="path must"):
            read(path)


@pytest.mark.parametrize("text", ["step,grad_norm\n1,2.5,0.1\n2,2.4\n", "step,grad_norm\n1,2.5,\n2,2.4,\n"])
def test_columns_are_where_the_heading_puts_them(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_text(text)
    assert logs.read(path)["step"].tolist() == [1, 2] and logs.norms(path).tolist() == [2.5, 2.4]


SCALAR = "Wall time,Step,Value\n1700000000.1,1,2.5\n1700000001.2,2,2.4\n1700000002.3,3,1.9\n"


def test_a_scalar_that_tensorboard_exported_has_its_name_from_the_file(tmp_path):
    for name in ("run-train-tag-train_loss.csv", "run-.-tag-train_loss (1).csv", "run-a-tag-Loss_train.csv"):
        table = logs.read(write(tmp_path, name, SCALAR))
        assert table["train_loss"].tolist() == [2.5, 2.4, 1.9] and table["step"].tolist() == [1, 2, 3]
    assert logs.norms(write(tmp_path, "run-a-tag-train_grad_norm.csv", SCALAR)).tolist() == [2.5, 2.4, 1.9]
    with pytest.raises(ValueError, match="column must be named"):
        logs.norms(write(tmp_path, "run-a-tag-train_loss.csv", SCALAR))
    with pytest.raises(ValueError, match="no column with a known name but 'Step'; it has 'Wall time', 'Step', 'Value'"):
        logs.read(write(tmp_path, "scalars.csv", SCALAR))
    assert logs.read(tmp_path / "scalars.csv", val_loss="Value")["val_loss"].tolist() == [2.5, 2.4, 1.9]
    assert logs.norms(tmp_path / "scalars.csv").tolist() == [2.5, 2.4, 1.9], "the only column that can be meant"


@pytest.fixture
def events(tmp_path):
    """An event file as PyTorch writes it, with a resume at step 2 and summaries that are no scalars."""
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for step, lr, loss, norm in [(1, 1, 9, 9), *((s, r, x, g) for s, r, x, g in ROWS), (2, *ROWS[1][1:])]:
            writer.add_scalar("train/loss", loss, step)
            writer.add_scalar("train/learning_rate", lr, step)
            writer.add_scalar("train/grad_norm", norm, step)
        writer.add_scalar("eval/loss", 3.75, 2)
        writer.add_text("note", "hello", 1)
        writer.add_histogram("weights", np.arange(9.0), 1)
    return next(tmp_path.glob("*tfevents*"))


def test_tensorboard_event_files(events):
    with pytest.warns(logs.LogNote, match="2 superseded by a resume"):
        table = logs.read(events)
    np.testing.assert_allclose(table[["step", "lr", "train_loss", "grad_norm"]].to_numpy(), ROWS, rtol=1e-7)  # float32 there
    assert table["val_loss"].tolist()[1] == 3.75
    with pytest.warns(logs.LogNote):
        np.testing.assert_allclose(logs.norms(events), [2.5, 2.4, 1.9], rtol=1e-7)
        assert logs.about(events).format == "event file of TensorBoard"


def test_event_files_that_are_none(tmp_path):
    pytest.importorskip("tensorboard")
    for content in (b"", b"step,loss\n1,2\n", bytes(range(256)) * 9):
        with pytest.raises(ValueError, match=r"events\.out\.tfevents\.1\.host"):
            logs.read(write(tmp_path, "events.out.tfevents.1.host", content))


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r'pip install "lastiterate\[tensorboard\]"'):
        logs.read(write(tmp_path, "events.out.tfevents.1.host", b"x"))
