"""Panels of published norms: what is drawn is what was smoothed and refined, by the step."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lastiterate import design
from lastiterate.companion import sequence_plots, style
from lastiterate.logs import sequences


@pytest.fixture
def tasks(monkeypatch):
    rng = np.random.default_rng(0)
    norms = {"imagenet": np.linspace(1, 3, 2000) + rng.uniform(0, 0.1, 2000), "vit": 1 + 99 * np.exp(-np.arange(2000) / 50)}
    monkeypatch.setattr(sequences, "load", norms.get)
    monkeypatch.setattr(sequences, "smooth_by_rows", lambda name: design.smooth(norms[name], 0.02))
    return sequence_plots.prepare(norms, 0.1)


def test_both_smoothings_and_their_schedules(tasks):
    norms = tasks["imagenet"].norms
    np.testing.assert_array_equal(tasks["imagenet"].refined, design.refine(norms, 2, 0.1))
    np.testing.assert_allclose(tasks["imagenet"].refined_by_rows, design.refine(norms, 2, 0.02))
    np.testing.assert_array_equal(tasks["vit"].refined, design.refine(tasks["vit"].norms, 1, 0.1))


def test_two_panels_a_task_with_logarithmic_insets(tasks):
    style.use()
    fig = sequence_plots.figure(tasks, 0.1)
    above, below = fig.axes[0], fig.axes[2]
    assert len(fig.axes) == 4 and all(ax.child_axes[0].get_yscale() == "log" for ax in fig.axes)
    assert [ax.get_title() for ax in fig.axes] == [
        r"ImageNet, $\ell_2$ norm", r"ViT, $\ell_1$ norm", "warmup 1 %, power 3", "no comparison"
    ]  # fmt: skip
    smoothed = above.get_lines()[-1]
    assert smoothed.get_xdata()[0] > 5, "what rests on the first norm is left out"
    assert smoothed.get_ydata()[-1] == tasks["imagenet"].smoothed[-1]
    assert below.get_lines()[-1].get_ydata()[0] == tasks["imagenet"].refined[0]
    words = [text.get_text() for text in fig.legends[0].get_texts()]
    assert len(words) == 6 and not any(word.startswith("_") for word in words)
    plt.close(fig)


def test_as_many_columns_as_are_asked_for(tasks):
    style.use()
    fig = sequence_plots.figure(tasks, 0.1, columns=1)
    assert len(fig.axes) == 4 and fig.axes[2].get_title().startswith("ViT")
    plt.close(fig)
    with pytest.raises(ValueError, match="columns must be an integer >= 1, got 0"):
        sequence_plots.figure(tasks, 0.1, columns=0)


@pytest.mark.parametrize("spread", [0.1, 0.9])
def test_no_inset_lies_on_the_norms(spread):
    norms = 1 + spread * np.sin(np.arange(2000))
    task = sequence_plots.Task(*[norms] * 5)
    fig, ax = plt.subplots()
    sequence_plots.norms_panel(ax, "imagenet", task, 0.1)
    fig.draw_without_rendering()
    low, high = ax.child_axes[0].bbox.transformed(ax.transData.inverted()).intervaly
    plt.close(fig)
    assert norms.max() < low or norms.min() > high
