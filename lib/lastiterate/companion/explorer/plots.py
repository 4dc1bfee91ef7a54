"""The explorer's pictures and widgets, in Bokeh, with the scripts that move them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lastiterate import _extras, bounds, schedules
from lastiterate.companion import front, style

HERE = Path(__file__).parent
FAMILIES = ("wsd", "wsd 1-sqrt", "linear", "cosine", "constant", "inverse_sqrt", "exponential")


class Parts(NamedTuple):
    """What the explorer is made of; all belong to one document."""

    controls: Any
    numbers: Any
    plots: tuple[Any, ...]
    plans: Any
    start: Any
    """CustomJS that draws, after the address was read."""


def parts(page: bool = False) -> Parts:
    """The explorer's parts, not yet laid out.

    Args:
        page: whether it is a page of its own, whose address keeps the state.

    Raises:
        MissingExtra: where Bokeh is not installed.
    """
    _extras.require("bokeh", "explore")
    from bokeh.layouts import column, row
    from bokeh.models import Button, ColumnDataSource, CustomJS, CustomJSTickFormatter, Div, Select, Slider

    control, sheet = _file("control.css"), _file("text.css")
    widgets = {
        "family": Select(title="schedule", value="wsd", options=list(FAMILIES)),
        "steps": Slider(title="steps T", start=2, end=5, step=0.05, value=4, format=CustomJSTickFormatter(code=STEPS)),
        "cooldown": Slider(title="cooldown, share of T", start=0, end=1, step=0.01, value=0.2),
        "warmup": Slider(title="warmup, share of T", start=0, end=0.5, step=0.01, value=0),
        "rate": Slider(title="base rate over γ*", start=-3, end=3, step=0.05, value=0, format=CustomJSTickFormatter(code=RATE)),
        "alpha": Slider(title="gradient norms go like t^α, α", start=-0.5, end=0.25, step=0.01, value=0),
        "longer": Slider(title="go on to so many times T", start=1, end=8, step=0.25, value=1),
        "numbers": Div(text="", stylesheets=[sheet]),
        "plans": Div(text="", stylesheets=[sheet]),
    }
    sources = {name: ColumnDataSource({column: [] for column in columns.split()}) for name, columns in SOURCES.items()}
    _begin(sources)
    figures, marks, curves = _figures(sources)
    scripts = [_file("theory.js"), _file("update.js")]
    colored = [part for plot in figures for part in (plot.title, *plot.axis)]
    values = {"widgets": widgets, "sources": sources, "marks": marks, "page": page, "colored": colored, "going_on": figures[3]}
    values |= {
        "curves": curves,
        "darker": front.DARK | {style.color("optimal"): front.DARK[front.INK]},
        "remedies": style.REMEDIES,
    }
    update = CustomJS(args=values, code="\n".join(scripts))
    for name in ("family", "steps", "cooldown", "warmup", "rate", "alpha", "longer"):
        widgets[name].js_on_change("value", update)
    families = CustomJS(args=values, code=FAMILY)
    widgets["family"].js_on_change("value", families)
    pin, unpin = Button(label="pin these curves"), Button(label="remove pins")
    pin.js_on_click(CustomJS(args=values, code=PIN))
    unpin.js_on_click(CustomJS(args=values, code="sources.pins.data = {x: [], eta: [], omega: []};"))
    copies = [Button(label=kind) for kind in ("spec", "python", "pytorch", "command")]
    shown = Div(text="", stylesheets=[sheet])
    for button in copies:
        button.js_on_click(CustomJS(args={"shown": shown, "kind": button.label}, code=COPY))
    sliders = [widgets[name] for name in ("family", "steps", "cooldown", "warmup", "rate", "alpha", "longer")]
    for widget in (*sliders, pin, unpin, *copies):
        widget.sizing_mode = "stretch_width"
        widget.stylesheets = [control]
    note = Div(text="copy as", stylesheets=[sheet])
    buttons = [row(pin, unpin, sizing_mode="stretch_width"), note, row(*copies, sizing_mode="stretch_width"), shown]
    controls = column(*sliders, *buttons, sizing_mode="stretch_width")
    start = CustomJS(args=values, code="\n".join([_file("colors.js"), *([_file("address.js")] if page else []), *scripts]))
    return Parts(controls, widgets["numbers"], figures, widgets["plans"], start)


def _file(name):
    return (HERE / name).read_text(encoding="utf-8")


def explore() -> None:
    """Show the explorer in JupyterLab: a schedule, its bound and its best rate, which move with sliders, in units of D/G and D·G.

    Raises:
        MissingExtra: where Bokeh is not installed: ``pip install "lastiterate[explore]"``.

    Source: Schaipp et al. 2025, section 2; the lowest bound is that of `design.optimal`, the plans of `transfer.extension_plans`.

    >>> explore()  # doctest: +SKIP
    """
    made = parts()
    _extras.require("IPython", "notebooks")
    from bokeh.io import output_notebook
    from bokeh.layouts import column, row
    from bokeh.resources import INLINE
    from IPython.display import HTML, display

    output_notebook(INLINE, hide_banner=True)
    rows = [row(*made.plots[i : i + 2], sizing_mode="stretch_width") for i in (0, 2)]
    pictures = column(made.numbers, *rows, made.plans, sizing_mode="stretch_width")
    made.controls.width, made.controls.sizing_mode = 300, "fixed"
    script, places = pieces({"explorer": row(made.controls, pictures, sizing_mode="stretch_width")}, made.start)
    display(HTML(places["explorer"] + script))  # not `show`, which leaves out what a document does when it is ready


def pieces(roots: dict[str, Any], start: Any) -> tuple[str, dict[str, str]]:
    """(script, {name: HTML}) of parts in one document, which draws when it is ready."""
    from bokeh.document import Document
    from bokeh.embed import components
    from bokeh.events import DocumentReady

    document = Document()
    for root in roots.values():
        document.add_root(root)
    document.js_on_event(DocumentReady, start)
    return components(roots, wrap_script=True)


SOURCES = {
    "now": "x eta omega",
    "sweep": "x y",
    "marks": "x y kind",
    "optimal": "x y",
    "plans": "xs ys name color",
    "pins": "x eta omega",
}
MARK = "#c1432e"  # of γ* and of the rate that is chosen
STEPS = 'return Number((10 ** tick).toPrecision(3)).toLocaleString("en");'  # the sliders are in logarithms
RATE = "return (2 ** tick).toFixed(2);"
COPY = """
const text = globalThis.lastiterate_explorer.code(kind), pre = document.createElement("pre");
pre.textContent = text;
shown.text = pre.outerHTML;
if (navigator.clipboard) navigator.clipboard.writeText(text).catch(() => {});
"""
FAMILY = """
if (cb_obj.tags.length) cb_obj.tags = [];
else widgets.cooldown.value = cb_obj.value.startsWith("wsd") ? 0.2 : 0;
"""
PIN = """
const { x, eta, omega } = sources.now.data, old = sources.pins.data;
sources.pins.data = { x: [...old.x, x], eta: [...old.eta, eta], omega: [...old.omega, omega] };
"""


def _begin(sources):
    """What is drawn at first, by the library: wsd at its best rate; the browser replaces it. Ω at γ*/2 and 2γ* is 1.25 Ω*."""
    T = 10_000
    eta = schedules.wsd(T)
    lr, bound = bounds.optimal_lr(eta)
    at = np.unique(np.geomspace(1, T, 30).astype(int))
    sources["now"].data = {"x": at, "eta": lr * eta[at - 1], "omega": bounds.omega(lr * eta, horizons=at)}
    sources["sweep"].data = {"x": [0.5, 1.0, 2.0], "y": [1.25 * bound, bound, 1.25 * bound]}
    sources["plans"].data = {"xs": [[1, T]], "ys": [[lr, lr]], "name": ["same rate"], "color": [style.color("same rate")]}


def _figures(sources):
    """((schedule, Ω_t, Ω against γ, plans), marks, (what is lighter on a dark page, its colour)) of the sources."""
    from bokeh.models import BasicTicker, FixedTicker, NumeralTickFormatter, Span
    from bokeh.plotting import figure

    color, optimal, grey = style.color("wsd"), style.color("optimal"), style.color("same rate")
    kept = {
        "height": 260,
        "sizing_mode": "stretch_width",
        "toolbar_location": None,
        "tools": "xpan,xwheel_zoom,reset",
    }
    eta = figure(title="learning rate of step t", x_axis_label="step", **kept)
    bound = figure(title="bound Ω after step t", x_axis_label="step", y_axis_type="log", x_range=eta.x_range, **kept)
    sweep = figure(title="bound Ω at the last step", x_axis_label="base rate", x_axis_type="log", **kept)
    plans = figure(title="plans for going on", x_axis_label="step", **kept)
    drawn = []
    for plot, y in ((eta, "eta"), (bound, "omega")):
        plot.multi_line("x", y, source=sources["pins"], color=grey, line_width=1.5)
        drawn.append((plot.line("x", y, source=sources["now"], color=color, line_width=2.5).glyph, color))
    dashes = eta.line("x", "y", source=sources["optimal"], color=optimal, line_width=1.5, line_dash="dashed")
    drawn += [(sweep.line("x", "y", source=sources["sweep"], color=color, line_width=2.5).glyph, color), (dashes.glyph, optimal)]
    sweep.scatter("x", "y", source=sources["marks"], marker="kind", color=MARK, size=9)
    plans.multi_line("xs", "ys", source=sources["plans"], color="color", line_width=2)
    marks = {
        name: Span(dimension="width", line_color=optimal, line_dash="dashed", line_width=1.5) for name in ("lowest", "lowest_end")
    }
    bound.add_layout(marks["lowest"])
    sweep.add_layout(marks["lowest_end"])
    for plot in (eta, bound, sweep, plans):
        plot.background_fill_alpha = plot.border_fill_alpha = plot.outline_line_alpha = 0
        plot.grid.grid_line_color, plot.grid.grid_line_alpha = "#888888", 0.25
        plot.axis.minor_tick_line_alpha, plot.axis.axis_label_text_font_style = 0, "normal"
        plot.axis.major_label_text_font_size = "12px"
    for plot in (eta, bound, plans):
        plot.xaxis.formatter, plot.xaxis.ticker = NumeralTickFormatter(format="0.[0]a"), BasicTicker(desired_num_ticks=5)
    for plot in (eta, sweep, plans):
        plot.yaxis.formatter = NumeralTickFormatter(format="0.[00000]")
    sweep.xaxis.ticker = FixedTicker(ticks=[2.0**k for k in range(-3, 4)])
    sweep.xaxis.major_label_overrides = {0.125: "γ*/8", 0.25: "γ*/4", 0.5: "γ*/2", 1: "γ*", 2: "2γ*", 4: "4γ*", 8: "8γ*"}
    return (eta, bound, sweep, plans), marks, [*drawn, *((mark, optimal) for mark in marks.values())]
