"""Run every notebook of the repository whose inputs changed, then print its figures and claims (`make figures`)."""

import argparse
import os
from pathlib import Path

HELP = "run the notebooks whose inputs changed, print figures and claims"
EXAMPLE = "lastiterate figures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", metavar="NOTEBOOK", help="run this one in place, whether its inputs changed or not")
    parser.add_argument("--without-logs", action="store_true", help="with --only: leave its cells of the authors' logs out")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _extras

    for module in ("papermill", "matplotlib", "yaml"):
        _extras.require(module, "paper")
    from lastiterate.companion import manifest, notebooks

    if args.without_logs and not args.only:
        raise ValueError("without-logs must come with --only")
    absolute_folders()
    root = manifest.root()
    if not (root / "figures" / "manifest.yml").is_file():
        raise ValueError(f"the working directory must be in a clone of the repository, got {str(Path.cwd())!r}")
    if args.only:
        return notebooks.refresh(root, args.only, with_logs=not args.without_logs, progress=True)
    return notebooks.make_figures(root)


def absolute_folders():
    """Make the folders that environment variables name absolute: kernels run in the notebooks' folders."""
    for name in ("LASTITERATE_MIRROR", "LASTITERATE_CACHE"):
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).absolute())
