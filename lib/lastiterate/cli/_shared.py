"""What commands share: columns of text, options for G and D, files that are written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # NumPy is imported by the commands that need it
    from numpy.typing import NDArray


def add_norms(parser):
    """Options for the gradient norms and the distance."""
    parser.add_argument("--G", type=float, help="bound on the gradient norms; default 1")
    parser.add_argument("--D", type=float, default=1.0, help="distance to a minimiser; default 1")
    parser.add_argument("--grad-norms", metavar="LOG", help="norms from a CSV or Parquet log instead, interpolated to the steps")
    parser.add_argument("--column", help="its column")


def grad_norms(args, T):
    """G of the options: a number, or a norm for each of T steps."""
    if not args.grad_norms:
        if args.column is not None:
            raise ValueError(f"column must come with --grad-norms, the log that it is of, got {args.column!r} alone")
        return 1.0 if args.G is None else args.G
    if args.G is not None:
        raise ValueError("G and grad-norms must not both be given")
    import numpy as np

    from lastiterate import logs

    norms = logs.norms(args.grad_norms, args.column, fill=True)
    return np.interp(np.linspace(0, 1, T), np.linspace(0, 1, norms.size), norms)


def add_exponent(parser):
    """Options for how fast best rates fall with the horizon."""
    parser.add_argument("--exponent", type=float, metavar="P", help="best rates fall like T^-P with the horizon; default 0.5")
    parser.add_argument("--sweep", metavar="TABLE", help="measure P: a CSV file with the columns lr, horizon, loss, a run a row")


def exponent(args) -> tuple[float, str]:
    """P of the options, and a line that says where it comes from."""
    from lastiterate import transfer

    if args.sweep is None:
        if args.exponent is None:
            return 0.5, "Assumed: best rates fall like T^-0.5 with the horizon (constant gradient norms); --sweep measures it."
        transfer.assumed_norms(1, args.exponent)
        return args.exponent, f"Assumed: best rates fall like T^-{args.exponent:g} with the horizon."
    if args.exponent is not None:
        raise ValueError("exponent and sweep must not both be given")
    P, low, high = transfer.horizon_exponent(_columns(args.sweep))
    return (
        P,
        f"Measured: best rates fall like T^-{P:.2f} with the horizon ({low:.2f} to {high:.2f}, leaving one rate or horizon out).",
    )


def _columns(path: str) -> dict[str, list[float]]:
    """Numbers of a CSV file by their column; cells that are not numbers are NaN."""
    import csv

    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {name: [] for name in ("lr", "horizon", "loss", "final_val_loss", "final_loss") if rows and name in rows[0]}
    for row in rows:
        for name, values in found.items():
            try:
                values.append(float(row[name]))
            except (TypeError, ValueError):
                raise ValueError(f"sweep must have a number in column {name} of every row of {path}, got {row[name]!r}") from None
    return found


def number(value: float, digits: int = 5) -> str:
    """A number as text."""
    return f"{value:.{digits}g}"


def columns(rows: list[list[str]]) -> list[str]:
    """Rows of text, padded to columns, as lines."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def output(path: str | Path, suffix: str, ours: bytes, name: str = "out", inputs: Iterable[str | None] = ()) -> Path:
    """The path of a file to write; a file that is there already is replaced only where it is one that this command wrote.

    Args:
        path: file name.
        suffix: that it must have.
        ours: of a table, the columns that a file of this command begins with; else bytes among its first thousand.
        name: of the option, for the message.
        inputs: files that the command reads, which it never replaces.

    Raises:
        ValueError: for another suffix, a folder, or a file that would be lost.
    """
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise ValueError(f"{name} must be a file name that ends in {suffix}, got {str(path)!r}")
    if path.is_dir():
        raise ValueError(f"{name} must be a file name, got the folder {str(path)!r}")
    if path.exists():
        if any(given and Path(given).exists() and path.samefile(given) for given in inputs):
            raise ValueError(f"{name} must not be {str(path)!r}, which this command reads: name another")
        with path.open("rb") as file:
            start = file.read(1000)
            if start.split(b"\n")[0].strip() not in (ours, ours + b",lr") if suffix == ".csv" else ours not in start:
                raise ValueError(f"{name} must not be {str(path)!r}, a file that this command did not write: name another")
    return path


def write_csv(path: Path, heading: Iterable[str], rows: NDArray) -> None:
    """Write a table of numbers."""
    from lastiterate._files import write_atomic

    lines = [",".join(heading), *(",".join(f"{value:.10g}" for value in row) for row in rows)]
    write_atomic(path, ("\n".join(lines) + "\n").encode())
