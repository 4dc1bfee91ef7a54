"""Gradient norms over the steps of a run."""

import os

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lastiterate import _check
from lastiterate.logs import formats
from lastiterate.logs.runs import find, load


def norms(
    path: str | os.PathLike, column: str | None = None, run: str | int | None = None, trim: int = 0, fill: bool = False
) -> NDArray[np.float64]:
    """Gradient norms of one run, from a file: CSV (also as Weights & Biases exports it) or Parquet.

    Args:
        path: .csv or .parquet file.
        column: its column; by default the only one with numbers besides the step and the minimum and maximum that Weights &
            Biases adds (``… __MIN``, ``… __MAX``), or `grad_norm_l1` of this project's logs.
        run: where the file has several runs in a column `run`, which of them; a recorded run begins with the steps that it
            shares with the one it branched off.
        trim: rows to leave out at the start and at the end, such as artefacts of an export.
        fill: whether to put the nearest earlier (at the start: later) norm where one is missing, infinite or not positive.

    Returns:
        Array of shape (n,), in the order of the file.

    Raises:
        ValueError: for a file of another kind, an unknown or ambiguous column (the columns are listed) or run, text where a
            number should be, or fewer than two rows that are left.

    Source: this project, for Defazio et al. 2023.
    """
    path, trim = formats.file(path, (".csv", ".parquet")), _check.integer("trim", trim, 0)
    table = formats.rows(path)
    if run is not None and path.suffix == ".parquet" and path.with_suffix(".csv").is_file():
        recorded = find(path.with_suffix(".csv"))
        table = load(recorded.loc[[run]]) if run in recorded.index else table
    run = None if run is None else str(run)
    if run is not None or ("run" in table and table["run"].nunique() > 1):
        runs = list(map(str, table["run"].unique())) if "run" in table else []
        if run not in runs:
            if not runs:
                raise ValueError(f"run must be left out: {path.name} has no column 'run', got {run!r}")
            listed = ", ".join(map(repr, runs[:3])) + (", …" if len(runs) > 3 else "")
            raise ValueError(f"run must be one of the {len(runs)} of {path.name}, {listed}, got {run!r}")
        table = table[table["run"].astype(str) == run]
    listed = ", ".join(map(repr, table))
    if column is None:
        aside = ("step", "_step", "iter", "iteration", "index", "run")
        numbers = [c for c in table.select_dtypes("number") if c.lower() not in aside and not c.endswith(("__MIN", "__MAX"))]
        candidates = ["grad_norm_l1"] if "grad_norm_l1" in table else numbers
        if len(candidates) != 1:
            raise ValueError(f"column must be named, for {path.name} has {listed}")
        column = candidates[0]
    if column not in table:
        raise ValueError(f"{path.name} has no column {column!r}; it has {listed}")
    values = pd.to_numeric(table[column], errors="coerce")
    text = values.isna() & table[column].notna()
    if text.any():
        raise ValueError(f"{path.name}: column {column!r} must have numbers, got {str(table[column][text.idxmax()])!r}")
    values = values.iloc[trim : len(values) - trim]
    if len(values) < 2:
        raise ValueError(f"{path.name} must have two norms or more, got {len(values)} with trim = {trim}")
    if fill:
        values = values.where((values > 0) & (values < float("inf"))).ffill().bfill()
    return values.to_numpy(dtype=float)
