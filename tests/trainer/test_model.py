"""The decoder: sizes of the presets, causality, rotary positions, attention."""

import pytest
import torch
import torch.nn.functional as F

from lastiterate.trainer import model
from lastiterate.trainer.beforehand import flops_per_token
from lastiterate.trainer.config import PRESETS, Shape
from lastiterate.trainer.model import GPT

TINY = Shape(layers=2, heads=2, width=32, context=16, vocabulary=64)


@pytest.mark.parametrize(("preset", "low", "high"), [("nano", 0.8e6, 1.2e6), ("small", 27e6, 33e6), ("124m", 123e6, 125e6)])
def test_sizes_of_the_presets(preset, low, high):
    with torch.device("meta"):
        assert low < sum(p.numel() for p in GPT(PRESETS[preset]).parameters()) < high


def test_210m_has_24_layers_of_12_heads():
    with torch.device("meta"):
        network = GPT(PRESETS["210m"])
    assert (len(network.blocks), network.blocks[0].attention.heads, network.shape.width) == (24, 12, 768)
    assert 205e6 < sum(p.numel() for p in network.parameters()) < 212e6


def test_no_biases_and_one_matrix_for_input_and_output():
    names = [name for name, _ in GPT(TINY).named_parameters()]
    assert not [name for name in names if "bias" in name]
    assert [name for name in names if "embedding" in name] == ["embedding.weight"] and not [n for n in names if "head" in n]


def test_a_token_does_not_see_those_behind_it():
    network, tokens = GPT(TINY), torch.randint(0, 64, (3, 16))
    other = tokens.clone()
    other[:, 9:] = (other[:, 9:] + 1) % 64
    with torch.no_grad():
        a, b = network(tokens), network(other)
    torch.testing.assert_close(a[:, :9], b[:, :9])
    assert (a[:, 9:] - b[:, 9:]).abs().max() > 1e-3


def test_rotary_products_depend_on_the_distance_alone():
    cos, sin = model.rotations(16, 8)
    q, k = torch.randn(2, 8)
    products = model.rotate(q.expand(16, 8), cos, sin) @ model.rotate(k.expand(16, 8), cos, sin).T
    for distance in (0, 3, 7):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=1e-5)
    assert products[0, 5] != pytest.approx(products[5, 0].item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attention_written_out_is_the_fused_one(dtype):
    q, k, v = (torch.randn(2, 3, 16, 8, dtype=dtype, requires_grad=True) for _ in range(3))
    ours, fused = model.attend(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(ours, fused)
    weights = torch.randn_like(ours)
    ours, fused = (torch.autograd.grad((y * weights).sum(), (q, k, v)) for y in (ours, fused))
    torch.testing.assert_close(ours, fused)


def test_loss_is_the_mean_cross_entropy_and_starts_near_uniform():
    network, tokens = GPT(TINY), torch.randint(0, 64, (4, 17))
    with torch.no_grad():
        loss, logits = network(tokens[:, :-1], tokens[:, 1:]), network(tokens[:, :-1])
    picked = logits.log_softmax(-1).gather(-1, tokens[:, 1:, None])
    torch.testing.assert_close(loss, -picked.mean())
    assert loss.item() == pytest.approx(torch.tensor(64.0).log().item(), abs=0.2)


def test_the_same_seed_gives_the_same_weights():
    a, b = GPT(TINY), GPT(TINY)
    torch.manual_seed(5)  # the global generator is not asked
    for seed, equal in ((0, True), (1, False)):
        b.initialise(seed)
        assert torch.equal(a.embedding.weight, b.embedding.weight) is equal


def test_flops_are_those_of_the_matrices():
    with torch.device("meta"):
        network = GPT(TINY)
    matrices = sum(p.numel() for p in network.parameters() if p.ndim == 2)
    assert flops_per_token(TINY) == 6 * matrices + 12 * 2 * 32 * 16


def test_without_causality_every_token_sees_all_others():
    network, tokens = GPT(TINY), torch.randint(0, 64, (3, 16))
    other = tokens.clone()
    other[:, 15] = (other[:, 15] + 1) % 64
    with torch.no_grad():
        difference = (network(tokens, causal=False) - network(other, causal=False)).abs()
    assert (difference.amax(dim=(0, 2)) > 0).all()
