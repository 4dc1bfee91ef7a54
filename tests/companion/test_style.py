import io
import json
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lastiterate import _files, laws
from lastiterate.companion import style


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LASTITERATE_FIGURES", str(tmp_path))
    style.use()
    return tmp_path


def draw(name="paper/fig01"):
    fig, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2, 3], [1 / 3, 2.0, np.nan], label="a line")
    left.plot([1, 2], [0, 0])
    right.plot([1, 2], [3, 4], "o", label="points")
    right.set(xlabel="x", ylabel="y", xscale="log", title="t")
    style.save(fig, name)


def test_save_writes_the_same_bytes_again(folder):
    draw()
    first = {p.name: p.read_bytes() for p in (folder / "paper").iterdir()}
    assert set(first) == {"fig01.png", "fig01.pdf", "fig01.json"}
    draw()
    assert {p.name: p.read_bytes() for p in (folder / "paper").iterdir()} == first
    assert b"Software" not in first["fig01.png"] and b"CreationDate" not in first["fig01.pdf"]


def test_pictures_have_a_palette_that_shows_the_colours(folder, monkeypatch):
    shown = []
    monkeypatch.setattr(style.outputs, "display", lambda bundle, metadata: shown.append((bundle["image/png"], metadata)))
    fig, ax = plt.subplots(figsize=(4, 3))
    for i, color in enumerate(style.COLORS.values()):
        ax.plot([0, 1], [i, i], lw=8, color=color)
    style.save(fig, "paper/fig01")
    picture = Image.open(folder / "paper" / "fig01.png")
    (small, metadata) = shown[0]
    small = Image.open(io.BytesIO(small))
    assert (picture.mode, picture.size) == ("P", (720, 540))
    assert (small.mode, small.size, metadata) == ("P", (400, 300), {"image/png": {"width": 400}})
    for image in (picture, small):
        there = np.unique(np.asarray(image.convert("RGB"), int).reshape(-1, 3), axis=0)
        for color in ("#ffffff", *style.COLORS.values()):
            rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
            assert np.abs(there - rgb).max(axis=1).min() <= 8, (image.size, color)


def test_a_picture_that_looks_the_same_stays(folder):
    path = folder / "paper" / "fig01.png"
    draw()
    first = path.read_bytes()
    assert Image.open(path).mode == "P"
    for shade, stays in ((style.SHADES, True), (4 * style.SHADES, False)):
        changed = Image.open(path)
        background = 3 * changed.getpixel((10, 10))
        palette = changed.getpalette()
        palette[background] -= shade
        changed.putpalette(palette)
        changed.save(path)
        written = path.read_bytes()
        draw()
        assert path.read_bytes() == (written if stays else first)
    Image.open(path).convert("RGB").save(path)
    draw()
    assert path.read_bytes() == first
    path.write_bytes(b"no picture")
    draw()
    assert path.read_bytes() == first


def test_json_has_the_plotted_numbers(folder):
    draw()
    numbers = json.loads((folder / "paper" / "fig01.json").read_text())
    left, right = numbers["panels"]
    assert left["lines"] == [{"label": "a line", "x": [1, 2, 3], "y": [0.333333, 2, None]}]
    assert right["lines"] == [{"label": "points", "x": [1, 2], "y": [3, 4]}]
    assert (right["title"], right["xlabel"], right["scale"]) == ("t", "x", ["log", "linear"])


def test_write_atomic_keeps_the_old_file_if_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    _files.write_atomic(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            _files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_leaves_an_equal_file_untouched(tmp_path):
    path = tmp_path / "file"
    _files.write_atomic(path, b"same")
    os.utime(path, (1, 1))
    _files.write_atomic(path, b"same")
    assert path.stat().st_mtime == 1


def test_thin_keeps_ends_and_short_curves():
    y = np.arange(100_000.0)
    x, thinned = style.thin(y, y)
    assert x.size <= style.MAX_POINTS and x[0] == 0 and x[-1] == 99_999 and np.array_equal(x, thinned)
    assert np.array_equal(np.sort(x)[-4:], [99_996, 99_997, 99_998, 99_999]), "the last steps, where a schedule falls"
    assert style.thin(y[:50], y[:50])[0].size == 50


def test_one_colour_a_schedule():
    assert style.color("wsd", 4, 5) == style.color("wsd") != style.color("wsd", 0, 5)
    with pytest.raises(ValueError, match="schedule must be one of cosine, wsd"):
        style.color("cosin")


def test_one_colour_a_law():
    assert tuple(style.LAWS) == laws.NAMES and len({color for color, _ in style.LAWS.values()}) == len(laws.NAMES)
    with pytest.raises(ValueError, match="law must be one of"):
        style.law("cosine")


def test_band_is_the_mean_and_the_range_over_runs(folder):
    log = pd.DataFrame({"run": ["a", "b"] * 3, "step": [1, 1, 2, 2, 3, 3], "val_loss": [4.0, 6.0, np.nan, 1.0, 2.0, 2.0]})
    fig, ax = plt.subplots()
    mean = style.band(ax, log, "val_loss", label="two runs", color="red")
    assert mean.to_dict() == {1: 5.0, 3: 2.0}
    assert ax.get_lines()[0].get_xydata().tolist() == [[1, 5], [3, 2]]
    assert {tuple(p) for p in ax.collections[0].get_paths()[0].vertices.tolist()} == {(1, 4), (1, 6), (3, 2)}
    plt.close(fig)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_ticks_are_plain_numbers_and_no_others(axis):
    fig, ax = plt.subplots()
    ax.set(xscale="log", yscale="log", xlim=(0.001, 1), ylim=(0.001, 1))
    style.ticks(ax, [0.002, 0.05], axis)
    of = {"x": ax.xaxis, "y": ax.yaxis}
    assert [label.get_text() for label in of[axis].get_ticklabels()] == ["0.002", "0.05"] and not len(
        of[axis].get_minorticklocs()
    )
    assert len(of[{"x": "y", "y": "x"}[axis]].get_minorticklocs()), "the other axis keeps its own"
    plt.close(fig)
