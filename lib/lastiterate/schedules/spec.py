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
ADDED = ("warmup", "cooldown", "shape", "final", "start", "lag", "join", "start_lr", "final_lr")  # put on any schedule
WITH = {"warmup": ("start", "lag", "join"), "cooldown": ("shape", "final")}  # what needs which of them


def named(spec: str | os.PathLike, T: int | None = None, lr: float | None = None) -> NDArray[np.float64]:
    """Schedule by its name and parameters, as on a command line, or from a CSV file.

    Args:
        spec: "linear", "wsd:cooldown=0.2,shape=1-sqrt", "step:milestones=[30,60]" (a name in `families.NAMES`); one of another
            tool's, by its names, "hf.cosine:num_warmup_steps=300", "CosineAnnealingLR:T_max=900" (`tools.TOOLS` has them); or a
            CSV file's path. Every name takes what `make` puts on it: warmup=, cooldown=, and how.
        T: number of steps; may be left out for a file, whose length it must have otherwise.
        lr: base learning rate γ > 0; only needed where a parameter is a learning rate, such as final_lr=3e-5.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: for an unknown name or parameter (the known ones are listed), or a file of another length.

    Source: this project.

    >>> named("wsd:cooldown=0.4", 9)[-3:]
    array([0.75, 0.5 , 0.25])
    >>> named("cosine:warmup=2,join=after,final_lr=1e-4", 5, lr=1e-3).round(3)
    array([0.5  , 1.   , 0.868, 0.55 , 0.232])
    """
    name, parameters = parse(spec)
    if not name.lower().endswith(".csv"):
        if T is None:
            raise ValueError(f"T must be given for schedule {name!r}: the number of steps")
        return make(name, T, parameters, lr)
    T = None if T is None else _check.steps("T", T)
    eta = read_csv(name)
    if T is not None and eta.size != T:
        raise ValueError(f"schedule {name} must have {T} rows, one a step, got {eta.size}")
    return eta


def is_file(spec: str | os.PathLike) -> bool:
    """Whether a schedule as `named` takes it is a file, which has its own number of steps.

    >>> is_file("mine.csv"), is_file("wsd:cooldown=0.2")
    (True, False)
    """
    return parse(spec)[0].lower().endswith(".csv")


def make(name: str, T: int, parameters: Mapping[str, Any], lr: float | None = None) -> NDArray[np.float64]:
    """Schedule of a family, or of another tool, with its parameters as a dict; `named` of what `parse` gives.

    Args:
        name: in `families.NAMES`, or what `tools.find` finds.
        T: number of steps, an integer >= 1.
        parameters: of the family, and what is put on it where it has no parameter of that name:
            `warmup`, in steps or as a fraction of T below 1, with the `start` and `lag` of `compose.warmup`;
            `join` = "under" (the default: the schedule runs from the first step on, and is multiplied by the warmup) or "after"
            (it has the steps from the first at the full rate on alone, see `compose.join`);
            `cooldown`, as a fraction of the schedule's steps, with its `shape` and `final`;
            `start_lr` and `final_lr` instead of `start` and `final`, as learning rates.
        lr: base learning rate γ > 0, for parameters that are learning rates.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: for an unknown parameter (the known ones are listed), a missing or a bad one.

    >>> make("inverse_sqrt", 4, {"warmup": 2, "cooldown": 0.4}).round(3)
    array([0.5  , 0.707, 0.577, 0.25 ])
    """
    name = _name(name) or _check.choice("name", name, families.NAMES)
    T, own, known = _check.steps("T", T), _own(name), _known(name)
    if not isinstance(parameters, Mapping):
        raise ValueError(f"parameters must be a dict, such as {{}}, got {_check.shown(parameters)}")
    for parameter in parameters:
        if parameter not in known:
            raise ValueError(f"schedule {name!r} has no parameter {_check.shown(parameter)}; it has {', '.join(known)}")
    given = _in_units(parameters, lr)
    for parameter, default in own.items():
        if default is inspect.Parameter.empty and parameter not in given:
            raise ValueError(f"schedule {name!r} must have a parameter {parameter!r}, such as {name}:{parameter}=…")
    added = {k: v for k, v in given.items() if k not in own}
    for needed, more in WITH.items():
        if needed not in added and needed not in own and (found := [k for k in more if k in added]):
            raise ValueError(f"{found[0]} must come with a {needed}, such as {name}:{needed}=0.2,{found[0]}=…")
    steps = warmup_steps(added.get("warmup", 0), T)
    start, lag = added.get("start", 0.0), added.get("lag", 0)
    after = _check.choice("join", added.get("join", "under"), ("under", "after")) == "after" and steps > 0
    n = T - (steps - 1 + _check.integer("lag", lag, 0, 1)) if after else T
    if n < 1:
        raise ValueError(f"warmup must leave a step of the {T} for the schedule that joins after it, got {steps} with lag={lag}")
    eta = _family(name, n, {k: v for k, v in given.items() if k in own}, lr)
    if "cooldown" in added:
        eta = compose.cooled(eta, added["cooldown"], added.get("shape", "linear"), added.get("final", 0.0))
    return (compose.join if after else compose.warmup)(eta, steps, start, lag)


def _in_units(parameters, lr):
    """Parameters with start_lr and final_lr as start and final."""
    found = dict(parameters)
    for name in ("start", "final"):
        if f"{name}_lr" not in found:
            continue
        if name in found:
            raise ValueError(f"{name} and {name}_lr must not both be given")
        rate = _check.real(f"{name}_lr", found.pop(f"{name}_lr"), 0.0)
        if lr is None:
            raise ValueError(f"{name}_lr must come with the base learning rate lr, in whose units it is, got {rate!r} alone")
        if rate > _check.real("lr", lr, 0.0, open_low=True):
            raise ValueError(f"{name}_lr must be at most the base learning rate {lr:g}, got {rate!r}")
        found[name] = rate / lr
    return found


def _family(name, T, given, lr):
    """The schedule itself."""
    if name in families.NAMES:
        return getattr(families, name)(T, **given)
    from lastiterate.schedules import tools  # here: few need it, and commands start faster without

    return tools.rates(name, T, given, lr)


def _own(name):
    """A family's own parameters and their defaults."""
    if name in families.NAMES:
        return {k: p.default for k, p in inspect.signature(getattr(families, name)).parameters.items() if k != "T"}
    from lastiterate.schedules import tools

    return tools.parameters(name)


def _name(name):
    """A family's name, or another tool's schedule in full; None for neither."""
    if name in families.NAMES or not isinstance(name, str) or not name:
        return name if name in families.NAMES else None
    from lastiterate.schedules import tools

    return tools.find(name[:200])


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
    """(name, parameters) of a schedule as `named` takes it; the name is in `families.NAMES`, a tool's in full, or a CSV file's.

    >>> parse("wsd:cooldown=0.2,shape=1-sqrt"), parse("step:milestones=[30,60]")
    (('wsd', {'cooldown': 0.2, 'shape': '1-sqrt'}), ('step', {'milestones': [30, 60]}))
    """
    if not isinstance(spec, str | os.PathLike):
        raise ValueError(f"schedule must be text, such as 'wsd:cooldown=0.2', got {_check.shown(spec)}")
    spec = str(spec)
    if len(spec) > LONGEST:
        raise ValueError(f"schedule must have at most {LONGEST:,} characters, got {len(spec):,}: {_check.shown(spec)}")
    word, _, rest = spec.partition(":")
    if word not in families.NAMES and spec.lower().endswith(".csv"):
        return spec, {}
    name = _name(word)
    if name is None:
        known = ", ".join(families.NAMES)
        said = f"schedule must be one of {known}, or a CSV file, got {_check.shown(spec)}"
        raise ValueError(f"{said}; another tool's are written hf.cosine, torch.StepLR, …")
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
    own = list(_own(name))
    cooled = {"cooldown", "shape"} | (set() if "final" in own else {"final", "final_lr"})  # what a cooldown of its own leaves out
    more = [p for p in ADDED if "cooldown" not in own or p not in cooled]
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
