"""The repository holds together: manifest, figures, notebooks, gallery, the lists of dependencies, who imports whom."""

import ast
import doctest
import itertools
import json
import re
import subprocess
import symtable
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from lastiterate import cli
from lastiterate.companion import claims, evidence, front, manifest, notebooks, outputs, report


@pytest.fixture(scope="session")
def listed(repository):
    return manifest.read(repository)


def tracked(repository):
    names = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True).stdout.split("\n")
    return [repository / name for name in names if name and (repository / name).is_file()]


def pages(repository):
    return [repository / "README.md", *sorted((repository / "docs").glob("*.md"))]


def test_every_listed_figure_is_there_with_its_numbers(repository, listed):
    for figure in listed["figures"]:
        for suffix in ("png", "json"):
            assert (repository / "figures" / f"{figure['id']}.{suffix}").is_file(), figure["id"]
        numbers = json.loads((repository / "figures" / f"{figure['id']}.json").read_text())
        assert numbers["figure"] == figure["id"] and any(panel["lines"] for panel in numbers["panels"])
    on_disk = {f"{p.parent.name}/{p.stem}" for p in (repository / "figures").glob("*/*.json")}
    assert on_disk == {figure["id"] for figure in listed["figures"]}


def test_notebooks_and_manifest_agree(repository, listed):
    names = {book["name"] for book in listed["notebooks"]}
    on_disk = {
        p.relative_to(repository / "notebooks").with_suffix("").as_posix() for p in (repository / "notebooks").rglob("*.ipynb")
    }
    assert names == {n for n in on_disk if "checkpoint" not in n} == {figure["notebook"] for figure in listed["figures"]}
    for name in names:
        assert outputs.drawn(repository / "notebooks" / f"{name}.ipynb") == {
            f["id"] for f in listed["figures"] if f["notebook"] == name
        }


def test_notebooks_read_well_unexecuted(repository, listed):
    for book in listed["notebooks"]:
        path = repository / "notebooks" / f"{book['name']}.ipynb"
        notebook = json.loads(path.read_text())
        code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
        assert "".join(notebook["cells"][0]["source"]).startswith("# "), path
        parameters = [c for c in code if c["metadata"].get("tags") == ["parameters"]]
        assert len(parameters) == 1 and all("#" in line for line in parameters[0]["source"] if line.strip()), path
        assert all(about for _, about in notebooks.parameters_of(path).values()), path
        assert not any(o["output_type"] == "error" for c in code for o in c["outputs"]), path
        assert notebook["metadata"] == notebooks.KERNEL and all(set(c["metadata"]) <= {"tags"} for c in code), path
        text = path.read_text()
        prose = "".join("".join(c["source"]) for c in notebook["cells"])
        for link in re.findall(r"\]\(([^)#:]+\.(?:ipynb|md|csv|yml))\)", prose):
            assert (path.parent / link).exists(), (path, link)
        assert "at 0x" not in text, "an object's address changes from run to run"


def test_claims_are_those_of_the_notebooks(repository, listed):
    records = report.all_claims(repository, listed)
    ids = [record["id"] for record in records]
    assert len(ids) == len(set(ids)) > 50
    assert (repository / "figures" / "claims.json").read_text() == report.claims_file(records)
    shipped = repository / "lib" / "lastiterate" / "cli" / "evidence.json"
    assert shipped.read_text() == evidence.file(records)
    assert all(json.loads(shipped.read_text()).values()), "each command has some"
    assert (repository / "figures" / "CLAIMS.md").read_text() == report.claims_page(listed, records)
    for record in records:
        assert record["verdict"] in (claims.AGREES, claims.DIFFERS, claims.UNDECIDED), record["id"]
        assert record["verdict"] == claims.AGREES or record["note"], f"{record['id']} is explained"
        assert record["interval"] or record["data"] != "own runs", f"{record['id']} has an interval"


def test_readme_quotes_the_totals(repository):
    committed = subprocess.run(["git", "show", "HEAD:figures/claims.json"], cwd=repository, capture_output=True, check=True)
    assert claims.totals(json.loads(committed.stdout)) in (repository / "README.md").read_text()


def test_readme_quotes_claims_as_they_are(repository, listed):
    records = {record["id"]: record for record in report.all_claims(repository, listed)}
    quoted = re.findall(r"\[([^\]]*)\]\(figures/CLAIMS\.md#([\w-]+)\)", (repository / "README.md").read_text())
    assert len(quoted) > 3
    for words, name in quoted:
        if re.search(r"\d", words):
            assert words == ", ".join(f"{value:.2f}" for value in records[name]["measured"]), name
        else:
            assert (words == claims.UNDECIDED) == (records[name]["verdict"] == claims.UNDECIDED), name


def test_readme_and_docs_lead_to_what_is_there(repository):
    for path in pages(repository):
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
        assert links and all((path.parent / link).exists() for link in links), path


def test_docs_lead_to_every_notebook_in_reading_order(repository, listed):
    text = (repository / "docs" / "notebooks.md").read_text()
    found = re.findall(r"^- \[.*\]\(\.\./notebooks/(.*)\.ipynb\)$", text, re.M)
    assert sorted(found, key=lambda name: name.partition("/")[0]) == sorted(
        (book["name"] for book in listed["notebooks"]), key=lambda name: name.partition("/")[0]
    )


def test_front_picture_is_made_from_the_figures(repository):
    assert (repository / "figures" / "front.svg").read_text() == front.picture(repository)


def test_no_notebook_states_a_verdict_that_the_claims_do_not_have(repository, listed):
    verdicts = {record["id"]: record["verdict"] for record in report.all_claims(repository, listed)}
    for path in (repository / "notebooks").rglob("*.ipynb"):
        for cell in outputs.cells(path):
            shown = "".join(text for o in cell.get("outputs", []) for text in o.get("data", {}).get("text/markdown", ()))
            prose = "".join(cell["source"]) if cell["cell_type"] == "markdown" else shown
            for verdict, name in re.findall(r"\*\*(agrees|differs|undecided)\*\* \(([\w.-]+)\)", prose):
                assert verdicts.get(name) == verdict, (path.name, name)


def test_gallery_is_made_from_the_manifest(repository, listed):
    assert (repository / "figures" / "README.md").read_text() == manifest.gallery(listed)


def test_three_lists_of_dependencies_agree(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    pinned = "".join((repository / f"requirements{part}.lock").read_text() for part in ("", "-site", "-suites"))
    lock = dict(line.split("==") for line in pinned.splitlines() if not line.startswith("#"))
    lock = {name.lower().replace("_", "-"): version for name, version in lock.items()}

    for requirement in map(Requirement, wanted):
        assert not any(s.operator in ("==", "<", "<=", "~=", "===") for s in requirement.specifier), f"{requirement} is pinned"
        if requirement.name not in ("lastiterate", "tensorboard"):  # an extra that brings another; a server, and what it brings
            assert requirement.specifier.contains(lock[requirement.name.lower()]), requirement
    assert sorted(map(str, map(Requirement, project["dependencies"]))) == ["numpy>=2.0", "scipy>=1.13"], "the core needs no more"
    conda = yaml.safe_load((repository / "environment.yml").read_text())["dependencies"]
    assert next(d["pip"] for d in conda if isinstance(d, dict)) == ["-r requirements.lock", "-e ."]
    assert "python >=3.11,<3.14" in conda, "for which the versions are pinned"


def test_examples_of_readme_and_docs(repository):
    results = [doctest.testfile(str(path), module_relative=False) for path in pages(repository)]
    assert results[0].attempted == 3 and sum(r.attempted for r in results) > 9 and not any(r.failed for r in results)


def test_docs_show_what_the_command_line_prints(repository, capsys):
    blocks = re.findall(
        r"^\$ lastiterate (extend|transfer|optimal|schedule)(.*)\n((?:(?!\$|```).*\n)+)",
        (repository / "docs" / "command_line.md").read_text(),
        re.M,
    )
    assert len(blocks) == 5
    for command, words, shown in blocks:
        assert cli.main([command, *words.split()]) == 0
        assert re.sub("(?<=^Evidence: ).*", "…", capsys.readouterr().out, flags=re.M) == shown


def test_modules_come_with_the_package_and_only_when_used():
    code = "import sys, lastiterate as li; assert 'numpy' not in sys.modules; print(li.bounds.omega([1.0], horizons=1), dir(li))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1.0") and "'worstcase'" in done.stdout


@pytest.mark.parametrize(
    ("words", "apart"),
    [
        (["bound", "linear", "--steps", "100"], "scipy pandas torch matplotlib cvxpy"),
        (["extend", "--from", "400", "--to", "800"], "pandas torch matplotlib cvxpy"),
        (["transfer", "wsd", "linear", "--steps", "100"], "scipy pandas torch matplotlib cvxpy"),
        (["optimal", "--steps", "100"], "pandas torch matplotlib cvxpy"),
        (["schedule", "hf.cosine", "--steps", "100"], "scipy pandas torch matplotlib cvxpy transformers"),
        (["schedule", "linear", "--steps", "100", "--lr", "1", "--for", "hf"], "scipy pandas torch matplotlib transformers"),
        (["--help"], "numpy scipy pandas torch matplotlib cvxpy"),
        (["train", "--help"], "pandas torch matplotlib cvxpy"),
    ],
)
def test_commands_import_no_more_than_they_need(words, apart):
    code = f"import sys\nfrom lastiterate import cli\ntry: cli.main({words!r})\nexcept SystemExit: pass\n"
    code += f"print(*[m for m in {apart.split()!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


def test_floors_of_the_house(repository):
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_tests_mirror_the_library(repository):
    library, tests = repository / "lib" / "lastiterate", repository / "tests"
    for folder in ("schedules", "laws", "logs", "trainer", "experiments", "companion", "cli"):
        assert list((tests / folder).glob("test_*.py")), folder
        assert (library / folder / "__init__.py").is_file()


def test_no_file_has_grown_too_large(repository):
    for path in (repository / "lib").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 380, f"{path}: its story wants splitting"


def test_no_paths_of_one_machine(repository):
    for path in tracked(repository):
        if path.suffix in {".py", ".ipynb", ".md", ".yml", ".toml", ".lock", ".cff", ".csv", ""}:
            found = re.search(r"(^|[\s\"'(=])/(home|root|tmp|work|Users|opt)/", path.read_text(encoding="utf-8"))
            assert not found, path


def test_code_is_checked(repository):
    for command in (["check", "."], ["format", "--check", "."]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command], cwd=repository, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_notebooks_only_tell(repository, listed):
    for book in listed["notebooks"]:
        for cell in outputs.cells(repository / "notebooks" / f"{book['name']}.ipynb"):
            if cell["cell_type"] != "code":
                continue
            code = "".join(cell["source"])
            where = f"{book['name']}: {code[:60]!r}"
            if "parameters" not in cell["metadata"].get("tags", []):
                assert len(code.splitlines()) <= 25, f"{where} is longer than 25 lines: what is machinery belongs to lib"
            assert max(map(len, code.splitlines()), default=0) <= 88, f"{where} has a line that a page cuts"
            assert "../" not in code, f"{where} names a path that a notebook downloaded alone does not have"
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    assert node.end_lineno - node.lineno < 10, f"{where}: {node.name} is longer than 10 lines"


def test_notebooks_are_articles(repository, listed):
    for book in listed["notebooks"]:
        path = repository / "notebooks" / f"{book['name']}.ipynb"
        text = "\n".join("".join(cell["source"]) for cell in outputs.cells(path) if cell["cell_type"] == "markdown")
        for part in ("**At the end you ", "## In three lines", "## Exercises"):
            assert part in text, f"{path} has no {part!r}"
        answers = text.count("<details><summary>Answer</summary>\n\n"), text.count("\n\n</details>")
        assert answers == (2, 2), f"{path} must have two exercises with folded answers"


def test_cells_without_logs_need_none_that_have_them(repository, listed):
    """Without the authors' logs the cells tagged `logs` are left out, and all others print what they print with them."""
    for book in listed["notebooks"]:
        of_logs = set()
        for cell in outputs.cells(repository / "notebooks" / f"{book['name']}.ipynb"):
            if cell["cell_type"] == "code":
                bound, read = names("".join(cell["source"]))
                if "logs" in cell["metadata"].get("tags", []):
                    of_logs |= bound
                else:
                    assert not (read - bound) & of_logs, f"{book['name']} cell {cell['id']} needs {(read - bound) & of_logs}"
                    of_logs -= bound


def names(code):
    """Names that a cell binds (or changes an item of), and names of other cells that it reads, in functions too."""
    tables = [top := symtable.symtable(code, "cell", "exec")]
    for table in tables:
        tables += table.get_children()
    stored = (
        node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    )
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned()} | {n.id for n in stored if isinstance(n, ast.Name)}
    read = {s.get_name() for t in tables for s in t.get_symbols() if s.is_referenced() and (t is top or s.is_global())}
    return bound, read
