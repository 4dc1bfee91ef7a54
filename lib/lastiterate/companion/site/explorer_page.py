"""The explorer as a page: its parts as pieces of HTML, and Bokeh's own scripts beside the site's."""

import shutil
from pathlib import Path

from lastiterate.companion import explorer

SCRIPTS = ("bokeh.min.js", "bokeh-widgets.min.js")


def write(page: Path, scripts: Path) -> None:
    """Write the HTML that the page includes, and Bokeh's scripts into a folder that the page finds as "bokeh"."""
    import bokeh

    made = explorer.parts(page=True)
    roots = {"controls": made.controls, "numbers": made.numbers, "plans": made.plans}
    roots |= dict(zip(("eta", "bound", "sweep", "going"), made.plots, strict=True))
    script, divs = explorer.pieces(roots, made.start)
    scripts.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        shutil.copyfile(Path(bokeh.__file__).parent / "server" / "static" / "js" / name, scripts / name)
    loaded = "".join(f'<script src="bokeh/{name}"></script>' for name in SCRIPTS)
    pieces = "".join(f'<div class="part {name}">{div}</div>' for name, div in divs.items())
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f'<div class="explorer">{pieces}</div>\n{loaded}\n{script}\n', encoding="utf-8")
