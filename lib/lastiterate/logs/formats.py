"""Log files as tables: one short reader a format, from a suffix or a first line to the one schema.

A log has a row a step, with the columns COLUMNS: `run`, `step` (counted from 1; a validation before the first step has 0), `lr`
(the learning rate itself, γ·η_t), `train_loss`, `val_loss`, `grad_norm` (l2, before clipping). What was not logged is NaN.

| format | told by |
| --- | --- |
| CSV, with commas, semicolons or tabs; also of Weights & Biases, TensorBoard, Lightning; also compressed (.gz) | its heading |
| Parquet | .parquet |
| JSON lines | .jsonl, or a first line with a brace |
| Hugging Face `trainer_state.json`, the logs of Schaipp et al. 2025 | .json, by their keys |
| TensorBoard event files | `tfevents` in the name |
| text of llm.c, modded-nanogpt, nanoGPT, Megatron-LM, torchtitan | the first lines that they print |
"""

import contextlib
import csv
import gzip
import json
import os
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from lastiterate.logs import events, text
from lastiterate.logs.names import COLUMNS, EXTRA, choose, quoted, run_column

CHUNK = 500_000  # rows of a CSV file that are in memory as text at a time
SUFFIXES = (".csv", ".tsv", ".txt", ".log", ".out", ".parquet", ".json", ".jsonl", ".ndjson")
EVENTS = ".tfevents"  # stands for the suffix of a file of TensorBoard, whose name ends in a host and numbers
UNREADABLE = (OSError, RecursionError, UnicodeError, csv.Error, KeyError, TypeError, AttributeError, OverflowError)
UNREADABLE += (EOFError, zlib.error, pd.errors.ParserError)
ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}  # that a file's first bytes name


class LogNote(UserWarning):
    """What was done to a log while it was read, in a line."""


def read(path: str | os.PathLike, run: str | int | None = None, **columns: str) -> pd.DataFrame:
    """One run of a log file as a table.

    Args:
        path: file of any format above.
        run: which run, where the file has several, compared as text; with one run, a name for it (by default the file's stem).
        **columns: our column = the file's, for names that are not known, such as ``grad_norm="my norm"``.

    Returns:
        DataFrame with COLUMNS, and those of EXTRA that the file has, sorted by step. Where a step stands twice the later row
        counts (a resume), and rows of one step that have different columns are joined.

    Raises:
        ValueError: for a file that cannot be read or is empty, without a step or any known column (its columns are listed), with
            several runs and none chosen (they are listed), a value that is not a number (an empty one is: it means "not
            logged"), or a step that is not a whole number >= 0.

    Warns:
        LogNote: how many rows were superseded by later ones.

    Source: this project; the formats are those that the programs named above write.
    """
    path = file(path, SUFFIXES)
    if (theirs := authors(path)) is not None:
        return history(theirs).assign(run=path.stem if run is None else str(run))[COLUMNS]
    names = {}

    def wanted(found: list[str]) -> list[str]:
        names.update(choose(path.name, found, columns, run))
        return list(dict.fromkeys([*names.values(), *run_column(found)]))

    table, name = one_run(path, rows(path, wanted), run)
    table = pd.DataFrame({ours: table[theirs] for ours, theirs in names.items()})
    kept = settle(path.name, table)
    extra = [column for column in EXTRA if column in kept]
    return kept.assign(run=name).reindex(columns=COLUMNS + extra)


def file(path: str | os.PathLike, suffixes: tuple[str, ...]) -> Path:
    """The path of a file that is there and has one of some suffixes, in any case, compressed (.gz) or not.

    Raises:
        ValueError: for anything else.
    """
    shown = str(path)[:200]
    if not isinstance(path, str | os.PathLike) or suffix(Path(path)) not in (*suffixes, EVENTS):
        *some, last = suffixes
        said = f"path must end in {', '.join(some)} or {last}, or be an event file of TensorBoard, got {shown!r}"
        raise ValueError(said)
    if not Path(path).is_file():
        raise ValueError(f"path must be a file, and there is none at {shown!r}")
    return Path(path)


def suffix(path: Path) -> str:
    """A file's suffix in lower case, the one before .gz where it is compressed, EVENTS for a file of TensorBoard."""
    if "tfevents" in path.name and path.suffix.lower() not in (*SUFFIXES, ".gz"):
        return EVENTS
    path = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return path.suffix.lower()


def rows(path: Path, wanted: Callable[[list[str]], list[str]] = list) -> pd.DataFrame:
    """Rows of a file, with those of its own columns that `wanted` picks of all their names, as numbers; `run` stays text.

    Raises:
        ValueError: for a file that cannot be read as what it seems to be, by its name.
    """
    kind = suffix(path)
    try:
        if kind == ".parquet":
            import pyarrow.parquet

            names = wanted([str(name) for name in pyarrow.parquet.read_schema(path).names])
            return numbers(path.name, pd.read_parquet(path, columns=names))
        if kind == EVENTS:
            found = events.rows(path)
        elif kind == ".json":
            found = text.trainer_state(json.loads(path.read_text(encoding="utf-8")))
        elif (reader := text.recognise(_head(path))) is not None:
            with opened(path) as lines:
                found = reader(lines)
        else:
            return _csv(path, wanted)
    except UNREADABLE as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f"{path.name} cannot be read: {said}") from None
    except ValueError as error:
        said = str(error).splitlines()[0]
        raise ValueError(said if path.name in said else f"{path.name} cannot be read: {said[:200]}") from None
    table = pd.DataFrame(found)
    if table.empty:
        raise ValueError(f"{path.name} has no rows that can be read")
    return numbers(path.name, table[wanted(list(table))])


def kind(path: Path) -> str:
    """What a file is read as, for people.

    Raises:
        ValueError: for one that is not what its suffix says.
    """
    if suffix(path) == ".parquet":
        return "Parquet"
    if suffix(path) == EVENTS:
        return "event file of TensorBoard"
    if suffix(path) == ".json":
        return "trainer_state.json of Hugging Face" if authors(path) is None else "a log of Schaipp et al. 2025"
    try:
        if (reader := text.recognise(_head(path))) is not None:
            return text.TITLES[reader]
        _, delimiter, decimal = _dialect(path)
    except UNREADABLE as error:
        raise ValueError(f"{path.name} cannot be read: {str(error)[:200]}") from None
    names = {",": "commas", ";": "semicolons", "\t": "tabs"}
    return f"CSV with {names[delimiter]}" + (" and decimal commas" if decimal == "," else "")


def one_run(path: Path, table: pd.DataFrame, run: str | int | None) -> tuple[pd.DataFrame, str]:
    """(rows of a run, its name); a file of one run is that run, whatever name is given."""
    column = run_column(list(table))
    if not column:
        return table, path.stem.removesuffix(".csv") if run is None else str(run)
    labels = table[column[0]].astype(str)
    runs = list(labels.unique())
    if run is None and len(runs) == 1:
        run = runs[0]
    if run is None or str(run) not in runs:
        raise ValueError(f"run must be one of the {len(runs)} of {path.name}, {quoted(runs, 5)}, got {run!r}")
    return table[labels == str(run)].drop(columns=column), str(run)


def settle(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """One row a step, in the order of steps: later rows supersede earlier ones, rows with different columns are joined.

    Args:
        name: of the file, for messages.
        table: with a column `step` and others, NaN where nothing was logged.

    Raises:
        ValueError: for steps that are not whole numbers >= 0, or no rows.

    Warns:
        LogNote: how many rows were superseded.
    """
    steps = table["step"].to_numpy(dtype=float)
    bad = np.flatnonzero(~(np.isfinite(steps) & (steps >= 0) & (steps == np.floor(steps))))
    if bad.size:
        raise ValueError(f"{name}: steps must be whole numbers >= 0, got {steps[bad[0]]:g} in row {table.index[bad[0]] + 1}")
    if not steps.size:
        raise ValueError(f"{name} has no rows")
    table = table.astype({"step": np.int64}).sort_values("step", kind="stable")
    values = table.drop(columns="step")
    if table["step"].duplicated().any():
        there, groups = values.notna(), table["step"]
        later = there.groupby(groups).transform("sum") - there.groupby(groups).cumsum()  # rows after this one that have it too
        superseded = (there & (later > 0)).any(axis=1)
        if superseded.any():
            said = (
                f"{name}: {len(table) - superseded.sum():,} of {len(table):,} rows; {superseded.sum():,} superseded by a resume"
            )
            warnings.warn(said, LogNote, stacklevel=3)
        table = table[~superseded].groupby("step", as_index=False).last()
    values = {name: float for name in table if name != "step"}
    return table.astype(values).reset_index(drop=True)


def numbers(name: str, table: pd.DataFrame, first: int = 1) -> pd.DataFrame:
    """Every column but `run` as float64.

    Raises:
        ValueError: for text where a number should be; it is named, with its row (counted from `first`).
    """
    if table.columns.duplicated().any():
        raise ValueError(f"{name} has the column {table.columns[table.columns.duplicated()][0]!r} twice")
    for column in set(table) - set(run_column(list(table))):
        given = table[column]
        if given.dtype.kind in "iuf":
            continue
        try:
            values = pd.to_numeric(given, errors="coerce")
        except OverflowError:  # an integer that float64 cannot hold
            raise ValueError(f"{name}: column {column!r} must have numbers below 1.8e308") from None
        bad = np.flatnonzero(values.isna() & given.notna())
        if bad.size or given.dtype.kind not in "OT":
            value = given.iloc[bad[0]] if bad.size else given.iloc[0]
            row = first + (bad[0] if bad.size else 0)
            raise ValueError(f"{name}: column {column!r} must have numbers, got {str(value)[:50]!r} in row {row}")
        table = table.assign(**{str(column): values.astype(float)})
    return table


def history(log: dict) -> pd.DataFrame:
    """Training and validation of one of the authors' logs (the parsed JSON) as one table; steps logged twice are averaged."""
    names = {"iter": "step", "train_lr": "lr"}
    tables = []
    for columns in log["history"]["train"], log["history"]["val"]:
        columns = {names.get(name, name): values for name, values in columns.items()}
        tables.append(_averaged(pd.DataFrame({name: columns[name] for name in COLUMNS[1:] if name in columns})))
    train, val = (table.dropna(axis=1, how="all") for table in tables)
    return _averaged(train.merge(val, on="step", how="outer"))


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
        raise ValueError(f"{path} is another table: its columns are {quoted(list(found), 8)}: name another file")
    return found


@contextlib.contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A text file, compressed or not, in the encoding that its first bytes name; UTF-8 where they name none."""
    unpack = gzip.open if path.suffix.lower() == ".gz" else open
    with unpack(path, "rb") as raw:
        start = raw.read(3)
    encoding = next((known for mark, known in ENCODINGS.items() if start.startswith(mark)), "utf-8")
    with unpack(path, "rt", encoding=encoding, newline="") as lines:
        yield lines


def _head(path, lines=40):
    with opened(path) as found:
        return [line for _, line in zip(range(lines), found, strict=False)]


def _dialect(path):
    """(names, delimiter, decimal mark) of a CSV file."""
    head = [line.rstrip("\r\n") for line in _head(path) if line.strip()]
    if not head:
        raise ValueError(f"{path.name} is empty")
    if any("\0" in line for line in head):
        raise ValueError(f"{path.name} is not a text file")
    delimiter = max(",;\t", key=head[0].count)
    names = [name.strip() for name in next(csv.reader(head[:1], delimiter=delimiter))]
    cells = [cell for line in head[1:] for cell in line.split(delimiter)] if delimiter != "," else []
    decimal = "," if any(cell.count(",") == 1 and cell.strip(" -+0123456789") == "," for cell in cells) else "."
    return names, delimiter, decimal


def _csv(path, wanted):
    names, delimiter, decimal = _dialect(path)
    chosen = wanted(names)
    places = {names.index(name): name for name in chosen}
    parts, first = [], 1
    with warnings.catch_warnings(), opened(path) as lines:
        warnings.simplefilter("ignore", pd.errors.ParserWarning)  # rows longer than the heading: what it names is read
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        options = {"sep": delimiter, "decimal": decimal, "index_col": False, "chunksize": CHUNK, "skipinitialspace": True}
        dtypes = {place: str for place, name in places.items() if run_column([name])}
        for part in pd.read_csv(lines, header=0, names=range(len(names)), usecols=sorted(places), dtype=dtypes, **options):
            parts.append(numbers(path.name, part.rename(columns=places), first))
            first += len(part)
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=chosen)
    if table.empty:
        raise ValueError(f"{path.name} has a heading and no rows")
    return table[chosen]


def authors(path: Path) -> dict | None:
    """The parsed JSON of a log of Schaipp et al. 2025, or None for other files."""
    if suffix(path) != ".json":
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and "log_history" in found:
            return None
        history(found)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, OSError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else ""
        kinds = "neither a trainer_state.json nor a log in the authors' format"
        raise ValueError(f"{path.name} is {kinds}: {type(error).__name__} {said}") from None
    return found


def _averaged(table):
    """All value columns, one row a step, in order; steps that were logged twice (after a restart) are averaged."""
    return table.groupby("step", as_index=False).mean(numeric_only=True).reindex(columns=COLUMNS[1:])
