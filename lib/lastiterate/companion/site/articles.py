"""A page of each notebook: figures at the size of the page, verdicts as notes, code folded, links that stay in the site."""

import html
import json
import re
from pathlib import Path

import lastiterate
from lastiterate.companion import claims, outputs
from lastiterate.companion.site import links, mathematics, pictures


def article(root: Path, name: str, figures: dict[str, dict], sizes: dict[str, tuple[int, int]]) -> dict:
    """A notebook for MyST-NB, from a committed one.

    Args:
        root: the repository.
        name: such as "schaipp2025/horizons".
        figures: {id: entry of the manifest}.
        sizes: {id: (width, height)} from `pictures.copies`.
    """
    notebook = json.loads((root / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    page = f"notebooks/{name}"
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = prose("".join(cell["source"]), f"{page}.ipynb", page)
            continue
        tags = cell["metadata"].get("tags", [])
        cell["metadata"] = {"tags": ["hide-input"]}
        if "parameters" in tags:
            cell["metadata"]["mystnb"] = {"code_prompt_show": "show parameters", "code_prompt_hide": "hide parameters"}
        cell["outputs"] = [_output(output, figures, sizes) for output in cell["outputs"]]
    notebook["cells"].insert(1, {"cell_type": "markdown", "id": "run-this", "metadata": {}, "source": run_this(name)})
    return notebook


def prose(text: str, file: str, page: str) -> str:
    """Markdown with links to pages, and names of the library linked to their reference."""
    text = links.rewritten(text, file, page)
    return re.sub(r"(?<!`)`((?:[a-z_]+\.)+\w+)`(?!`)", _reference, text)


def _reference(found):
    name = found[1].removeprefix("lastiterate.")
    if name.partition(".")[0] not in {module.partition(".")[0] for modules in links.API.values() for module in modules}:
        return found[0]
    return f"{{py:obj}}`{found[1]} <lastiterate.{name}>`"


def run_this(name: str) -> str:
    """Line of links that run a notebook elsewhere, or download it."""
    path = f"notebooks/{name}.ipynb"
    repository = lastiterate.HOME.removeprefix("https://github.com/")
    places = {
        "Binder": f"https://mybinder.org/v2/gh/{repository}/main?labpath={path}",
        "Colab": f"https://colab.research.google.com/github/{repository}/blob/main/{path}",
        "download": f"{name.partition('/')[2]}.ipynb",
    }
    shown = " ".join(f'<a href="{address}"{" download" * (word == "download")}>{word}</a>' for word, address in places.items())
    return f'<p class="run-this"><span>Run this</span> {shown} <code>make notebook NB={name}</code></p>'


def claim(record: dict, up: str) -> str:
    """HTML of a verdict as a note in a page."""
    note = f"<p>{html.escape(record['note'])}</p>" if record["note"] else ""
    return (
        f'<aside class="claim {record["verdict"]}" id="claim-{record["id"]}">'
        f'<p><a class="verdict" href="{up}claims.html#{record["id"]}">{claims.MARKS[record["verdict"]]} {record["verdict"]}</a> '
        f"<span>{html.escape(record['source'])}: {html.escape(record['says'])}, <b>{minus(html.escape(record['stated']))}</b>; "
        f"here {measured(record)}</span></p>{note}</aside>"
    )


def measured(record: dict) -> str:
    """HTML of what a claim measured: each value, its interval muted.

    >>> measured({"stated": "0.7", "measured": [0.67], "interval": [[0.47, 0.69]], "how": "leaving one rate out"})
    '<span class="value"><b>0.67</b> <small>[0.47, 0.69]</small></span> <small>(leaving one rate out)</small>'
    """
    if record["interval"] is None:
        return f"<b>{minus(html.escape(claims.ours_in_words(record)))}</b>"
    values, how = claims.ours_in_words({**record, "how": ""}).removesuffix(" ()"), html.escape(record["how"])
    shown = re.sub(r"(\S+) (\[[^\]]*\])(?:, )?", r'<span class="value"><b>\1</b> <small>\2</small></span> ', values)
    return f"{minus(shown.strip())} <small>({how})</small>"


def minus(text: str) -> str:
    """Text with a minus sign before negative numbers.

    >>> minus("-0.5 to 0.5, 1-sqrt")
    '−0.5 to 0.5, 1-sqrt'
    """
    return re.sub(r"(?<![\w.-])-(?=\d)", "−", text)


def _output(output, figures, sizes):
    """An output of a cell with one representation, that of the page."""
    data = output.get("data", {})
    if outputs.FIGURE in data:
        figure = figures[data[outputs.FIGURE]["figure"]]
        shown = pictures.shown(figure, sizes[figure["id"]], "../../")
    elif outputs.CLAIM in data:
        shown = claim(data[outputs.CLAIM], "../../")
    elif "text/html" in data:
        shown = f'<div class="table">{mathematics.in_html("".join(data["text/html"]))}</div>'
    else:
        return output
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": shown}}
