"""The table of a sweep: rows of a CSV file, or what the sets of a TOML file stand for."""

import csv
import itertools
import os
import tomllib

from lastiterate import _check


def read_table(path: str | os.PathLike) -> list[dict]:
    """Rows of a sweep's table, as a list of dicts.

    Args:
        path: .csv with a run a row (what is empty takes its default), or .toml with ``[[runs]]`` of values and lists.

    Raises:
        ValueError: for another suffix, a file that cannot be parsed, or a row without `schedule` or `horizon`.
    """
    path = _check.path("table", path)
    if path.suffix not in (".csv", ".toml"):
        raise ValueError(f"table must be a .csv or .toml file, got {str(path)!r}")
    try:
        rows = _csv_rows(path) if path.suffix == ".csv" else _toml_rows(path)
    except (ValueError, RecursionError, csv.Error) as error:  # also what TOML and UTF-8 do not know
        raise ValueError(f"table {path} cannot be read: {error}") from None
    if not rows:
        raise ValueError(f"table {path} has no runs")
    for i, row in enumerate(rows):
        if missing := {"schedule", "horizon"} - set(row):
            raise ValueError(f"table {path}: run {i + 1} has no {missing.pop()!r}; it has {', '.join(row)}")
    return rows


def _csv_rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        names = list(reader.fieldnames or [""])
        if not all(names) or len(set(names)) < len(names):
            raise ValueError(f"its first line must name each column once, got {_check.shown(names)}")
        rows = [{k: _cell(v) for k, v in row.items() if k is None or (v or "").strip()} for row in reader]
    for i, row in enumerate(rows):
        if None in row:
            raise ValueError(f"run {i + 1} has more values than there are columns, {len(names)}")
    return rows


def _cell(text):
    """A value of a CSV file by itself, whatever else its column has."""
    text = text.strip() if isinstance(text, str) else ""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return int(value) if isinstance(value, float) and value.is_integer() else value
    return text


def _toml_rows(path):
    sets = tomllib.loads(path.read_text(encoding="utf-8")).get("runs", [])
    if not isinstance(sets, list) or not all(isinstance(s, dict) for s in sets):
        raise ValueError("runs must stand as [[runs]], in two pairs of brackets")
    lists = [{k: v if isinstance(v, list) and k != "milestones" else [v] for k, v in s.items()} for s in sets]
    return [dict(zip(s, values, strict=True)) for s in lists for values in itertools.product(*s.values())]
