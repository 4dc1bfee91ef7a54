"""Download the authors' logs and Tiny Shakespeare ahead, verified; what is there already is only verified (`make data`)."""

import argparse

HELP = "download the published logs ahead, verified"
EXAMPLE = "lastiterate data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--register", action="store_true", help="instead, note the hashes of this repository's own data anew")


def run(args: argparse.Namespace) -> int:
    from lastiterate.logs import published

    if args.register:
        print(f"{published.register()} files of data/ are registered")
    else:
        published.download()
    return 0
