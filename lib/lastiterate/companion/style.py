"""One style for all figures, and saving them with their numbers.

A notebook calls `use()` once, draws, and ends a figure with ``save(fig, "schaipp2025/fig02")``.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lastiterate._files import write_atomic
from lastiterate.companion import manifest, outputs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from pandas import DataFrame, Series

COLORS = {  # one colour a schedule, everywhere
    "cosine": "#c1432e",
    "wsd": "#1f6f8b",
    "linear": "#2a9d5c",
    "1-sqrt": "#7b4ea3",
    "inverse_sqrt": "#d08c2d",
    "constant": "#6b6b6b",
    "two_stage": "#d6336c",
    "optimal": "#111111",
    "refined": "#8c564b",
    "inverse_linear": "#b5a42e",
    "step": "#3fa7d6",
}
REMEDIES = {  # one colour a way of going on with a run, everywhere; linear decay keeps its own
    "same rate": "#9a9a9a",
    "lower rate": "#d6336c",  # that of two-stage wsd, which it is
    "longer cooldown": "#1f6f8b",  # that of wsd, which it is
    "best continuation": "#111111",
    "short run": "#b08968",
}
LAWS = {  # one colour and one dash pattern a schedule law, everywhere
    "two_clock": ("#1f6f8b", "-"),
    "two_clock_fading": ("#8c564b", "-"),
    "two_clock_linear": ("#b5a42e", "-"),
    "two_clock_free": ("#3fa7d6", "--"),
    "step_memory": ("#d08c2d", "-"),
    "bound": ("#111111", "-"),
    "bound_power": ("#7b4ea3", "--"),
    "annealing": ("#c1432e", "-."),
    "multi_power": ("#2a9d5c", "-"),
    "functional": ("#d6336c", ":"),
}
LABELS = {
    "cosine": "cosine",
    "wsd": "wsd",
    "linear": "linear decay",
    "1-sqrt": "1-sqrt",
    "inverse_sqrt": r"$1/\sqrt{t}$",
    "constant": "constant",
    "two_stage": "two-stage wsd",
    "optimal": "best for the bound",
    "refined": "refined",
    "inverse_linear": "1/t",
    "step": "step-wise",
}
DIGITS = 6  # significant digits of numbers in JSON: enough to check, too few for processors to differ in
COLORS_OF_PNG = 256  # of its palette, half of them in the smaller picture that a notebook shows
SCREEN = 100  # dots an inch of that picture
SHADES = 4  # of 255, by which a picture may differ from the one that is there and still be taken for it
MAX_POINTS = 1500  # points of a curve that are drawn; see `thin`


def use() -> None:
    """Set Matplotlib's defaults for this project: sizes, grid, fonts, a vector-friendly PDF, no dates."""
    import matplotlib as mpl
    import seaborn as sns

    sns.set_theme(
        context="paper",
        style="ticks",
        rc={
            "figure.figsize": (4.2, 3.0),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "savefig.dpi": 180,
            "axes.grid": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "axes.labelsize": 9.5,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.6,
            "legend.fontsize": 8,
            "legend.frameon": True,
            "legend.framealpha": 0.85,
            "legend.edgecolor": "none",
            "lines.linewidth": 1.6,
            "font.family": "DejaVu Sans",
            "mathtext.fontset": "dejavusans",
            "pdf.fonttype": 42,
        },
    )
    mpl.use("agg")  # `save` shows a figure, the notebook must not do so a second time


def color(schedule: str, i: int = 0, n: int = 1) -> str:
    """Colour of a schedule or a remedy; the i-th of n shades of it, from light to full, where there are several (horizons, say).

    >>> color("linear"), color("linear", 2, 3) == color("linear")
    ('#2a9d5c', True)
    """
    from matplotlib.colors import to_hex, to_rgb

    known = COLORS | REMEDIES
    if schedule not in known:
        raise ValueError(f"schedule must be one of {', '.join(known)}, got {schedule!r}")
    if n == 1:
        return known[schedule]
    rgb, strength = np.array(to_rgb(known[schedule])), 0.35 + 0.65 * i / (n - 1)
    return to_hex(tuple(1 - strength * (1 - rgb)))


def law(name: str) -> dict[str, str]:
    """Colour and dashes of a schedule law, as keywords for ``ax.plot``.

    >>> law("two_clock")
    {'color': '#1f6f8b', 'linestyle': '-'}
    """
    if name not in LAWS:
        raise ValueError(f"law must be one of {', '.join(LAWS)}, got {name!r}")
    return dict(zip(("color", "linestyle"), LAWS[name], strict=True))


def colors(n: int, name: str = "viridis") -> list[str]:
    """n colours of a sequential colour map, dark to light, for a parameter that is not a schedule (a fraction, a rate).

    >>> len(colors(10))
    10
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(c) for c in colormaps[name](np.linspace(0.05, 0.9, n))]


def curve(ax: Axes, values: NDArray, **style: Any) -> Line2D:
    """Plot one value a step against the steps 1..T, thinned; returns the line.

    Args:
        ax: matplotlib Axes.
        values: array of shape (T,): a schedule, a bound, gradient norms.
        **style: passed on to ``ax.plot``; a line needs a label to be kept in the JSON of its figure.
    """
    return ax.plot(*thin(np.arange(1, len(values) + 1), np.asarray(values)), **style)[0]


def band(ax: Axes, log: DataFrame, column: str, **style: Any) -> Series:
    """Plot the mean over runs of a column of their logs against the step, and their range as a band.

    Args:
        ax: matplotlib Axes.
        log: from `logs.load`, runs that differ in their seed only.
        column: such as "val_loss"; steps at which a run has none are left out.
        **style: passed on to ``ax.plot``.

    Returns:
        The mean, a Series indexed by step.
    """
    runs = log.dropna(subset=column).pivot(index="step", columns="run", values=column).dropna()
    mean = runs.mean(axis=1)
    x, *ys = thin(runs.index.to_numpy(), mean.to_numpy(), runs.min(axis=1).to_numpy(), runs.max(axis=1).to_numpy())
    (line,) = ax.plot(x, ys[0], **style)
    ax.fill_between(x, ys[1], ys[2], color=line.get_color(), alpha=0.2, lw=0)
    return mean


def thin(x: NDArray, *ys: NDArray) -> tuple[NDArray, ...]:
    """Curves with at most MAX_POINTS of their points: evenly spaced ones, and more and more towards both ends.

    Args:
        x, ys: arrays of one length.

    Returns:
        (x, *ys), each shortened in the same way; unchanged where they are short already.

    >>> x, y = thin(np.arange(1, 44001), np.ones(44000))
    >>> len(x) <= MAX_POINTS, x[0], x[-1]
    (True, np.int64(1), np.int64(44000))
    """
    n = len(x)
    if n <= MAX_POINTS:
        return (x, *ys)
    keep = np.union1d(np.linspace(0, n - 1, MAX_POINTS - 120).round().astype(int), np.geomspace(1, n, 60).round().astype(int) - 1)
    keep = np.union1d(keep, n - 1 - (np.geomspace(1, n, 60).round().astype(int) - 1))
    return tuple(np.asarray(a)[keep] for a in (x, *ys))


def zoom(ax: Axes, low: float = 0.9, high: float = 2.5) -> None:
    """Limit the y axis to where curves end: from `low` times the lowest end to `high` times the highest."""
    curves = [np.asarray(line.get_ydata()) for line in ax.get_lines()]
    ends = [curve[-1] for curve in curves if len(curve) > 1]
    ax.set_ylim(low * min(ends), high * max(ends))


def headroom(ax: Axes, factor: float = 2.0) -> None:
    """Raise the top of a logarithmic y axis by a factor, to make room for a legend."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, factor * high)


def ticks(ax: Axes, values: Sequence[float], axis: str = "x") -> None:
    """Ticks of the x or y axis at these values and nowhere else, with plain numbers: for a logarithmic axis with few points."""
    places = {"x": ax.set_xticks, "y": ax.set_yticks}[axis]
    places(values, [f"{value:g}" for value in values])
    places([], minor=True)


def thousands(ax: Axes) -> None:
    """Label the x axis in thousands of steps: 25k, 50k, …"""
    ax.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x else "0")


def save(fig: Figure, name: str) -> None:
    """Write a figure as PNG, PDF and JSON of the plotted numbers, and show it.

    Args:
        fig: matplotlib Figure.
        name: such as "schaipp2025/fig02"; files go to the folder named by LASTITERATE_FIGURES, or else to build/figures.

    A PNG has a palette; one that is there already and shows the new picture stays. The JSON has, for each panel, its title,
    labels, scales and limits, and every labelled line with its x and y. Files are written atomically, without dates: the same
    numbers give the same bytes. What is shown is the PNG at the size of a page.
    """
    import matplotlib.pyplot as plt

    folder = Path(os.environ.get("LASTITERATE_FIGURES") or manifest.root() / "build" / "figures")
    for suffix, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None, "Producer": None, "Creator": None})):
        buffer = io.BytesIO()
        fig.savefig(buffer, format=suffix, metadata=metadata)
        content = buffer.getvalue()
        if suffix == "png":
            content = png = _with_palette(folder / f"{name}.png", content)
        write_atomic(folder / f"{name}.{suffix}", content)
    numbers = {"figure": name, "panels": [_panel(ax) for ax in fig.axes]}
    text = json.dumps(_rounded(numbers), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    write_atomic(
        folder / f"{name}.json", (text.replace('{"title"', '\n{"title"').replace('{"label"', '\n{"label"') + "\n").encode()
    )
    plt.close(fig)
    width = round(SCREEN * fig.get_figwidth())  # the same scale for narrow and wide figures
    shown = {"image/png": _at_width(png, width), outputs.FIGURE: {"figure": name}, "text/plain": f"figure {name}"}
    outputs.display(shown, {"image/png": {"width": width}})


def _with_palette(path, png):
    """A picture in COLORS_OF_PNG colours; the one that is there already where it shows the same, as after other rounding."""
    from PIL import Image

    new, drawn = _few_colors(picture := Image.open(io.BytesIO(png)).convert("RGB"), COLORS_OF_PNG), _levels(picture)
    try:
        before = path.read_bytes()
        old, fresh = (Image.open(io.BytesIO(content)) for content in (before, new))
    except OSError:  # none, or no picture
        return new
    off = np.abs(_levels(fresh) - drawn).max() + SHADES  # the first is of a palette that was made for this very picture
    same = (old.mode, old.size) == (fresh.mode, fresh.size) and np.abs(_levels(old) - drawn).max() <= off
    return before if same else new


def _at_width(png, width):
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    height = round(picture.height * width / picture.width)
    return _few_colors(picture.resize((width, height), Image.Resampling.LANCZOS), COLORS_OF_PNG // 2)


def _few_colors(picture, n):
    """PNG in n colours: the commonest as they are, then again and again that which is farthest from all chosen."""
    from PIL import Image

    rgb = _levels(picture).astype(np.int32)
    codes, where, counts = np.unique(rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2], return_inverse=True, return_counts=True)
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.int16)
    common, chosen = np.argsort(-counts, kind="stable")[: n // 2], []
    nearest, distance = np.zeros(len(codes), np.uint8), np.full(len(codes), 256, np.int16)
    for k in range(min(n, len(codes))):
        chosen.append(common[k] if k < len(common) else distance.argmax())
        off = np.abs(colors - colors[chosen[-1]]).max(axis=1)
        nearest[off < distance] = k
        distance = np.minimum(distance, off)
    small = Image.fromarray(nearest[where.reshape(rgb.shape[:2])], "P")
    small.putpalette(colors[chosen].astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _levels(picture):
    return np.asarray(picture.convert("RGB"), dtype=np.int16)


def _panel(ax):
    lines = [
        {"label": line.get_label(), "x": np.asarray(line.get_xdata(), float), "y": np.asarray(line.get_ydata(), float)}
        for line in ax.get_lines()
        if not line.get_label().startswith("_child")
    ]
    return {
        "title": ax.get_title(),
        "xlabel": ax.get_xlabel(),
        "ylabel": ax.get_ylabel(),
        "scale": [ax.get_xscale(), ax.get_yscale()],
        "xlim": ax.get_xlim(),
        "ylim": ax.get_ylim(),
        "lines": lines,
    }


def _rounded(value):
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_rounded(v) for v in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        value = float(f"{value:.{DIGITS}g}")
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    return value
