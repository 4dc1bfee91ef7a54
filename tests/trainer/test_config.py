"""What a run depends on: checked options, names, schedules with warmup, and what is said beforehand."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from lastiterate import schedules, trainer
from lastiterate.trainer import config as settings
from lastiterate.trainer import machine
from lastiterate.trainer.checkpoint import same_run
from tiny import tiny

bad = {
    "preset": ({"preset": "huge"}, "preset must be one of 'pico', 'nano', 'small', '124m', '210m', got 'huge'"),
    "negative rate": ({"lr": -1e-3}, "lr must be a finite number > 0, got -0.001"),
    "no rate": ({"lr": 0.0}, "lr"),
    "budget below warmup": ({"warmup": 50}, "warmup must be at most the budget of 40 steps, got 50"),
    "batch of floats": ({"batch": 8.0}, "batch must be an integer >= 1"),
    "batch": ({"batch": 6, "micro_batch": 4}, "batch must be a multiple of micro_batch = 4, got 6"),
    "validation": ({"eval_sequences": 7}, "eval_sequences must be a multiple of 4, got 7"),
    "seed": ({"seed": -1}, "seed must be an integer in 0..9223372036854775807, got -1"),
    "corpus": ({"corpus": "no such file"}, "corpus must be 'python', 'shakespeare', a text file"),
    "dtype": ({"dtype": "float16"}, "dtype must be one of 'bfloat16', 'float32'"),
    "heads": ({"heads": 3}, "width must be a multiple of twice the number of heads"),
    "schedule": ({"eta": np.array([1.0, np.nan])}, "eta must be finite"),
    "clip": ({"clip": 0}, "clip"),
    "seed beyond torch": ({"seed": 2**63}, "seed must be an integer in 0..9223372036854775807"),
    "huge seed": ({"seed": 10**400}, "seed must be an integer in"),
    "beta of one": ({"beta1": 1}, "beta1 must be below 1, got 1"),
    "text for a switch": ({"compile": "no"}, "compile must be true or false, got 'no'"),
    "optimizer": ({"optimizer": "lion"}, "optimizer must be one of 'adamw', 'muon', 'sgd', got 'lion'"),
    "rows": ({"log_every": 0}, "log_every must be an integer >= 1"),
    "unknown": ({"seeds": 3}, "options have no 'seeds'; they have preset, layers"),
    "corpus number": ({"corpus": 5}, "corpus must be 'python', 'shakespeare', .*, got 5"),
    "huge rate": ({"lr": 10**400}, "lr must be a finite number > 0"),
}


@pytest.mark.parametrize("name", bad)
def test_bad_input(name):
    options, message = bad[name]
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_more_processes_than_the_batch_divides_by(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match=r"batch must be a multiple of micro_batch = 1 times 3 processes, got 4"):
        tiny()
    monkeypatch.setenv("WORLD_SIZE", "8")
    config, _ = trainer.configure(schedules.constant(400), preset="124m", device="cpu")
    assert (config.micro_batch, config.accumulation) == (25, 1), "the README's eight GPUs"


def test_a_command_line_needs_neither_torch_nor_pandas_for_its_help():
    code = (
        "import sys; from lastiterate import cli; from lastiterate.trainer import config\n"
        "for name in ('train', 'sweep', 'tokenize'):\n"
        "    cli.parser(name, cli.command_module(name)).format_help()\n"
        "print([name for name in ('torch', 'pandas', 'pyarrow', 'tqdm') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_parameters_are_counted_as_the_model_has_them():
    for shape in trainer.PRESETS.values():
        with torch.device("meta"):
            network = trainer.GPT(shape)
        assert shape.parameters == sum(p.numel() for p in network.parameters())
        assert shape.matrices == sum(p.numel() for p in network.parameters() if p.ndim == 2)


# --- names -------------------------------------------------------------------------------------------------------------


def test_names_say_what_is_not_as_usual():
    def name(spec, **options):
        return trainer.run_name(tiny(*trainer.make_schedule(spec, 40), **options)[0]).replace("nano-", "", 1)

    shape = "layers1-heads1-width32-context32-batch4-warmup5"
    assert name("wsd") == f"wsd-0.2-linear-lr0.003-40-seed0-{shape}"
    assert name("wsd", optimizer="muon") == f"wsd-0.2-linear-lr0.003-40-seed0-{shape}-muon"
    assert name("wsd", log_every=10) == name("wsd"), "the log is not the run"
    assert name("cosine:cycle=2").startswith("cosine-cycle2-lr")
    assert name("inverse_sqrt:cooldown=0.2").startswith("inverse_sqrt-cooldown0.2-lr")
    assert name("polynomial").startswith("polynomial-1-lr")
    assert name("step:milestones=[3,5]").startswith("step-milestones[3,5]-lr")


# --- schedules ---------------------------------------------------------------------------------------------------------


def test_a_warmup_in_the_schedule_is_the_runs_and_put_on_once():
    eta, about = trainer.make_schedule("wsd:cooldown=0.4,warmup=8", 40)
    config, rates = tiny(eta, about, warmup=None)
    assert config.warmup == 8 and "warmup" not in config.schedule
    np.testing.assert_array_equal(rates, 3e-3 * schedules.warmup(schedules.wsd(40, 0.4), 8))
    assert tiny(*trainer.make_schedule("wsd:warmup=0.25", 40), warmup=None)[0].warmup == 10
    with pytest.raises(ValueError, match="warmup must be given once, got 8 in the schedule and 5 beside it"):
        tiny(eta, about)


def test_a_cooldown_on_any_schedule_is_recorded():
    eta, about = trainer.make_schedule("inverse_sqrt", 40, cooldown=0.2)
    assert about == {"scheduler": "inverse_sqrt", "offset": 1.0, "cooldown": 0.2}
    np.testing.assert_array_equal(eta, schedules.cooldown(schedules.inverse_sqrt(40), 0.2))
    with pytest.raises(ValueError, match=r"cooldown must be given once, got it in the schedule 'wsd:cooldown=0.2' and beside it"):
        trainer.make_schedule("wsd:cooldown=0.2", 40, cooldown=0.4)


def test_a_file_has_its_own_length(tmp_path):
    schedules.write_csv(tmp_path / "mine.csv", schedules.linear(17))
    eta, about = trainer.make_schedule(str(tmp_path / "mine.csv"))
    assert eta.size == 17 and about == {"scheduler": "mine"}
    with pytest.raises(ValueError, match="must have 18 rows"):
        trainer.make_schedule(str(tmp_path / "mine.csv"), 18)
    with pytest.raises(ValueError, match="a schedule from a file has no parameter 'cooldown'"):
        trainer.make_schedule(str(tmp_path / "mine.csv"), 17, cooldown=0.2)


# --- what is said beforehand -------------------------------------------------------------------------------------------


def test_the_largest_rate_is_said_where_it_is_below_the_base_rate():
    said = trainer.describe(*trainer.configure(schedules.linear(50), preset="pico", lr=3e-3, device="cpu"))
    assert "learning rate 0.000765 at step 25: 0.26 of the base rate" in said.replace("0.00078 at step 25", "0.000765 at step 25")
    said = trainer.describe(*tiny())
    assert "largest   learning rate 0.003 at step 5\n" in said


def test_what_an_older_run_does_not_know_has_its_default():
    config, rates = tiny()
    known = dataclasses.asdict(config)
    older = {k: v for k, v in known.items() if k not in ("optimizer", "log_every")}
    same_run(older, config, "a.parquet", rates, rates)
    for name, value in (("optimizer", "muon"), ("log_every", 7)):
        with pytest.raises(ValueError, match=f"a.parquet is of another config: its {name} is "):
            same_run(older, dataclasses.replace(config, **{name: value}), "a.parquet", rates, rates)


def test_rows_are_every_tenth_on_a_gpu(monkeypatch):
    assert tiny()[0].log_every == 1
    monkeypatch.setattr(settings, "has_bfloat16", lambda device: True)
    assert tiny(device="cuda")[0].log_every == 10


# --- what is no schedule, no rate, no environment ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "about",
    [
        [1],
        {"x": 1},
        {"scheduler": 5},
        {"scheduler": "array", "x": len},
        {"scheduler": "a", 5: 1},
        {},
        "wsd",
        {"scheduler": "a", "x": np.nan},
    ],
    ids=repr,
)
def test_what_is_no_schedules_record(about):
    with pytest.raises(ValueError, match=r"^schedule must be a dict with a 'scheduler'"):
        tiny(about=about)


def test_rates_beyond_floats():
    with pytest.raises(
        ValueError, match=r"^lr must be such that the rates are finite, got 1e\+10 with a schedule whose peak is 1e\+308"
    ):
        tiny(1e308 * np.ones(60), lr=1e10)
    with pytest.raises(ValueError, match=r"^lr must be such that the rates are above 0, got 1e-10"):
        tiny(1e-320 * np.ones(60), lr=1e-10)


@pytest.mark.parametrize(("variable", "value"), [("WORLD_SIZE", v) for v in ("0", "-1", "x", "1.5", "9" * 30)])
def test_numbers_of_processes(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"^environment variable {variable} must be an integer in 1"):
        tiny()


def test_ranks(monkeypatch):
    for variable, read in (("RANK", machine.rank), ("LOCAL_RANK", machine.local_rank)):
        assert read() == 0
        for value in ("z", "1", "-1"):
            monkeypatch.setenv(variable, value)
            with pytest.raises(
                ValueError, match=rf"^environment variable {variable} must be an integer in 0\.\.0, got '{value}'"
            ):
                read()
        monkeypatch.setenv("WORLD_SIZE", "4")
        monkeypatch.setenv(variable, "3")
        assert read() == 3
        monkeypatch.delenv("WORLD_SIZE")


def test_a_budget_in_tokens():
    assert trainer.steps_for(8 * 128 * 3 - 1, "nano") == 3 and trainer.steps_for(100, "pico", 5, 4) == 5
    for options, message in (
        ({"batch": 0}, "batch must be an integer >= 1, got 0"),
        ({"batch": -1}, "batch must be an integer >= 1, got -1"),
        ({"context": 2.5}, "context must be an integer >= 1, got 2.5"),
        ({"preset": "huge"}, "preset must be one of 'pico'"),
        ({"tokens": "5"}, "tokens must be a finite number >= 1, got '5'"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            trainer.steps_for(**{"tokens": 1e4, "preset": "nano"} | options)


def test_a_number_of_steps_is_given_once():
    assert trainer.make_schedule("wsd", T=9)[0].size == 9
    with pytest.raises(ValueError, match=r"^T must be given once, got 9 and 3"):
        trainer.make_schedule("wsd", 9, T=3)


def test_what_does_not_fit_is_refused_and_not_tried():
    config, _ = tiny(width=10_000_000, layers=10_000_000)
    with pytest.raises(ValueError, match=r"width = 10000000, .* must fit into the memory of .* GiB, got a run of .* GiB or more"):
        machine.need_device(config)
    small, _ = tiny()
    network = trainer.GPT(small.shape)
    assert 16 * sum(p.numel() for p in network.parameters()) < machine.least_memory(small) < machine.memory("cpu")
