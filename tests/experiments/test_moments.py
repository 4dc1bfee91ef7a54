"""Adam's updates against torch's own, and the number formats against their definitions."""

import numpy as np
import pytest
import torch

from lastiterate import schedules
from lastiterate.experiments import moments


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.95), (0.0, 0.999)])
def test_updates_are_those_of_torchs_adam(beta1, beta2):
    gradients = np.random.default_rng(0).standard_normal((30, 7)) * np.geomspace(1, 1e-3, 30)[:, None]
    x = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([x], lr=1.0, betas=(beta1, beta2), eps=1e-6)
    expected = []
    for g in gradients:
        before, x.grad = x.detach().clone(), torch.tensor(g)
        adam.step()
        expected.append((x.detach() - before).square().mean().sqrt().item())
    np.testing.assert_allclose(moments.update_sizes(gradients, beta1, beta2, 1e-6), expected, rtol=1e-9)


def test_of_pure_noise_the_first_update_is_one_and_later_ones_a_quarter():
    sizes = moments.update_sizes(np.random.default_rng(0).standard_normal((3000, 500)), 0.9, 0.999)
    assert sizes[0] == pytest.approx(1, abs=1e-6)
    assert sizes[-500:].mean() == pytest.approx(np.sqrt(0.1 / 1.9), rel=0.02)


def test_an_update_survives_above_half_the_distance_of_two_numbers():
    weights, spacing = torch.ones(4), 2.0**-7  # of bfloat16 above 1
    updates = -spacing * torch.tensor([0.49, 0.51, 0.9, 0.1])
    assert moments.surviving(weights, updates, 1.0) == 0.5
    assert moments.surviving(weights, updates, 1e-3) == 0.0


def test_rounding():
    generator = torch.Generator().manual_seed(0)
    x = torch.full((200_000,), 1.0 + 0.3 * 2.0**-7)
    assert moments.rounded(x, "float32", generator) is x
    assert set(moments.rounded(x, "bfloat16", generator).tolist()) == {1.0}
    stochastic = moments.rounded(x, "bfloat16, stochastic rounding", generator)
    assert set(stochastic.tolist()) == {1.0, 1.0 + 2.0**-7}
    assert (stochastic - 1).mean().item() * 2**7 == pytest.approx(0.3, abs=0.005)
    known = torch.tensor([1.5, -0.25, 3.0])  # what bfloat16 has stays
    assert torch.equal(moments.rounded(known, "bfloat16, stochastic rounding", generator), known)
    with pytest.raises(ValueError, match="number_format must be one of"):
        moments.rounded(x, "float16", generator)


def test_sgd_is_torchs_own_in_float32_and_stalls_in_bfloat16():
    rates = 0.05 * schedules.linear(600)
    losses = moments.sgd(rates, "float32", seed=3, d=50)
    generator = torch.Generator().manual_seed(3)
    minimum = 1 + 0.3 * torch.randn(50, generator=generator)
    x = (minimum + 0.5).requires_grad_()
    optimizer = torch.optim.SGD([x], lr=1.0)
    for rate in rates:
        optimizer.param_groups[0]["lr"] = float(rate)
        x.grad = (0.2 * (x - minimum) + 0.02 * torch.randn(50, generator=generator)).detach()
        optimizer.step()
    assert losses[-1] == pytest.approx(0.1 * (x - minimum).square().mean().item(), rel=1e-4)
    assert moments.sgd(rates, "bfloat16", seed=3, d=50)[-1] > 2 * losses[-1]


ones = torch.ones(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        *[
            (lambda v=v: moments.update_sizes(v), "gradients must be")
            for v in ("ab", [["1"]], [[True]], [1.0], 5, [], [[np.nan]])
        ],
        *[(lambda v=v: moments.update_sizes([[1.0]], v), "beta1 must be") for v in (1, 1.5, -0.1, "a", True, np.nan)],
        *[(lambda v=v: moments.update_sizes([[1.0]], 0.9, v), "beta2 must be") for v in (1, -1, None)],
        *[(lambda v=v: moments.update_sizes([[1.0]], eps=v), "eps must be") for v in (0, -1e-8, np.inf)],
        (lambda: moments.update_sizes([[1e200]]), "gradients must be finite numbers"),
        (lambda: moments.surviving([1.0], ones, 1.0), "weights must be a float32 tensor"),
        (lambda: moments.surviving(ones, ones.double(), 1.0), "updates must be a float32 tensor"),
        (lambda: moments.surviving(ones, torch.ones(3), 1.0), r"updates must have the shape of weights, \(2,\), got \(3,\)"),
        (lambda: moments.surviving(ones, ones, "1"), "lr must be"),
        (lambda: moments.rounded(1.0, "bfloat16", None), "x must be a float32 tensor"),
        (lambda: moments.rounded(ones, "bfloat16", 5), "generator must be a torch.Generator, got 5"),
        *[(lambda v=v: moments.sgd([0.1], "float32", v), "seed must be an integer") for v in (-1, 1.5, "a", True, 10**30)],
        *[(lambda v=v: moments.sgd([0.1], "float32", d=v), r"d must be an integer in 1\.\.") for v in (0, -1, 2.5, 10**12)],
        *[(lambda v=v: moments.sgd([0.1], "float32", noise=v), "noise must be") for v in (-1, np.nan, "a", True)],
        *[(lambda v=v: moments.sgd([0.1], "float32", curvature=v), "curvature must be") for v in (0, -1, np.inf)],
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
