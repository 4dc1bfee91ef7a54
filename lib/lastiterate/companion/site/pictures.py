"""Figures at the sizes of a page: as drawn, behind a link; as wide as a column; a thumbnail for the gallery."""

import html
import shutil
from pathlib import Path

WIDE, THUMBNAIL = 1440, 440  # pixels; a column is 720 wide, and screens have two pixels to one
COLUMN = 600  # pixels; wider figures scroll by themselves on a phone, where they would be too small


def copies(root: Path, out: Path, figures: list[dict]) -> dict[str, tuple[int, int]]:
    """Write each figure as PNG and as two WebP without loss into a folder; returns {id: (width, height)} on a page.

    Copies that are newer than their figure stay.
    """
    from PIL import Image

    sizes = {}
    for figure in figures:
        original, name = root / "figures" / f"{figure['id']}.png", out / figure["id"]
        with Image.open(original) as picture:
            sizes[figure["id"]] = round(picture.width / 1.8), round(picture.height / 1.8)  # 180 dots an inch, 100 on a page
            name.parent.mkdir(parents=True, exist_ok=True)
            if name.with_suffix(".png").is_file() and name.with_suffix(".png").stat().st_mtime >= original.stat().st_mtime:
                continue
            shown = picture.convert("RGB")
            for suffix, width in ((".webp", WIDE), (".small.webp", THUMBNAIL * (1 + wide(shown.size)))):
                small = shown.copy()
                small.thumbnail((width, 10 * width))
                small.save(Path(f"{name}{suffix}"), lossless=suffix == ".webp", quality=80, method=4)
        shutil.copy2(original, name.with_suffix(".png"))
    return sizes


def wide(size: tuple[int, int]) -> bool:
    """Whether a figure takes the whole width of the gallery.

    >>> wide((900, 400)), wide((480, 320))
    (True, False)
    """
    return size[0] > 2 * size[1]


def shown(figure: dict, size: tuple[int, int], up: str, caption: str = "") -> str:
    """HTML of a figure in a page: lazy, with its text, a link to the whole. `up` leads to the top of the site."""
    caption = caption and f"<figcaption>{html.escape(caption)}</figcaption>"
    alt = html.escape(f"{figure['number']}: {figure['shows']}", quote=True)
    image = f'<img src="{up}figures/{figure["id"]}.webp" alt="{alt}" width="{size[0]}" height="{size[1]}" loading="lazy">'
    name, look = figure["id"].replace("/", ""), "drawn wide" if size[0] > COLUMN else "drawn"
    return f'<figure class="{look}" id="{name}"><a href="{up}figures/{figure["id"]}.png">{image}</a>{caption}</figure>'


def thumbnail(figure: dict, size: tuple[int, int], up: str = "") -> str:
    """HTML of a figure's thumbnail."""
    alt = html.escape(figure["shows"], quote=True)
    return f'<img src="{up}figures/{figure["id"]}.small.webp" alt="{alt}" width="{size[0]}" height="{size[1]}" loading="lazy">'
