"""Links between files of the repository, as links between pages of the site."""

import posixpath
import re

import lastiterate

PAGES = {  # files of the repository that are a page here under another name
    "figures/README.md": "gallery",
    "figures/CLAIMS.md": "claims",
    "figures/claims.json": "claims",
    "figures/manifest.yml": "gallery",
    "data/runs/README.md": "data",
    "CHANGELOG.md": "changelog",
    "CITATION.cff": "cite",
    "README.md": "index",
}
SCHEMES = {"http": None, "https": None, "mailto": None, "page": "{{path}}", "part": "{{path}}#{{fragment}}"}  # of MyST
SOURCE = f"{lastiterate.HOME}/blob/main"


def page(path: str) -> str | None:
    """Page, without its suffix, that shows a file of the repository; None where there is none.

    >>> page("notebooks/schaipp2025/horizons.ipynb"), page("lib/lastiterate/bounds.py"), page("Makefile")
    ('notebooks/schaipp2025/horizons', 'api/bounds', None)
    """
    if path in PAGES:
        return PAGES[path]
    if re.fullmatch(r"notebooks/\w+/\w+\.ipynb|docs/\w+\.md", path):
        return path.rpartition(".")[0]
    module = re.fullmatch(r"lib/lastiterate/(\w+?)(?:\.py|/.*)?", path)
    return f"api/{module[1]}" if module and module[1] in API else None


API = {  # page: modules on it
    "schedules": ("schedules",),
    "bounds": ("bounds",),
    "transfer": ("transfer", "continuation"),
    "design": ("design",),
    "worstcase": ("worstcase",),
    "laws": ("laws",),
    "logs": ("logs",),
    "trainer": ("trainer.config", "trainer.loop", "trainer.sweep"),
    "experiments": ("experiments.quadratic", "experiments.convex", "experiments.diagnostics"),
    "claims": ("companion.claims",),
}


def rewritten(text: str, file: str, here: str) -> str:
    """Markdown of a file whose relative links lead to pages of the site, or to the file at its home where no page shows it.

    Args:
        text: Markdown.
        file: the file that it is from, such as "notebooks/guide/field_guide.ipynb".
        here: its page, such as "notebooks/guide/field_guide".

    >>> rewritten("[claims](../../figures/CLAIMS.md#fig02)", "notebooks/guide/field_guide.ipynb", "notebooks/guide/field_guide")
    '[claims](part:../../claims.html#fig02)'
    """

    def link(found):
        words, target = found[1], found[2]
        if re.match(r"\w+:", target) or target.startswith("#"):
            return found[0]
        path, sharp, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        shown = page(path)
        if shown is None:
            return f"[{words}]({SOURCE}/{path}{sharp}{anchor})"
        return f"[{words}]({'part' if sharp else 'page'}:{relative(shown, here)}{sharp}{anchor})"

    return re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", link, text)


def relative(page: str, here: str) -> str:
    """Address of a page from another one.

    >>> relative("claims", "notebooks/guide/field_guide"), relative("gallery", "claims")
    ('../../claims.html', 'gallery.html')
    """
    return posixpath.relpath(f"{page}.html", posixpath.dirname(here) or ".")
