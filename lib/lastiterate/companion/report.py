"""The two tables that end `make figures`: figures drawn or not and why, and claims."""

from pathlib import Path

from lastiterate.companion import claims, dependencies, outputs
from lastiterate.logs import published


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
            compared = f"{c.get('source', 'paper')}: {claims.show(c['paper'])} | here: {claims.show(c['measured'])}"
            claim_lines.append((c["id"], verdicts[-1], compared))
    if any("logs" in state for state in states):
        notes.append(f"figures of the authors' logs: {published.HOW_TO}, then `make figures`")
    total = [f"{states.count('drawn')} of {len(states)} drawn", *notes]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    return "\n  ".join(["\nFigures", *columns(figure_lines), *total, "\nClaims", *columns(claim_lines), counts])


def columns(rows: list[tuple]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
