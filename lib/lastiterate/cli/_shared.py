"""What commands share: units of rates, columns of text, options for G and D, files that are written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

WHOSE = {"authors' logs": "Authors' 124M and 210M runs", "own runs": "This repository's runs", "theory": "Theory"}
FAR = 10  # times the best rate, and below it: what is further away is in other units

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


def add_steps(parser, name: str = "steps", tokens: str = "tokens", about: str = "T", required: bool = False, **options):
    """Options for a number of steps, or for a budget of tokens instead."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument(f"--{name}", type=int, help=about, **options)
    group.add_argument(f"--{tokens}", type=float, metavar="N", help="or: tokens instead of steps, such as 2.5e9")
    if not any(action.dest == "batch_tokens" for action in parser._actions):
        parser.add_argument(
            "--batch-tokens", type=int, metavar="B", help="tokens of a step, all processes and accumulation in it"
        )


def steps(args, *names: tuple[str, str]) -> list[int | None]:
    """Numbers of steps of the options, given or made from tokens; a pair of names each, of steps and of tokens.

    Raises:
        ValueError: for tokens without --batch-tokens, or that without tokens.
    """
    found = []
    for name, tokens in names:
        budget = getattr(args, tokens.replace("-", "_"))
        if budget is not None and args.batch_tokens is None:
            raise ValueError(f"{tokens} must come with --batch-tokens, the tokens of a step, got {budget:g} alone")
        if budget is None:
            found.append(getattr(args, name.replace("-", "_")))
        else:
            from lastiterate import schedules

            found.append(schedules.steps_of(budget, args.batch_tokens, tokens))
    if args.batch_tokens is not None and all(getattr(args, tokens.replace("-", "_")) is None for _, tokens in names):
        raise ValueError(f"batch-tokens must come with --{names[0][1]}, got {args.batch_tokens} alone")
    return found


def add_units(parser, tuned: bool = True):
    """Options that say what a learning rate is counted in."""
    if tuned:
        parser.add_argument("--tuned", metavar="SPEC", help="schedule that --lr was tuned for: all rates are then yours")
        parser.add_argument("--lr", type=float, help="its tuned base learning rate")
    parser.add_argument("--units", choices=["bound"], help="instead: rates are the bound's own, in units of D/G")


def unit(args, best: float | None) -> float | None:
    """What a rate of the bound, in units of D/G, is multiplied by to be one of the reader's; None where nothing says it.

    Args:
        args: with `lr` and `units`.
        best: γ* of the schedule that --lr was tuned for, None where that is not given.

    Raises:
        ValueError: where both are given, or a rate without its schedule or the other way round.
    """
    from lastiterate import _check

    if args.lr is not None:
        _check.real("lr", args.lr, 0.0, open_low=True)
    if args.units and (args.lr is not None or best is not None):
        raise ValueError("units must not be given with --lr and --tuned, which fix the units of rates")
    if args.units:
        return 1.0
    if args.lr is None and best is None:
        return None
    if args.lr is None or best is None:
        raise ValueError("lr and tuned must come together: the learning rate, and the schedule that it was tuned for")
    return args.lr / best


def tuned_schedule(spec: str, steps: int | None, lr: float | None = None) -> NDArray:
    """The schedule that --lr was tuned for, over some steps; one of a file has as many as its file has."""
    from lastiterate import schedules

    return schedules.named(spec, None if schedules.is_file(spec) else steps, lr)


def within_reach(name: str, rate: float, best: float, what: str) -> float:
    """A rate, or a ValueError where it is FAR from the best one in its units: then it was meant in others."""
    if not best / FAR <= rate <= best * FAR:
        times = f"{rate / best:.2g} times" if rate > best else f"{best / rate:.2g} times below"
        hint = "rates of a trainer need --tuned SPEC --lr LR" if "D/G" in what else "is it in other units than --lr?"
        raise ValueError(f"{name} must be within {FAR} times of {best:.4g}, {what}, got {rate:g}, {times} it: {hint}")
    return rate


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
        return args.exponent, f"Assumed: best rates fall like T^{0 - args.exponent:g} with the horizon."
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
        try:
            rows = list(csv.DictReader(file))
        except (UnicodeDecodeError, csv.Error):
            raise ValueError(f"sweep must be a CSV file in UTF-8, got {path!r}") from None
    found = {name: [] for name in ("lr", "horizon", "loss", "final_val_loss", "final_loss") if rows and name in rows[0]}
    if not {"lr", "horizon"} <= set(found) or len(found) < 3:
        has = ", ".join(repr(str(name)[:30]) for name in rows[0]) if rows else "no rows"
        raise ValueError(f"sweep must have the columns lr, horizon and loss in {path}, separated by commas; it has {has}")
    for row in rows:
        for name, values in found.items():
            try:
                values.append(float(row[name]))
            except (TypeError, ValueError):
                raise ValueError(f"sweep must have a number in column {name} of every row of {path}, got {row[name]!r}") from None
    return found


def evidence(command: str) -> str:
    """One line: what runs say of a command's advice, both ways, from the claims of this repository (`companion.evidence`)."""
    import json
    from importlib import resources

    found = json.loads((resources.files("lastiterate.cli") / "evidence.json").read_text(encoding="utf-8"))[command]
    said: dict[str, list[str]] = {}
    for claim in found:
        low, high = (number(pick(claim["measured"]), 2) for pick in (min, max))
        values = low if low == high else f"{low} to {high}"
        said.setdefault(WHOSE[claim["data"]], []).append(f"{claim['says']}: {claim['verdict']} ({values})")
    return "Evidence: " + ". ".join(f"{whose}: {'; '.join(words)}" for whose, words in said.items()) + "."


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
