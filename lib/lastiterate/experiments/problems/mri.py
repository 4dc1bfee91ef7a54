"""From undersampled frequencies to the picture: a small U-Net on slices of a magnetic resonance template of the brain."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lastiterate import _extras

SIZE, COARSER = (64, 76), 3  # pixels of a slice; voxels of 1 mm averaged into a pixel, along both of its sides
SHARE, CENTRE = 0.25, 5  # of the columns of frequencies that are measured; number of these in the middle
NOISE = 0.02  # standard deviation, in pixels of the picture
FIRST, LAST = 8, 152  # slices with brain
BLOCK, GAP = 9, 2  # slices of a block, of which every fourth is held out; slices at its ends that belong to neither side


def make(batch_size=2):
    """(network, batch, held_out): see `problem.Problem`. Loss: mean absolute difference; error: 1 minus structural similarity."""
    similarity = _extras.require("skimage.metrics", "suites").structural_similarity
    train, held = slices()
    network = UNet()
    measured = measure(held, np.random.default_rng(0))

    def batch(network, rng):
        true = train[torch.from_numpy(rng.integers(0, len(train), batch_size))]
        true = true.flip(3) if rng.random() < 0.5 else true
        return F.l1_loss(network(measure(true, rng)), true)

    def held_out(network):
        found = network(measured)
        pairs = zip(found.squeeze(1).numpy(), held.squeeze(1).numpy(), strict=True)
        return F.l1_loss(found, held).item(), 1 - float(np.mean([similarity(*p, data_range=1.0) for p in pairs]))

    return network, batch, held_out


def measure(true, rng):
    """What is seen without a network: a quarter of the columns of frequencies, with noise, the others zero, transformed back.

    Args:
        true: pictures, shape (n, 1, height, width).
        rng: numpy.random.Generator, of columns (each picture has its own, the lowest frequencies always) and noise.

    Returns:
        The magnitude, of the same shape.

    Source: Zbontar et al. 2018, arXiv:1811.08839 (fastMRI), there with 8 % of the columns in the middle.
    """
    n, _, height, width = true.shape
    frequency = np.abs(np.fft.fftfreq(width, 1 / width))
    others = (SHARE * width - CENTRE) / (width - CENTRE)
    seen = (rng.random((n, width)) < others) | (frequency <= CENTRE // 2)
    noise = np.float32(NOISE * np.sqrt(height * width)) * rng.standard_normal((2, n, 1, height, width), dtype=np.float32)
    k = torch.fft.fft2(true) + torch.complex(*torch.from_numpy(noise))
    return torch.fft.ifft2(k * torch.from_numpy(seen)[:, None, None, :]).abs()


class UNet(nn.Module):
    """Two levels down and up again, joined at each level; what it gives is added to its input.

    Source: Ronneberger et al. 2015, arXiv:1505.04597.
    """

    def __init__(self, width=8):
        super().__init__()
        a, b, c = width, 2 * width, 4 * width
        self.down = nn.ModuleList([_convolutions(1, a), _convolutions(a, b), _convolutions(b, c)])
        self.up = nn.ModuleList([_convolutions(c + b, b), _convolutions(b + a, a)])
        self.last = nn.Conv2d(a, 1, 1)

    def forward(self, x):
        levels = [self.down[0](x)]
        for level in self.down[1:]:
            levels.append(level(F.avg_pool2d(levels[-1], 2)))
        y = levels.pop()
        for level in self.up:
            y = level(torch.cat([F.interpolate(y, scale_factor=2), levels.pop()], 1))
        return x + self.last(y)


def _convolutions(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1), nn.ReLU())


@functools.cache
def slices():
    """Horizontal slices of the T1 template of MNI (ICBM 152, 2009), which nilearn ships, where there is brain.

    Every fourth block of BLOCK slices is held out, without its first and last GAP slices, so that no held-out slice is next to
    one of the training set.

    Returns:
        (train, held_out): float32 of shape (n, 1, 64, 76), from 0 to 1.

    Raises:
        MissingExtra: without nilearn.

    Source: Fonov et al. 2011, Unbiased average age-appropriate atlases for pediatric studies.
    """
    nibabel = _extras.require("nibabel", "suites")
    file = _extras.folder("nilearn", "suites") / "datasets" / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    volume = np.asarray(nibabel.load(file).dataobj, np.float32)
    (x, y), (top, left) = SIZE, ((have - COARSER * n) // 2 for have, n in zip(volume.shape[:2], SIZE, strict=True))
    cut = volume[top : top + COARSER * x, left : left + COARSER * y, FIRST:LAST].reshape(x, COARSER, y, COARSER, -1)
    pictures = torch.from_numpy(np.moveaxis(cut.mean((1, 3)), 2, 0)[:, None] / volume.max())
    block, within = np.divmod(np.arange(LAST - FIRST), BLOCK)
    held = block % 4 == 3
    return pictures[~held], pictures[held & (within >= GAP) & (within < BLOCK - GAP)]
