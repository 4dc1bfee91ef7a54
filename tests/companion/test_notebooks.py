"""The runner, on a small repository of its own: what runs, what is kept, and what a kill leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import processes
from lastiterate import cli
from lastiterate.companion import dependencies, manifest, notebooks
from lastiterate.logs import published

MANIFEST = """
papers: {p: {title: A paper, authors: Someone, where: here}}
notebooks: [{name: p/one, seconds: 3}, {name: p/two, seconds: 3}]
figures:
  - {id: p/fig1, number: Figure 1, shows: a line, notebook: p/one, data: theory}
  - {id: p/fig2, number: Figure 2, shows: a log, notebook: p/two, data: "authors' logs"}
"""


def cell(number, source, *tags, outputs=()):
    lines = source.splitlines(keepends=True)
    base = {"id": f"cell-{number}", "metadata": {"tags": list(tags)} if tags else {}, "source": lines}
    return base | {"cell_type": "code", "execution_count": None, "outputs": list(outputs)}


def save_figure(name, value):
    return f"fig, ax = plt.subplots()\nax.plot([1, 2], [0, {value}], label='a')\nstyle.save(fig, '{name}')"


PATHS = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1])))
PARAMETERS = """
height = 3  # of the line, e.g. h = 3
label = 'x'  # its name
levels = [2**-1, 2]  # a list
rate = 0.5  # a number
"""
SETUP = "import matplotlib.pyplot as plt\nfrom lastiterate.companion import claims, style\nstyle.use()"
KEPT = [{"output_type": "stream", "name": "stdout", "text": ["as committed\n"]}]


@pytest.fixture
def repo(tmp_path, monkeypatch):
    monkeypatch.setenv("LASTITERATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LASTITERATE_MIRROR", raising=False)
    monkeypatch.setattr(published, "fetch_all", lambda *_: (_ for _ in ()).throw(published.DataError("no network")))
    monkeypatch.chdir(tmp_path)
    books = {
        "one": [
            cell(1, PARAMETERS, "parameters"),
            cell(2, SETUP),
            cell(3, "import sys, time\ntime.sleep(1)\nprint('height', height)\nprint('warned', file=sys.stderr)"),
            cell(4, save_figure("p/fig1", "height")),
            cell(5, "claims.claim('c', 'so', float(height), paper=3, data='theory');"),
        ],
        "two": [cell(1, SETUP), cell(2, "raise RuntimeError('needs logs')", "logs", outputs=KEPT)],
    }
    for name, cells in books.items():
        path = tmp_path / "notebooks" / "p" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"cells": cells, "metadata": notebooks.KERNEL, "nbformat": 4, "nbformat_minor": 5}))
    (tmp_path / "figures" / "p").mkdir(parents=True)
    (tmp_path / "figures" / "manifest.yml").write_text(MANIFEST)
    for suffix in ("png", "json"):
        (tmp_path / "figures" / "p" / f"fig2.{suffix}").write_text("as committed")
    return tmp_path


def contents(repo):
    return {p.relative_to(repo): p.read_bytes() for f in ("figures", "notebooks") for p in (repo / f).rglob("*") if p.is_file()}


def check_after_a_kill(repo):
    """Nothing is half written, and a rerun gives what a run without a kill gives."""
    for path, content in contents(repo).items():
        if path.suffix in (".ipynb", ".json") and content != b"as committed":
            json.loads(content)
    assert notebooks.make_figures(repo) == 0
    killed = contents(repo)
    assert not [p for p in killed if p.name.endswith(".partial")]
    for stamp in (repo / "build" / "stamps").rglob("*.json"):
        stamp.unlink()
    assert notebooks.make_figures(repo) == 0
    assert contents(repo) == killed, "the same as without a kill"


def test_run_all_then_nothing_then_only_what_changed(repo, capsys):
    assert notebooks.make_figures(repo) == 0
    printed = capsys.readouterr().out
    assert "2 of 2 notebooks to run" in printed and "p/fig1  Figure 1  drawn" in printed
    assert "without the authors' logs: no network" in printed and "1 agrees" in printed
    assert "p/fig2  Figure 2  not drawn: needs the authors' logs" in printed and "run `make data`" in printed
    one = json.loads((repo / "notebooks/p/one.ipynb").read_text())
    streams = [o for c in one["cells"] for o in c["outputs"] if o["output_type"] == "stream"]
    assert [s["text"] for s in streams] == ["height 3\n"] or [s["text"] for s in streams] == [["height 3\n"]]
    assert str(repo) not in json.dumps(one) and "papermill" not in json.dumps(one["metadata"])
    two = json.loads((repo / "notebooks/p/two.ipynb").read_text())
    assert two["cells"][1]["outputs"] == KEPT, "cells that need logs keep their committed outputs"
    assert (repo / "figures/p/fig2.png").read_text() == "as committed"

    before = contents(repo)
    start = time.monotonic()
    assert notebooks.make_figures(repo) == 0
    assert "to run" not in capsys.readouterr().out and time.monotonic() - start < 2
    os.utime(repo / "notebooks/p/one.ipynb")
    assert notebooks.make_figures(repo) == 0
    printed = capsys.readouterr().out
    assert "1 of 2 notebooks to run" in printed and "p/one" in printed
    assert contents(repo) == before, "the same bytes again"


def test_a_failing_notebook_is_reported_and_left_as_it_was(repo, capsys):
    path = repo / "notebooks/p/one.ipynb"
    path.write_text(path.read_text().replace("time.sleep(1)", "1 / 0"))
    before = path.read_bytes()
    assert notebooks.make_figures(repo) == 1
    printed = capsys.readouterr().out
    assert "FAILED" in printed and "not drawn: p/one failed" in printed and "ZeroDivisionError" in printed
    assert path.read_bytes() == before


def test_other_parameters_go_to_build(repo, capsys):
    before = contents(repo)
    assert cli.main(["notebook", "p/one", "height=5"]) == 0
    assert contents(repo) == before
    numbers = json.loads((repo / "build/figures/p/fig1.json").read_text())
    assert numbers["panels"][0]["lines"][0]["y"] == [0, 5]
    assert "height 5" in (repo / "build/p/one.ipynb").read_text()


def test_axes_follow_the_data_under_other_parameters(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "manifest.yml").write_text(MANIFEST)
    (tmp_path / "notebooks").symlink_to(repository / "notebooks")
    assert cli.main(["notebook", "schaipp2025/schedule_zoo", "T=60", "cooldown=0.5"]) == 0
    drawn = sorted((tmp_path / "build" / "figures" / "schaipp2025").glob("*.json"))
    assert [p.stem for p in drawn] == ["fig18a", "fig18b", "fig19"]
    for path in drawn:
        for panel in json.loads(path.read_text())["panels"]:
            (left, right), (low, high) = panel["xlim"], panel["ylim"]
            for line in panel["lines"]:
                seen = [left <= x <= right and low <= y <= high for x, y in zip(line["x"], line["y"], strict=True)]
                assert any(seen) if "rate" in panel.get("xlabel", "") else seen[-1], (path.stem, line["label"])
    outputs = (tmp_path / "build" / "schaipp2025" / "schedule_zoo.ipynb").read_text()
    assert "not compared: other parameters" in outputs and "differs" not in outputs


def test_unknown_parameter_lists_the_known_ones(repo, capsys):
    assert cli.main(["notebook", "p/one", "heigth=5"]) == 2
    error = capsys.readouterr().err
    assert "has no parameter 'heigth'" in error and "height=3  of the line" in error and "label='x'  its name" in error
    assert cli.main(["notebook"]) == 2
    assert "NB names the notebook to run" in capsys.readouterr().err
    assert cli.main(["notebook", "p/one", "height"]) == 2
    assert "must look like name=value" in capsys.readouterr().err
    assert cli.main(["notebook", "p/three"]) == 2
    assert "there is no notebook 'p/three'; there are p/one, p/two" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"),
    [("height=1e3", 1000), ("rate=1e-3", 1e-3), ("rate=2", 2), ("levels=[1e-2,3]", [1e-2, 3]), ("label=a=b", "a=b")],
)
def test_values_are_read_as_python(repo, text, value):
    known = notebooks.parameters_of(repo / "notebooks/p/one.ipynb")
    assert {name: default for name, (default, _) in known.items()} == {"height": 3, "label": "x", "levels": [0.5, 2], "rate": 0.5}
    name, _, text = text.partition("=")
    assert notebooks._parsed(name, text, known[name][0]) == value


@pytest.mark.parametrize(
    "text", ["height=2.5", "height=abc", "height=", "height=True", "levels=[1", "levels=3", "levels=[]", "rate=x"]
)
def test_values_of_another_type_are_refused(repo, capsys, text):
    assert cli.main(["notebook", "one", text]) == 2
    assert f"{text.partition('=')[0]} must be a" in capsys.readouterr().err


def test_names_of_files_are_those_of_the_callers_folder(repo):
    (repo / "log.csv").write_text("step\n1\n")
    assert notebooks._parsed("my_log", "log.csv", "") == str(repo / "log.csv")


@pytest.mark.parametrize("after", [2.5, pytest.param(0.3, marks=pytest.mark.slow), pytest.param(4.0, marks=pytest.mark.slow)])
def test_killed_and_run_again(repo, after):
    environment = os.environ | {"LASTITERATE_CACHE": str(repo / "cache")}
    command = [sys.executable, "-c", "import test_notebooks as t; t.offline()"]
    environment["PYTHONPATH"] = PATHS
    process = subprocess.Popen(command, cwd=repo, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    check_after_a_kill(repo)


def offline():
    """make_figures in a process of its own, without a network."""
    published.fetch_all = lambda *_: (_ for _ in ()).throw(published.DataError("no network"))
    cli.main(["figures"])


def test_library_files_that_a_notebook_depends_on():
    modules, _ = dependencies._uses("from lastiterate import transfer\nimport lastiterate.logs", dependencies.LIBRARY)
    assert modules == {"transfer", "logs"}
    names = {p.relative_to(dependencies.LIBRARY).as_posix() for p in dependencies._module_files("transfer")}
    assert {"transfer.py", "bounds.py", "schedules/families.py", "schedules/compose.py", "_check.py", "_cauchy.py"} <= names
    assert not any(name.startswith(("logs/", "companion/", "trainer/", "cli/")) for name in names)
    names = {p.relative_to(dependencies.LIBRARY).as_posix() for p in dependencies._module_files("trainer")}
    assert {"trainer/loop.py", "trainer/model.py", "logs/published.py", "logs/registry/schaipp2025.csv"} <= names
    assert not any(name.startswith(("companion/", "cli/")) for name in names)
    assert "schaipp2025.csv" in {p.name for p in dependencies._module_files("logs")}


KILLS = [(number, after) for number in (signal.SIGKILL, signal.SIGTERM) for after in np.random.default_rng(0).uniform(0.2, 8, 12)]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "after"), KILLS)
def test_a_kill_of_the_main_process_leaves_nothing_running_and_nothing_half_written(repo, number, after):
    command = [sys.executable, "-c", "import test_notebooks as t; t.offline()"]
    environment = os.environ | {
        "LASTITERATE_CACHE": str(repo / "cache"),
        "PYTHONPATH": PATHS,
    }
    process, mark = processes.start(command, cwd=repo, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(after)
    process.send_signal(number)
    said = process.communicate()[1].decode()
    assert "Traceback" not in said, said
    assert processes.left_after(mark) == []
    check_after_a_kill(repo)


def test_a_kernel_ends_with_a_run_that_is_killed(repo):
    command = [sys.executable, "-m", "lastiterate", "figures", "--only", "p/one"]
    process, mark = processes.start(command, cwd=repo, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while not process.stdout.readline().startswith("cell 3"):
        pass
    assert len(processes.left(mark)) >= 2, "the run and its kernel"
    process.kill()
    process.communicate()
    assert processes.left_after(mark) == []


@pytest.mark.parametrize("stamp", ["", "null", "[]", "{}", '{"inputs": 3}', "\0"])
def test_a_stamp_that_says_nothing_is_no_stamp(repo, stamp):
    assert dependencies.stamp(repo, "p/one") == {}
    path = repo / "build" / "stamps" / "p" / "one.json"
    path.parent.mkdir(parents=True)
    path.write_text(stamp)
    assert not dependencies.up_to_date(repo, "p/one", manifest.read(repo), logs_here=False)


def test_a_folder_with_braces_in_its_name(repo, monkeypatch):
    folder = repo / "a {x} {} folder"
    for part in ("notebooks", "figures"):
        shutil.copytree(repo / part, folder / part)
    monkeypatch.chdir(folder)
    assert cli.main(["notebook", "p/one", "height=5"]) == 0
    assert (folder / "build" / "figures" / "p" / "fig1.png").is_file()
