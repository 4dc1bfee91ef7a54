"""Sharpness against the eigenvalues of a Hessian that is written out; scores of alarms."""

import numpy as np
import pandas as pd
import pytest
import torch

from lastiterate import schedules, trainer
from lastiterate.experiments import diagnostics, pico


def test_sharpness_is_the_largest_eigenvalue():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    hessian = a @ a.T
    x, y = (torch.randn(n, generator=generator, dtype=torch.float64, requires_grad=True) for n in (2, 4))

    def loss():
        z = torch.cat([x, y])
        return 0.5 * z @ hessian @ z

    assert diagnostics.sharpness(loss(), [x, y], iterations=200) == pytest.approx(
        torch.linalg.eigvalsh(hessian).max().item(), rel=1e-9
    )
    p = torch.rand(6, generator=generator, dtype=torch.float64) + 0.5
    scaled = hessian / torch.sqrt(torch.outer(p, p))
    found = diagnostics.sharpness(loss(), [x, y], [p[:2], p[2:]], iterations=300)
    assert found == pytest.approx(torch.linalg.eigvalsh(scaled).max().item(), rel=1e-9)


def test_sharpness_of_a_network_is_that_of_its_hessian():
    torch.manual_seed(0)
    w = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    X, target = torch.randn(20, 3, dtype=torch.float64), torch.randint(0, 2, (20,))

    def loss(w):
        return torch.nn.functional.cross_entropy(torch.tanh(X @ w), target)

    hessian = torch.autograd.functional.hessian(loss, w).reshape(6, 6)
    eigenvalues = torch.linalg.eigvalsh(hessian)
    expected = eigenvalues[eigenvalues.abs().argmax()].item()
    assert diagnostics.sharpness(loss(w), [w], iterations=500) == pytest.approx(expected, rel=1e-6)


def test_preconditioner_is_what_adam_divides_by():
    p = torch.tensor([1.0, -2.0], requires_grad=True)
    adam = torch.optim.AdamW([p], lr=0.1, betas=(0.0, 0.9), weight_decay=0.0)
    with pytest.raises(ValueError, match="must have made a step"):
        diagnostics.adam_preconditioner(adam)
    for gradient in ([1.0, 3.0], [2.0, -1.0]):
        before, p.grad = p.detach().clone(), torch.tensor(gradient)
        adam.step()
    torch.testing.assert_close(before - p.detach(), 0.1 * p.grad / diagnostics.adam_preconditioner(adam)[0])


def test_over_median_of_what_was_measured():
    signal = np.full(9, np.nan)
    signal[[1, 3, 4, 8]] = [1.0, 3.0, 4.0, 7.0]
    found = diagnostics.over_median(signal, window=2)
    assert found[4] == 2.0 and found[8] == 2.0 and np.isnan(np.delete(found, [4, 8])).all()


def test_scores_are_high_only_after_patience():
    table = pd.DataFrame(
        {"step": np.arange(1, 61), "grad norm": 1.0, "update ratio": 2.0, "above bound": 0.0, "sharpness": np.nan}
    )
    table.loc[9::10, "sharpness"] = [90, 90, 1, 80, 1, 70]
    table.loc[49, "grad norm"], table.loc[39:, "above bound"], table.loc[59, "update ratio"] = 5.0, 0.5, 3.0
    found = diagnostics.scores(table, settled=15)
    assert found["grad norm"].max() == found["grad norm"][49] == 5 and found["update ratio"][59] == 1.5
    assert found["sharpness"].dropna().tolist() == [1, 1, 1, 1], "the least of two, and not before the step 15"
    assert found["above bound"][42] == 0 and found["above bound"][43] == 0.5, "five steps in a row"
    assert found.index.equals(table.index) and list(found) == list(diagnostics.PATIENCE)


def test_first_step():
    assert diagnostics.first_step([False, True, True], [3, 6, 9]) == 6
    assert diagnostics.first_step([True, False, True, True, True], range(5), patience=3) == 4
    assert diagnostics.first_step([False], [1]) is None


def test_a_watched_run_is_the_trainers_own(tmp_path, one_thread):
    rates = 2e-3 * schedules.warmup(schedules.constant(30), 5)
    table = diagnostics.watched(rates, seed=4, every=10, iterations=2)
    config, _ = pico.configure(schedules.constant(30), warmup=0, seed=4, clip=1e9)
    log = trainer.train(config, rates, tmp_path / "run.parquet", progress=False)
    assert table["step"].tolist() == list(range(1, 31)) and table["lr"].tolist() == rates.tolist()
    np.testing.assert_allclose(table["loss"], log["train_loss"], rtol=1e-5)
    np.testing.assert_allclose(table["grad norm"], log["grad_norm"], rtol=1e-4)
    network = trainer.GPT(config.shape)
    network.initialise(4)
    size = torch.cat([p.detach().flatten() for p in network.parameters()]).norm().item()
    assert table["update ratio"][0] == pytest.approx(log["update_norm"][0] / size, rel=1e-4)
    assert table["sharpness"].dropna().index.tolist() == [9, 19, 29] and (table["sharpness"].dropna() > 0).all()
    assert table["smooth"][20] == table["loss"][12:21].median()


def test_the_bounds_fit_is_exact_for_what_has_its_shape():
    rates, norms = 0.01 * schedules.wsd(100), np.linspace(2, 1, 100)
    omega = diagnostics.bounds.omega(rates, norms)
    loss = 2.5 + 0.3 * omega + np.where(np.arange(100) < 60, 0.0, 0.7)
    above = loss - diagnostics.bound_fit(rates, norms, loss)
    np.testing.assert_allclose(above, np.where(np.arange(100) < 60, 0.0, 0.7), atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnostics.over_median(np.ones((2, 2))), "signal must be a 1-D array"),
        (lambda: diagnostics.over_median([1.0], 0), "window must be an integer >= 1, got 0"),
        (lambda: diagnostics.watched(np.ones(10)), "rates must be of 22 steps or more, for the bound's fit, got 10"),
        (lambda: diagnostics.first_step([True], [1], 0), "patience must be an integer >= 1, got 0"),
        (lambda: diagnostics.sharpness(torch.zeros(()), [], iterations=0), "iterations must be an integer >= 1, got 0"),
        (
            lambda: diagnostics.sharpness(torch.zeros(()), [torch.zeros(2)], [torch.ones(3)]),
            "preconditioner must have a tensor like each",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


x = torch.tensor([1.0, 2.0], requires_grad=True)
SIGNALS = [
    "abc",
    ["1", "2"],
    [True, False],
    np.ma.array([1.0, 2.0], mask=[0, 1]),
    np.array(["2024-01-01"], "M8[D]"),
    [-np.inf],
    5,
    [],
]


@pytest.mark.parametrize("signal", SIGNALS, ids=repr)
def test_what_is_no_signal(signal):
    for call in (diagnostics.over_median, lambda v: diagnostics.bound_fit(np.ones(80), np.ones(80), v)):
        with pytest.raises(ValueError, match=r"^(signal|loss) must be"):
            call(signal)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnostics.sharpness(5, [x]), "loss must be a scalar tensor of floats, got 5"),
        (lambda: diagnostics.sharpness(x, [x]), "loss must be a scalar tensor of floats"),
        (lambda: diagnostics.sharpness((x**2).sum(), 5), "parameters must be tensors of floats, got 5"),
        (lambda: diagnostics.sharpness((x**2).sum(), x), "parameters must be tensors of floats"),
        (lambda: diagnostics.sharpness((x**2).sum(), [torch.ones(2, dtype=int)]), "parameters must be tensors of floats"),
        (lambda: diagnostics.sharpness((x**2).sum(), [x], ["a"]), "preconditioner must be tensors of floats"),
        (lambda: diagnostics.sharpness((x**2).sum(), [x], 3.0), "preconditioner must be tensors of floats, got 3.0"),
        (lambda: diagnostics.sharpness((x**2).sum(), [x], seed="a"), "seed must be an integer >= 0, got 'a'"),
        (lambda: diagnostics.sharpness((x**2).sum(), [x], seed=10**30), "seed must be"),
        (lambda: diagnostics.sharpness((x**2).sum(), []), "parameters must be one tensor or more"),
        (lambda: diagnostics.sharpness(x.sum(), [x]), "loss must have second derivatives"),
        (lambda: diagnostics.sharpness(torch.zeros(()), [x]), "loss must have second derivatives"),
        (lambda: diagnostics.adam_preconditioner(5), "optimizer must be torch's Adam or AdamW, got 5"),
        (lambda: diagnostics.adam_preconditioner(torch.optim.SGD([x], lr=1.0)), "optimizer must be torch's Adam or AdamW"),
        (lambda: diagnostics.first_step("abc", [1, 2, 3]), "condition must be a list"),
        (lambda: diagnostics.first_step([1, 0], [1, 2]), "condition must be true and false only"),
        (lambda: diagnostics.first_step([True], ["1"]), "steps must be an integer"),
        (lambda: diagnostics.first_step([True], 5), "steps must be a list"),
        (lambda: diagnostics.first_step([True], [1, 2]), "steps must be one a measurement, 1, got 2"),
        (lambda: diagnostics.scores([1.0]), "table must be one of `watched`"),
        (lambda: diagnostics.scores(pd.DataFrame({"step": [1]})), "table must be one of `watched`"),
        (lambda: diagnostics.watched(np.ones(30), iterations="a"), "iterations must be an integer"),
        (lambda: diagnostics.bound_fit(np.ones(80), np.ones(79), np.ones(80)), "must have one length, got 80, 79, 80"),
        (lambda: diagnostics.bound_fit(np.ones(80), np.ones(80), np.full(80, np.nan)), "well must be a slice of two steps"),
        (lambda: diagnostics.bound_fit(np.ones(80), np.ones(80), np.ones(80), 5), "well must be a slice .*, got 5"),
        (lambda: diagnostics.bound_fit(np.ones(80), np.ones(80), np.ones(80), slice("a", "b")), "well must be a slice"),
        (lambda: diagnostics.bound_fit(np.ones(80), np.ones(80), np.ones(80), slice(70, 71)), "well must be a slice"),
        (lambda: diagnostics.bound_fit([True] * 80, np.ones(80), np.ones(80)), "rates must be"),
        (lambda: diagnostics.bound_fit(np.ones(80), -np.ones(80), np.ones(80)), "grad_norms must not be negative"),
    ],
)
def test_wrong_kinds_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
