"""Docstrings of this library for Sphinx: indented lines are formulas in plain text, kept as they are."""

import re
from typing import Any

HEADINGS = re.compile(r"(Args|Returns|Raises|Warns|Yields|Attributes):\s*$")


def literal(lines: list[str]) -> list[str]:
    """Lines in which an indented paragraph is a literal block, and headings of Google's style are left alone.

    >>> literal(["Ω is", "", "    a/b", "", "Args:", "    x: a"])
    ['Ω is', '', '::', '', '    a/b', '', 'Args:', '    x: a']
    """
    made, section, block, example = [], False, False, False
    for i, line in enumerate(lines):
        indented = line.startswith("    ")
        if line and not indented:
            section, block = bool(HEADINGS.match(line)), False
        if indented and not section and not block and (i == 0 or not lines[i - 1].strip()):
            made += ["::", ""]
            block = True
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        made.append(line if block or example else stars(line))
    return made


def stars(line: str) -> str:
    """A line whose asterisks, as of γ*, begin no emphasis.

    >>> print(stars("γ* is best"), stars("the *whole* run"), stars("    **style: passed on"))
    γ\\* is best the *whole* run     style: passed on
    """
    line = re.sub(r"^( +)\*{1,2}(?=\w+:)", r"\1", line)
    odd = re.sub(r"`[^`]*`", "", line).count("*") % 2
    return re.sub(r"\*(?=[^`]*(?:`[^`]*`[^`]*)*$)", r"\\*", line) if odd else line


def setup(app: Any) -> dict[str, Any]:
    """As an extension of Sphinx, before napoleon."""

    def process(app, what, name, obj, options, lines):
        lines[:] = literal(lines)

    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
