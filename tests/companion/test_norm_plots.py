"""Views of gradient norms: exponents and shapes that were put in come out, each panel has the numbers of its runs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lastiterate.companion import norm_plots, style
from lastiterate.logs.select import Course

STEPS = np.arange(1, 401)
SHAPE = (2.0, 0.05, 1.0, 0.5, 1.5, 1.0)
COURSES = {
    (name, lr): Course(STEPS, lr**power * norm_plots.time_shape(STEPS / 400, *SHAPE), np.full(400, lr), lr * STEPS)
    for name, power in (("cosine", -0.5), ("wsd", -0.3))
    for lr in (1e-3, 2e-3, 4e-3)
}


@pytest.fixture
def views():
    style.use()
    yield norm_plots.six_views(COURSES, window=1)
    plt.close("all")


def test_running_median_is_short_at_the_ends():
    assert norm_plots.running_median([4.0, 1.0, 9.0, 2.0], 2).tolist() == [4.0, 2.5, 5.0, 5.5]
    assert norm_plots.running_median([4.0, 1.0, 9.0, 2.0], 1).tolist() == [4.0, 1.0, 9.0, 2.0]
    with pytest.raises(ValueError, match="window must be an integer >= 1, got 0"):
        norm_plots.running_median([1.0], 0)


def test_one_color_a_rate():
    colors = norm_plots.rate_colors(COURSES)
    assert list(colors) == [1e-3, 2e-3, 4e-3] and len(set(colors.values())) == 3


def test_exponents_of_the_rate(views):
    _, axes, slopes = views
    assert slopes == {"cosine": pytest.approx(-0.5), "wsd": pytest.approx(-0.3)}
    points, fitted = axes["means"].get_lines()[:2]
    means = [COURSES["cosine", lr].norm.mean() for lr in (1e-3, 2e-3, 4e-3)]
    np.testing.assert_allclose(points.get_ydata(), means)
    np.testing.assert_allclose(fitted.get_ydata()[[0, -1]], [means[0], means[-1]], rtol=1e-6)
    assert fitted.get_label() == r"fit, $\gamma^{-0.50}$" and axes["means"].get_xscale() == axes["means"].get_yscale() == "log"


def test_the_exponent_is_that_of_the_means_not_of_their_logarithms():
    rates, means = np.array([1e-4, 1e-3, 2e-3]), np.array([0.7, 0.2, 0.4])
    B, A = norm_plots.rate_exponent(rates, means)
    loss = np.sum((A * rates**B - means) ** 2)
    for factor, power in ((1.01, 0.0), (0.99, 0.0), (1.0, 0.01), (1.0, -0.01)):
        assert np.sum((factor * A * rates ** (B + power) * 1e-3**-power - means) ** 2) > loss
    assert abs(B - np.polyfit(np.log(rates), np.log(means), 1)[0]) > 0.01


@pytest.mark.parametrize("name", ["cosine", "wsd"])
def test_shapes_over_time_come_out(views, name):
    _, axes, _ = views
    lines = {line.get_label(): line for line in axes[name].get_lines()}
    assert len(lines) == 6 and all(name in label for label in lines)
    np.testing.assert_allclose(lines[f"fit, {name}, lr 0.001"].get_ydata(), COURSES[name, 1e-3].norm, rtol=1e-3)


def test_along_the_run_and_against_the_sum(views):
    fig, axes, _ = views
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["lr 0.001", "lr 0.002", "lr 0.004", "cosine", "wsd"]
    assert [line.get_linestyle() for line in axes["norms"].get_lines()] == ["--"] * 3 + ["-"] * 3
    np.testing.assert_array_equal(axes["norms"].get_lines()[3].get_ydata(), COURSES["wsd", 1e-3].norm)
    np.testing.assert_array_equal(axes["rates"].get_lines()[5].get_ydata(), COURSES["wsd", 4e-3].rate)
    np.testing.assert_array_equal(axes["sums"].get_lines()[5].get_xdata(), COURSES["wsd", 4e-3].total[::4])
    assert [line.get_marker() for line in axes["sums"].get_lines()] == ["x"] * 3 + ["."] * 3


def test_plain_numbers_on_a_logarithmic_axis():
    fig, ax = plt.subplots()
    ax.set(yscale="log", ylim=(0.09, 3))
    norm_plots.plain(ax.yaxis)
    fig.canvas.draw()
    low, high = ax.get_ylim()
    shown = [tick.label1.get_text() for tick in ax.yaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    assert shown == ["0.1", "0.2", "0.5", "1", "2"] and not ax.yaxis.get_minorticklocs().size
    plt.close(fig)
