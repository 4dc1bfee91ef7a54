"""Drawings that several notebooks share: a schedule beside its bound, sweeps over the rate, insets, bands (of runs: `run_plots`).

Each draws on axes that it is given (`tuned` makes its own) and returns the numbers that were drawn. Where there are several
schedules they come as ``{label: schedule}``. `kind` names the bound: "last" for the last iterate, `bounds.omega`, "average" for
the averaged one, `bounds.average_omega`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lastiterate import _check, bounds, schedules
from lastiterate.companion import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BOUNDS = {"last": bounds.omega, "average": bounds.average_omega}
SMOOTH = 100  # points of a curve over the rates
NAMES = {"last": r"$\Omega_t$", "average": "bound, average iterate"}


def tuned(
    etas: Mapping[str, ArrayLike],
    colors: Iterable[str],
    zoom: tuple[float, float],
    kind: str = "last",
    ends: bool = False,
) -> tuple["Figure", "Axes", "Axes"]:
    """A figure of two panels: schedules at their best rates, γ*η_t, and their bounds along the run.

    Args:
        etas: {label: schedule of shape (T,)}; the lengths may differ.
        colors: one a schedule.
        zoom: limits of the bound's axis, as factors of the lowest and the highest end.
        kind: of the bound, for the best rates as well.
        ends: whether the last value of each bound has a dot.

    Returns:
        (figure, axes of the schedules, axes of the bounds), without legends.

    Raises:
        ValueError: for an unknown kind.

    Source: figures 2, 5, 13, 16 and 18 of Schaipp et al. 2025.
    """
    import matplotlib.pyplot as plt

    bound = BOUNDS[_check.choice("kind", kind, BOUNDS)]
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2))
    for (label, eta), color in zip(etas.items(), colors, strict=True):
        rates = bounds.optimal_lr(eta, kind=kind)[0] * np.asarray(eta)
        values = bound(rates)
        style.curve(left, rates, color=color, label=label)
        style.curve(right, values, color=color, label=label)
        if ends:
            right.plot(len(rates), values[-1], "o", ms=3.5, color=color, label=f"end, {label}")
    left.set(xlabel="step $t$", ylabel=r"$\gamma^*\eta_t$", title="tuned schedules")
    right.set(xlabel="step $t$", ylabel=NAMES[kind], title="bound")
    style.zoom(right, *zoom)
    return fig, left, right


def cooldowns(T: int, n: int, shape: str = "linear") -> dict[str, np.ndarray]:
    """wsd of T steps with n cooldown fractions, evenly from 1/T, a cooldown of one step, to T/(T + 1), which is linear decay.

    Returns:
        {label: schedule}, the first and the last label as fractions of T.

    >>> list(cooldowns(400, 4))
    ['c = 1/T', 'c = 0.33', 'c = 0.67', 'c = T/(T+1)']
    """
    fractions = np.linspace(1 / T, T / (T + 1), n)
    names = ["1/T", *(f"{c:.2f}" for c in fractions[1:-1]), "T/(T+1)"][:n]
    return {f"c = {name}": schedules.wsd(T, c, shape) for name, c in zip(names, fractions, strict=True)}


def sweep(
    ax: "Axes",
    etas: Mapping[str, ArrayLike],
    colors: Iterable[str],
    rates: ArrayLike,
    kind: str = "last",
    base: float = 10,
    **marker: Any,
) -> dict[str, float]:
    """The bound at the last step against the base learning rate, γ*/γ + γ/γ* times Ω*/2, with a marker at the best one.

    Args:
        ax: its x axis becomes logarithmic with this base, its y axis with base 10.
        etas: {label: schedule}.
        colors: one a schedule.
        rates: base learning rates γ, shape (n,); the curves are smooth between the lowest and the highest, and where n < SMOOTH
            they have a dot at each.
        kind: of the bound.
        base: of the x axis.
        **marker: of the best rates, passed on to ``ax.plot``; a star of size 8 by default.

    Returns:
        {label: best rate γ*}.

    Source: figures 3, 4, 14, 15, 18 and 19 of Schaipp et al. 2025.
    """
    best, rates = {}, np.asarray(rates)
    fine = np.geomspace(rates.min(), rates.max(), SMOOTH) if 1 < rates.size < SMOOTH else rates
    for (label, eta), color in zip(etas.items(), colors, strict=True):
        best[label], lowest = bounds.optimal_lr(eta, kind=kind)
        ax.plot(fine, at_rates(eta, fine, kind), color=color, label=label)
        if fine is not rates:
            ax.plot(rates, at_rates(eta, rates, kind), ".", ms=3, color=color, label=f"rates, {label}")
        star = {"ls": "none", "marker": "*", "ms": 8, "color": color, "label": rf"$\gamma^*$, {label}", "zorder": 5}
        ax.plot(best[label], lowest, **star | marker)
    ax.set_xscale("log", base=base)
    ax.set_yscale("log", base=10)
    return best


def cuts(
    ax: "Axes", x: ArrayLike, etas: Sequence[ArrayLike], rates: Iterable[float], kind: str = "last", circles: bool = False
) -> dict[float | None, np.ndarray]:
    """The bound at the last step of a family of schedules against its parameter: at fixed rates and, in black, at the best ones.

    The black curve, which touches the others from below, is thick and lies under them; so does its circle.

    Args:
        ax: matplotlib Axes.
        x: parameter of each schedule, such as its cooldown fraction, shape (n,).
        etas: n schedules.
        rates: fixed base learning rates γ.
        kind: of the bound.
        circles: whether a circle marks the lowest point of each curve, each wider than the one before: those at one place show.

    Returns:
        {γ: values of shape (n,)}, with the key None for the best rates.

    Source: figures 4b and 15 of Schaipp et al. 2025.
    """
    x, rates = np.asarray(x), list(rates)
    fixed = np.array([at_rates(eta, rates, kind) for eta in etas])
    curves: dict[float | None, np.ndarray] = dict(zip(rates, fixed.T, strict=True))
    curves[None] = np.array([bounds.optimal_lr(eta, kind=kind)[1] for eta in etas])
    for i, ((rate, values), color) in enumerate(zip(curves.items(), [*style.colors(len(rates), "plasma"), "black"], strict=True)):
        below = {"lw": 4, "zorder": 1.5} if rate is None else {}
        ax.plot(x, values, color=color, label=r"$\gamma^*(c)$" if rate is None else rf"$\gamma$ = {rate}", **below)
        if circles:
            circle = {"marker": "o", "ms": 5 + 2 * i, "mfc": "none", "ls": "none", "clip_on": False, "zorder": 4}
            name = "γ*" if rate is None else f"γ = {rate}"
            ax.plot(x[values.argmin()], values.min(), color=color, label=f"best, {name}", **circle)
    return curves


def at_rates(eta: ArrayLike, rates: ArrayLike, kind: str = "last") -> np.ndarray:
    """The bound at the last step of γ·eta for each base learning rate γ: T1/γ + γ·T2 by γ* and Ω* alone.

    >>> from lastiterate.schedules import constant
    >>> at_rates(constant(2), [0.5, 1.0])             # the first as in `bounds.omega`
    array([1.  , 1.25])
    """
    best, lowest = bounds.optimal_lr(eta, kind=kind)
    rates = np.asarray(rates, dtype=float)
    return lowest / 2 * (best / rates + rates / best)


def power_law(ax: "Axes", x: ArrayLike, y: ArrayLike, at: ArrayLike, name: str, size: float = 9) -> tuple[float, float]:
    """Stars at (x, y) and, dashed, the least-squares fit y = A·x^B, in a schedule's colour.

    Args:
        ax: matplotlib Axes.
        x, y: shape (n,), two points or more.
        at: where the fit is drawn.
        name: of the schedule.
        size: of the stars.

    Returns:
        (A, B).

    Source: figures 3 and 14 of Schaipp et al. 2025, y the best rate at a horizon x.
    """
    from scipy.optimize import curve_fit

    x, y, at = (np.asarray(v, dtype=float) for v in (x, y, at))
    (A, B), _ = curve_fit(lambda x, A, B: A * x**B, x, y, p0=(1.0, -0.5), xtol=1e-14, ftol=1e-14)
    ax.plot(x, y, "*", ms=size, color=style.color(name), label=f"{name}: $\\gamma^*$")
    ax.plot(at, A * at**B, "--", color=style.color(name), label=f"{A:.2f} · $T^{{{B:.3f}}}$")
    return float(A), float(B)


def curves_only(ax: "Axes", marks: Mapping[str, Any] | None = None, **options: Any) -> None:
    """A legend of the curves alone, without the single points on them, and an entry a kind of mark.

    Args:
        ax: matplotlib Axes; lines of two points or more whose marks are joined are curves.
        marks: {label: marker}, such as {"best rate": "*"}, or a dict of a line's properties in the marker's place.
        **options: of ``ax.legend``.
    """
    ax.legend(handles=[*_curves(ax), *_marks(marks)], **options)


def at_ends(ax: "Axes", names: Mapping[str, str] | None = None, size: float = 7.5) -> None:
    """Each curve's name at its right end, in its colour, in a legend's place; names that would overlap are set apart.

    Args:
        ax: matplotlib Axes, its scales and limits set.
        names: {label: what stands there}, for those curves only; all of `curves_only` by their labels, where not given.
        size: of the letters, in points.
    """
    from matplotlib.colors import to_rgb
    from scipy.optimize import isotonic_regression

    labels = {line: str(line.get_label()) for line in _curves(ax)}
    named = {line: names.get(label, "") if names else label for line, label in labels.items()}
    ends = [(np.asarray(line.get_xydata())[-1], name, np.array(to_rgb(line.get_color()))) for line, name in named.items() if name]
    right, places = (ax.transScale + ax.transLimits).transform([end for end, *_ in ends]).T
    order = np.argsort(places)
    dpi = getattr(ax.get_figure(), "dpi")  # noqa: B009, drawn axes have a figure
    line = 1.2 * size / (72 * ax.bbox.height / dpi)  # its height, in heights of the panel
    apart = line * np.arange(len(ends))
    free = isotonic_regression(places[order] - apart).x  # the nearest places a line apart
    for i, y in zip(order, np.clip(free, line / 2, 1 - apart[-1]) + apart, strict=True):
        _, name, rgb = ends[i]
        dark = rgb * min(1, 0.45 / (rgb @ (0.3, 0.59, 0.11)))  # a light shade is no colour for letters
        ax.annotate(name, (right[i], y), (4, 0), "axes fraction", "offset points", color=dark, size=size, va="center")


def legend_of(ax: "Axes", start: str | tuple[str, ...], marks: Mapping[str, Any] | None = None, **options: Any) -> None:
    """A legend of the lines whose labels start so, or in one of several ways, and of marks as in `curves_only`."""
    lines = [line for line in ax.get_lines() if str(line.get_label()).startswith(start)]
    ax.legend(handles=[*lines, *_marks(marks)], **options)


def _curves(ax):
    return [line for line in ax.get_lines() if len(np.atleast_1d(line.get_xdata())) > 1 and line.get_linestyle() != "None"]


def _marks(marks):
    """Handles of a legend, of no curve's colour, for marks that all curves have."""
    from matplotlib.lines import Line2D

    looks = {label: look if isinstance(look, Mapping) else {"marker": look} for label, look in (marks or {}).items()}
    return [Line2D([], [], **{"ls": "none", "color": "0.35", "ms": 6, "label": label, **look}) for label, look in looks.items()]


def inset(ax: "Axes", box: Sequence[float], title: str, xticks: Sequence[float]) -> "Axes":
    """A small panel inside another one, its steps in thousands.

    Args:
        ax: the panel that it lies in.
        box: left, bottom, width and height as fractions of the panel.
        title: above it.
        xticks: the only ones.
    """
    small = ax.inset_axes((box[0], box[1], box[2], box[3]))
    small.set_title(title, size=7)
    small.set_xticks(xticks)
    style.thousands(small)
    small.tick_params(labelsize=6)
    return small


def closeup(ax: "Axes", box: Sequence[float], xlim: tuple[float, float], ylim: tuple[float, float]) -> "Axes":
    """A small panel inside another one with all its lines again, between other limits; a frame in the panel says where.

    Args:
        ax: the panel, drawn.
        box: left, bottom, width and height as fractions of the panel.
        xlim, ylim: limits of the small panel.
    """
    small = ax.inset_axes((box[0], box[1], box[2], box[3]), xlim=xlim, ylim=ylim)
    for line in ax.get_lines():
        look = {"color": line.get_color(), "ls": line.get_linestyle(), "marker": line.get_marker(), "ms": line.get_markersize()}
        small.plot(line.get_xdata(), line.get_ydata(), lw=0.75 * line.get_linewidth(), **look)
    small.tick_params(labelsize=6.5)
    ax.indicate_inset_zoom(small, edgecolor="0.4")
    return small


def percent(ax: "Axes", values: ArrayLike, **look: Any) -> None:
    """Plot one value a step against the percent of the run, 100·t/T, thinned."""
    values = np.asarray(values)
    ax.plot(*style.thin(100 * np.arange(1, len(values) + 1) / len(values), values), **look)


def log_numbers(ax: "Axes", low: float, high: float) -> None:
    """A logarithmic y axis between two limits, with a few plain numbers at even distances: for less than a power of ten."""
    from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

    ax.set(yscale="log", ylim=(low, high))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_locator(NullLocator())


def spread(
    ax: "Axes", x: ArrayLike, runs: ArrayLike, center: ArrayLike | None = None, alpha: float = 0.15, **look: Any
) -> np.ndarray:
    """A line through the mean of some runs, and their range as a band of its colour.

    Args:
        ax: matplotlib Axes, whose scales stay as they are.
        x: shape (n,).
        runs: shape (runs, n); what is NaN is left out.
        center: where the line goes instead of through the mean, shape (n,).
        alpha: opacity of the band.
        **look: of the line, passed on to ``ax.plot``.

    Returns:
        The line's values, shape (n,).
    """
    runs = np.asarray(runs)
    middle = np.nanmean(runs, axis=0) if center is None else np.asarray(center)
    (line,) = ax.plot(x, middle, **look)
    ax.fill_between(x, np.nanmin(runs, axis=0), np.nanmax(runs, axis=0), color=line.get_color(), alpha=alpha, lw=0)
    return middle
