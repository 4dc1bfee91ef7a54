"""Small image classifiers: they learn, repeat, and answer to the schedule."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lastiterate import cli, schedules
from lastiterate._extras import MissingExtra
from lastiterate.experiments import problems
from lastiterate.experiments.problems import cifar, detection, digits, suite
from lastiterate.logs.published import DataError

DATA = Path(__file__).parents[3] / "data"
pytestmark = pytest.mark.usefixtures("one_thread")


RATES = {"cnn": 0.0316, "vit": 3.16e-3, "mlm": 3.16e-3, "overfit": 0.0316}  # their data are always there


@pytest.mark.parametrize("problem", [pytest.param(p, marks=[pytest.mark.slow] * (p == "mlm")) for p in RATES])
def test_a_run_learns_and_repeats_bit_by_bit(problem):
    rates = RATES[problem] * schedules.linear(200)
    curve, norms = problems.train(problem, rates, seed=0)
    again, norms_again = problems.train(problem, rates, seed=0)
    assert curve.equals(again) and np.array_equal(norms, norms_again)
    assert curve["step"].tolist()[-1] == 200 and len(curve) == problems.PROBLEMS[problem].evaluations
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
    assert "1/t, β = 25" in problems.names(f"cifar{classes}")


def test_cifar_without_a_network_is_named_and_left_out(monkeypatch, tmp_path, capsys):
    def offline(classes):
        raise DataError("cannot download")

    monkeypatch.setattr(cifar, "images", offline)
    assert cli.main(["problems", str(tmp_path / "problems"), "--problems", "cifar10", "cifar100"]) == 1
    assert capsys.readouterr().err.count("left out: cannot download") == 2 and not list(tmp_path.iterdir())


def test_held_out_images_are_none_of_the_training_ones():
    (train, _), (held, _) = digits.images()
    assert len(train) == 1400 and len(held) == 397
    assert torch.cdist(held.flatten(1), train.flatten(1)).min() > 0


def test_offsets_and_names():
    np.testing.assert_array_equal(problems.schedule("1/√t, β = 5", 9), schedules.inverse_sqrt(9, 5.0))
    np.testing.assert_array_equal(problems.schedule("linear", 9), schedules.linear(9))
    for bad in ("1/x, β = 5", "triangle"):
        with pytest.raises(ValueError, match="name must be one of"):
            problems.schedule(bad, 9)
    with pytest.raises(ValueError, match=r"problem must be one of 'cnn', 'vit', .*, got 'mnist'"):
        problems.train("mnist", np.ones(3), 0)
    with pytest.raises(ValueError, match="workers must be an integer >= 1"):
        problems.record("x", ["overfit"], workers=0)
    assert problems.names("overfit") == problems.SCHEDULES and problems.names("cnn")[-1] == "refined"


def test_a_diverged_seed_does_not_make_a_rate_the_best():
    losses = {(0.1, 0): 1.0, (0.1, 1): 1.0, (0.3, 0): 0.5, (0.3, 1): np.nan}
    rows = [("cnn", "linear", lr, seed, problems.PROBLEMS["cnn"].steps, loss) for (lr, seed), loss in losses.items()]
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


def ends(losses, problem="glyphs10"):
    """Runs of a problem under linear decay, from {(lr, seed): final loss}."""
    steps = problems.PROBLEMS[problem].steps
    rows = [(problem, "linear", lr, seed, steps, 9.0, loss, 0.5) for (lr, seed), loss in losses.items()]
    return pd.DataFrame(rows, columns=[*suite.KEYS, "step", "train_loss", "loss", "error"])


def test_all_rates_then_one_beyond_an_edge_then_more_seeds_of_the_best():
    known, losses = problems.PROBLEMS["glyphs10"], {}
    for expected in (known.rates, [0.16], [0.32], [0.64]):  # the loss falls from each rate to the next, up to 0.32
        jobs = problems.due(ends(losses), "glyphs10", "linear")
        assert jobs == [(lr, seed) for lr in expected for seed in range(known.tuning)]
        losses |= {(lr, seed): abs(np.log(lr / 0.32)) + seed for lr, seed in jobs}
    jobs = problems.due(ends(losses), "glyphs10", "linear")
    assert jobs == [(0.32, seed) for seed in range(known.tuning, known.seeds)]
    losses |= dict.fromkeys(jobs, 90.0)  # further seeds count in the mean, and do not change which rate is the best
    assert problems.due(ends(losses), "glyphs10", "linear") == []
    best = problems.sweep(ends(losses), "glyphs10", "linear")
    assert (best.lr, best.edge, best.mean) == (0.32, "", pytest.approx((0 + 1 + 3 * 90) / 5))


def test_rates_are_not_added_for_ever():
    losses, known = {}, problems.PROBLEMS["overfit"]
    for _ in range(suite.BEYOND + 2):  # the table's rates, those beyond, further seeds
        jobs = problems.due(ends(losses, "overfit"), "overfit", "linear")
        losses |= {(lr, seed): -lr for lr, seed in jobs}
    assert problems.due(ends(losses, "overfit"), "overfit", "linear") == []
    tried = {lr for lr, _ in losses}
    assert len(tried) == len(known.rates) + suite.BEYOND and max(tried) == 31.6
    assert problems.sweep(ends(losses, "overfit"), "overfit", "linear").edge == "highest"


def test_data_whose_package_is_not_installed_are_named_and_left_out(monkeypatch, tmp_path, capsys):
    def missing(names):
        raise MissingExtra("this needs skimage")

    monkeypatch.setattr(detection, "pictures", missing)
    assert not problems.record(tmp_path / "problems", ["detection"])
    assert "detection: left out: this needs skimage" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "problems.parquet").is_file(), reason="not in the repository")
def test_a_stopped_record_goes_on(monkeypatch, tmp_path):
    runs = pd.read_parquet(DATA / "problems.parquet")
    runs = runs[(runs["problem"] == "overfit") & (runs["seed"] < 5)]
    kept = runs[runs["schedule"].isin(problems.names("overfit"))]
    removed = (kept["schedule"] == "cosine") & (kept["seed"] == 1) & (kept["lr"] == 0.1)
    kept[~removed].to_parquet(tmp_path / "problems.parquet", index=False)
    assert problems.record(tmp_path / "problems", ["overfit"], workers=1)
    found = pd.read_parquet(tmp_path / "problems.parquet").set_index([*suite.KEYS, "step"]).sort_index()
    before = kept.set_index([*suite.KEYS, "step"]).sort_index()
    np.testing.assert_allclose(found.loc[before.index], before, rtol=1e-3)
