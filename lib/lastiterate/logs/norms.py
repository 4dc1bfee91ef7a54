"""Gradient norms over the steps of a run."""

import os
import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lastiterate import _check
from lastiterate.logs import formats
from lastiterate.logs.names import ASIDE, KNOWN, metrics, quoted, run_column
from lastiterate.logs.runs import of_file

MOST = 10**8  # norms that come out


def norms(
    path: str | os.PathLike, column: str | None = None, run: str | int | None = None, trim: int = 0, fill: bool = False
) -> NDArray[np.float64]:
    """Gradient norms of one run, from a log of any format that `formats.read` knows.

    Args:
        path: file.
        column: its column; by default `grad_norm_l1` of this project's logs, one with a known name, or the only one with numbers
            that is not known to be something else.
        run: where the file has several runs, which of them, compared as text; a recorded run begins with the steps that it
            shares with the one it branched off.
        trim: rows to leave out at the start and at the end, such as artefacts of an export.
        fill: whether to put the nearest earlier (at the start: later) norm where one is missing, infinite or not positive.

    Returns:
        Array of shape (n,), in the order of steps, at even intervals of them: as logged where they are even, and otherwise
        interpolated to the smallest interval between two of them (so that a log of every step at first, then of every 100th,
        gives one a step). A file without steps gives its rows.

    Raises:
        ValueError: for a file that cannot be read, an unknown or ambiguous column (the columns are listed) or run, text where a
            number should be, or fewer than two norms that are left.

    Warns:
        formats.LogNote: what was left out and why.

    Source: this project, for Defazio et al. 2023.
    """
    path, trim = formats.file(path, formats.SUFFIXES), _check.integer("trim", trim, 0)
    if (recorded := of_file(path, run)) is not None:
        return _even(path.name, recorded[["step", column or "grad_norm_l1"]], trim, fill)
    if formats.suffix(path) == ".json" and (read := formats.authors(path)) is not None:
        return _even(path.name, formats.history(read)[["step", column or "grad_norm"]], trim, fill)
    names: dict[str, str] = {}

    def wanted(found: list[str]) -> list[str]:
        names.update(_choose(path.name, found, column, run))
        return list(dict.fromkeys([*names.values(), *run_column(found)]))

    table, _ = formats.one_run(path, formats.rows(path, wanted), run)
    return _even(path.name, table[list(names.values())].set_axis(list(names), axis=1), trim, fill)


def _choose(file, found, column, run):
    """{"norm": its column, "step": its column if there is one}."""
    plain = {name: about for name, about in metrics(file, found).items() if name not in run_column(found)}
    labels = {label for label, _ in plain.values() if label is not None}
    if len(labels) > 1 and run is not None:
        plain = {name: about for name, about in plain.items() if about[0] in (None, str(run))}
    steps = sorted((KNOWN["step"].index(known), name) for name, (_, known) in plain.items() if known in KNOWN["step"])
    step = {"step": steps[0][1]} if steps and steps[0][1] != column else {}
    if column is not None:
        if column not in found:
            raise ValueError(f"{file} has no column {column!r}; it has {quoted(found)}")
        return {"norm": column} | step
    for ours in ("grad_norm_l1", "grad_norm"):
        if theirs := [name for name, (_, known) in plain.items() if known in KNOWN[ours]]:
            if len(theirs) > 1:
                break
            return {"norm": theirs[0]} | step
    others = [name for name, (_, short) in plain.items() if short not in {*KNOWN["step"], *ASIDE}]
    if len(others) != 1 or plain[others[0]][1] in {name for names in KNOWN.values() for name in names}:
        raise ValueError(f"column must be named, for {file} has {quoted(found)}")
    return {"norm": others[0]} | step


def _even(file, table, trim, fill):
    """Norms at even intervals of steps."""
    table = table.set_axis([name if name == "step" else "norm" for name in table], axis=1)
    table = table.iloc[trim : len(table) - trim] if trim else table
    if not fill:
        missing = int(table["norm"].isna().sum())
        if missing:
            said = f"{file}: {len(table) - missing:,} of {len(table):,} rows; {missing:,} without a norm left out"
            warnings.warn(said, formats.LogNote, stacklevel=3)
        table = table[table["norm"].notna()]
    if len(table) < 2:
        raise ValueError(f"{file} must have two norms or more, got {len(table)} with trim = {trim}")
    if "step" in table:
        table = formats.settle(file, table)
    values = table["norm"]
    values = (filled(values) if fill else values).to_numpy(dtype=float)
    if "step" not in table:
        return values
    steps = table["step"].to_numpy()
    gaps = np.diff(steps)
    if gaps.size == 0 or (gaps == gaps[0]).all():
        return values
    n = (steps[-1] - steps[0]) // gaps.min() + 1
    if n > MOST:
        raise ValueError(f"{file} must have fewer than {MOST:,} intervals of {gaps.min()} steps, got {n:,}")
    return np.interp(np.arange(n) * gaps.min() + steps[0], steps, values)


def filled(values: pd.Series) -> pd.Series:
    """Norms with the nearest earlier (at the start: later) one where one is missing, infinite or not positive."""
    return values.where((values > 0) & (values < float("inf"))).ffill().bfill()
