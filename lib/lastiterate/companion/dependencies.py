"""What a notebook's outputs depend on, and whether they are up to date.

A notebook depends on itself, on the library files that it imports (and those that they import), on the data files that it names,
and on requirements.lock.
"""

import ast
import json
import os
from pathlib import Path

from lastiterate._files import write_atomic
from lastiterate.companion import outputs

LIBRARY = Path(__file__).parents[1]


def up_to_date(root: Path, name: str, listed: dict, logs_here: bool) -> bool:
    """Whether a notebook's figures are those of its present inputs, and of the authors' logs where they are here."""
    last = stamp(root, name)
    if last.get("inputs") != signature(root, name) or (logs_here and not last.get("logs") and has_logs_cells(root, name)):
        return False
    mine = [f["id"] for f in listed["figures"] if f["notebook"] == name]
    return all((root / "figures" / f"{figure}.{suffix}").is_file() for figure in mine for suffix in ("png", "json"))


def signature(root: Path, name: str) -> dict[str, int]:
    """{file: its time of change} of everything that a notebook's outputs depend on."""
    path = find(root, name)
    code = (line for cell in outputs.cells(path) if cell["cell_type"] == "code" for line in "".join(cell["source"]).splitlines())
    modules, files = _uses("\n".join(line for line in code if line[:1] not in "%!"), path.parent, root / "data")
    for module in modules:
        files |= _module_files(module)
    files |= {path, root / "requirements.lock"}
    return {os.path.relpath(f, root): f.stat().st_mtime_ns for f in sorted(files) if f.is_file()}


def _module_files(module, seen=None):
    """A library file, all that it imports from the library, and the registry or the commands' evidence if it reads that."""
    seen = set() if seen is None else seen
    path = LIBRARY.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if path in seen or not path.is_file():
        return seen
    seen.add(path)
    code = path.read_text(encoding="utf-8")
    parts = [module.rpartition(".")[0]] if "." in module else []  # the package that it is in
    if path.name == "__init__.py" and "def __getattr__" in code:  # which imports its modules when they are used
        parts += [f"{module}.{file.stem}" for file in path.parent.glob("*.py")]
    for other in (*parts, *_uses(code, LIBRARY)[0]):
        _module_files(other, seen)
    if module == "logs.published":
        seen |= set((LIBRARY / "logs" / "registry").glob("*.csv"))
    if module == "cli":  # which imports a command when it is called, and what the command prints is in files beside it
        seen |= set(path.parent.glob("*.json"))
        for file in path.parent.glob("*.py"):
            _module_files(f"cli.{file.stem}", seen)
    return seen


def _uses(code, folder, data=None):
    """(library modules that code imports, existing files that it names relative to a folder or in the folder of data)."""
    modules, files = set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lastiterate":
            inner = (node.module or "").partition(".")[2]
            modules |= {inner} - {""} | {f"{inner}.{alias.name}".lstrip(".") for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("lastiterate.")}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            files |= _named_files(node.value, folder, data)
    return modules, files


def _named_files(text, folder, data):
    """The file that a string names, relative to a folder, or in the folder of data; of recorded runs, config and log."""
    if not text or "\n" in text or len(text) > 200:
        return set()
    names = [folder / text] if "/" in text else []
    if data:
        names += [data / text, data / "runs" / f"{text}.csv", data / "runs" / f"{text}.parquet"]
    return {path.resolve() for path in names if path.is_file()}


def has_logs_cells(root: Path, name: str) -> bool:
    """Whether a notebook has cells that need the authors' logs."""
    return any("logs" in cell["metadata"].get("tags", []) for cell in outputs.cells(find(root, name)))


def find(root: Path, name: str) -> Path:
    """A notebook's file, by its name "paper/notebook", or by the notebook's alone where that is unique."""
    folder = root / "notebooks"
    if not folder.is_dir():
        raise ValueError(f"the working directory must be in a clone of the repository, got {str(Path.cwd())!r}")
    known = {p.relative_to(folder).with_suffix("").as_posix(): p for p in sorted(folder.rglob("*.ipynb"))}
    known = {k: p for k, p in known.items() if ".ipynb_checkpoints" not in k}
    found = [k for k in known if name.removesuffix(".ipynb") in (k, k.split("/")[-1])]
    if len(found) != 1:
        asked = f"there is no notebook {name!r}" if name else "NB names the notebook to run, such as NB=schaipp2025/horizons"
        raise ValueError(f"{asked}; there are {', '.join(known)}")
    return known[found[0]]


def stamp(root: Path, name: str) -> dict:
    """What was noted when a notebook was last run: `inputs`, its signature, and `logs`, whether their cells ran; or nothing."""
    try:
        found = json.loads(_stamp_file(root, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note(root: Path, name: str, inputs: dict[str, int], with_logs: bool) -> None:
    """Write the stamp of a notebook that was run."""
    text = json.dumps({"inputs": inputs, "logs": with_logs}, indent=1)
    write_atomic(_stamp_file(root, name), text.encode())


def _stamp_file(root, name):
    return root / "build" / "stamps" / f"{name}.json"
