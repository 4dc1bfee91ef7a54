"""Build the site: `make site` writes build/site from what is committed, and runs no notebook."""

import shutil
from pathlib import Path

import lastiterate
from lastiterate import _extras
from lastiterate.companion import manifest, outputs, report
from lastiterate.companion.site import explorer_page, links, mathematics, pages, pictures

HERE = Path(__file__).parent
PROGRAM = "lastiterate.companion.site"
CONFIGURATION = {
    "project": "lastiterate",
    "version": lastiterate.__version__,
    "html_title": "lastiterate",
    "extensions": ["myst_nb", f"{PROGRAM}.mathematics", f"{PROGRAM}.docstrings", "sphinx.ext.autodoc", "sphinx.ext.napoleon"],
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "nb_code_prompt_show": "show code",
    "nb_code_prompt_hide": "hide code",
    "myst_enable_extensions": ["dollarmath", "attrs_inline"],
    "myst_url_schemes": links.SCHEMES,
    "myst_heading_anchors": 3,
    "html_theme": "furo",
    "html_math_renderer": "mathml",
    "html_static_path": [str(HERE / "static")],
    "html_css_files": ["site.css"],
    "html_js_files": [("site.js", {"defer": "defer"})],
    "html_favicon": str(HERE / "static" / "icon.svg"),
    "html_show_sourcelink": False,
    "html_copy_source": False,
    "html_show_copyright": False,
    "html_show_sphinx": False,
    "default_role": "py:obj",
    "autodoc_member_order": "bysource",
    "autodoc_typehints": "none",
    "autodoc_preserve_defaults": True,
    "add_module_names": False,
    "toc_object_entries_show_parents": "hide",
    "pygments_style": "a11y-high-contrast-light",
    "suppress_warnings": ["myst.header", "mystnb.unknown_mime_type", "ref.python"],
}


def build(root: Path) -> Path:
    """Write build/site; returns the folder.

    Raises:
        MissingExtra: where Sphinx, MyST-NB or the theme are not installed.
        ValueError: where a formula or a page cannot be made.
    """
    for module in ("myst_nb", "furo", "math_core", "ziamath", "bokeh"):
        _extras.require(module, "site")
    from sphinx.application import Sphinx

    work, out = root / "build" / "site-source", root / "build" / "site"
    listed = manifest.read(root)
    drawn = {name for book in listed["notebooks"] for name in outputs.drawn(root / "notebooks" / f"{book['name']}.ipynb")}
    listed["figures"] = [figure for figure in listed["figures"] if figure["id"] in drawn]
    records = report.all_claims(root, listed)
    extra = work / "extra"
    sizes = pictures.copies(root, extra / "figures", listed["figures"])
    for book in listed["notebooks"]:
        copy = extra / "notebooks" / f"{book['name']}.ipynb"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / "notebooks" / f"{book['name']}.ipynb", copy)
    source = work / "pages"
    start = source / "index.md"
    before = start.read_text(encoding="utf-8") if start.is_file() else ""
    written = pages.write(root, source, listed, records, sizes)
    for old in {path for path in source.rglob("*") if path.is_file()} - set(written):
        old.unlink()
    explorer_page.write(source / "explorer.html", extra / "bokeh")
    overrides = CONFIGURATION | {"html_extra_path": [str(extra)]}
    app = Sphinx(source, None, out, work / "trees", "html", overrides, status=None, parallel=2)
    app.build(force_all=start.read_text(encoding="utf-8") != before)  # every page shows the list that is there
    if app.statuscode:
        raise ValueError(f"the pages must build: Sphinx ended with status {app.statuscode}")
    mathematics.subset(out, out / "_static" / "math.woff")
    return out


def serve(folder: Path, port: int) -> None:
    """Serve a folder on 127.0.0.1 until interrupted."""
    import functools
    import http.server

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{port} (Ctrl-C ends it)", flush=True)
        server.serve_forever()
