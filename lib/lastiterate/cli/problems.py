"""Train all runs of the small deep-learning problems; goes on where it was stopped (`make suites`)."""

import argparse

HELP = "train the small deep-learning problems"
EXAMPLE = "lastiterate problems build/problems"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", help="curves go to OUT.parquet, mean norms to OUT_norms.csv")
    parser.add_argument("--problems", nargs="+", metavar="NAME", help="by default all that need no download")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one core each (2)")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _extras

    _extras.require("torch", "train")
    from lastiterate.experiments import problems

    found = problems.record(args.out, args.problems or problems.BUNDLED, args.workers)
    return 0 if found else 1
