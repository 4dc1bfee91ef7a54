"""CIFAR-10 and CIFAR-100, downloaded when they are first asked for, and four convolutions on them."""

import functools
import itertools
import pickle
import tarfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lastiterate.experiments.problems.problem import classified
from lastiterate.logs.published import fetch


def make(classes):
    """(network, batch, held_out): see `problem.Problem`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    (X, y), held = (
        (torch.tensor(pixels, device=device), torch.tensor(labels, device=device)) for pixels, labels in images(classes)
    )
    widths = [3, 32, 64, 128, 128]
    blocks = [
        nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
        for a, b in itertools.pairwise(widths)
    ]
    network = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(4 * widths[-1], classes)).to(device)

    def scaled(pixels):
        return pixels.float() / 127.5 - 1

    def batch(network, rng):
        rows = torch.from_numpy(rng.integers(0, len(X), 128)).to(device)
        flipped = torch.from_numpy(rng.random(128) < 0.5).to(device).view(-1, 1, 1, 1)
        seen = scaled(X[rows])
        return F.cross_entropy(network(torch.where(flipped, seen.flip(3), seen)), y[rows])

    def held_out(network):
        network.eval()  # batch norm with the running means
        logits = torch.cat([network(scaled(part)) for part in held[0].split(1000)])
        network.train()
        return classified(logits, held[1])

    return network, batch, held_out


@functools.cache
def images(classes=10):
    """CIFAR-10 or CIFAR-100, downloaded when it is first asked for (170 MB).

    Args:
        classes: 10 or 100.

    Returns:
        ((images, labels), (images, labels)): 50,000 to train on and 10,000 to test on; uint8 of shape (n, 3, 32, 32), int64.

    Raises:
        ValueError: for another number of classes.
        DataError: as `fetch`.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    if classes not in (10, 100):
        raise ValueError(f"classes must be 10 or 100, got {classes!r}")
    parts = {
        10: ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"], b"labels"),
        100: (["train"], ["test"], b"fine_labels"),
    }
    *members, key = parts[classes]
    with tarfile.open(fetch("cifar", f"cifar-{classes}-python.tar.gz")) as tar:
        inside = {Path(member.name).name: member for member in tar.getmembers() if member.isfile()}

        def read(names):
            opened = [tar.extractfile(inside[name]) for name in names]
            found = [pickle.load(file, encoding="bytes") for file in opened if file]  # their content was verified
            images = np.concatenate([part[b"data"] for part in found]).reshape(-1, 3, 32, 32)
            return images, np.concatenate([part[key] for part in found]).astype(np.int64)

        return read(members[0]), read(members[1])
