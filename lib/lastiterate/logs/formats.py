"""Log files as tables: from a suffix to the one schema.

A log has a row a step, with the columns COLUMNS: `run`, `step` (counted from 1; a validation before the first step has 0), `lr`
(the learning rate itself, γ·η_t), `train_loss`, `val_loss`, `grad_norm` (l2, before clipping). What was not logged is NaN.
"""

import json
import os
import warnings
from pathlib import Path

import pandas as pd

COLUMNS = ["run", "step", "lr", "train_loss", "val_loss", "grad_norm"]
EXTRA = ["tokens", "grad_norm_l1", "update_norm"]  # columns of this project's trainer, kept where a log has them


def read(path: str | os.PathLike, run: str | None = None, **columns: str) -> pd.DataFrame:
    """One log file as a table: the authors' JSON, or a CSV or Parquet file of one's own.

    Args:
        path: file; .json (the authors' format), .csv or .parquet.
        run: name for the `run` column; the file's stem by default.
        **columns: our column = the file's, for names that differ, such as ``step="Step", grad_norm="run - gradient_norm"``.

    Returns:
        DataFrame with COLUMNS, and those of EXTRA that the file has, sorted by step.

    Raises:
        ValueError: for another suffix, a file without the `step` column or a named one (its columns are listed), or a value
            that is not a number (an empty one is: it means "not logged").

    Source: this project.
    """
    path = file(path, (".json", ".csv", ".parquet"))
    if path.suffix.lower() == ".json":
        try:
            table = history(json.loads(path.read_text(encoding="utf-8")))
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            said = str(error).splitlines()[0][:200] if str(error) else ""
            raise ValueError(f"{path.name} is not a log in the authors' format: {type(error).__name__} {said}") from None
    else:
        table = rows(path)
        known = COLUMNS + EXTRA
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise ValueError(f"columns must be among {', '.join(known)}, got {unknown[0]!r}")
        for ours in ("step", *columns):
            if (theirs := columns.get(ours, ours)) not in table:
                raise ValueError(f"{path.name} has no column {theirs!r}; it has {', '.join(map(repr, table))}")
        names = {ours: columns.get(ours, ours) for ours in known[1:]}
        table = pd.DataFrame({ours: table[theirs] for ours, theirs in names.items() if theirs in table})
        for name in table:
            values = pd.to_numeric(table[name], errors="coerce")
            bad = values.isna() & (table[name].notna() | (name == "step"))
            if bad.any():
                value, row = table[name][bad.idxmax()], bad.idxmax() + 1
                raise ValueError(f"{path.name}: column {names[name]!r} must have numbers, got {str(value)!r} in row {row}")
            table[name] = values
        table = _tidy(table)
    return table.assign(run=run or path.stem)[COLUMNS + [name for name in EXTRA if name in table]]


def file(path: str | os.PathLike, suffixes: tuple[str, ...]) -> Path:
    """The path of a file that is there and has one of some suffixes, in any case.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(path, str | os.PathLike) or Path(path).suffix.lower() not in suffixes:
        *some, last = suffixes
        raise ValueError(f"path must end in {', '.join(some)} or {last}, got {str(path)[:200]!r}")
    if not Path(path).is_file():
        raise ValueError(f"path must be a file, and there is none at {str(path)[:200]!r}")
    return Path(path)


def rows(path: Path) -> pd.DataFrame:
    """All rows of a CSV or Parquet file.

    Raises:
        ValueError: for a file that is not what its suffix says, by its name.
    """
    try:
        if path.suffix.lower() == ".csv":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pd.errors.ParserWarning)  # rows longer than the heading: what it names is read
                return pd.read_csv(path, index_col=False)
        return pd.read_parquet(path)
    except Exception as error:  # of many kinds: of pandas, pyarrow, encodings
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f"{path.name} cannot be read as {path.suffix[1:].upper()}: {said}") from None


def history(log: dict) -> pd.DataFrame:
    """Training and validation of one of the authors' logs (the parsed JSON) as one table."""
    names = {"iter": "step", "train_lr": "lr"}
    tables = []
    for columns in log["history"]["train"], log["history"]["val"]:
        columns = {names.get(name, name): values for name, values in columns.items()}
        tables.append(_tidy(pd.DataFrame({name: columns[name] for name in COLUMNS[1:] if name in columns})))
    train, val = (table.dropna(axis=1, how="all") for table in tables)
    return _tidy(train.merge(val, on="step", how="outer"))


def _tidy(table):
    """All value columns, one row a step, in order; steps that were logged twice (after a restart) are averaged."""
    extra = [name for name in EXTRA if name in table]
    return table.groupby("step", as_index=False).mean(numeric_only=True).reindex(columns=COLUMNS[1:] + extra)


def read_table(path: str | os.PathLike, columns: list[str]) -> pd.DataFrame:
    """A table that a command of this library has written, .csv or .parquet; an empty one where there is no such file.

    Args:
        path: file.
        columns: that it must have, all of them and in this order.

    Raises:
        ValueError: for a file with other columns, or of another kind: what would be lost if it were written again.
    """
    path = Path(path)
    if not path.exists():
        return pd.DataFrame(columns=columns)
    try:
        found = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except Exception as error:  # of many kinds
        raise ValueError(f"{path} is not such a table ({type(error).__name__}): name another file") from None
    if list(found) != list(columns):
        raise ValueError(f"{path} is another table: its columns are {', '.join(map(str, list(found)[:8]))}: name another file")
    return found
