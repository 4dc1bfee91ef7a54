"""What figures and claims leave in a notebook's outputs, besides what a reader sees: tables are read from there."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

FIGURE = "application/vnd.lastiterate.figure+json"
CLAIM = "application/vnd.lastiterate.claim+json"


def display(bundle: dict, metadata: dict | None = None) -> None:
    """Show in a notebook; do nothing elsewhere."""
    try:
        shell = get_ipython()  # pyright: ignore[reportUndefinedVariable]: a notebook has it
    except NameError:
        return
    if shell.__class__.__name__ == "ZMQInteractiveShell":
        from IPython.display import display as show

        if "image/png" in bundle:
            bundle = bundle | {"image/png": base64.b64encode(bundle["image/png"]).decode()}
        show(bundle, raw=True, metadata=metadata or {})


def cells(path: Path) -> list[dict]:
    """Cells of a notebook file, as dicts."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def bundles(path: Path, tag: str | None = None) -> Iterator[dict]:
    """Output data of a notebook's cells, or of those with a tag."""
    for cell in cells(path):
        if tag is None or tag in cell["metadata"].get("tags", []):
            yield from (output.get("data", {}) for output in cell.get("outputs", []))


def claims(path: Path, tag: str | None = None) -> list[dict]:
    """Claims in a notebook's outputs, as a list of dicts."""
    return [found[CLAIM] for found in bundles(path, tag) if CLAIM in found]


def drawn(path: Path, tag: str | None = None) -> set[str]:
    """Names of the figures in a notebook's outputs, as a set."""
    return {found[FIGURE]["figure"] for found in bundles(path, tag) if FIGURE in found}
