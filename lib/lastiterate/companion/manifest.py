"""The list of figures, ``figures/manifest.yml``: paper, number, notebook, source of data; the gallery is made from it."""

import html
from pathlib import Path

from lastiterate.logs import published

COLUMNS = 3


def root() -> Path:
    """The repository's folder: the nearest one above the working directory with a figure manifest, or the directory itself."""
    return published.above(Path.cwd()) or Path.cwd()


def read(folder: Path | None = None) -> dict:
    """The list of figures, ``figures/manifest.yml``, as a dict with `papers`, `notebooks` and `figures`."""
    import yaml

    text = ((folder or root()) / "figures" / "manifest.yml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def gallery(listed: dict) -> str:
    """Text of ``figures/README.md`` from the manifest: every figure small, its number, one line, notebook and data."""
    how = "Made from [manifest.yml](manifest.yml) by `make figures`; do not edit. A name leads to the notebook."
    lines = ["# Gallery", "", how, ""]
    for paper, about in listed["papers"].items():
        lines += [f"## {about['title']}", "", f"{about['authors']}, {about['where']}", "", "<table>"]
        mine = [f for f in listed["figures"] if f["id"].startswith(f"{paper}/")]
        for i in range(0, len(mine), COLUMNS):
            lines += ["<tr>", *map(_cell, mine[i : i + COLUMNS]), "</tr>"]
        lines += ["</table>", ""]
    return "\n".join(lines)


def _cell(figure):
    """A figure in the gallery's table."""
    name, path, notebook = figure["id"].replace("/", ""), figure["id"], figure["notebook"]
    shows, number, data = (html.escape(figure[key]) for key in ("shows", "number", "data"))
    return (
        f'<td width="{100 // COLUMNS}%" valign="top"><a id="{name}" href="{path}.png"><img src="{path}.png" alt="{shows}" '
        f'width="260" loading="lazy"></a><br><b>{number}</b> {shows}.<br>'
        f'<sub><a href="../notebooks/{notebook}.ipynb">{notebook.partition("/")[2]}</a> · {data}</sub></td>'
    )
