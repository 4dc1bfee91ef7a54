"""The convex suite: the batched program is the plain loop with torch.optim.Adam, run by run."""

import numpy as np
import pytest
import torch

from lastiterate import cli, schedules
from lastiterate.experiments import convex
from lastiterate.logs.published import DataError


def plain_run(X, y, rates, seed, dtype):
    """One run as one would write it first."""
    X, y = torch.as_tensor(X, dtype=dtype), torch.as_tensor(y)
    w = torch.zeros(X.shape[1], int(y.max()) + 1, dtype=dtype, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=1.0, betas=(0.9, 0.95))
    norms = []
    for rows, lr in zip(convex.batches(len(X), len(rates), seed), rates, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(X[rows] @ w, y[rows]).backward()
        norms.append((w.grad.abs().sum().item(), w.grad.norm().item()))
        optimizer.step()
    with torch.no_grad():
        logits = X @ w
        error = (logits.argmax(1) != y).double().mean().item()
        return w.detach().numpy(), torch.nn.functional.cross_entropy(logits, y).item(), error, np.array(norms).T


@pytest.mark.parametrize("name", ["iris", "wine-2"])
def test_batched_runs_are_plain_runs(name):
    X, y = convex.load(name)
    rates = np.stack([0.1 * schedules.linear(100), 0.3 * schedules.inverse_sqrt(100), 0.02 * schedules.constant(100)])
    found = convex.train(X, y, rates, seeds=[3, 5], dtype=torch.float64)
    for i, seed in enumerate((3, 5)):
        for j in range(3):
            w, loss, error, (l1, l2) = plain_run(X, y, rates[j], seed, torch.float64)
            np.testing.assert_allclose(found["weights"][i, j], w, rtol=1e-9, atol=1e-10)
            assert found["loss"][i, j] == pytest.approx(loss, rel=1e-9) and found["error"][i, j] == error
            np.testing.assert_allclose(found["l1"][i, j], l1, rtol=1e-8)
            np.testing.assert_allclose(found["l2"][i, j], l2, rtol=1e-8)


def test_reset_and_betas_are_those_of_a_new_torch_optimizer():
    X, y = convex.load("iris")
    rates = 0.1 * schedules.linear(40)
    found = convex.train(X, y, rates[None], seeds=[2], dtype=torch.float64, beta1=0.8, beta2=0.99, reset=[25])
    X, y = torch.as_tensor(X), torch.as_tensor(y)
    w = torch.zeros(X.shape[1], 3, dtype=torch.float64, requires_grad=True)
    for t, (rows, lr) in enumerate(zip(convex.batches(len(X), 40, 2), rates, strict=True)):
        if t in (0, 25):
            optimizer = torch.optim.Adam([w], betas=(0.8, 0.99))
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(X[rows] @ w, y[rows]).backward()
        optimizer.step()
    np.testing.assert_allclose(found["weights"][0, 0], w.detach(), rtol=1e-9, atol=1e-10)


def test_float32_agrees_to_1e6_after_100_steps():
    X, y = convex.load("iris")
    rates = 0.05 * schedules.linear(100)[None]
    found = convex.train(X, y, rates, seeds=[0])
    w, loss, *_ = plain_run(X, y, rates[0], 0, torch.float64)
    assert found["loss"][0, 0] == pytest.approx(loss, abs=1e-6)
    np.testing.assert_allclose(found["weights"][0, 0], w, atol=2e-5)


def test_the_curve_is_the_loss_along_the_run():
    X, y = convex.load("wine")
    rates = 0.05 * schedules.linear(60)[None]
    found = convex.train(X, y, rates, seeds=[0], record=6)
    assert found["step"].tolist()[-1] == 60 and found["curve"].shape == (1, 1, 6)
    assert found["curve"][0, 0, -1] == found["loss"][0, 0] and np.all(np.diff(found["curve"][0, 0]) < 0)
    shorter = convex.train(X, y, rates[:, : found["step"][2]], seeds=[0])
    assert found["curve"][0, 0, 2] == pytest.approx(shorter["loss"][0, 0], rel=1e-6)


def test_each_epoch_sees_each_example_once():
    rows = convex.batches(50, 9, seed=1, batch=16)
    assert rows.shape == (9, 16)
    for epoch in (rows[:3], rows[3:6], rows[6:]):
        assert len(set(epoch.ravel())) == 48
    assert (convex.batches(50, 9, seed=1)[:3] == rows[:3]).all() and (convex.batches(50, 9, seed=2) != rows).any()


def test_a_run_that_overflows_is_the_worst_not_the_best():
    X, y = convex.load("iris")
    found = convex.train(X, y, np.array([[1e38] * 20, [0.1] * 20]), seeds=[0])
    assert found["loss"][0, 0] > found["loss"][0, 1] and not np.isnan(found["loss"]).any()


def test_each_schedule_at_its_best_rate():
    X, y = convex.load("iris")
    etas, rates = [schedules.linear(60), schedules.wsd(60)], [1e-3, 1e-1, 1e2]
    losses, best = convex.at_best_rates(X, y, etas, rates, range(3), batch=8)
    assert losses.shape == (3, 2) and best.tolist() == [1e-1, 1e-1]
    alone = convex.train(X, y, 0.1 * etas[1][None], range(3), batch=8)["loss"][:, 0]
    np.testing.assert_allclose(losses[:, 1], alone, rtol=1e-5)


def test_minimum_is_that_of_newtons_method():
    X, y = convex.load("wine-2")
    data, target = torch.as_tensor(X), torch.as_tensor(y)
    w = torch.zeros(X.shape[1], 3, dtype=torch.float64, requires_grad=True)
    newton = torch.optim.LBFGS([w], max_iter=500, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def loss():
        newton.zero_grad()
        value = torch.nn.functional.cross_entropy(data @ w, target)
        value.backward()
        return value

    newton.step(loss)
    assert loss().item() - 1e-6 < convex.minimum(X, y, 2000, batch=64) < loss().item() + 2e-3


@pytest.mark.filterwarnings("ignore::lastiterate.design.DegenerateSchedule")
def test_comparison_chooses_rates_on_the_grid_and_says_where_it_ends():
    table = convex.compare("iris", seeds=[0, 1], rates=[1e-3, 1e-1, 10.0], epochs=10)
    assert table["schedule"].tolist() == [*convex.PLAIN, *convex.REFINED]
    assert set(table["lr"]) <= {1e-3, 1e-1, 10.0} and (table["edge"] == (table["lr"] != 1e-1)).all()
    assert table["loss"].between(0.03, 0.6).all() and not table["separable"].any()
    assert convex.compare("wine", seeds=[0, 1], rates=[1e-1], epochs=20)["separable"].all()


def test_schedules_of_the_suite():
    assert convex.schedule("step-wise", 100)[[29, 30, 59, 60, 89, 90]].round(6).tolist() == [1, 0.1, 0.1, 0.01, 0.01, 0.001]
    for name in convex.PLAIN:
        assert convex.schedule(name, 50).shape == (50,)
    with pytest.raises(ValueError, match="name must be one of 'flat'"):
        convex.schedule("triangle", 50)


def test_sets_that_cannot_be_had_are_named_and_left_out(tmp_path, monkeypatch, capsys):
    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", offline)
    monkeypatch.setattr(convex, "BUNDLED", ["iris"])
    monkeypatch.setattr(convex, "REDUCED", {})
    monkeypatch.setattr(convex, "EPOCHS", 1)
    monkeypatch.setattr(convex.compare, "__defaults__", (range(2), [0.1, 0.3], 2, None))
    out = tmp_path / "convex.csv"
    assert cli.main(["convex", str(out), "--openml"]) == 0
    said = capsys.readouterr()
    assert "1 data sets in" in said.out and said.err.count("left out: cannot download") == len(convex.OPENML)
    before = out.read_bytes()
    assert cli.main(["convex", str(out)]) == 0 and out.read_bytes() == before
    with pytest.raises(DataError, match="cannot download 'letter' from OpenML: OSError: no network"):
        convex.load("letter")
    with pytest.raises(ValueError, match="name must be one of 'iris'"):
        convex.load("mnist")


def test_openml_sets_have_named_classes(monkeypatch):
    from sklearn.utils import Bunch

    def fetch_openml(name, version, as_frame, parser):
        assert (name, version, as_frame) == ("letter", 1, False)
        return Bunch(data=np.array([[2.0, 7.0], [4.0, 7.0], [6.0, 7.0]]), target=np.array(["B", "A", "B"], dtype=object))

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch_openml)
    X, y = convex.load("letter")
    assert y.tolist() == [1, 0, 1]
    np.testing.assert_allclose(X, [[-(1.5**0.5), 0, 1], [0, 0, 1], [1.5**0.5, 0, 1]])


X, y = np.ones((4, 2)), np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        *[((X, y, v, [0]), {}, "rates must") for v in ([[-1.0]], [[np.nan]], [[True]], [["1"]], [1.0], [[np.inf]], 5, [[]])],
        *[((X, y, [[1.0]], v), {}, "seeds must") for v in ([-1], [1.5], [True], ["a"], [], 5, "ab")],
        *[((v, y, [[1.0]], [0]), {}, "X must") for v in ([1.0], np.full((4, 2), np.nan), [["a"]])],
        *[((X, v, [[1.0]], [0]), {}, "y must") for v in ([0, 1], [0.0] * 4, [True] * 4, [-1, 0, 1, 0], "abcd")],
        *[((X, y, [[1.0]], [0]), {"batch": v}, "batch must") for v in (0, -1, 2.5, True)],
        *[((X, y, [[1.0]], [0]), {"beta1": v}, "beta1 must") for v in (1, -0.1, "a")],
        *[((X, y, [[1.0]], [0]), {"beta2": v}, "beta2 must") for v in (1, np.nan)],
        *[((X, y, [[1.0]], [0]), {"record": v}, "record must") for v in (-1, 1.5)],
        *[((X, y, [[1.0]], [0]), {"reset": v}, "reset must") for v in ([2], 5, ["a"])],
        ((X, y, [[1.0]], [0]), {"dtype": "float32"}, "dtype must be torch.float32 or torch.float64"),
        ((X, y, np.ones((1, 10**6)), range(1000)), {}, "rates must be such that .* at most 100,000,000 numbers"),
    ],
)
def test_bad_input_of_training(arguments, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        convex.train(*arguments, **options)


def test_bad_input_of_what_calls_it():
    for call, name in (
        (lambda: convex.at_best_rates(X, y, [[1.0], [1.0, 2.0]], [0.1], [0]), "etas"),
        (lambda: convex.at_best_rates(X, y, [[1.0]], ["0.1"], [0]), "rates"),
        (lambda: convex.at_best_rates(X, y, 5, [0.1], [0]), "etas"),
        (lambda: convex.minimum(X, y, 10, lr="0.1"), "lr"),
        (lambda: convex.minimum(X, y, 0), "T"),
        (lambda: convex.steps(0), "n"),
    ):
        with pytest.raises(ValueError, match=f"^{name} must"):
            call()
