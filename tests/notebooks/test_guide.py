"""The recipes: each prints what stands below it in the notebook."""

import contextlib
import io

import pytest

from lastiterate.companion import outputs, style


@pytest.fixture(scope="module")
def printed(repository, tmp_path_factory):
    """What each cell of code prints now, beside what is committed; {heading: (now, committed)}."""
    names, found, heading = {}, {}, "start"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("recipes"))
        patch.setattr(style, "save", lambda fig, name: None)
        for cell in outputs.cells(repository / "notebooks" / "guide" / "recipes.ipynb"):
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                heading = source.splitlines()[0].lstrip("# ")
                continue
            now = io.StringIO()
            with contextlib.redirect_stdout(now):
                exec(source, names)
            streams = [o for o in cell["outputs"] if o["output_type"] == "stream" and o["name"] == "stdout"]
            found[heading] = now.getvalue(), "".join("".join(o["text"]) for o in streams)
    return found


@pytest.mark.parametrize("number", range(1, 13))
def test_recipe(printed, number):
    (heading,) = [heading for heading in printed if heading.split()[0] == str(number)]
    now, committed = printed[heading]
    assert committed.strip() and now == committed
