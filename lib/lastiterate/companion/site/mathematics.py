"""Formulas as MathML, drawn when the pages are built: no script, no network; and the font that browsers draw them with.

A formula that the converter does not know ends the build with its text.
"""

import html
import logging
import re
from pathlib import Path
from typing import Any

from lastiterate import _extras

FONT = "STIXTwoMath-Regular.ttf"  # SIL Open Font License; it comes with ziamath
ITALICS = (*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C))  # which browsers put in the place of letters


def mathml(tex: str, block: bool = False) -> str:
    """A formula in TeX as a ``<math>`` element.

    Raises:
        ValueError: for TeX that cannot be converted.

    >>> "<msup>" in mathml("x^2")  # doctest: +SKIP
    True
    """
    converter = _extras.require("math_core", "site")
    try:
        return converter.LatexToMathML().convert_with_local_state(tex.strip(), displaystyle=block)
    except converter.LatexError as error:
        raise ValueError(f"formula must be TeX that math-core knows, got {tex!r}: {error}") from None


def in_html(text: str) -> str:
    """HTML, such as a table of pandas, with its ``$…$`` drawn."""
    return re.sub(r"\$([^$<>]+)\$", lambda found: mathml(html.unescape(found[1])), text)


def subset(pages: Path, target: Path) -> int:
    """Write the font with the characters that formulas of these pages have; returns its size in bytes."""
    from fontTools import subset
    from fontTools.ttLib import TTFont

    package = _extras.require("ziamath", "site")
    used = {0x221A, *ITALICS}  # no text has the sign of a root
    for page in pages.rglob("*.html"):
        for formula in re.findall(r"<math.*?</math>", page.read_text(encoding="utf-8"), re.S):
            used |= set(map(ord, html.unescape(re.sub(r"<[^>]+>", "", formula))))
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    options = subset.Options(flavor="woff", layout_features=["*"])
    font = TTFont(Path(package.__file__).parent / "fonts" / FONT)
    found = subset.Subsetter(options)
    found.populate(unicodes=sorted(used | set(range(0x20, 0x7F))))
    found.subset(font)
    font.flavor = "woff"
    font.save(target)
    return target.stat().st_size


def setup(app: Any) -> dict[str, Any]:
    """As an extension of Sphinx: its renderer "mathml"."""
    from docutils import nodes

    def inline(writer, node):
        writer.body.append(mathml(node.astext()))
        raise nodes.SkipNode

    def block(writer, node):
        writer.body.append(f'<div class="formula">{mathml(node.astext(), block=True)}</div>\n')
        raise nodes.SkipNode

    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
