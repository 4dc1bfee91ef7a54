"""Schedules as text, such as "wsd:cooldown=0.2,warmup=300", and as CSV files, to and fro."""

from __future__ import annotations

import contextlib
import csv
import inspect
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check
from lastiterate._files import write_atomic
from lastiterate.schedules import compose, families

RATES = ("lr", "learning_rate", "rate")  # columns that are multiplied by a base rate already
LONGEST = 10_000  # characters of a spec


def named(spec: str | os.PathLike, T: int | None = None) -> NDArray[np.float64]:
    """Schedule by its name and parameters, as on a command line, or from a CSV file.

    Args:
        spec: "linear", "wsd:cooldown=0.2,shape=1-sqrt", "step:milestones=[30,60]" (a name in
            `families.NAMES`), or a CSV file's path. Every name takes warmup=, and cooldown= where it has none of its own: `make`.
        T: number of steps; may be left out for a file, whose length it must have otherwise.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: for an unknown name or parameter (the known ones are listed), or a file of another length.

    Source: this project.

    >>> named("wsd:cooldown=0.4", 9)[-3:]
    array([0.75, 0.5 , 0.25])
    """
    name, parameters = parse(spec)
    if name in families.NAMES:
        if T is None:
            raise ValueError(f"T must be given for schedule {name!r}: the number of steps")
        return make(name, T, parameters)
    T = None if T is None else _check.steps("T", T)
    eta = read_csv(name)
    if T is not None and eta.size != T:
        raise ValueError(f"schedule {name} must have {T} rows, one a step, got {eta.size}")
    return eta


def make(name: str, T: int, parameters: Mapping[str, Any]) -> NDArray[np.float64]:
    """Schedule of a family in `families.NAMES`, with its parameters as a dict; `named` of what `parse` gives.

    Args:
        name: in `families.NAMES`.
        T: number of steps, an integer >= 1.
        parameters: of the family; and `warmup`, in steps or as a fraction of T below 1, and `cooldown`, `shape` and `final` of a
            cooldown where the family has no parameter of that name.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: for an unknown parameter (the known ones are listed), a missing or a bad one.

    >>> make("inverse_sqrt", 4, {"warmup": 2, "cooldown": 0.4}).round(3)
    array([0.5  , 0.707, 0.577, 0.25 ])
    """
    T, family = _check.steps("T", T), getattr(families, _check.choice("name", name, families.NAMES))
    own, known = inspect.signature(family).parameters, _known(name)
    if not isinstance(parameters, Mapping):
        raise ValueError(f"parameters must be a dict, such as {{}}, got {_check.shown(parameters)}")
    for parameter in parameters:
        if parameter not in known:
            raise ValueError(f"schedule {name!r} has no parameter {_check.shown(parameter)}; it has {', '.join(known)}")
    for parameter, about in own.items():
        if parameter != "T" and about.default is about.empty and parameter not in parameters:
            raise ValueError(f"schedule {name!r} must have a parameter {parameter!r}, such as {name}:{parameter}=…")
    eta = family(T, **{k: v for k, v in parameters.items() if k in own})
    added = {k: v for k, v in parameters.items() if k not in own and k != "warmup"}
    if added:
        if "cooldown" not in added:
            raise ValueError(f"{next(iter(added))} must come with a cooldown, such as {name}:cooldown=0.2,{next(iter(added))}=…")
        eta = compose.cooled(eta, added["cooldown"], added.get("shape", "linear"), added.get("final", 0.0))
    return compose.warmup(eta, warmup_steps(parameters.get("warmup", 0), T))


def warmup_steps(warmup: float, T: int) -> int:
    """Steps of a warmup that is given in steps, or as a fraction of T below 1.

    >>> warmup_steps(300, 1000), warmup_steps(0.3, 1000)
    (300, 300)
    """
    if isinstance(warmup, float | np.floating) and 0 < warmup < 1:
        return _check.floor(float(warmup) * T)
    try:
        return _check.integer("warmup", warmup, 0, T)
    except ValueError as error:
        raise ValueError(str(error).replace("must be", "must be a fraction below 1, or")) from None


def parse(spec: str | os.PathLike) -> tuple[str, dict[str, Any]]:
    """(name, parameters) of a schedule as `named` takes it; the name is in `families.NAMES`, or a CSV file's.

    >>> parse("wsd:cooldown=0.2,shape=1-sqrt"), parse("step:milestones=[30,60]")
    (('wsd', {'cooldown': 0.2, 'shape': '1-sqrt'}), ('step', {'milestones': [30, 60]}))
    """
    if not isinstance(spec, str | os.PathLike):
        raise ValueError(f"schedule must be text, such as 'wsd:cooldown=0.2', got {_check.shown(spec)}")
    spec = str(spec)
    if len(spec) > LONGEST:
        raise ValueError(f"schedule must have at most {LONGEST:,} characters, got {len(spec):,}: {_check.shown(spec)}")
    name, _, rest = spec.partition(":")
    if name not in families.NAMES:
        if not spec.lower().endswith(".csv"):
            raise ValueError(f"schedule must be one of {', '.join(families.NAMES)}, or a CSV file, got {_check.shown(spec)}")
        return spec, {}
    known, parameters = _known(name), {}
    for part in re.split(r",(?![^\[]*\])", rest) if rest.strip() else ():  # at commas that are not in brackets
        key, equals, text = (word.strip() for word in part.partition("="))
        if not (key and equals and text):
            raise ValueError(f"schedule must look like {name}:{known[0]}=value,…, got {_check.shown(spec)}")
        if key not in known:
            raise ValueError(f"schedule {name!r} has no parameter {_check.shown(key)}; it has {', '.join(known)}")
        if key in parameters:
            raise ValueError(f"schedule {_check.shown(spec)} must have {key} once, got it twice")
        parameters[key] = _value(key, text)
    return name, parameters


def _known(name: str) -> list[str]:
    """Parameters that a family takes in a spec: its own, and those of a warmup and a cooldown that are put on it."""
    own = [p for p in inspect.signature(getattr(families, name)).parameters if p != "T"]
    more = ["warmup"] if "cooldown" in own else ["warmup", "cooldown", "shape", "final"]
    return own + [p for p in more if p not in own]


def _value(key: str, text: str) -> Any:
    """A parameter's value: a number, a list of them in brackets, or a word."""
    if text.startswith("[") and text.endswith("]"):
        parts = [part.strip() for part in text[1:-1].split(",")]
        if not all(parts) or any("[" in part or "]" in part for part in parts):
            raise ValueError(f"{key} must be a list such as [30,60], got {_check.shown(text)}")
        return [_value(key, part) for part in parts]
    with contextlib.suppress(ValueError):  # no integer, or one of thousands of digits
        return int(text) if "_" not in text and text.isascii() else text
    try:
        number = _number(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number  # 4e4 steps


def write_csv(path: str | os.PathLike, eta: ArrayLike, lr: float | None = None) -> None:
    """Write a schedule as a CSV file with the columns `step` and `eta`, and `lr` where a base learning rate is given.

    Args:
        path: file, .csv; it is written whole or not at all.
        eta: schedule, shape (T,).
        lr: base learning rate γ, > 0.

    Raises:
        ValueError: on a bad argument.

    Source: this project. The numbers have all their digits: `read_csv` gives the same array.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "linear.csv"
    >>> write_csv(path, families.linear(4), lr=0.5)
    >>> print(path.read_text().splitlines()[:2], read_csv(path))
    ['step,eta,lr', '1,1.0,0.5'] [1.   0.75 0.5  0.25]
    """
    path = _check.path("path", path)
    if path.suffix.lower() != ".csv":
        raise ValueError(f"path must be a file name that ends in .csv, got {str(path)!r}")
    if path.is_dir():
        raise ValueError(f"path must be a file name, got the folder {str(path)!r}")
    rates, text = _check.schedule(eta), io.StringIO()
    if lr is not None:
        lr = _check.real("lr", lr, 0.0, open_low=True)
        with np.errstate(over="ignore", under="ignore"):
            _check.schedule(lr * rates, "lr * eta")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "eta"] + (["lr"] if lr else []))
    for t, value in enumerate(rates.tolist(), 1):
        writer.writerow([t, repr(value)] + ([repr(lr * value)] if lr else []))
    write_atomic(path, text.getvalue().encode())


def read_csv(path: str | os.PathLike) -> NDArray[np.float64]:
    """Read a schedule from a CSV file with a column `eta`, or from one with a single column, with or without a heading.

    Args:
        path: file, text in UTF-8 (or in UTF-16 that says so by its first bytes).

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: for a file that cannot be read as such; the file and its columns, or the bad row, are named.

    Source: this project. For the example see `write_csv`.
    """
    path = _check.path("path", path)
    if (what := _kind(path)) != "file":
        raise ValueError(f"path must be a CSV file, got {'the folder ' if what == 'folder' else ''}{_check.shown(str(path))}")
    rows = _rows(path)
    if not rows:
        raise ValueError(f"schedule {path} is empty")
    heading = [name.strip() for name in rows[0]]
    if len(heading) == 1 and heading[0].lower() in RATES:
        how = "divide them by their peak, name the column eta, and give the peak as lr"
        raise ValueError(f"schedule {path} has learning rates ({heading[0]!r}), not a shape: {how}")
    if "eta" not in heading and len(heading) != 1:
        has = ", ".join(repr(column[:30]) for column in heading[:20])
        raise ValueError(f"schedule {path} must have a column 'eta', or one column only; it has {has}")
    column, values = heading.index("eta") if "eta" in heading else 0, []
    step = heading.index("step") if "step" in heading else None
    for number, row in enumerate(rows, 1):
        if len(row) != len(heading):
            raise ValueError(
                f"schedule {path}: row {number} must have {len(heading)} cells, as the heading, got {_check.shown(row)}"
            )
        try:
            values.append(_number(row[column]))
        except ValueError:
            if number > 1:
                raise ValueError(f"schedule {path}: row {number} must have a number, got {_check.shown(row)}") from None
            continue
        if step is not None and row[step].strip() not in (str(len(values)), str(len(values) - 1), f"{len(values)}.0"):
            said = f"steps 1, 2, 3, … in this order, got {_check.shown(row[step])} in row {number}"
            raise ValueError(f"schedule {path} must have {said}")
    return _check.schedule(values, f"schedule {path}")


def _number(text: str) -> float:
    """A number as files and specs write it, without what only Python allows, such as 1_000."""
    if "_" in text or not text.isascii():
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def _rows(path: Path) -> list[list[str]]:
    """Rows of a CSV file that are not empty."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        if "\0" in text:
            raise ValueError("a NUL")
        return [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except UnicodeDecodeError:
        raise ValueError(f"schedule {path} must be text in UTF-8: it is not") from None
    except (ValueError, csv.Error):  # such as a field above 131,072 characters
        raise ValueError(f"schedule {path} must be a CSV file: a field is too long, or it has bytes that are no text") from None


def _kind(path: Path) -> str:
    """What is at a path, which may be no path at all: a NUL in it, or longer than a file system takes."""
    try:
        return "file" if path.is_file() else "folder" if path.is_dir() else "nothing"
    except (OSError, ValueError):
        return "nothing"
