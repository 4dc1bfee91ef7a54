"""Run the notebooks: all whose inputs changed (`make figures`), or one with other parameters (`make notebook`).

    python -m lastiterate.notebooks figures
    python -m lastiterate.notebooks run schaipp2025/horizons T=1000 cooldown=0.3

A notebook depends on itself, on the library files that it imports (and those that they import), on the data files that it
names, and on requirements.lock. Cells tagged `logs` need the authors' logs: where those cannot be had the cells are left
out and keep their committed outputs. What is written into the repository has no times, paths or machine names in it.
"""

import argparse
import ast
import concurrent.futures
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from lastiterate import data, figures

SOURCE = "schaipp2025"  # the source whose files the cells tagged `logs` need
WORKERS = 2
LIBRARY = Path(__file__).parent
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main(argv=None):
    """Command line: `figures`, or `run NOTEBOOK [name=value …]`."""
    parser = argparse.ArgumentParser(prog="python -m lastiterate.notebooks", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("figures", help="run every notebook whose inputs changed, then print figures and claims")
    one = commands.add_parser("run", help="run one notebook with other parameters into build/")
    one.add_argument("notebook", help="such as schaipp2025/horizons")
    one.add_argument("parameters", nargs="*", metavar="name=value")
    refresh_one = commands.add_parser("refresh", help="run one notebook in place (what `figures` does for each)")
    refresh_one.add_argument("notebook")
    refresh_one.add_argument("--without-logs", action="store_true")
    args = parser.parse_args(argv)
    try:
        if args.command == "figures":
            return make_figures(figures.root())
        if args.command == "run":
            return run(figures.root(), args.notebook, args.parameters)
        return refresh(figures.root(), args.notebook, with_logs=not args.without_logs, progress=True)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def make_figures(root):
    """Run what changed, two notebooks at a time, refresh the gallery, print both tables. Returns the exit status."""
    listed = figures.manifest(root)
    for folder in ("figures", "notebooks"):  # what a killed run may have left
        for partial in (root / folder).rglob("*.partial"):
            partial.unlink()
    logs_here = not data.missing(SOURCE)
    books = {book["name"]: book for book in listed["notebooks"]}
    stale = [name for name in books if not _up_to_date(root, name, listed, logs_here)]
    if stale and not logs_here and any(_has_logs_cells(root, name) for name in stale):
        logs_here = _try_download()
    failed = {}
    if stale:
        seconds = sum(books[name]["seconds"] for name in stale) / min(WORKERS, len(stale))
        print(f"{len(stale)} of {len(books)} notebooks to run, {WORKERS} at a time: about {seconds + 3:.0f} s", flush=True)
        failed = _run_all(root, stale, logs_here)
    figures.write_atomic(root / "figures" / "README.md", figures.gallery(listed).encode())
    print(_tables(root, listed, failed))
    return 1 if failed else 0


def run(root, name, assignments):
    """Run one notebook with other parameters into build/<name>.ipynb, its figures into build/figures. Returns 0."""
    import papermill
    import yaml

    path = _path(root, name)
    known = papermill.inspect_notebook(str(path))
    parameters = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ValueError(f"parameters must look like name=value, got {assignment!r}")
        if key not in known:
            listing = "\n".join(f"  {p['name']}={p['default']}  {p['help']}".rstrip() for p in known.values())
            raise ValueError(f"{name} has no parameter {key!r}; it has\n{listing}")
        parameters[key] = yaml.safe_load(value)
    out = root / "build" / f"{name}.ipynb"
    with_logs = not data.missing(SOURCE) or not _has_logs_cells(root, name) or _try_download()
    print(f"{name} with {parameters or 'its own parameters'} -> {out.relative_to(root)}")
    _execute(path, out, parameters, with_logs, root / "build" / "figures", progress_bar=True)
    print(f"done: {out.relative_to(root)}, figures in build/figures/")
    return 0


def refresh(root, name, with_logs, progress=False):
    """Run one notebook with its own parameters, its figures into figures/, and renew its outputs in place. Returns 0."""
    path = _path(root, name)
    scratch = root / "build" / "runs" / f"{name}.ipynb"
    executed = _execute(path, scratch, {}, with_logs, root / "figures", report=progress)
    original = json.loads(path.read_text(encoding="utf-8"))
    fresh = {cell["id"]: cell.get("outputs", []) for cell in executed["cells"]}
    count = 0
    for cell in original["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        cell["execution_count"] = count
        if cell["id"] in fresh:
            cell["outputs"] = _settled(fresh[cell["id"]], count)
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k == "tags"}
    original["metadata"] = KERNEL
    text = json.dumps(original, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    figures.write_atomic(path, text.encode())
    return 0


def claims(root, name):
    """Claims in a notebook's outputs, as a list of dicts."""
    return [found[figures.CLAIM] for found in _bundles(root, name) if figures.CLAIM in found]


def drawn(root, name):
    """Names of the figures in a notebook's outputs, as a set."""
    return {found[figures.FIGURE]["figure"] for found in _bundles(root, name) if figures.FIGURE in found}


# --- running --------------------------------------------------------------------------------------------------------


def _execute(path, out, parameters, with_logs, figure_folder, progress_bar=False, report=False):
    """Run a notebook through papermill into `out`, without its `logs` cells if they cannot run; returns the executed one."""
    import warnings

    import nbformat
    import papermill

    notebook = nbformat.read(path, as_version=4)
    if not with_logs:
        notebook.cells = [cell for cell in notebook.cells if "logs" not in cell.metadata.get("tags", [])]
    out.parent.mkdir(parents=True, exist_ok=True)
    source = out.with_suffix(".input.ipynb")
    nbformat.write(notebook, source)
    os.environ.update(
        LASTITERATE_FIGURES=str(figure_folder),
        IPYTHONDIR=str(out.parent / "ipython"),  # nobody's start-up files
        JUPYTER_PREFER_ENV_PATH="1",
        PYTHONHASHSEED="0",
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    )

    def tell(cell, cell_index, **_):
        print(f"cell {cell_index + 1} of {len(notebook.cells)}", flush=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hook = {"on_cell_start": tell} if report else {}
        options = {"kernel_name": "python3", "cwd": str(path.parent), "progress_bar": progress_bar}
        try:
            return papermill.execute_notebook(str(source), str(out), parameters, **options, **hook)
        except papermill.PapermillExecutionError as error:
            source_line = error.source.strip().splitlines()[0] if error.source.strip() else ""
            raise ValueError(f"{path.stem}: {error.ename}: {error.evalue} (cell {source_line!r}; see {out})") from None
        finally:
            source.unlink(missing_ok=True)


def _run_all(root, names, with_logs):
    """Run notebooks in processes of their own, a progress line each; returns {name: error} of those that failed."""
    from tqdm import tqdm

    bars = {
        name: tqdm(
            total=1,
            desc=f"{name:<32}",
            position=i,
            disable=None,
            bar_format="{desc} {bar:24} {n_fmt}/{total_fmt} cells {elapsed}",
        )
        for i, name in enumerate(names)
    }

    def one(name):
        start, before = time.monotonic(), _signature(root, name)
        bars[name].reset()
        command = [sys.executable, "-m", "lastiterate.notebooks", "refresh", name] + ([] if with_logs else ["--without-logs"])
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with concurrent.futures.ThreadPoolExecutor(1) as reader:
            errors = reader.submit(process.stderr.read)
            for line in process.stdout:
                if line.startswith("cell "):
                    _, done, _, bars[name].total = (int(w) if w.isdigit() else w for w in line.split())
                    bars[name].n = done
                    bars[name].refresh()
        error = None if process.wait() == 0 else errors.result().strip().splitlines()[-1:] or ["stopped"]
        if error is None:
            before[str(_path(root, name).relative_to(root))] = _path(root, name).stat().st_mtime_ns
            stamp = {"inputs": before, "logs": with_logs}
            figures.write_atomic(_stamp(root, name), json.dumps(stamp, indent=1).encode())
        if bars[name].disable:
            print(f"{name:<32} {'done' if error is None else 'FAILED'} in {time.monotonic() - start:.0f} s", flush=True)
        return name, error

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        results = dict(pool.map(one, names))
    for bar in bars.values():
        bar.close()
    return {name: error[0] for name, error in results.items() if error}


def _settled(outputs, count):
    """Outputs without what differs from run to run: chunks of one stream are joined, warnings and counters dropped."""
    settled = []
    for output in json.loads(json.dumps(outputs)):
        if output["output_type"] == "stream":
            if output["name"] == "stderr":
                continue
            if settled and settled[-1]["output_type"] == "stream":
                settled[-1]["text"] += output["text"]
                continue
        if output["output_type"] == "execute_result":
            output["execution_count"] = count
        settled.append(output)
    return settled


def _try_download():
    try:
        data.fetch_all(SOURCE)
    except data.DataError as error:
        print(f"without the authors' logs: {error}", flush=True)
        return False
    return True


# --- what depends on what -------------------------------------------------------------------------------------------


def _up_to_date(root, name, listed, logs_here):
    try:
        stamp = json.loads(_stamp(root, name).read_text())
    except (OSError, json.JSONDecodeError):
        return False
    if stamp["inputs"] != _signature(root, name) or (logs_here and not stamp["logs"] and _has_logs_cells(root, name)):
        return False
    mine = [f["id"] for f in listed["figures"] if f["notebook"] == name]
    return all((root / "figures" / f"{figure}.{suffix}").is_file() for figure in mine for suffix in ("png", "json"))


def _signature(root, name):
    """{file: its time of change} of everything that a notebook's outputs depend on."""
    path = _path(root, name)
    code = "\n".join(
        line for cell in _cells(path) if cell["cell_type"] == "code" for line in _text(cell).splitlines() if line[:1] not in "%!"
    )
    modules, files = _uses(code, path.parent)
    for module in modules:
        files |= _module_files(module)
    files |= {path, root / "requirements.lock"}
    return {os.path.relpath(f, root): f.stat().st_mtime_ns for f in sorted(files) if f.is_file()}


def _module_files(module, seen=None):
    """A library file, all that it imports from the library, and the registry if it reads that."""
    seen = set() if seen is None else seen
    path = LIBRARY / f"{module}.py"
    if path in seen or not path.is_file():
        return seen
    seen.add(path)
    for other in _uses(path.read_text(encoding="utf-8"), LIBRARY)[0]:
        _module_files(other, seen)
    if module == "data":
        seen |= set((LIBRARY / "registry").glob("*.csv"))
    return seen


def _uses(code, folder):
    """(library modules that code imports, existing files that it names relative to a folder)."""
    modules, files = {"__init__"}, set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lastiterate":
            inner = node.module.partition(".")[2]
            modules |= {inner} if inner else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("lastiterate.")}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _names_a_file(node.value, folder):
            files.add((folder / node.value).resolve())
    return modules, files


def _names_a_file(text, folder):
    return "/" in text and "\n" not in text and len(text) < 200 and (folder / text).is_file()


def _has_logs_cells(root, name):
    return any("logs" in cell["metadata"].get("tags", []) for cell in _cells(_path(root, name)))


def _path(root, name):
    path = root / "notebooks" / f"{name}.ipynb"
    if not path.is_file():
        known = sorted(
            p.relative_to(root / "notebooks").with_suffix("").as_posix() for p in (root / "notebooks").rglob("*.ipynb")
        )
        raise ValueError(
            f"there is no notebook {name!r}; there are {', '.join(k for k in known if '.ipynb_checkpoints' not in k)}"
        )
    return path


def _stamp(root, name):
    return root / "build" / "stamps" / f"{name}.json"


def _cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _text(cell):
    return "".join(cell["source"])


def _bundles(root, name):
    for cell in _cells(_path(root, name)):
        for output in cell.get("outputs", []):
            yield output.get("data", {})


# --- the two tables -------------------------------------------------------------------------------------------------


def _tables(root, listed, failed):
    lines, reasons = ["", "Figures"], {}
    width = max(len(f["id"]) for f in listed["figures"])
    for book in listed["notebooks"]:
        name = book["name"]
        here, stamp = drawn(root, name), _stamp(root, name)
        with_logs = stamp.is_file() and json.loads(stamp.read_text())["logs"]
        needs = {
            found[figures.FIGURE]["figure"]
            for cell in _cells(_path(root, name))
            if "logs" in cell["metadata"].get("tags", [])
            for found in (output.get("data", {}) for output in cell.get("outputs", []))
            if figures.FIGURE in found
        }
        for figure in (f["id"] for f in listed["figures"] if f["notebook"] == name):
            if name in failed:
                reasons[figure] = f"not drawn: {failed[name]}"
            elif figure not in here:
                reasons[figure] = (
                    "not drawn: its notebook does not save it" if with_logs else f"not drawn, needs the logs: {data.HOW_TO}"
                )
            elif figure in needs and not with_logs:
                reasons[figure] = f"kept as committed, needs the authors' logs: {data.HOW_TO}"
    for f in listed["figures"]:
        lines.append(f"  {f['id']:<{width}}  {f['number']:<14} {reasons.get(f['id'], 'drawn')}")
    done = len(listed["figures"]) - len(reasons)
    lines += [f"  {done} of {len(listed['figures'])} drawn", "", "Claims"]
    every = [c for book in listed["notebooks"] for c in claims(root, book["name"])]
    width = max([len(c["id"]) for c in every], default=0)
    for c in every:
        lines.append(
            f"  {c['id']:<{width}}  {c['verdict']:<8} paper: {figures.show(c['paper'])} | here: {figures.show(c['measured'])}"
        )
    counts = {verdict: sum(c["verdict"] == verdict for c in every) for verdict in dict.fromkeys(c["verdict"] for c in every)}
    lines.append("  " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
