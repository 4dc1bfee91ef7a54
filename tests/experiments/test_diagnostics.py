"""Sharpness against the eigenvalues of a Hessian that is written out; alarms."""

import numpy as np
import pytest
import torch

from lastiterate.experiments import diagnostics


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


def test_alarm():
    quiet = np.ones(50)
    assert diagnostics.alarm(quiet) is None
    assert diagnostics.alarm(np.r_[quiet, 3.0]) == 51
    assert diagnostics.alarm(np.r_[quiet, 3.0], patience=2) is None
    assert diagnostics.alarm(np.r_[quiet, 3.0, 1.0, 3.0, 3.0], patience=2) == 54
    gaps = np.full(100, np.nan)
    gaps[::10] = [1, 1, 1, 1, 1, 1, 9, 9, 9, 9]
    assert diagnostics.alarm(gaps, window=3) == 61


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnostics.alarm(np.ones((2, 2))), "signal must be a 1-D array"),
        (lambda: diagnostics.alarm([1.0], factor=0), "factor must be a finite number > 0"),
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
