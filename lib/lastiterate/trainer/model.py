"""A Llama-type decoder: RMSNorm, rotary positions, SwiGLU, causal attention, no biases, one matrix for input and output.

x = embedding(tokens)
layers times:  x = x + attention(norm(x));   x = x + swiglu(norm(x))
logits = norm(x) @ embedding.T
"""

from lastiterate import _extras
from lastiterate.trainer.config import Shape

_extras.require("torch", "train")
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

__all__ = ["GPT"]


class GPT(nn.Module):
    """The decoder. ``model(tokens)`` gives logits, ``model(tokens, targets)`` the mean cross entropy in nats per token.

    With ``causal=False`` every position sees all others, as a model does that fills in masked tokens.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=1e-5)
        cos, sin = rotations(shape.context, shape.width // shape.heads)
        self.cos, self.sin = nn.Buffer(cos, persistent=False), nn.Buffer(sin, persistent=False)
        self.initialise(0)

    def initialise(self, seed: int) -> None:
        """Draw all weights anew, from a generator of their own: normal with deviation 0.02, gains one."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if p.ndim == 1:
                    p.fill_(1.0)
                else:  # what adds to the residual stream is smaller, so that the stream does not grow with depth
                    scale = 0.02 / (2 * self.shape.layers) ** 0.5 if name.endswith("out.weight") else 0.02
                    p.copy_(scale * torch.randn(p.shape, generator=generator))

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor | None = None, causal: bool = True) -> torch.Tensor:
        x = self.embedding(tokens)
        T = tokens.shape[1]
        for block in self.blocks:
            x = block(x, self.cos[:T], self.sin[:T], causal)
        logits = F.linear(self.norm(x), self.embedding.weight)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.norm1, self.attention = nn.RMSNorm(shape.width, eps=1e-5), Attention(shape)
        self.norm2, self.swiglu = nn.RMSNorm(shape.width, eps=1e-5), SwiGLU(shape)

    def forward(self, x, cos, sin, causal):
        x = x + self.attention(self.norm1(x), cos, sin, causal)
        return x + self.swiglu(self.norm2(x))


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x, cos, sin, causal):
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        y = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, causal)
        return self.out(y.transpose(1, 2).reshape(B, T, C))


class SwiGLU(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.gate_up = nn.Linear(shape.width, 2 * shape.hidden, bias=False)
        self.out = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x):
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * up)


def attend(q, k, v, causal=True):
    """Attention. On CPUs the products are written out: there the fused kernel's backward is the slower one by 2 to 5."""
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    T, width = q.shape[-2:]
    scores = q @ k.transpose(-2, -1) * width**-0.5
    if causal:
        scores = scores + torch.full((T, T), float("-inf"), dtype=q.dtype, device=q.device).triu(1)
    return scores.softmax(-1).to(v.dtype) @ v


def rotations(context, width):
    angles = torch.outer(torch.arange(context), 10000.0 ** (-torch.arange(0, width, 2) / width))
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """Turn each pair (x_i, x_{i + width/2}) by its position's angle."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
