"""Published gradient norms of real tasks, smoothed, and the schedules that follow from them: two panels a task.

`tasks` come from `prepare`: {name in `sequences.SEQUENCES`: Task}. Time is the step, in percent of the run.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lastiterate import _check, design
from lastiterate.companion import style
from lastiterate.logs import sequences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
RAW, SMOOTH = 1200, 300  # points of a curve that are drawn: of noisy norms, of what is smooth


class Task(NamedTuple):
    """Arrays of one value a step (of the log), shape (n,)."""

    norms: Array
    smoothed: Array
    """By the paper's median filter, a share of the run wide."""
    refined: Array
    by_rows: Array
    """Smoothed by the authors' plotting code, 1001 rows of the file wide."""
    refined_by_rows: Array


def prepare(names: Iterable[str], window: float) -> dict[str, Task]:
    """Norms of some tasks, smoothed in both ways, and the schedules refined from them.

    Args:
        names: in `sequences.SEQUENCES`.
        window: of the paper's median filter, as a fraction of the run.

    Raises:
        ValueError, published.DataError: as `sequences.load`.

    Source: Defazio et al. 2023, figure 3.
    """
    found = {}
    for name in names:
        norms, by_rows, power = sequences.load(name), sequences.smooth_by_rows(name), sequences.SEQUENCES[name].power
        refined = design.refine(norms, power, window), design.refine(by_rows, power, window=0)
        found[name] = Task(norms, design.smooth(norms, window), refined[0], by_rows, refined[1])
    return found


def figure(tasks: Mapping[str, Task], window: float, columns: int = 4) -> "Figure":
    """Pairs of panels, norms above schedules, in as many columns as are asked for; in each an inset with a logarithmic axis.

    Args:
        tasks: from `prepare`.
        window: as there. Half of it at the start is shaded: there the filter sees mostly the first norm, which it repeats.
        columns: tasks side by side.

    Source: Defazio et al. 2023, figure 3.
    """
    import matplotlib.pyplot as plt

    columns = min(_check.integer("columns", columns), len(tasks))
    blocks = -(-len(tasks) // columns)
    fig, axes = plt.subplots(2 * blocks, columns, figsize=(2.8 * columns, 4.3 * blocks + 0.3), squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    for i, (name, task) in enumerate(tasks.items()):
        above, below = axes[2 * (i // columns) : 2 * (i // columns) + 2, i % columns]
        norms_panel(above, name, task, window)
        schedule_panel(below, name, task, window)
    for row in range(blocks):
        axes[2 * row, 0].set_ylabel("gradient norm")
        axes[2 * row + 1, 0].set_ylabel("schedule")
    known = {line.get_label(): line for ax in axes[:2, 0] for line in (*ax.get_lines(), *ax.patches)}
    handles = {label: line for label, line in known.items() if not label.startswith("_")}
    fig.legend(handles.values(), handles, loc="outside lower center", ncols=3 if columns > 3 else 2, fontsize=8)
    return fig


def norms_panel(ax: "Axes", name: str, task: Task, window: float) -> None:
    """Norms and both smoothed curves, on an axis that leaves the first half window out of its range; all of them in the inset.

    The inset stands above the norms or below them; where they leave room for neither, the axis is made higher. Of the norms one
    in 500 may lie outside the axis or behind the inset.
    """
    sequence, first = sequences.SEQUENCES[name], int(window / 2 * task.norms.size)
    late, beside = task.norms[first:], np.quantile(task.norms[task.norms.size // 2 :], [0.002, 0.998])
    high = 1.1 * max(np.quantile(late, 0.998), task.smoothed[first:].max(), task.by_rows[first:].max())
    free_below = beside[0] > 0.37 * high
    high = high if free_below else max(high, beside[1] / 0.6)
    inset = ax.inset_axes((0.62, 0.06 if free_below else 0.64, 0.36, 0.3))
    for panel, start in ((ax, first), (inset, 0)):
        _draw(panel, task.norms, RAW, color="0.8", lw=0.5, label="norms")
        _draw(panel, task.by_rows, SMOOTH, start, color=_lighter(), lw=1.2, label="median over 1001 rows (the authors' code)")
        _draw(panel, task.smoothed, SMOOTH, start, color=style.color("refined"), lw=1.4, label=_wide(window))
    ax.set(xlim=(0, 100), ylim=(0, high), title=rf"{sequence.title}, $\ell_{sequence.norm}$ norm")
    _finish(ax, inset, window, (task.norms.min(), task.norms.max()))


def schedule_panel(ax: "Axes", name: str, task: Task, window: float) -> None:
    """Both refined schedules, linear decay, and the authors' comparison where the task has one; all of them in the inset too."""
    compared = sequences.SEQUENCES[name].compared
    inset = ax.inset_axes((0.62, 0.68, 0.36, 0.3))
    for panel in (ax, inset):
        if compared:
            look = {"ls": "--", "lw": 1, "color": "black", "label": "warmup and power (the authors' comparison)"}
            _draw(panel, sequences.comparison(task.norms.size, *compared), SMOOTH, **look)
        panel.plot([0, 100], [1, 0], ls=":", lw=1, color=style.color("linear"), label="linear decay")
        _draw(panel, task.refined_by_rows, SMOOTH, color=_lighter(), lw=1.2, label="_by rows")
        _draw(panel, task.refined, SMOOTH, color=style.color("refined"), lw=1.4, label="_refined")
    title = f"warmup {compared[0]:g} %, power {compared[1]:g}" if compared else "no comparison"
    ax.set(xlim=(0, 100), ylim=(0, 1.7), xlabel="% of the run", yticks=[0, 0.5, 1])
    ax.set_title(title, fontsize=8)
    _finish(ax, inset, window, (1e-3, 1.0))


def _finish(ax, inset, window, span):
    """What panels have in common: they are seen, the start is shaded, the inset is logarithmic and small, its ends labelled."""
    ax.set_visible(True)
    for panel in (ax, inset):
        panel.axvspan(0, 50 * window, color="0.5", alpha=0.15, lw=0, label="first half of the window: rests on the first norm")
    inset.set(yscale="log", xlim=(0, 100), xticks=[], ylim=(0.9 * span[0], 1.2 * span[1]))
    ends = [float(f"{end:.1g}") for end in span]
    inset.set_yticks(ends, [f"{end:g}" for end in ends])
    inset.set_yticks([], minor=True)
    inset.tick_params(labelsize=6, pad=1)
    inset.patch.set_alpha(0.85)


def _draw(ax, values, points, start=0, **look):
    shown = np.unique(np.linspace(start, values.size - 1, points).astype(int))
    if start == 0:  # where it begins steeply
        shown = np.union1d(shown, np.geomspace(1, values.size, points // 4).astype(int) - 1)
    ax.plot(100 * (shown + 1) / values.size, values[shown], **look)


def _lighter():
    return style.color("refined", 1, 4)


def _wide(window):
    return f"median over {window:.0%} of the run (the paper), and what is refined from it".replace("%", " %")
