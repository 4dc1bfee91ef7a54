"""The two tables that end `make figures`, figures drawn or not and why, and claims; and the page of all claims."""

import json
from pathlib import Path

from lastiterate.companion import claims, dependencies, outputs
from lastiterate.logs import published

RULE = """A verdict follows from numbers by one rule. A statement that bounds something (an ordering is a difference above or
below 0) *agrees* where the whole interval of what is measured here lies within its bound, *differs* where none of it does, and is
*undecided* between. A stated value agrees where the interval meets it to its printed digits (and half a step of the grid that a
paper reads it off), and is undecided where the interval holds the statement's opposite as well (no gain, a ratio of 1). Of
several values the worst verdict counts. Intervals are in brackets; exact theory has none."""


def tables(root: Path, listed: dict, failed: dict[str, str]) -> str:
    """The two tables that end `make figures`: figures drawn or not and why, and claims."""
    figure_lines, claim_lines, notes, states, verdicts = [], [], [], [], []
    for book in listed["notebooks"]:
        name, path = book["name"], dependencies.find(root, book["name"])
        with_logs = dependencies.stamp(root, name).get("logs", False)
        kept_figures = set() if with_logs else outputs.drawn(path, tag="logs")  # outputs that are as committed
        kept_claims = set() if with_logs else {claim["id"] for claim in outputs.claims(path, tag="logs")}
        here = outputs.drawn(path)
        if name in failed:
            notes.append(f"{name} failed: {failed[name]}")
        for f in (f for f in listed["figures"] if f["notebook"] == name):
            if name in failed:
                state = f"not drawn: {name} failed"
            elif f["id"] not in here:
                state = "not drawn: its notebook does not save it" if with_logs else "not drawn: needs the authors' logs"
            else:
                state = "as committed: needs the authors' logs" if f["id"] in kept_figures else "drawn"
            states.append(state)
            figure_lines.append((f["id"], f["number"], state))
        for c in outputs.claims(path):
            verdicts.append(c["verdict"] + (" (as committed)" if c["id"] in kept_claims else ""))
            compared = f"{c['source']}: {c['says'] if c['stated'][0] in '<>' else c['stated']} | here: {claims.ours_in_words(c)}"
            claim_lines.append((c["id"], verdicts[-1], compared))
    if any("logs" in state for state in states):
        notes.append(f"figures of the authors' logs: {published.HOW_TO}, then `make figures`")
    total = [f"{states.count('drawn')} of {len(states)} drawn", *notes]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    return "\n  ".join(["\nFigures", *columns(figure_lines), *total, "\nClaims", *columns(claim_lines), counts])


def all_claims(root: Path, listed: dict) -> list[dict]:
    """Claims of all notebooks, in reading order, each with its notebook."""
    return [
        {**claim, "notebook": book["name"]}
        for book in listed["notebooks"]
        for claim in outputs.claims(dependencies.find(root, book["name"]))
    ]


def claims_file(records: list[dict]) -> str:
    """Text of ``figures/claims.json``: the claims as data, a claim a block."""
    return json.dumps(records, indent=1, ensure_ascii=False) + "\n"


def claims_page(listed: dict, records: list[dict]) -> str:
    """Text of ``figures/CLAIMS.md``: every claim by paper and guide, what is stated, ours and the verdict."""
    lines = ["# Claims", "", "Made from [claims.json](claims.json) by `make figures`; do not edit.", "", RULE, ""]
    lines += [f"**{claims.totals(records)}.**", ""]
    for paper, about in listed["papers"].items():
        mine = [record for record in records if record["notebook"].startswith(f"{paper}/")]
        if not mine:
            continue
        lines += [f"## {about['title']}", "", f"{claims.totals(mine)}.", ""]
        lines += ["| verdict | statement | stated | here | from | notebook |", "| --- | --- | --- | --- | --- | --- |"]
        for record in mine:
            who = "" if record["source"] == "the paper" else f" ({record['source']})"
            book = record["notebook"]
            cells = [
                f"{claims.MARKS[record['verdict']]} {record['verdict']}",
                f'<a id="{record["id"]}"></a>{record["says"]}{who}',
                record["stated"],
                f"{claims.ours_in_words(record)}{'. ' + record['note'] if record['note'] else ''}",
                record["data"],
                f"[{book.partition('/')[2]}](../notebooks/{book}.ipynb)",
            ]
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    return "\n".join(lines)


def columns(rows: list[tuple]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
