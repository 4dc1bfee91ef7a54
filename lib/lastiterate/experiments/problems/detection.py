"""Find and name digits: handwritten ones, pasted on pictures of brick, grass and gravel, by a network with two heads."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lastiterate.experiments.problems import digits
from lastiterate.experiments.problems.glyphs import TEXTURES, convolution, crops, pictures

SIDE, CELL, NOISE = 48, 8, 0.05  # pixels of a scene, of a cell of the grid; standard deviation, for pixels in [0, 1]
QUARTER, GRID, CLASSES = SIDE // 2, SIDE // CELL, 10
SMALLEST, LARGEST, STRENGTH = 14, 22, 0.4  # sides of a digit's box, in pixels; contrast of the textures


def make(batch_size=8):
    """(network, batch, held_out): see `problem.Problem`.

    Loss, over the number of digits: cross entropy of the cells' classes, and 5 times the smooth absolute error of centre and side
    where a digit is. Error: 1 minus mean average precision at an overlap of one half.
    """
    (train, held), (textures, others) = digits.images(), pictures(TEXTURES).split([384, 128], 2)
    network = TwoHeads()
    scenes, present, boxes = draw(*held, others, 256, np.random.default_rng(0))

    def loss(network, scenes, present, boxes):
        logits, found = network(scenes)
        where = present < CLASSES
        classes = F.cross_entropy(logits, present, reduction="sum")
        places = F.smooth_l1_loss(found.movedim(1, 3)[where], boxes.movedim(1, 3)[where], reduction="sum", beta=0.1)
        return (classes + 5 * places) / where.sum(), logits, found

    def batch(network, rng):
        return loss(network, *draw(*train, textures, batch_size, rng))[0]

    def held_out(network):
        network.eval()  # batch norm with the running means
        mean, logits, found = loss(network, scenes, present, boxes)
        network.train()
        return mean.item(), 1 - mean_average_precision(*detections(logits, found), *objects(present, boxes))

    return network, batch, held_out


class TwoHeads(nn.Module):
    """Of a scene: logits of the classes and of "nothing" for each cell of the grid, (n, 11, 6, 6); and the place of the digit
    whose centre is there, (n, 3, 6, 6): its centre from the cell's, right and down, and its side, over the size of a cell."""

    def __init__(self, widths=(16, 32, 64)):
        super().__init__()
        a, b, c = widths
        around = nn.Sequential(nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU())
        self.trunk = nn.Sequential(convolution(1, a), convolution(a, b), convolution(b, c), around)
        self.classes, self.places = nn.Conv2d(c, CLASSES + 1, 1), nn.Conv2d(c, 3, 1)

    def forward(self, scenes):
        x = self.trunk(scenes)
        return self.classes(x), self.places(x)


def draw(pictures, labels, textures, n, rng):
    """n scenes; each quarter of one has a digit with probability one half, somewhere inside of it.

    Returns:
        (scenes, present, boxes): shape (n, 1, SIDE, SIDE), around 0; the class of the digit whose centre is in a cell, 10 for
        none, int64 of shape (n, 6, 6); and its place as `TwoHeads` gives it, shape (n, 3, 6, 6), 0 where none is.
    """
    chosen, there = rng.integers(0, len(pictures), (n, 2, 2)), rng.random((n, 2, 2)) < 0.5
    side = rng.uniform(SMALLEST, LARGEST, (n, 2, 2))
    across, down = rng.uniform(side / 2, QUARTER - side / 2, (2, n, 2, 2))
    theta = np.zeros((n, 2, 2, 2, 3), np.float32)  # from a quarter's coordinates, -1 to 1, to a digit's
    theta[..., 0, 0] = theta[..., 1, 1] = QUARTER / side
    theta[..., 0, 2], theta[..., 1, 2] = (QUARTER - 2 * across) / side, (QUARTER - 2 * down) / side
    shape = [4 * n, 1, QUARTER, QUARTER]
    grid = F.affine_grid(torch.from_numpy(theta.reshape(-1, 2, 3)), shape, align_corners=False)
    alpha = F.grid_sample((pictures[chosen.ravel()].unsqueeze(1) + 1) / 2, grid, align_corners=False)
    alpha = alpha.view(n, 2, 2, QUARTER, QUARTER) * torch.from_numpy(there[..., None, None].astype(np.float32))
    alpha = alpha.permute(0, 1, 3, 2, 4).reshape(n, 1, SIDE, SIDE)
    ground = 0.5 + STRENGTH * (crops(textures, n, SIDE, rng) - 0.5)
    dark = (ground.mean((1, 2, 3), keepdim=True) < 0.5).float()
    noise = torch.from_numpy(rng.standard_normal((n, 1, SIDE, SIDE), dtype=np.float32))
    present, boxes = torch.full((n, GRID, GRID), CLASSES), torch.zeros(n, 3, GRID, GRID)
    image, i, j = np.nonzero(there)
    x, y = across[there] + QUARTER * j, down[there] + QUARTER * i
    column, row = (x // CELL).astype(int), (y // CELL).astype(int)
    present[image, row, column] = labels[chosen[there]]
    place = np.stack([x / CELL - column - 0.5, y / CELL - row - 0.5, side[there] / CELL], 1).astype(np.float32)
    boxes[image, :, row, column] = torch.from_numpy(place)
    return ground + alpha * (dark - ground) + NOISE * noise - 0.5, present, boxes


def detections(logits, places):
    """The most likely digit of each cell where no neighbour is surer of a digit: (image, class, score, box), one row each.

    Boxes are (left, top, right, bottom) in pixels.
    """
    chance = logits.softmax(1)[:, :CLASSES]
    score, label = chance.max(1)
    image, row, column = torch.nonzero(score == F.max_pool2d(score, 3, 1, 1), as_tuple=True)
    box = _pixels(places[image, :, row, column], row, column)
    return image.numpy(), label[image, row, column].numpy(), score[image, row, column].numpy(), box


def objects(present, boxes):
    """What is in the scenes: (image, class, box)."""
    image, row, column = torch.nonzero(present < CLASSES, as_tuple=True)
    return image.numpy(), present[image, row, column].numpy(), _pixels(boxes[image, :, row, column], row, column)


def _pixels(place, row, column):
    x, y = CELL * (column + 0.5 + place[:, 0]), CELL * (row + 0.5 + place[:, 1])
    half = CELL * place[:, 2] / 2
    return torch.stack([x - half, y - half, x + half, y + half], 1).numpy()


def mean_average_precision(image, label, score, box, true_image, true_label, true_box, overlap=0.5):
    """Mean over the classes of the area under precision against recall, precision being the best at that recall or a higher one.

    Detections are taken by falling score; one counts where it overlaps an object of its image and class, which no earlier one has
    found, by intersection over union of `overlap` or more.

    Args:
        image, label, score, box: of the detections, shapes (n,), (n,), (n,), (n, 4); boxes as (left, top, right, bottom).
        true_image, true_label, true_box: of the objects.
        overlap: least intersection over union.

    Source: Everingham et al. 2010, The PASCAL Visual Object Classes Challenge (in its later form, with all recalls).

    >>> one = np.array([0]), np.array([3])
    >>> mean_average_precision(*one, np.array([0.9]), np.array([[0, 0, 4, 4]]), *one, np.array([[0, 0, 4, 3]]))
    1.0
    """
    precisions = []
    for kind in np.unique(true_label):
        mine = np.flatnonzero(label == kind)
        mine, theirs = mine[np.argsort(-score[mine], kind="stable")], true_label == kind
        free, hits = {i: list(true_box[theirs & (true_image == i)]) for i in np.unique(true_image[theirs])}, []
        for i in mine:
            left = free.get(image[i], [])
            share = [_overlap(box[i], other) for other in left]
            hits.append(bool(share) and max(share) >= overlap)
            if hits[-1]:
                left.pop(int(np.argmax(share)))
        found = np.cumsum(hits)
        precision = np.maximum.accumulate((found / np.arange(1, len(hits) + 1))[::-1])[::-1]
        precisions.append(float(np.sum(precision * np.array(hits, bool)) / theirs.sum()))
    return float(np.mean(precisions))


def _overlap(a, b):
    inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return inner / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner)
