"""The pages beside the notebooks, as Markdown: start, papers, gallery, claims, reference, how to cite, changelog."""

import html
import importlib
import json
from pathlib import Path

import yaml

import lastiterate
from lastiterate import bounds, schedules, transfer
from lastiterate.companion import claims, report
from lastiterate.companion.site import articles, links, pictures

SECTIONS = {  # folder of notebooks: (its page's title, what one learns there)
    "schaipp2025": ("Schaipp et al. 2025", "Why loss curves of large models look like a bound of convex optimization."),
    "defazio2023": ("Defazio et al. 2023", "Why linear decay is the schedule to beat, and how gradient norms refine it."),
    "guide": ("Guide", "Small experiments, each ending in a rule and the evidence for it."),
    "laws": ("Laws", "Loss curves predicted from learning rates alone, on one bench."),
}
DOCS = tuple(f"docs/{name}" for name in ("notebooks", "library", "command_line", "predictions", "trainer", "speed"))
ON_START = {  # verdicts on "wsd ends as low as cosine": of which runs
    "fig01a-same-end": "210M, the authors' logs, three horizons; wsd at half the rate",
    "fig02-order-own": "0.9M, own runs of 3200 steps; each at its best rate",
    "fig02-order-pico": "0.1M, 8000 steps",
    "fig02-order-muon": "0.1M under Muon, 4000 steps",
}


def write(root: Path, source: Path, listed: dict, records: list[dict], sizes: dict[str, tuple[int, int]]) -> list[Path]:
    """Write the source of all pages, Markdown and notebooks, into a folder; returns the files."""
    figures = {figure["id"]: figure for figure in listed["figures"]}
    texts = {
        "index.md": start(root, records),
        "explorer.md": EXPLORER,
        "gallery.md": gallery(listed, sizes),
        "claims.md": claims_page(listed, records),
        "cite.md": cite(root),
        "api/index.md": reference_index(),
        "data.md": articles.prose((root / "data/runs/README.md").read_text(encoding="utf-8"), "data/runs/README.md", "data"),
        "changelog.md": articles.prose((root / "CHANGELOG.md").read_text(encoding="utf-8"), "CHANGELOG.md", "changelog"),
    }
    for name in DOCS:
        texts[f"{name}.md"] = articles.prose((root / f"{name}.md").read_text(encoding="utf-8"), f"{name}.md", name)
    for folder in SECTIONS:
        texts[f"notebooks/{folder}/index.md"] = section(root, folder, listed, records)
    for page, modules in links.API.items():
        texts[f"api/{page}.md"] = reference(page, modules)
    for book in listed["notebooks"]:
        article = articles.article(root, book["name"], figures, sizes)
        texts[f"notebooks/{book['name']}.ipynb"] = json.dumps(article, ensure_ascii=False)
    for name, text in texts.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:  # Sphinx reads again what is newer
            path.write_text(text, encoding="utf-8")
    return [source / name for name in texts]


def start(root: Path, records: list[dict]) -> str:
    """The first page: what this is, three ways in, and three answers."""
    T = 10_000
    lr, bound = bounds.optimal_lr(schedules.wsd(T, cooldown=0.2))
    factor = transfer.lr_ratio(schedules.wsd(T, cooldown=0.2), schedules.linear(T))
    by_id = {record["id"]: record for record in records}
    asked = {name: by_id[name] for name in ON_START if name in by_id}
    shown = "".join(articles.claim(record, "") for record in asked.values())
    low = all(gap < 0.005 for record in asked.values() for gap in record["measured"])
    rows = "\n".join(_ends(record, ON_START[name]) for name, record in asked.items())
    svg = (root / "figures" / "front.svg").read_text(encoding="utf-8")
    return f"""# Which learning-rate schedule, and why

<p class="lead">A bound of convex optimization says why a cooldown makes the loss drop, which rate a schedule wants and how to
extend a run. Here it is beside real training runs: two papers redrawn, {claims.totals(records)}.</p>

```{{raw}} html
<figure class="front">{svg[svg.index("<svg") :]}<figcaption>Above: runs of
<a href="notebooks/schaipp2025/horizons.html">Schaipp et al. 2025</a>. Beneath: their bound Ω, which knows nothing of language
models.</figcaption></figure>
```

## What do you want?

<div class="ways">
<a class="way" href="notebooks/schaipp2025/horizons.html"><b>Understand</b> Read the papers as articles: pictures first, the code
folded beneath. Begin with <i>horizons</i>.</a>
<a class="way" href="claims.html"><b>Check</b> Every statement of the papers and of common advice beside what is measured
here, with an interval and a verdict by one rule.</a>
<a class="way" href="explorer.html"><b>Use</b> Your schedule, horizon and warmup: its best rate, its bound, the plan for a longer
run, as a line to copy.</a>
</div>

## Three answers

### Does wsd end as low as cosine?

{"As low, or lower" if low else "Not always"}: loss of wsd at the end minus that of cosine.

| runs | wsd − cosine | verdict |
| --- | --- | --- |
{rows}

<details><summary>The statements, with intervals</summary>{shown}</details>

[All claims](page:claims.html), [how this was measured](page:notebooks/schaipp2025/horizons.html).

### What is the best rate for my schedule?

[Move yours in the explorer](page:explorer.html), which shows the best rate γ* and Ω there. Or, after `pip install .`:

```python
from lastiterate import bounds, schedules, transfer
eta = schedules.wsd({T:_}, cooldown=0.2)
bounds.optimal_lr(eta)
# {lr:.5f} D/G, and Ω there: {bound:.5f} D·G
transfer.lr_ratio(eta, schedules.linear({T:_}))
# {factor:.3f}: factor for a tuned rate, from wsd to linear
```

### How do I repeat all of this?

```shell
git clone {lastiterate.HOME} && cd lastiterate
make figures     # every figure and verdict, in minutes on a laptop
make test
```

```{{toctree}}
:hidden:
:caption: Read

{chr(10).join(f"{title} <notebooks/{folder}/index>" for folder, (title, _) in SECTIONS.items())}
```

```{{toctree}}
:hidden:
:caption: Look

Explorer <explorer>
Gallery <gallery>
Claims <claims>
All notebooks <docs/notebooks>
Recorded runs <data>
```

```{{toctree}}
:hidden:
:caption: Use

Library <docs/library>
Command line and logs <docs/command_line>
Predictions <docs/predictions>
Trainer and sweeps <docs/trainer>
Speed <docs/speed>
Reference <api/index>
How to cite <cite>
Changelog <changelog>
```
"""


EXPLORER = """# Move a schedule

<p class="lead">Ω, the bound on the last iterate, in units of D·G, and rates in units of D/G, computed in this page as you move.
The address keeps what you see.</p>

```{raw} html
:file: explorer.html
```

What is drawn: the rate $\\gamma\\eta_t$, the bound $\\Omega_t$ of
[horizons](page:notebooks/schaipp2025/horizons.html) after every step, its last value against the base rate $\\gamma$, with
the best one, $\\gamma^*$; and the lowest value that any schedule reaches, of
{py:obj}`design.optimal <lastiterate.design.optimal>`, which is proved. $G_t = t^\\alpha$, $D = 1$. In JupyterLab
`lastiterate.explore()` shows the same.
"""


def _ends(record, runs):
    """A row of the first page's table."""
    low, high = (f"{value:+.3f}".replace("-", "−") for value in (min(record["measured"]), max(record["measured"])))
    verdict = f"{claims.MARKS[record['verdict']]} {record['verdict']}"
    span = low if low == high else f"{low} to {high}"
    return f"| {runs} | {span} | [{verdict}](part:claims.html#{record['id']}): {record['says']} |"


def section(root: Path, folder: str, listed: dict, records: list[dict]) -> str:
    """Page of a folder of notebooks, with their titles and how its claims came out."""
    title, learnt = SECTIONS[folder]
    paper, books = listed["papers"][folder], [b["name"] for b in listed["notebooks"] if b["name"].startswith(f"{folder}/")]
    mine = [record for record in records if record["notebook"].startswith(f"{folder}/")]
    names = "\n".join(book.partition("/")[2] for book in books)
    return f"""# {title}

<p class="lead">{learnt}</p>

*{paper["title"]}.* {paper["authors"]}, {paper["where"]}.

{claims.totals(mine)}: [all of them](part:../../claims.html#{folder}).

```{{toctree}}
:maxdepth: 2

{names}
```
"""


def gallery(listed: dict, sizes: dict[str, tuple[int, int]]) -> str:
    """Every figure as a thumbnail, by paper."""
    lines = ["# Gallery", "", f'<p class="lead">{len(listed["figures"])} figures; each leads to where it is drawn.</p>', ""]
    for paper, about in listed["papers"].items():
        lines += [f"## {SECTIONS[paper][0]}", "", f"{about['title']}.", "", '<div class="gallery">']
        for figure in (f for f in listed["figures"] if f["id"].startswith(f"{paper}/")):
            name = figure["id"].replace("/", "")
            picture = pictures.thumbnail(figure, sizes[figure["id"]])
            number, shows = html.escape(figure["number"]), html.escape(figure["shows"])
            where, size = f"notebooks/{figure['notebook']}.html#{name}", sizes[figure["id"]]
            wide = ' class="wide"' * pictures.wide(size)
            lines.append(
                f'<a id="{name}" href="{where}"{wide}>{picture}<b>{number}</b> <span>{shows}.</span> '
                f"<small>{html.escape(figure['data'])} · {figure['notebook'].partition('/')[2]}</small></a>"
            )
        lines += ["</div>", ""]
    return "\n".join(lines)


def claims_page(listed: dict, records: list[dict]) -> str:
    """Every claim, with filters by paper, verdict and source."""
    papers = {folder: title for folder, (title, _) in SECTIONS.items()}
    choices = {
        "paper": papers,
        "verdict": {v: v for v in (claims.AGREES, claims.DIFFERS, claims.UNDECIDED)},
        "source": {source: source for source in sorted({record["source"] for record in records})},
        "data": {data: data for data in claims.DATA},
    }
    selects = "".join(
        f'<label>{name} <select name="{name}"><option value="">all</option>'
        + "".join(f'<option value="{html.escape(v, quote=True)}">{html.escape(word)}</option>' for v, word in options.items())
        + "</select></label>"
        for name, options in choices.items()
    )
    lines = ["# Claims", "", f'<p class="lead">What is stated beside what is measured here: {claims.totals(records)}.</p>', ""]
    lines += ["<details><summary>The rule</summary>", "", report.RULE, "", "</details>", ""]
    lines += [f'<form class="filters">{selects}<output aria-live="polite"></output></form>', ""]
    for paper in listed["papers"]:
        mine = [record for record in records if record["notebook"].startswith(f"{paper}/")]
        if not mine:
            continue
        lines += [f'<section class="claims" id="{paper}">', "", f"## {papers[paper]}", "", *map(_row, mine), "</section>", ""]
    return "\n".join(lines)


def _row(record):
    """A claim in the list of all."""
    paper, book = record["notebook"].split("/")
    values = {"paper": paper, "verdict": record["verdict"], "source": record["source"], "data": record["data"]}
    attributes = " ".join(f'data-{name}="{html.escape(value, quote=True)}"' for name, value in values.items())
    note = f"<p>{html.escape(record['note'])}</p>" if record["note"] else ""
    name, verdict = record["id"], record["verdict"]
    where = f'<a href="notebooks/{record["notebook"]}.html#claim-{name}">{book}</a> · <a href="#{name}">{name}</a>'
    says, stated, source = (html.escape(record[key]) for key in ("says", "stated", "source"))
    return (
        f'<article class="claim {verdict}" id="{name}" {attributes}>'
        f'<p><b class="verdict">{claims.MARKS[verdict]} {verdict}</b> <span>{says}</span></p>'
        f"<dl><dt>{source}</dt><dd>{articles.minus(stated)}</dd><dt>here</dt><dd>{articles.measured(record)}</dd></dl>{note}"
        f'<p class="where">{html.escape(record["data"])} · {where}</p></article>'
    )


def cite(root: Path) -> str:
    """How to cite: the papers first, from CITATION.cff."""
    cff = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    lines = ["# How to cite", "", "Cite the papers whose results you use, and this software by its address and version.", ""]
    for entry in cff["references"]:
        names = ", ".join(f"{a['given-names']} {a['family-names']}" for a in entry["authors"])
        arxiv = entry["identifiers"][0]["value"].removeprefix("arXiv:")
        where = f"{entry['collection-title']}, " if "collection-title" in entry else ""
        lines += [f"- {names}. *{entry['title']}.* {where}{entry['year']}. [arXiv {arxiv}](https://arxiv.org/abs/{arxiv})"]
        lines += [f"  ```bibtex\n{_bibtex(entry, arxiv)}\n  ```", ""]
    lines += [f"This software: *{cff['title']}*, version {cff['version']}, {lastiterate.HOME}, {cff['license']} licence.", ""]
    return "\n".join(lines)


def _bibtex(entry, arxiv):
    authors = " and ".join(f"{a['family-names']}, {a['given-names']}" for a in entry["authors"])
    kind = "inproceedings" if "collection-title" in entry else "misc"
    fields = {"title": f"{{{entry['title']}}}", "author": authors, "year": entry["year"], "eprint": arxiv}
    fields |= {"archiveprefix": "arXiv"} | ({"booktitle": entry["collection-title"]} if kind == "inproceedings" else {})
    body = ",\n".join(f"    {name} = {{{value}}}" for name, value in fields.items())
    return f"  @{kind}{{{entry['authors'][0]['family-names'].lower()}{entry['year']},\n{body}\n  }}"


def reference_index() -> str:
    """List of the reference's pages."""
    pages = "\n".join(links.API)
    return f"# Reference\n\nArrays in, arrays out. Steps are numbered from 1.\n\n```{{toctree}}\n:maxdepth: 2\n\n{pages}\n```\n"


def reference(page: str, modules: tuple[str, ...]) -> str:
    """Page of some modules, from their docstrings."""
    lines = [f"# {page}", ""]
    for module in modules:
        lines += [f"## lastiterate.{module}", ""] * (len(modules) > 1)
        hands_on = hasattr(importlib.import_module(f"lastiterate.{module}"), "__all__")  # names of other files
        options = "   :members:\n" + "   :imported-members:\n" * hands_on
        lines += [f"```{{eval-rst}}\n.. automodule:: lastiterate.{module}\n{options}```", ""]
    return "\n".join(lines)
