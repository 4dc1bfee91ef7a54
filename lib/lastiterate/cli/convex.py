"""Run the convex suite, nine schedules at their best rates on every data set; goes on where it was stopped (`make suites`)."""

import argparse

HELP = "run the convex suite"
EXAMPLE = "lastiterate convex build/convex.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", help="table, .csv; data sets that it has already are not run again")
    parser.add_argument("--openml", action="store_true", help="the sets of OpenML as well (needs a network)")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _extras

    _extras.require("torch", "train")
    from lastiterate.experiments import convex

    convex.record(args.out, args.openml)
    return 0
