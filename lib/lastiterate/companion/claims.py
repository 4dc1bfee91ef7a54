"""What a paper states beside what is measured here, with a verdict that follows from the numbers."""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lastiterate.companion import outputs


def claim(
    id: str,
    *,
    paper: float | ArrayLike | str,
    measured: float | ArrayLike | bool | None,
    tolerance: float = 0.0,
    note: str = "",
    source: str = "the paper",
) -> dict[str, Any]:
    """Record what a paper states beside what is measured here, and show the verdict.

    Args:
        id: short name, unique, such as "fig03-cosine-A".
        paper: the paper's value, a number or list of numbers; or its statement, a string.
        measured: ours: a number or list of the same length; for a statement True or False; None if not tested at this scale.
        tolerance: largest absolute difference that counts as agreement.
        note: what explains a difference, or what was measured for a statement.
        source: whose the value or the statement is, such as "common advice" where it is not a paper's.

    Returns:
        A dict with id, paper, measured, tolerance, note and verdict: "agrees", "differs", "not tested at this scale", or
        "not compared: other parameters" where `make notebook` runs with parameters that are not the paper's.

    Raises:
        ValueError: where `paper` and `measured` cannot be compared.

    >>> claim("doc-example", paper=0.5, measured=0.52, tolerance=0.05)["verdict"]
    'agrees'
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be a finite number >= 0, got {tolerance!r}")
    if measured is None:
        verdict = "not tested at this scale"
    elif os.environ.get("LASTITERATE_OTHER_PARAMETERS"):  # set by `make notebook`: the paper's value is for its own
        verdict = "not compared: other parameters"
        measured = np.asarray(measured).tolist()
    elif isinstance(paper, str):
        if not isinstance(measured, bool | np.bool_):
            raise ValueError(f"measured must be True or False where paper is a statement, got {measured!r}")
        measured = bool(measured)
        verdict = "agrees" if measured else "differs"
    else:
        theirs, ours = np.atleast_1d(np.asarray(paper, float)), np.atleast_1d(np.asarray(measured, float))
        if theirs.shape != ours.shape or not ours.size:
            raise ValueError(f"measured must have the length of paper, {theirs.size}, got {ours.size}")
        if not np.all(np.isfinite(ours)):
            raise ValueError(f"measured must be finite, got {measured!r}")
        verdict = "agrees" if np.all(np.abs(theirs - ours) <= tolerance * (1 + 1e-9)) else "differs"
        decimals = max(0, 1 - math.floor(math.log10(tolerance))) if tolerance else 6
        measured = [round(v, decimals) for v in ours.tolist()]
        measured = measured if np.ndim(paper) else measured[0]
        paper = theirs.tolist() if np.ndim(paper) else theirs.item()
    record = {"id": id, "paper": paper, "measured": measured, "tolerance": tolerance, "note": note, "verdict": verdict}
    if source != "the paper":
        record["source"] = source
    mark = {"agrees": "✓", "differs": "✗"}.get(verdict, "–")
    stated = f"“{paper}”" if isinstance(paper, str) else f"{show(paper)}, here {show(measured)} (± {tolerance:g})"
    text = f"{mark} **{verdict}** ({id}): {source}: {stated}." + (f" {note}" if note else "")
    outputs.display({"text/markdown": text, outputs.CLAIM: record, "text/plain": text})
    return record


def show(value: object) -> str:
    """A claim's value as short text.

    >>> show([0.5, 1]), show(True), show(None)
    ('0.5, 1', 'holds', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "holds" if value else "does not hold"
    return ", ".join(f"{v:g}" for v in value) if isinstance(value, list) else value if isinstance(value, str) else f"{value:g}"
