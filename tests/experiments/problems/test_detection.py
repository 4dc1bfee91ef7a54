"""Scenes with digits: boxes are where the digits are, and average precision is what a hand computes."""

import numpy as np
import pytest
import torch

from lastiterate import schedules
from lastiterate.experiments import problems
from lastiterate.experiments.problems import detection, digits, glyphs

pytestmark = pytest.mark.usefixtures("one_thread")
GREY = torch.full((3, 512, 512), 0.3)


def scenes(n=40):
    return detection.draw(*digits.images()[0], GREY, n, np.random.default_rng(0))


def test_a_digit_is_inside_of_its_box(monkeypatch):
    monkeypatch.setattr(detection, "NOISE", 0.0)
    pictures, present, boxes = scenes()
    image, label, box = detection.objects(present, boxes)
    assert pictures.shape == (40, 1, 48, 48) and 60 < len(image) < 100 and set(label) == set(range(10))
    sides = box[:, 2] - box[:, 0]
    assert sides.min() >= detection.SMALLEST - 1e-3 and sides.max() <= detection.LARGEST + 1e-3
    assert box.min() >= -1e-3 and box.max() <= 48 + 1e-3
    ground = pictures.flatten(1).min(1).values  # a digit is lighter than its grey ground
    for i in range(40):
        outside = torch.ones(48, 48, dtype=torch.bool)
        for left, top, right, bottom in box[image == i]:
            around = 1 + (right - left) / 16  # half of one of its 8 x 8 pixels
            rows, columns = (
                slice(max(0, int(low - around)), int(high + around) + 1) for low, high in ((top, bottom), (left, right))
            )
            outside[rows, columns] = False
        assert (pictures[i, 0][outside] - ground[i]).abs().max() < 1e-5


def test_what_is_drawn_is_detected_perfectly():
    _, present, boxes = scenes()
    logits = 9.0 * torch.nn.functional.one_hot(present, 11).movedim(3, 1)
    found = detection.detections(logits, boxes)
    keep = found[2] > 0.5
    assert detection.mean_average_precision(*(part[keep] for part in found), *detection.objects(present, boxes)) == 1.0


def test_average_precision_by_hand():
    """Three objects of one class; detections right, wrong, right: recalls 1/3, 1/3, 2/3, precisions 1, 1/2, 2/3."""
    box, far = np.array([[0.0, 0.0, 4.0, 4.0]]), np.array([[20.0, 20.0, 24.0, 24.0]])
    true = np.array([0, 1, 2]), np.zeros(3, int), np.concatenate([box] * 3)
    found = np.array([0, 1, 2]), np.zeros(3, int), np.array([0.9, 0.8, 0.7]), np.concatenate([box, far, box])
    assert detection.mean_average_precision(*found, *true) == pytest.approx((1 + 2 / 3) / 3)
    twice = np.array([0, 0]), np.zeros(2, int), np.array([0.9, 0.8]), np.concatenate([box, box])
    assert detection.mean_average_precision(*twice, *true) == pytest.approx(1 / 3)  # the second is of what is found already
    other = (found[0], np.ones(3, int), *found[2:])
    assert detection.mean_average_precision(*other, *true) == 0.0
    none = tuple(part[:0] for part in found)
    assert detection.mean_average_precision(*none, *true) == 0.0


def test_half_an_overlap_counts():
    one = np.array([0]), np.array([0])
    truth = np.array([[0.0, 0.0, 4.0, 4.0]])
    for right, expected in ((2.0, 1.0), (1.9, 0.0)):
        found = (*one, np.array([1.0]), np.array([[0.0, 0.0, right, 4.0]]))
        assert detection.mean_average_precision(*found, *one, truth) == expected


def test_both_heads_learn(monkeypatch):
    monkeypatch.setattr(detection, "pictures", lambda names: GREY)
    assert glyphs.TEXTURES == detection.TEXTURES
    curve, norms = problems.train("detection", 0.01 * schedules.linear(60), seed=0)
    again, _ = problems.train("detection", 0.01 * schedules.linear(60), seed=0)
    assert curve.equals(again) and np.isfinite(norms).all()
    assert curve["loss"].iloc[-1] < 0.6 * curve["loss"].iloc[0] and curve["error"].between(0, 1).all()
