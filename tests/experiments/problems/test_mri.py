"""Undersampled frequencies: what is measured, what is not, and that the network gets back some of it."""

import numpy as np
import pytest
import torch

from lastiterate import schedules
from lastiterate.experiments import problems
from lastiterate.experiments.problems import mri

pytestmark = pytest.mark.usefixtures("one_thread")
skimage = pytest.importorskip("skimage", reason='scikit-image is of the extra "suites"')


def discs(n, seed):
    """Pictures of an ellipse each."""
    rng, (height, width) = np.random.default_rng(seed), mri.SIZE
    y, x = np.mgrid[:height, :width]
    a, b = rng.uniform(8, 24, (2, n, 1, 1))
    return torch.from_numpy(((((y - height / 2) / a) ** 2 + ((x - width / 2) / b) ** 2 < 1) * 0.8).astype(np.float32))[:, None]


def test_all_columns_without_noise_are_the_picture(monkeypatch):
    monkeypatch.setattr(mri, "SHARE", 1.0)
    monkeypatch.setattr(mri, "NOISE", 0.0)
    true = discs(3, 0)
    torch.testing.assert_close(mri.measure(true, np.random.default_rng(0)), true, atol=1e-6, rtol=0)


def test_a_quarter_of_the_columns_is_measured(monkeypatch):
    monkeypatch.setattr(mri, "NOISE", 0.0)
    point = torch.zeros(500, 1, *mri.SIZE)
    point[:, :, 0, 0] = 1.0  # its frequencies are all 1, so that the energy is the share that is measured
    energy = mri.measure(point, np.random.default_rng(0)).square().sum((1, 2, 3))
    assert energy.mean().item() == pytest.approx(mri.SHARE, abs=0.01) and energy.std() > 0.01


def test_noise_has_its_deviation(monkeypatch):
    monkeypatch.setattr(mri, "SHARE", 1.0)
    level = torch.full((50, 1, *mri.SIZE), 0.5)
    found = mri.measure(level, np.random.default_rng(0)) - level
    assert found.std().item() == pytest.approx(mri.NOISE, rel=0.05)


def test_the_network_gets_back_some_of_it(monkeypatch):
    monkeypatch.setattr(mri, "slices", lambda: (discs(20, 0), discs(4, 1)))
    curve, norms = problems.train("mri", 0.01 * schedules.linear(40), seed=0)
    again, _ = problems.train("mri", 0.01 * schedules.linear(40), seed=0)
    assert curve.equals(again) and np.isfinite(norms).all()
    assert curve["loss"].iloc[-1] < 0.7 * curve["loss"].iloc[0] and curve["error"].iloc[-1] < curve["error"].iloc[0]


def test_held_out_slices_have_no_neighbour_in_the_training_set():
    pytest.importorskip("nibabel", reason='nibabel is of the extra "suites"')
    train, held = mri.slices()
    assert train.shape == (108, 1, *mri.SIZE) and held.shape == (20, 1, *mri.SIZE)
    assert train.min() >= 0 and train.max() <= 1 and held.flatten(1).amax(1).min() > 0.3
    nearest = torch.cdist(held.flatten(1), train.flatten(1)).min(1).values
    within = torch.cdist(held.flatten(1), held.flatten(1)) + 99 * torch.eye(len(held))
    assert (nearest > within.min(1).values).all()
