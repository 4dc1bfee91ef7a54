"""10, 100 or 1000 letters and numerals of Matplotlib's fonts, bent, on pictures of brick, grass and gravel."""

import functools
import itertools
import unicodedata
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lastiterate import _extras
from lastiterate.experiments.problems.problem import classified

STYLES = {
    "Sans": ["", "-Bold", "-Oblique", "-BoldOblique"],
    "SansMono": ["", "-Bold", "-Oblique", "-BoldOblique"],
    "Serif": ["", "-Bold", "-Italic", "-BoldItalic"],
}
FACES = [f"DejaVu{family}{style}.ttf" for family, styles in STYLES.items() for style in styles]
TEXTURES = ("brick", "grass", "gravel")  # 512 x 512 pixels each, of scikit-image; the last 128 columns are held out
SIDE, NOISE = 24, 0.1  # pixels; standard deviation, for pixels in [0, 1]


def make(classes, widths=(16, 32, 64), batch_size=32, strength=1.0):
    """(network, batch, held_out): see `problem.Problem`. Three convolutions with batch norm.

    No picture is seen twice. The held-out ones have other bends, and pieces of the textures that no training one has.
    """
    faces, (textures, others) = masks(classes), pictures(TEXTURES).split([384, 128], 2)
    network = nn.Sequential(
        *(convolution(a, b) for a, b in itertools.pairwise([1, *widths])),
        nn.Flatten(), nn.Linear(widths[-1] * (SIDE // 2 ** len(widths)) ** 2, classes),
    )  # fmt: skip
    images, labels = draw(faces, others, 2000, np.random.default_rng(0), strength)

    def batch(network, rng):
        seen, target = draw(faces, textures, batch_size, rng, strength)
        return F.cross_entropy(network(seen), target)

    def held_out(network):
        network.eval()  # batch norm with the running means
        logits = torch.cat([network(part) for part in images.split(250)])
        network.train()
        return classified(logits, labels)

    return network, batch, held_out


def convolution(a, b):
    """From a to b channels with batch norm, at half the resolution."""
    return nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())


def draw(faces, textures, n, rng, strength=1.0):
    """n pictures: glyphs turned, sheared, scaled and shifted at random, light on dark or dark on light, with noise.

    Args:
        faces: masks, shape (classes, faces, side, side), as `masks` gives them.
        textures: shape (k, height, width), in [0, 1].
        n: how many.
        rng: numpy.random.Generator.

    Returns:
        (pictures, classes): shape (n, 1, SIDE, SIDE), float32 around 0; int64 of shape (n,).
    """
    labels = rng.integers(0, faces.shape[0], n)
    masked = faces[labels, rng.integers(0, faces.shape[1], n)].float().unsqueeze(1) / 255
    turn, shear = strength * rng.uniform(-0.3, 0.3, (2, n))
    scale, shift = np.exp(strength * rng.uniform(-0.2, 0.2, (2, n))) / 1.5, strength * rng.uniform(-0.15, 0.15, (2, n))
    theta = [[scale[0] * np.cos(turn), shear - np.sin(turn), shift[0]], [np.sin(turn), scale[1] * np.cos(turn), shift[1]]]
    theta = torch.from_numpy(np.moveaxis(np.array(theta, np.float32), 2, 0).copy())
    alpha = F.grid_sample(masked, F.affine_grid(theta, [n, 1, SIDE, SIDE], align_corners=False), align_corners=False)
    ground = 0.5 + strength * (crops(textures, n, SIDE, rng) - 0.5)
    dark = ground.mean((1, 2, 3), keepdim=True) < 0.5
    contrast = 1 - strength * torch.from_numpy(rng.uniform(0.0, 0.5, (n, 1, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal((n, 1, SIDE, SIDE), dtype=np.float32))
    return ground + alpha * contrast * (dark.float() - ground) + strength * NOISE * noise - 0.5, torch.from_numpy(labels)


def crops(textures, n, side, rng):
    """n squares of pictures of shape (k, height, width), at random: shape (n, 1, side, side)."""
    k, height, width = textures.shape
    top, left = rng.integers(0, height - side, n), rng.integers(0, width - side, n)
    at = np.arange(side)
    down, right = (top[:, None] + at)[:, :, None], (left[:, None] + at)[:, None, :]
    return textures[rng.integers(0, k, n)[:, None, None], down, right].unsqueeze(1)


def pictures(names):
    """Grey pictures of scikit-image, float32 of shape (k, 512, 512), in [0, 1].

    Raises:
        MissingExtra: without scikit-image.
    """
    from PIL import Image

    folder = _extras.folder("skimage", "suites") / "data"
    return torch.from_numpy(
        np.stack([np.asarray(Image.open(folder / f"{name}.png").convert("L"), np.float32) for name in names]) / 255
    )


@functools.cache
def masks(classes, side=32):
    """The first letters and numerals that all of FACES have and that no two of them look alike, as pictures.

    "A" of Latin, Greek and Cyrillic is one class: what some face draws like an earlier one is left out.

    Returns:
        uint8 of shape (classes, len(FACES), side, side), 255 inside of the glyph.
    """
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font
    from PIL import Image, ImageDraw, ImageFont

    paths = [str(Path(get_data_path(), "fonts", "ttf", face)) for face in FACES]
    shared = set.intersection(*(set(FT2Font(path).get_charmap()) for path in paths))
    fonts = [ImageFont.truetype(path, 3 * side // 4) for path in paths]
    found, seen = [], set()
    for code in sorted(shared):
        if unicodedata.category(chr(code))[0] not in "LN":
            continue
        drawn = []
        for font in fonts:
            picture = Image.new("L", (side, side))
            ImageDraw.Draw(picture).text((side / 2, side / 2), chr(code), fill=255, font=font, anchor="mm")
            drawn.append(np.asarray(picture))
        looks = {(i, image.tobytes()) for i, image in enumerate(drawn)}
        if not looks & seen:
            seen |= looks
            found.append(np.stack(drawn))
        if len(found) == classes:
            return torch.from_numpy(np.stack(found))
    raise ValueError(f"classes must be at most {len(found)}, got {classes!r}")
