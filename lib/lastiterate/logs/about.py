"""What was understood of a log file: its format, runs, columns and steps."""

import os
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lastiterate.logs import formats
from lastiterate.logs.names import COLUMNS, EXTRA, choose, metric, metrics, run_column

PIECES = 3  # of intervals between steps that are said; more are uneven


class About(NamedTuple):
    """What `about` understood."""

    format: str
    runs: list[str]
    """Their names, where the file has them."""
    columns: dict[str, str]
    """Ours: the file's."""
    unread: list[str]
    """Columns of the file that are none of ours."""
    table: pd.DataFrame | None
    """The run, as `formats.read` gives it; None where there are several and none was chosen."""


def about(path: str | os.PathLike, run: str | int | None = None) -> About:
    """What is understood of a log file; with one run, or a chosen one, its table, too.

    Args:
        path: file of any format that `formats.read` knows.
        run: which run, where the file has several.

    Returns:
        About.

    Raises:
        ValueError: as `formats.read`, but not for several runs of which none is chosen: they are listed.

    Warns:
        formats.LogNote: how many rows were superseded by later ones.

    Source: this project.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "log.csv"
    >>> _ = file.write_text("global_step,loss,epoch\\n1,4.5,0\\n2,4.0,0\\n")
    >>> found = about(file)
    >>> found.format, found.columns, found.unread
    ('CSV with commas', {'step': 'global_step', 'train_loss': 'loss'}, ['epoch'])
    """
    path = formats.file(path, formats.SUFFIXES)
    kind = formats.kind(path)
    if formats.suffix(path) == ".json" and formats.authors(path) is not None:
        table = formats.read(path, run)
        theirs = {"step": "iter", "lr": "train_lr"}
        columns = {name: theirs.get(name, name) for name in COLUMNS[1:] if table[name].notna().any()}
        return About(kind, [], columns, [], table)
    names: dict[str, str] = {}
    found: list[str] = []
    labels: list[str] = []

    def wanted(every):
        found.extend(every)
        labels.extend(sorted({label for label, _ in metrics(path.name, every).values() if label is not None}))
        chosen = labels[0] if len(labels) > 1 and run is None else run
        names.update(choose(path.name, every, {}, chosen))
        return list(dict.fromkeys([*names.values(), *run_column(every)]))

    rows = formats.rows(path, wanted)
    column = run_column(found)
    runs = list(rows[column[0]].astype(str).unique()) if column else labels
    unread = [name for name in found if name not in {*names.values(), *column} and not name.endswith(("__MIN", "__MAX"))]
    unread = [name for name in unread if run is None or len(labels) < 2 or metric(name)[0] in (None, str(run))]
    if len(runs) > 1 and run is None:
        return About(kind, runs, names, unread, None)
    one, name = formats.one_run(path, rows, run)
    table = formats.settle(path.name, pd.DataFrame({ours: one[theirs] for ours, theirs in names.items()}))
    extra = [column for column in EXTRA if column in table]
    return About(kind, runs, names, unread, table.assign(run=name).reindex(columns=COLUMNS + extra))


def intervals(steps: ArrayLike) -> str:
    """How far apart steps are, in words.

    Args:
        steps: in their order, each once.

    >>> intervals([1, 2, 3, 4, 14, 24, 34]), intervals([10, 20, 30, 70, 80, 90]), intervals([7])
    ('every step to 4, then every 10', 'every 10, but for a gap from 30 to 70', 'once')
    """
    steps = np.asarray(steps)
    gaps = np.diff(steps)
    if not gaps.size:
        return "once"
    ends = [*np.flatnonzero(np.diff(gaps)).tolist(), gaps.size - 1]
    pieces, holes, begin = [], [], 0  # of (interval, step where it ends)
    for end in ends:
        alone = begin == end and 0 < begin < gaps.size - 1 and gaps[begin] > max(gaps[begin - 1], gaps[begin + 1])
        if alone:
            holes.append(f"{steps[begin]:,} to {steps[begin + 1]:,}")
        elif pieces and pieces[-1][0] == gaps[begin]:
            pieces[-1] = (gaps[begin], steps[end + 1])
        else:
            pieces.append((gaps[begin], steps[end + 1]))
        begin = end + 1
    if len(pieces) > 1 and len(ends) > 1 and ends[-1] - ends[-2] == 1:  # the last one is where the run ended
        pieces.pop()
    if len(pieces) > PIECES or len(holes) > PIECES:
        return f"unevenly, {gaps.min():,} to {gaps.max():,} steps apart"
    said = [f"every {gap:,}" if gap > 1 else "every step" for gap, _ in pieces]
    words = [f"{text} to {end:,}" for text, (_, end) in zip(said[:-1], pieces[:-1], strict=True)] + said[-1:]
    return ", then ".join(words) + (f", but for a gap from {' and from '.join(holes)}" if holes else "")
