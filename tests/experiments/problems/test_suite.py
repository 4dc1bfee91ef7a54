"""Small image classifiers: they learn, repeat, and answer to the schedule."""

import numpy as np
import pandas as pd
import pytest
import torch

from lastiterate import cli, schedules
from lastiterate.experiments import problems
from lastiterate.experiments.problems import cifar, digits, suite
from lastiterate.logs.published import DataError

pytestmark = pytest.mark.usefixtures("one_thread")


SLOWEST = ("mlm",)


@pytest.mark.parametrize("problem", [pytest.param(p, marks=[pytest.mark.slow] * (p in SLOWEST)) for p in problems.BUNDLED])
def test_a_run_learns_and_repeats_bit_by_bit(problem):
    rates = {"cnn": 0.0316, "vit": 3.16e-3, "mlm": 3.16e-3, "overfit": 0.0316}[problem] * schedules.linear(200)
    curve, norms = problems.train(problem, rates, seed=0)
    again, norms_again = problems.train(problem, rates, seed=0)
    assert curve.equals(again) and np.array_equal(norms, norms_again)
    assert curve["step"].tolist()[-1] == 200 and len(curve) == suite.EVALUATIONS
    assert curve["loss"].iloc[-1] < 0.85 * curve["loss"].iloc[0] and curve["error"].between(0, 1).all()
    assert norms.shape == (2, 200) and (norms[0] >= norms[1]).all()
    other, _ = problems.train(problem, rates, seed=1)
    assert not other.equals(curve)


@pytest.mark.parametrize("classes", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_cifar_under_a_schedule(classes, monkeypatch):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 400)
    images = rng.integers(0, 40, (400, 3, 32, 32)) + (labels % 10 * 20)[:, None, None, None]  # brightness tells the class
    parts = (images[:300].astype(np.uint8), labels[:300]), (images[300:].astype(np.uint8), labels[300:])
    monkeypatch.setattr(cifar, "images", lambda n: parts if n == classes else None)
    curve, norms = problems.train(f"cifar{classes}", 0.1 * schedules.linear(30), seed=0)
    again, _ = problems.train(f"cifar{classes}", 0.1 * schedules.linear(30), seed=0)
    assert curve.equals(again) and np.isfinite(norms).all()
    assert curve["train_loss"].iloc[-1] < 0.8 * curve["train_loss"].iloc[0]
    jobs = problems.table([f"cifar{classes}"])
    assert {job[0] for job in jobs} == {f"cifar{classes}"} and (f"cifar{classes}", "1/t, β = 25", 0.1, 1) in jobs


def test_cifar_without_a_network_is_named_and_left_out(monkeypatch, tmp_path, capsys):
    def offline(classes):
        raise DataError("cannot download")

    monkeypatch.setattr(cifar, "images", offline)
    assert cli.main(["problems", str(tmp_path / "problems"), "--problems", "cifar10", "cifar100"]) == 1
    assert capsys.readouterr().err.count("left out: cannot download") == 2 and not list(tmp_path.iterdir())


def test_held_out_images_are_none_of_the_training_ones():
    (train, _), (held, _) = digits._images()
    assert len(train) == 1400 and len(held) == 397
    assert torch.cdist(held.flatten(1), train.flatten(1)).min() > 0


def test_offsets_and_names():
    np.testing.assert_array_equal(problems.schedule("1/√t, β = 5", 9), schedules.inverse_sqrt(9, 5.0))
    np.testing.assert_array_equal(problems.schedule("linear", 9), schedules.linear(9))
    for bad in ("1/x, β = 5", "triangle"):
        with pytest.raises(ValueError, match="name must be one of"):
            problems.schedule(bad, 9)
    with pytest.raises(
        ValueError, match="problem must be one of 'cnn', 'vit', 'mlm', 'overfit', 'cifar10', 'cifar100', got 'mnist'"
    ):
        problems.train("mnist", np.ones(3), 0)
    jobs = problems.table()
    assert len(set(jobs)) == len(jobs) and ("cnn", "1/t, β = 625", 0.1, 2) in jobs


def test_a_diverged_seed_does_not_make_a_rate_the_best():
    import pandas as pd

    losses = {(0.1, 0): 1.0, (0.1, 1): 1.0, (0.3, 0): 0.5, (0.3, 1): np.nan}
    rows = [("cnn", "linear", lr, seed, problems.STEPS["cnn"], loss) for (lr, seed), loss in losses.items()]
    runs = pd.DataFrame(rows, columns=["problem", "schedule", "lr", "seed", "step", "loss"])
    assert problems.best_lr(runs, "cnn", "linear") == 0.1


def test_best_rate_and_its_curves():
    rows = [
        ("overfit", "linear", lr, seed, step, 9.0, loss + 0.1 * seed, 0.5)
        for lr, end in ((0.01, 2.0), (0.0316, 1.0), (0.1, np.nan))
        for seed in (0, 1)
        for step, loss in ((400, 3.0), (800, end))
    ]
    runs = pd.DataFrame(rows, columns=[*suite.KEYS, "step", "train_loss", "loss", "error"])
    found = problems.sweep(runs, "overfit", "linear")
    assert (found.lr, found.tried, found.edge, found.mean) == (0.0316, 3, "", pytest.approx(1.05))
    assert problems.best_lr(runs, "overfit", "linear") == 0.0316
    curves = problems.curves(runs, "overfit", "linear")
    assert curves.index.tolist() == [400, 800] and curves.to_numpy().ravel().tolist() == pytest.approx([3.0, 3.1, 1.0, 1.1])
    assert (problems.curves(runs, "overfit", "linear", "train_loss") == 9).all(axis=None)
    with pytest.raises(ValueError, match="runs must have some of 'overfit' with the schedule 'cosine'"):
        problems.sweep(runs, "overfit", "cosine")
    with pytest.raises(ValueError, match="column must be one of 'loss'"):
        problems.curves(runs, "overfit", "linear", "norm")
