"""The picture of README and of the site's first page: a real run's loss, and beneath it the bound of the same schedules."""

import io
import json
import re
from pathlib import Path
from typing import Any

from lastiterate.companion import style

PANELS = {  # figure: (its longest runs, what is said of it, lowest and highest value shown)
    "schaipp2025/fig01a": ("44,444 steps", "Measured: validation loss of a 210M language model", (2.8, 3.2)),
    "schaipp2025/fig01b": ("44,000 steps", "Computed: a bound of convex optimization for such schedules", (0, 0.06)),
}
COOLDOWN = 0.8  # of the run, where that of wsd begins
INK, MUTED, PAPER = "#1b1f24", "#59636e", "#ffffff"
COSINE, WSD = style.COLORS["cosine"], style.COLORS["wsd"]
DARK = {INK: "#e6edf3", MUTED: "#9aa4af", PAPER: "#0d1117", COSINE: "#ff8f7a", WSD: "#5fc0e0"}  # on a dark page
NAMES = {INK: "ink", MUTED: "muted", PAPER: "paper", COSINE: "cosine", WSD: "wsd"}


def inputs(root: Path) -> dict[str, Path]:
    """{figure: its numbers}, the files that the picture is made from; empty where one is not there."""
    files = {figure: root / "figures" / f"{figure}.json" for figure in PANELS}
    return files if all(path.is_file() for path in files.values()) else {}


def picture(root: Path) -> str:
    """The picture as SVG, from the committed numbers of Figure 1a and 1b; its colours follow the page, light or dark.

    Args:
        root: the repository.

    Source: Schaipp et al. 2025, Figure 1.
    """
    import matplotlib.style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    look: dict[Any, Any] = {"svg.hashsalt": "front", "font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False}
    look |= {"axes.spines.right": False, "text.color": INK, "axes.edgecolor": MUTED, "axes.facecolor": "none"}
    look |= {"xtick.color": MUTED, "ytick.color": MUTED, "axes.labelcolor": MUTED, "svg.fonttype": "path"}
    with matplotlib.style.context(look, after_reset=True):  # whatever was drawn before
        fig = Figure(figsize=(6.0, 3.7), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1), facecolor=PAPER)
        panels = fig.subplots(len(PANELS), sharex=True)
        for ax, (figure, (steps, says, limits)) in zip(panels, PANELS.items(), strict=True):
            lines = json.loads(inputs(root)[figure].read_text(encoding="utf-8"))["panels"][0]["lines"]
            for kind in ("cosine", "wsd"):
                line = next(line for line in lines if line["label"] == f"{kind}, {steps}")
                end = line["x"][-1]
                ax.plot([x / end for x in line["x"]], line["y"], color=style.COLORS[kind], lw=2.2, solid_capstyle="round")
            ax.set_title(says, loc="left", fontsize=9.5, fontweight="bold")
            ax.set(xlim=(0, 1.0), ylim=limits)
            ax.axvspan(COOLDOWN, 1, color=style.COLORS["wsd"], alpha=0.1, lw=0)
            ax.locator_params(axis="y", nbins=4)
        loss, bound = panels
        loss.annotate(
            "cosine", (0.57, 2.955), ha="right", va="top", color=style.COLORS["cosine"], fontsize=10.5, fontweight="bold"
        )
        loss.annotate("wsd", (0.6, 3.06), color=style.COLORS["wsd"], fontsize=10.5, fontweight="bold")
        loss.annotate("the cooldown\nof wsd", (0.9, 3.17), ha="center", va="top", fontsize=9.5)
        bound.set_xticks([0, 0.25, 0.5, 0.75, 1], ["start", "25 %", "50 %", "75 %", "end of the run"])
        bound.get_xticklabels()[-1].set_horizontalalignment("right")
        buffer = io.StringIO()
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": "A run's loss, and its bound"})
    return themed(buffer.getvalue())


def themed(svg: str) -> str:
    """SVG of Matplotlib whose colours are variables of the page's theme, and whose outlines have no more digits than a screen.

    >>> themed('<svg width="7pt"><path d="M 1.26 2" style="fill: #1b1f24"/></svg>').splitlines()[-1]
    '<path d="M 1.3 2" style="fill: var(--front-ink)"/></svg>'
    """
    svg = re.sub(r' d="[^"]*"', lambda d: re.sub(r"-?\d+\.\d+", lambda n: f"{float(n[0]):.1f}", d[0]), svg)
    for color, name in NAMES.items():
        svg = svg.replace(color, f"var(--front-{name})")
    light, dark = (
        " ".join(f"--front-{name}: {shade.get(color, color)};" for color, name in NAMES.items()) for shade in ({}, DARK)
    )
    rules = f"svg {{ {light} }}\n@media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}"
    return re.sub(r"(<svg[^>]*>)", rf"\1\n<style>{rules}</style>\n", svg, count=1)
