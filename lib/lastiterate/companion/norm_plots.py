"""Six views of how gradient norms depend on the step and on the learning rate.

`courses` come from `select.norm_courses`: {(name, base learning rate): Course}, the name "cosine" or "wsd". One colour a rate;
cosine is dashed or crosses, wsd solid or dots.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit

from lastiterate import _check
from lastiterate.companion import style
from lastiterate.logs.select import Course

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Courses = Mapping[tuple[str, float], Course]
LINES = {"cosine": "--", "wsd": "-"}
MARKS = {"cosine": "x", "wsd": "."}
SUM_POINTS = 100  # of each course, against the sum of the rates
# a, τ, q, b, p and c from which `time_shape` is fitted, with norms in units of their median
SHAPE_START = (1.0, 0.03, 1.0, 0.5, 2.0, 0.5)
SHAPE_LIMITS = ([0.0, 1e-4, 0.1, 0.0, 0.0, 0.0], [100.0, 1.0, 4.0, 100.0, 20.0, 10.0])


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


def six_views(courses: Courses, window: int) -> tuple["Figure", dict[str, "Axes"], dict[str, float]]:
    """A figure of six panels: norms and rates along the run, means by base rate, fits over time, against the sum of the rates.

    Args:
        courses: of "cosine" and "wsd".
        window: logged norms in the running median.

    Returns:
        (figure, {"norms", "rates", "means", "cosine", "wsd", "sums": axes}, {name: exponent of the mean norm as a power of the
        base rate}).

    Source: the gradient norms of Schaipp et al. 2025's 124M runs.
    """
    import matplotlib.pyplot as plt

    fig, grid = plt.subplots(2, 3, figsize=(11.4, 6.4))
    axes: dict[str, Axes] = dict(zip(("norms", "rates", "means", "cosine", "wsd", "sums"), grid.flat, strict=True))
    along_the_run(axes["norms"], courses, window)
    for (name, lr), course in courses.items():
        axes["rates"].plot(
            course.step, course.rate, LINES[name], lw=1.1, color=rate_colors(courses)[lr], label=f"{name}, lr {lr:g}"
        )
    axes["rates"].set(xlabel="step", ylabel=r"learning rate $\gamma\eta_t$", title="rates")
    slopes = means_by_rate(axes["means"], courses)
    for name in ("cosine", "wsd"):
        over_time(axes[name], {key: course for key, course in courses.items() if key[0] == name}, window)
    against_the_sum(axes["sums"], courses, window)
    _legend(fig, courses)
    return fig, axes, slopes


def along_the_run(ax: "Axes", courses: Courses, window: int) -> None:
    """Running medians against the step."""
    for (name, lr), course in courses.items():
        look = {"lw": 1.1, "color": rate_colors(courses)[lr], "label": f"{name}, lr {lr:g}"}
        ax.semilogy(course.step, running_median(course.norm, window), LINES[name], **look)
    ax.set(xlabel="step", ylabel="gradient norm", title="norms, running median")
    plain(ax.yaxis)


def means_by_rate(ax: "Axes", courses: Courses) -> dict[str, float]:
    """Means over the whole run against the base rate, with their power law; {name: its exponent}."""
    slopes = {}
    for name in dict.fromkeys(name for name, _ in courses):
        rates = np.array([lr for other, lr in courses if other == name])
        mean = np.array([courses[name, lr].norm.mean() for lr in rates])
        slopes[name], scale = rate_exponent(rates, mean)
        at = np.geomspace(rates.min(), rates.max(), 60)
        ax.loglog(rates, mean, "o", color=style.color(name), label=name)
        ax.plot(
            at, scale * at ** slopes[name], LINES[name], color=style.color(name), label=rf"fit, $\gamma^{{{slopes[name]:.2f}}}$"
        )
    ax.set(xlabel=r"base learning rate $\gamma$", ylabel="mean gradient norm", title="mean over the run")
    ax.legend()
    plain(ax.xaxis)
    plain(ax.yaxis)
    return slopes


def rate_exponent(rates: ArrayLike, means: ArrayLike) -> tuple[float, float]:
    """(B, A) of the least-squares fit means = A·rates^B, of the means themselves and not of their logarithms.

    Args:
        rates: base learning rates, shape (n,), > 0.
        means: gradient norms, shape (n,), > 0.

    >>> B, A = rate_exponent([1e-3, 2e-3, 4e-3], [0.4, 0.2, 0.1])
    >>> round(B, 6), round(A, 9)
    (-1.0, 0.0004)
    """
    x, y = np.asarray(rates, dtype=float), np.asarray(means, dtype=float)
    center = np.exp(np.log(x).mean())
    (A, B), _ = curve_fit(lambda x, A, B: A * (x / center) ** B, x, y, p0=(y.mean(), -0.5))
    return float(B), float(A * center**-B)


def time_shape(x: ArrayLike, a: float, tau: float, q: float, b: float, p: float, c: float) -> NDArray[np.float64]:
    """a·exp(−(x/τ)^q) + b·x^p + c at the fractions x of a run: norms that fall at first, and rise or stay."""
    x = np.asarray(x, dtype=float)
    return a * np.exp(-((x / tau) ** q)) + b * x**p + c


def over_time(ax: "Axes", courses: Courses, window: int) -> dict[float, NDArray[np.float64]]:
    """Running medians of one schedule and, in black, `time_shape` fitted to the norms themselves; {rate: its parameters}.

    Source: the authors' code for the gradient norms of their 124M runs, which fits the same shape.
    """
    found = {}
    for (name, lr), course in courses.items():
        x, unit = course.step / course.step[-1], np.median(course.norm)
        fit, _ = curve_fit(time_shape, x, course.norm / unit, p0=SHAPE_START, bounds=SHAPE_LIMITS, max_nfev=4000)
        found[lr] = np.array([float(f"{value:.4g}") for value in fit])  # beyond that, processors differ
        color = rate_colors(courses)[lr]
        ax.semilogy(course.step, running_median(course.norm, window), lw=1.6, color=color, label=f"{name}, lr {lr:g}")
        ax.plot(course.step, unit * time_shape(x, *found[lr]), ":", lw=1.1, color="black", label=f"fit, {name}, lr {lr:g}")
        ax.set_title(f"{name}; fit over time, dotted")
    ax.set(xlabel="step", ylabel="gradient norm")
    plain(ax.yaxis)
    return found


def against_the_sum(ax: "Axes", courses: Courses, window: int) -> None:
    """Every so many of the running medians against the sum of the learning rates so far."""
    for (name, lr), course in courses.items():
        look = {"ms": 3.5, "mew": 0.8, "color": rate_colors(courses)[lr], "label": f"{name}, lr {lr:g}"}
        every = max(1, len(course.step) // SUM_POINTS)
        ax.loglog(course.total[::every], running_median(course.norm, window)[::every], MARKS[name], **look)
    ax.set(xlabel=r"sum of learning rates $S_t$", ylabel="gradient norm", title="against the sum of rates")
    plain(ax.yaxis)


def plain(axis: "Axis", subs: Iterable[float] = (1, 2, 5)) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 times powers of ten, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=tuple(subs)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _legend(fig, courses):
    """Below all panels: the colours of the rates, and what tells the two schedules apart."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=color, lw=3, label=f"lr {lr:g}") for lr, color in rate_colors(courses).items()]
    for name in LINES:
        handles.append(Line2D([], [], ls=LINES[name], marker=MARKS[name], color="0.3", label=name))
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), handlelength=3)
