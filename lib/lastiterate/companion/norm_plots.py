"""Four views of how gradient norms depend on the step and on the learning rate.

`courses` come from `select.norm_courses`: {(name, base learning rate): Course}, the name that of a schedule. One colour a rate.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check
from lastiterate.companion import plots, style
from lastiterate.logs.select import Course

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Courses = Mapping[tuple[str, float], Course]
LINES = {"cosine": "--", "wsd": "-"}
MARKS = {"cosine": "x", "wsd": "."}


def running_median(values: ArrayLike, window: int) -> NDArray[np.float64]:
    """Median over a window that is centred on each value; shorter at both ends.

    Args:
        values: shape (n,).
        window: values in it.

    Returns:
        Array of shape (n,).

    >>> running_median([1, 9, 2, 3, 4], 3).tolist()
    [5.0, 2.0, 3.0, 3.0, 3.5]
    """
    window = _check.integer("window", window)
    return pd.Series(np.asarray(values, dtype=float)).rolling(window, center=True, min_periods=1).median().to_numpy()


def rate_colors(courses: Courses) -> dict[float, str]:
    """{base learning rate: colour}, in the order of the rates."""
    rates = sorted({lr for _, lr in courses})
    return dict(zip(rates, style.colors(len(rates), "plasma"), strict=True))


def four_views(courses: Courses, window: int, fit_from: int) -> tuple["Figure", tuple["Axes", ...], dict[str, float]]:
    """A figure of four panels: along the run, means by rate, powers of t for cosine, against the sum of the rates.

    Args:
        courses: of "cosine" and "wsd".
        window: logged norms in the running median.
        fit_from: first step of the fits over time.

    Returns:
        (figure, its four axes, {name: exponent of the mean norm as a power of the base rate}).

    Source: the gradient norms of Schaipp et al. 2025's 124M runs.
    """
    import matplotlib.pyplot as plt

    fig, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(8.8, 6.2))
    along_the_run(a, courses, window)
    slopes = means_by_rate(b, courses)
    powers_of_time(c, {key: course for key, course in courses.items() if key[0] == "cosine"}, window, fit_from)
    against_the_sum(d, courses, window)
    return fig, (a, b, c, d), slopes


def along_the_run(ax: "Axes", courses: Courses, window: int) -> None:
    """Running medians against the step."""
    for (name, lr), course in courses.items():
        look = {"lw": 1.1, "color": rate_colors(courses)[lr], "label": f"{name}, lr {lr:g}"}
        ax.semilogy(course.step, running_median(course.norm, window), LINES[name], **look)
    ax.set(xlabel="step", ylabel="gradient norm", title="running median (solid wsd, dashed cosine)")
    plots.legend_of(ax, "wsd", fontsize=7, ncols=2, loc="upper center")


def means_by_rate(ax: "Axes", courses: Courses) -> dict[str, float]:
    """Means over the run against the base rate, with the least-squares line through their logarithms; {name: its slope}."""
    slopes = {}
    for name in dict.fromkeys(name for name, _ in courses):
        rates = np.array([lr for other, lr in courses if other == name])
        mean = np.array([courses[name, lr].norm.mean() for lr in rates])
        slopes[name], scale = _power(rates, mean)
        ax.loglog(rates, mean, "o", color=style.color(name), label=name)
        fitted = scale * rates ** slopes[name]
        ax.plot(rates, fitted, "--", color=style.color(name), label=rf"{name}: lr$^{{{slopes[name]:.2f}}}$")
    ax.set(xlabel="base learning rate", ylabel="mean gradient norm", title="mean over the run")
    ax.legend()
    return slopes


def powers_of_time(ax: "Axes", courses: Courses, window: int, fit_from: int) -> dict[float, float]:
    """Running medians of one schedule and, dashed, the powers of t fitted to the norms; {rate: exponent}."""
    exponents = {}
    for (_, lr), course in courses.items():
        late, color = course.step >= fit_from, rate_colors(courses)[lr]
        exponents[lr], scale = _power(course.step[late], course.norm[late])
        ax.loglog(course.step, running_median(course.norm, window), lw=0.8, color=color, alpha=0.6, label=f"_lr {lr:g}")
        fitted = scale * course.step[late] ** exponents[lr]
        ax.plot(course.step[late], fitted, "--", color=color, label=rf"lr {lr:g}: $t^{{{exponents[lr]:.2f}}}$")
    ax.set(xlabel="step", ylabel="gradient norm", title="fit over time, cosine")
    ax.legend(fontsize=6.5, ncols=2, loc="upper center")
    return exponents


def against_the_sum(ax: "Axes", courses: Courses, window: int) -> None:
    """Each tenth of the running medians against the sum of the learning rates so far."""
    for (name, lr), course in courses.items():
        look = {"ms": 4, "color": rate_colors(courses)[lr], "label": f"{name}, lr {lr:g}"}
        ax.loglog(course.total[::10], running_median(course.norm, window)[::10], MARKS[name], **look)
    title = "against the sum of rates; colours as above"
    ax.set(xlabel=r"sum of learning rates $S_t$", ylabel="gradient norm", title=title)


def _power(x, y):
    """(B, A) of the least-squares line ln y = B ln x + ln A."""
    B, log_A = np.polyfit(np.log(x), np.log(y), 1)
    return float(B), np.exp(log_A)
