"""Build this repository's pages from what is committed, without running a notebook, into build/site (`make site`)."""

import argparse

HELP = "build the pages, or serve them on this machine"
EXAMPLE = "lastiterate site --serve"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--serve", action="store_true", help="show them at http://127.0.0.1:PORT when they are built")
    parser.add_argument("--port", type=int, default=8000, help="for --serve (default 8000)")


def run(args: argparse.Namespace) -> int:
    from lastiterate import _check
    from lastiterate.companion import manifest

    port = _check.integer("port", args.port, 1, 65535)
    root = manifest.root()
    if not (root / "figures" / "manifest.yml").is_file():
        raise ValueError(f"the working directory must be in a clone of the repository, got {str(root)!r}")
    from lastiterate.companion.site import build

    print("building the pages: about a minute the first time", flush=True)
    out = build.build(root)
    print(f"written: {out.relative_to(root)}/index.html")
    if args.serve:
        build.serve(out, port)
    return 0
