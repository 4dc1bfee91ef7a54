"""Train all runs of the small deep-learning problems, two at a time; goes on where it was stopped (`make suites`)."""

import argparse

HELP = "train the small deep-learning problems"
EXAMPLE = "lastiterate problems build/problems"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", help="curves go to OUT.parquet, mean norms to OUT_norms.csv")
    parser.add_argument("--problems", nargs="+", metavar="NAME", help="by default all that need no download")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _extras

    _extras.require("torch", "train")
    from lastiterate.experiments import problems

    return 0 if problems.record(args.out, args.problems or problems.BUNDLED) else 1
