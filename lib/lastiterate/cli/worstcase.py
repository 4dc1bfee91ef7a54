"""Compute the table of exact worst cases, data/worstcase.csv; goes on where it was stopped (`make worstcase`)."""

import argparse

HELP = "compute the table of exact worst cases"
EXAMPLE = "lastiterate worstcase build/worstcase.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", help="table, .csv; what it has already is not computed again")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _extras, worstcase

    _extras.require("PEPit", "solvers")
    print(worstcase.record(args.out).to_string(index=False))
    return 0
