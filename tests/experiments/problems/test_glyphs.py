"""Letters on textures: no two classes alike, bends that stay in the picture, classes that can be told apart."""

import numpy as np
import pytest
import torch

from lastiterate import schedules
from lastiterate.experiments import problems
from lastiterate.experiments.problems import glyphs

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def textures(monkeypatch):
    """Instead of scikit-image's pictures, noise of the same shape."""
    noise = torch.from_numpy(np.random.default_rng(0).random((3, 512, 512), dtype=np.float32))
    monkeypatch.setattr(glyphs, "pictures", lambda names: noise)
    return noise


def test_no_two_classes_look_alike_in_any_face():
    masks = glyphs.masks(100)
    assert masks.shape == (100, 12, 32, 32) and masks.dtype == torch.uint8
    for face in range(12):
        assert len({image.numpy().tobytes() for image in masks[:, face]}) == 100
    assert (masks.flatten(2).float().mean(2) > 1).all()  # none is empty
    assert masks[:10].equal(glyphs.masks(10))
    with pytest.raises(ValueError, match="classes must be at most"):
        glyphs.masks(5000)


def test_without_bends_a_picture_is_its_mask(textures):
    pictures, labels = glyphs.draw(glyphs.masks(10), textures, 200, np.random.default_rng(0), strength=0.0)
    assert pictures.shape == (200, 1, 24, 24) and labels.bincount(minlength=10).min() > 5
    assert pictures.min() >= -0.5 and pictures.max() <= 0.5
    within = glyphs.masks(10).amax(1)[labels].flatten(1).float().mean(1)
    drawn = (pictures.flatten(1).abs() > 0.25).float().mean(1)
    assert torch.corrcoef(torch.stack([within, drawn]))[0, 1] > 0.5  # the larger letter covers more


def test_crops_are_pieces_of_the_pictures():
    ramp = torch.arange(2 * 30 * 40.0).view(2, 30, 40)
    found = glyphs.crops(ramp, 50, 8, np.random.default_rng(0))
    assert found.shape == (50, 1, 8, 8)
    assert (found.diff(dim=3) == 1).all() and (found.diff(dim=2) == 40).all()


def test_ten_letters_are_learnt(textures):
    curve, norms = problems.train("glyphs10", 0.02 * schedules.linear(60), seed=0)
    again, _ = problems.train("glyphs10", 0.02 * schedules.linear(60), seed=0)
    assert curve.equals(again) and np.isfinite(norms).all()
    assert curve["train_loss"].iloc[-1] < 0.95 * curve["train_loss"].iloc[0]


def test_the_textures_of_scikit_image():
    pytest.importorskip("skimage", reason='scikit-image is of the extra "suites"')
    pictures = glyphs.pictures(glyphs.TEXTURES)
    assert pictures.shape == (3, 512, 512) and 0 <= pictures.min() < 0.1 and 0.9 < pictures.max() <= 1
