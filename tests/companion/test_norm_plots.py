"""Views of gradient norms: exponents that were put in come out, each panel has the numbers of its runs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lastiterate.companion import norm_plots, style
from lastiterate.logs.select import Course

STEPS = np.arange(51, 401)
COURSES = {
    (name, lr): Course(STEPS, lr**power * STEPS**0.25, lr * STEPS)
    for name, power in (("cosine", -0.5), ("wsd", -0.3))
    for lr in (1e-3, 4e-3)
}


@pytest.fixture
def views():
    style.use()
    yield norm_plots.four_views(COURSES, window=1, fit_from=200)
    plt.close("all")


def test_running_median_is_short_at_the_ends():
    assert norm_plots.running_median([4.0, 1.0, 9.0, 2.0], 2).tolist() == [4.0, 2.5, 5.0, 5.5]
    assert norm_plots.running_median([4.0, 1.0, 9.0, 2.0], 1).tolist() == [4.0, 1.0, 9.0, 2.0]
    with pytest.raises(ValueError, match="window must be an integer >= 1, got 0"):
        norm_plots.running_median([1.0], 0)


def test_one_color_a_rate():
    colors = norm_plots.rate_colors(COURSES)
    assert list(colors) == [1e-3, 4e-3] and len(set(colors.values())) == 2


def test_exponents_of_the_rate(views):
    _, (_, b, _, _), slopes = views
    assert slopes == {"cosine": pytest.approx(-0.5), "wsd": pytest.approx(-0.3)}
    points, fitted = b.get_lines()[:2]
    np.testing.assert_allclose(points.get_ydata(), [COURSES["cosine", lr].norm.mean() for lr in (1e-3, 4e-3)])
    np.testing.assert_allclose(fitted.get_ydata(), points.get_ydata())
    assert fitted.get_label() == "cosine: lr$^{-0.50}$" and b.get_xscale() == b.get_yscale() == "log"


def test_powers_of_time_are_those_of_cosine(views):
    _, (_, _, c, _), _ = views
    labels = [line.get_label() for line in c.get_lines()]
    assert labels == ["_lr 0.001", "lr 0.001: $t^{0.25}$", "_lr 0.004", "lr 0.004: $t^{0.25}$"]
    assert c.get_lines()[1].get_xdata()[0] == 200
    np.testing.assert_allclose(c.get_lines()[3].get_ydata(), COURSES["cosine", 4e-3].norm[STEPS >= 200], rtol=1e-9)


def test_along_the_run_and_against_the_sum(views):
    _, (a, _, _, d), _ = views
    assert [text.get_text() for text in a.get_legend().get_texts()] == ["wsd, lr 0.001", "wsd, lr 0.004"]
    assert [line.get_linestyle() for line in a.get_lines()] == ["--", "--", "-", "-"]
    np.testing.assert_array_equal(a.get_lines()[2].get_ydata(), COURSES["wsd", 1e-3].norm)
    np.testing.assert_array_equal(d.get_lines()[3].get_xdata(), COURSES["wsd", 4e-3].total[::10])
    assert [line.get_marker() for line in d.get_lines()] == ["x", "x", ".", "."]
