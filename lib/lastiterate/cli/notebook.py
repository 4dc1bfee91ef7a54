"""Run one notebook with other parameters into build/, its figures into build/figures (`make notebook`)."""

import argparse

from lastiterate.cli import figures

HELP = "run one notebook with other parameters"
EXAMPLE = "lastiterate notebook schaipp2025/schedule_zoo T=1000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("notebook", nargs="?", default="", help="such as schaipp2025/horizons")
    parser.add_argument("parameters", nargs="*", metavar="name=value")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _extras

    for module in ("papermill", "matplotlib"):
        _extras.require(module, "paper")
    from lastiterate.companion import manifest, notebooks

    figures.absolute_folders()
    return notebooks.run(manifest.root(), args.notebook, args.parameters)
