"""The small language model: what is pretrained and fine-tuned is what the trainer would train."""

import numpy as np
import pytest
import torch

from lastiterate import logs, schedules, trainer
from lastiterate.experiments import pico


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return pico.pretrain(20, tmp_path_factory.mktemp("pico"), seed=1, warmup=5)


@pytest.mark.usefixtures("one_thread")
def test_train_is_the_trainers_run_and_keeps_a_file_only_where_it_is_named(tmp_path):
    config, rates = trainer.configure(
        schedules.wsd(6), preset="pico", lr=1e-3, warmup=0, dtype="float32", device="cpu", compile=False
    )
    expected = trainer.train(config, rates, tmp_path / "plain.parquet", progress=False)
    found = pico.train(schedules.wsd(6), tmp_path / "found.parquet", lr=1e-3, warmup=0)
    assert found.equals(expected) and pico.train(schedules.wsd(6), lr=1e-3, warmup=0).equals(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.parquet", "plain.parquet"]


@pytest.mark.usefixtures("one_thread")
def test_both_weights_of_a_pretraining_are_of_one_run(pretrained):
    stable, cooled = (torch.load(pretrained[name]) for name in ("stable", "cooled"))
    assert stable["step"] == (schedules.wsd(20) == 1).sum() == 17 and cooled["step"] == 20
    assert torch.equal(stable["rates"], cooled["rates"]) and torch.allclose(stable["log"][:, :4], cooled["log"][:17, :4])
    assert pico.loss(pretrained["cooled"]) < np.log(256)


@pytest.mark.usefixtures("one_thread")
def test_fine_tuning_learns_the_new_text_from_the_given_weights(pretrained):
    text = logs.recorded("runs/pico.csv")
    before = pico.loss(pretrained["cooled"], text), pico.loss(pretrained["cooled"])
    new, old = pico.fine_tune(pretrained["cooled"], text, 20, 3e-3, seed=1)
    assert new < before[0] - 0.5 and old != before[1]
    still, same = pico.fine_tune(pretrained["cooled"], text, 1, 1e-9, warmup=1)
    assert same == pytest.approx(before[1], rel=1e-5) and still == pytest.approx(before[0], rel=0.1)


def test_weights_of_another_model_are_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no checkpoint"):
        pico.loss(tmp_path / "none.checkpoint")
