import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lastiterate import cli, design, logs, schedules, trainer
from lastiterate.logs import published, runs

needs_logs = pytest.mark.skipif(
    bool(published.missing("schaipp2025")), reason=f"the authors' logs are not here: {published.HOW_TO}"
)


def log(train, val, **config):
    """A log in the authors' format: train is [(iter, lr, loss, norm)], val is [(iter, loss)]."""
    columns = dict(zip(("iter", "train_lr", "train_loss", "grad_norm"), map(list, zip(*train, strict=True)), strict=True))
    history = {"train": columns, "val": dict(zip(("iter", "val_loss"), map(list, zip(*val, strict=True)), strict=True))}
    return {"config": config, "history": history, "summary": {"final-val/loss": 1.5}}


def test_doubled_iterations_are_averaged_and_sorted(tmp_path):
    path = tmp_path / "run.json"
    train = [(50, 1.0, 3.0, 1.0), (150, 1.0, 1.0, 1.0), (100, 1.0, 2.0, 1.0), (100, 1.0, 4.0, 3.0)]
    path.write_text(json.dumps(log(train, [(0, 5.0), (100, 4.0), (100, 2.0)])))
    table = logs.read(path)
    assert list(table.columns) == logs.COLUMNS
    assert table["step"].tolist() == [0, 50, 100, 150]
    assert table.set_index("step").loc[100, ["train_loss", "val_loss", "grad_norm"]].tolist() == [3.0, 3.0, 2.0]
    assert np.isnan(table["train_loss"][0]) and np.isnan(table["val_loss"][1])


@pytest.fixture
def two_runs(tmp_path, monkeypatch):
    """A stable run and the cooldown that branched off it, as a source."""
    stable = log([(t, 1.0, 10.0, 1.0) for t in (10, 20, 30, 40)], [(0, 9.0), (20, 8.0), (30, 7.0)])
    cooldown = log([(t, 0.5, 5.0, 2.0) for t in (30, 40)], [(20, 6.0), (40, 4.0)])
    for name, content in (("stable.json", stable), ("cooldown.json", cooldown)):
        (tmp_path / name).write_text(json.dumps(content))
    monkeypatch.setattr(published, "fetch", lambda _, file: tmp_path / file)
    rows = {"file": ["stable.json", "cooldown.json"], "trunk": [np.nan, "stable"], "source": "schaipp2025", "lr": 1.0}
    table = pd.DataFrame(rows, index=pd.Index(["stable", "cooldown"], name="run"))
    monkeypatch.setattr(runs, "find", lambda *_: table)
    return table


def test_cooldown_is_joined_to_its_stable_phase(two_runs):
    table = logs.load(two_runs.loc[["cooldown"]]).set_index("step")
    assert table.index.tolist() == [0, 10, 20, 30, 40]
    assert table["train_loss"].dropna().tolist() == [10.0, 10.0, 5.0, 5.0]
    assert table["val_loss"].dropna().tolist() == [9.0, 6.0, 4.0], "validation of its own from its own start on"
    assert set(table["run"]) == {"cooldown"}
    assert logs.final_val_loss(two_runs).tolist() == [1.5, 1.5]


def test_own_logs(tmp_path):
    path = tmp_path / "export.csv"
    pd.DataFrame({"Step": [2, 1], "run - norm": [0.5, 0.6], "other": ["a", "b"]}).to_csv(path, index=False)
    table = logs.read(path, step="Step", grad_norm="run - norm")
    assert table["grad_norm"].tolist() == [0.6, 0.5] and table["run"].tolist() == ["export"] * 2
    assert logs.read(path)["grad_norm"].tolist() == [0.6, 0.5], "names of Weights & Biases are known"
    with pytest.raises(ValueError, match="columns must be among step, lr"):
        logs.read(path, gradnorm="run - norm")
    parquet = tmp_path / "mine.parquet"
    table.drop(columns="run").to_parquet(parquet)
    pd.testing.assert_frame_equal(logs.read(parquet, run="export"), table)
    for text, message in (
        ("step,val_loss\n1,x\n2,3\n", "column 'val_loss' must have numbers, got 'x' in row 1"),
        ("step,val_loss\n1,2\n,3\n", "steps must be whole numbers >= 0, got nan in row 2"),
    ):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(ValueError, match=message):
            logs.read(tmp_path / "bad.csv")
    (tmp_path / "sparse.csv").write_text("step,iter,val_loss\n7,1,2.5\n8,2,\n")
    assert logs.read(tmp_path / "sparse.csv", step="iter")["step"].tolist() == [1, 2]
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ValueError, match=r"bad.json is neither a trainer_state.json nor a log in the authors' format"):
        logs.read(tmp_path / "bad.json")
    with pytest.raises(ValueError, match=r"path must be a file, and there is none"):
        logs.read(tmp_path / "log.txt")


def test_find_needs_no_download_and_names_are_unique():
    runs = logs.find()
    assert len(runs) == 235 and runs.index.is_unique
    assert logs.find(model="124m", scheduler="wsd", cooldown=0.2)["cooldown"].eq(0.2).all()
    assert len(logs.find(model=["60m", "93m"], dataset="openwebtext2", scheduler="cosine")) == 6
    branched = runs[runs["first_step"] > 100]
    assert branched["trunk"].isin(runs.index).all()
    assert (runs.loc[branched["trunk"], "lr"].to_numpy() == branched["lr"].to_numpy()).all()


@needs_logs
def test_registry_says_what_the_logs_say():
    runs = logs.find()
    for _, row in runs.iloc[::9].iterrows():
        described = logs.describe(json.loads(published.fetch("schaipp2025", row["file"]).read_text()))
        for name, value in described.items():
            assert row[name] == value or (value is None and pd.isna(row[name])), (row["file"], name)


@needs_logs
def test_joined_runs_are_whole_and_follow_their_schedule():
    runs = logs.find(model="124m", set="main", horizon=50_000, scheduler="wsd", cooldown=[0.2, 0.4], lr=1e-3, shape="linear")
    table = logs.load(runs)
    for run, row in runs.iterrows():
        mine = table[table["run"] == run].dropna(subset="lr")
        assert mine["step"].tolist() == list(range(50, 50_001, 50))
        expected = row["lr"] * schedules.warmup(schedules.wsd(row["horizon"], row["cooldown"]), row["warmup"], start=0.01)
        one_step = row["lr"] / (row["cooldown"] * row["horizon"])  # what is logged after a step is the rate of the next one
        assert mine["lr"].to_numpy() == pytest.approx(expected[mine["step"] - 1], abs=1.01 * one_step)


@needs_logs
def test_210m_extension_takes_its_middle_from_the_100k_run():
    run = logs.find(model="210m", set="horizon_transfer", scheduler="wsd", horizon=200_000)
    table = logs.load(run).dropna(subset="val_loss")
    assert table["step"].tolist() == list(range(0, 200_000, 200))


def test_norms_of_an_export_and_of_own_logs(tmp_path):
    path = tmp_path / "export.csv"
    columns = {"Step": range(6), "run - norm": [9.0, 2.0, np.inf, 0.0, 3.0, 9.0], "run - norm__MIN": 1.0, "run - norm__MAX": 1.0}
    pd.DataFrame(columns).to_csv(path, index=False)
    assert logs.norms(path, trim=1, fill=True).tolist() == [2.0, 2.0, 2.0, 3.0]
    assert logs.norms(path).tolist() == columns["run - norm"], "what cannot be is left for `refine` to refuse"
    with pytest.raises(ValueError, match=r"export.csv has no column 'norm'; it has 'Step', 'run - norm'"):
        logs.norms(path, "norm")
    with pytest.raises(ValueError, match="must have two norms or more, got 0 with trim = 3"):
        logs.norms(path, trim=3)
    pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0], "c": ["x", "y"]}).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"column must be named, for export.csv has 'a', 'b', 'c'"):
        logs.norms(path)
    with pytest.raises(ValueError, match="column 'c' must have numbers, got 'x'"):
        logs.norms(path, "c")
    with pytest.raises(ValueError, match=r"path must end in .csv, .tsv"):
        logs.norms(tmp_path / "log.xlsx")
    pd.DataFrame({"step": [1, 2], "grad_norm": [1.0, 2.0], "grad_norm_l1": [5.0, 6.0]}).to_parquet(tmp_path / "own.parquet")
    assert logs.norms(tmp_path / "own.parquet").tolist() == [5.0, 6.0]
    assert logs.norms(tmp_path / "own.parquet", "grad_norm").tolist() == [1.0, 2.0]
    pd.DataFrame({"run": ["a", "a", "b", "b"], "step": [1, 2, 1, 2], "norm": [1.0, 2.0, 3.0, 4.0]}).to_csv(path, index=False)
    assert logs.norms(path, run="b").tolist() == [3.0, 4.0]
    with pytest.raises(ValueError, match=r"run must be one of the 2 of export.csv, 'a', 'b', got None"):
        logs.norms(path)


def test_refine_command_writes_a_schedule_that_trains_and_a_picture(tmp_path, capsys):
    norms = np.concatenate([np.linspace(5, 1, 100), np.ones(300)])
    pd.DataFrame({"step": np.arange(400), "norm": norms}).to_csv(tmp_path / "log.csv", index=False)
    out = tmp_path / "schedule.csv"
    assert cli.main(["refine", str(tmp_path / "log.csv"), "--horizon=1000", "--power=2", f"--out={out}"]) == 0
    said = capsys.readouterr().out
    assert "1,000 steps, peak at step" in said and "times that of linear decay" in said and out.with_suffix(".png").is_file()
    eta, about = trainer.make_schedule(str(out), 1000)
    np.testing.assert_allclose(eta, design.refine(norms, 2, horizon=1000), atol=1e-9)
    assert about == {"scheduler": "schedule"}
    for flags, message in ([["--column=x"], "has no column 'x'"], [["--window=2"], "window"], [["--out=s.png"], "ends in .csv"]):
        assert cli.main(["refine", str(tmp_path / "log.csv"), *flags]) == 2 and message in capsys.readouterr().err
    assert cli.main(["refine", str(tmp_path / "none.csv")]) == 2 and "none.csv" in capsys.readouterr().err


def test_norms_of_a_recorded_run_begin_with_its_trunk():
    path = Path(__file__).parents[2] / "data" / "runs" / "nano.parquet"
    table = pd.read_csv(path.with_suffix(".csv"), index_col="run")
    branched = table[table["trunk"].notna() & (table["first_step"] > 100)].iloc[0]
    found = logs.norms(path, "grad_norm", branched.name)
    assert found.size == branched["horizon"]
    np.testing.assert_array_equal(found[:100], logs.norms(path, "grad_norm", branched["trunk"])[:100])


def test_recorded_runs_are_found_by_name_and_by_path(repository, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    by_name = logs.find("nano", scheduler="cosine", horizon=800)
    by_path = logs.find(repository / "data" / "runs" / "nano.csv", scheduler="cosine", horizon=800)
    assert by_name.index.equals(by_path.index) and len(by_name) == 20
    pd.testing.assert_frame_equal(logs.load(by_name.iloc[:2]), logs.load(by_path.iloc[:2]))
    with pytest.raises(ValueError, match=r"source must be one of 'schaipp2025', 'nano', 'nano_long'.*got 'micro'"):
        logs.find("micro")
    with pytest.raises(ValueError, match="source must be one of"):
        logs.find(tmp_path / "nowhere.csv")


def test_trunks_that_branch_off_each_other_or_are_missing(repository, tmp_path):
    table = pd.read_csv(repository / "data" / "runs" / "pico.csv").head(2)
    for trunks in (table["run"].tolist()[::-1], [table["run"][0], np.nan], ["nowhere", np.nan]):
        table.assign(trunk=trunks).to_csv(tmp_path / "own.csv", index=False)
        (tmp_path / "own.parquet").write_bytes((repository / "data" / "runs" / "pico.parquet").read_bytes())
        with pytest.raises(ValueError, match=r"runs must have their trunks in one table, got .*(branches off itself|is not in)"):
            logs.load(logs.find(tmp_path / "own.csv"))


def test_what_is_no_table_of_recorded_runs(tmp_path):
    (tmp_path / "a.csv").write_text("name,age\nAda,36\n")
    (tmp_path / "b.csv").write_text("")
    (tmp_path / "c.csv").write_bytes(bytes(range(256)))
    (tmp_path / "d.csv").write_text("run,lr\na,1\n")
    for name in "abcd":
        with pytest.raises(ValueError, match=rf"^source '.*{name}\.csv' must be a table of recorded runs: "):
            logs.find(tmp_path / f"{name}.csv")
    for source in (5, None, b"nano", ["nano"]):
        with pytest.raises(ValueError, match=r"^source must be one of"):
            logs.find(source)


def test_values_in_messages_are_short_and_false_is_not_zero():
    with pytest.raises(ValueError, match=r"horizon must be one of .*, got an integer of about 400 digits"):
        logs.find("nano", horizon=10**400)
    for value in (False, np.False_, [0, False]):
        with pytest.raises(ValueError, match=r"seed must be one of 0, 1, 2, 3, got (np\.)?False"):
            logs.find("nano", seed=value)


@pytest.mark.parametrize("log", [{}, [], None, 5, "log", {"config": {}, "history": {"train": {}}}], ids=repr)
def test_what_is_no_log_of_the_authors(log):
    with pytest.raises(ValueError, match=r"^log must be one of the authors', parsed, got"):
        logs.describe(log)


def test_what_is_no_file_of_data():
    for call in (lambda: logs.recorded(5), lambda: logs.recorded(""), lambda: logs.fetch("cifar", [1])):
        with pytest.raises(ValueError, match=r"^file must be"):
            call()
    with pytest.raises(ValueError, match=r"^source must be one of"):
        logs.fetch([1], "x")
