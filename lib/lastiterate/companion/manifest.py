"""The list of figures, ``figures/manifest.yml``: paper, number, notebook, source of data; the gallery is made from it."""

from pathlib import Path

from lastiterate.logs import published


def root() -> Path:
    """The repository's folder: the nearest one above the working directory with a figure manifest, or the directory itself."""
    return published.above(Path.cwd()) or Path.cwd()


def read(folder: Path | None = None) -> dict:
    """The list of figures, ``figures/manifest.yml``, as a dict with `papers`, `notebooks` and `figures`."""
    import yaml

    text = ((folder or root()) / "figures" / "manifest.yml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def gallery(listed: dict) -> str:
    """Text of ``figures/README.md`` from the manifest: every figure with its number, one line, its notebook and its data."""
    lines = ["# Gallery", "", "Made from [manifest.yml](manifest.yml) by `make figures`; do not edit.", ""]
    for paper, about in listed["papers"].items():
        lines += [f"## {about['title']}", "", f"{about['authors']}, {about['where']}", ""]
        lines += ["| figure | shows | notebook | data |", "| --- | --- | --- | --- |"]
        mine = [f for f in listed["figures"] if f["id"].startswith(f"{paper}/")]
        for f in mine:
            book = f["notebook"].partition("/")[2]
            link = f"../notebooks/{f['notebook']}.ipynb"
            lines.append(f"| [{f['number']}](#{f['id'].replace('/', '')}) | {f['shows']} | [{book}]({link}) | {f['data']} |")
        lines.append("")
        for f in mine:
            lines += [f'### <a id="{f["id"].replace("/", "")}"></a>{f["number"]}', "", f"{f['shows']}.", ""]
            lines += [f"[![{f['number']}]({f['id']}.png)](../notebooks/{f['notebook']}.ipynb)", ""]
    return "\n".join(lines)
