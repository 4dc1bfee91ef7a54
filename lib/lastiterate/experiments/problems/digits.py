"""Three problems on scikit-learn's 8 x 8 digits: a small convolutional network, a small vision transformer, and a wide network
on few of them, which it comes to fit exactly."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lastiterate.experiments.problems.problem import classified

NOISE, BATCH = {"cnn": 0.5, "vit": 0.3}, {"cnn": 16, "vit": 32, "overfit": 64}  # standard deviation, for pixels in [-1, 1]


def make(problem):
    """(network, batch, held_out) of "cnn", "vit" or "overfit": see `problem.Problem`."""
    (X, y), held = images()
    if problem == "overfit":
        X, y = X[:256], y[:256]
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10))
    elif problem == "cnn":
        network = nn.Sequential(
            nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10),
        )  # fmt: skip
    else:
        network = Patches()

    def seen(images, rng):  # never the same image twice: no model can fit them exactly, and the noise of the gradients stays
        return _noisy(images, rng, NOISE[problem]) if problem in NOISE else images

    def batch(network, rng):
        rows = torch.from_numpy(rng.integers(0, len(X), BATCH[problem]))
        return F.cross_entropy(network(seen(X[rows], rng)), y[rows])

    copies = 8 if problem in NOISE else 1
    shown, labels = seen(held[0].repeat(copies, 1, 1), np.random.default_rng(0)), held[1].repeat(copies)
    return network, batch, lambda network: classified(network(shown), labels)


@functools.cache
def images():
    """((images, labels), (images, labels)) to train on, 1400, and held out: float32 of shape (n, 8, 8) in [-1, 1], int64."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    X, y = torch.tensor(found.images[order] / 8 - 1, dtype=torch.float32), torch.tensor(found.target[order])
    return (X[:1400], y[:1400]), (X[1400:], y[1400:])


def _noisy(images, rng, sigma):
    """Each image shifted by -1, 0 or 1 pixel in both directions, with Gaussian noise on every pixel."""
    n, side, _ = images.shape
    down, right = torch.from_numpy(rng.integers(0, 3, (2, n, 1)))
    at = torch.arange(side)
    shifted = F.pad(images, (1, 1, 1, 1), value=-1.0)[
        torch.arange(n)[:, None, None], (down + at)[:, :, None], (right + at)[:, None, :]
    ]
    return shifted + sigma * torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))


def _encoder(width, layers=2):
    block = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(block, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)


class Patches(nn.Module):
    """A small vision transformer: 16 patches of 2 x 2 pixels, mean over patches."""

    def __init__(self, width=32):
        super().__init__()
        self.embed, self.place = nn.Linear(4, width), nn.Parameter(0.02 * torch.randn(16, width))
        self.encoder, self.head = _encoder(width), nn.Linear(width, 10)

    def forward(self, images):
        patches = images.unfold(1, 2, 2).unfold(2, 2, 2).reshape(-1, 16, 4)
        return self.head(self.encoder(self.embed(patches) + self.place).mean(1))
