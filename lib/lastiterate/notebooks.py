"""Run the notebooks: all whose inputs changed (`make figures`), or one with other parameters (`make notebook`).

    python -m lastiterate.notebooks figures
    python -m lastiterate.notebooks run schaipp2025/schedule_zoo T=1000 cooldown=0.3

A notebook depends on itself, on the library files that it imports (and those that they import), on the data files that it
names, and on requirements.lock. Cells tagged `logs` need the authors' logs: where those cannot be had the cells are left
out and keep their committed outputs. What is written into the repository has no times, paths or machine names in it.
"""

import argparse
import ast
import concurrent.futures
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from lastiterate import data, figures

NEEDS = {  # files that the cells tagged `logs` need, by the notebook's folder, a source of `data`; None: all of that source
    "schaipp2025": None,
    "defazio2023": [f"norm_sequences_l1/{file}.csv" for file in ("imagenet_gnorm", "rcnn_gnorm", "roberta_l1", "vit_l1")],
}
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
    one.add_argument("notebook", nargs="?", default="", help="such as schaipp2025/horizons")
    one.add_argument("parameters", nargs="*", metavar="name=value")
    refresh_one = commands.add_parser("refresh", help="run one notebook in place (what `figures` does for each)")
    refresh_one.add_argument("notebook")
    refresh_one.add_argument("--without-logs", action="store_true")
    args = parser.parse_args(argv)
    for name in ("LASTITERATE_MIRROR", "LASTITERATE_CACHE"):  # kernels run in the notebooks' folders
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).absolute())
    try:
        if args.command == "figures":
            return make_figures(figures.root())
        if args.command == "run":
            return run(figures.root(), args.notebook, args.parameters)
        return refresh(figures.root(), args.notebook, with_logs=not args.without_logs, progress=True)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: nothing is half written, run again to go on", file=sys.stderr)
        return 130


def make_figures(root):
    """Run what changed, two notebooks at a time, refresh the gallery, print both tables. Returns the exit status."""
    listed = figures.manifest(root)
    for folder in ("figures", "notebooks"):  # what a killed run may have left
        for partial in (root / folder).rglob("*.partial"):
            partial.unlink()
    here = {source: not _missing(source) for source in NEEDS}
    books = {book["name"]: book for book in listed["notebooks"]}
    stale = [name for name in books if not _up_to_date(root, name, listed, here[_source(name)])]
    for source in {_source(name) for name in stale if _has_logs_cells(root, name)}:
        here[source] = here[source] or _try_download(source)
    failed = {}
    if stale:
        seconds = sum(books[name]["seconds"] for name in stale) / min(WORKERS, len(stale))
        print(f"{len(stale)} of {len(books)} notebooks to run, {WORKERS} at a time: about {seconds + 3:.0f} s", flush=True)
        failed = _run_all(root, stale, {name: here[_source(name)] for name in stale})
    figures.write_atomic(root / "figures" / "README.md", figures.gallery(listed).encode())
    print(_tables(root, listed, failed))
    return 1 if failed else 0


def run(root, name, assignments):
    """Run one notebook with other parameters into build/<name>.ipynb, its figures into build/figures. Returns 0."""
    path = _path(root, name)
    name = path.relative_to(root / "notebooks").with_suffix("").as_posix()
    known, parameters = parameters_of(path), {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ValueError(f"parameters must look like name=value, without spaces, got {assignment!r}")
        if key not in known:
            listing = "\n".join(f"  {k}={value!r}  {about}".rstrip() for k, (value, about) in known.items())
            raise ValueError(f"{name} has no parameter {key!r}; it has\n{listing}")
        parameters[key] = _parsed(key, text, known[key][0])
    out = root / "build" / f"{name}.ipynb"
    with_logs = not _has_logs_cells(root, name) or not _missing(_source(name)) or _try_download(_source(name))
    print(f"{name} with {parameters or 'its own parameters'} -> {out.relative_to(root)}", flush=True)
    _execute(path, out, parameters, with_logs, root / "build" / "figures", progress_bar=True)
    print(f"done: {out.relative_to(root)}, figures in build/figures/")
    return 0


def parameters_of(path):
    """{name: (default, comment)} of a notebook's parameters cell."""
    code = next(_text(cell) for cell in _cells(path) if "parameters" in cell["metadata"].get("tags", []))
    namespace, known = {}, {}
    exec(code, namespace)
    for node in ast.parse(code).body:
        if isinstance(node, ast.Assign):
            comment = code.splitlines()[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
            known[node.targets[0].id] = namespace[node.targets[0].id], comment.strip(" #")
    return known


def _parsed(name, text, default):
    """A parameter's value from the command line, of its default's type; a file's name is made absolute."""
    if isinstance(default, str):
        return str(Path(text).absolute()) if Path(text).is_file() else text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    if isinstance(default, int) and isinstance(value, float) and value.is_integer():
        value = int(value)  # 1e3 steps
    fits = isinstance(value, int | float if isinstance(default, float) else type(default))
    if not fits or isinstance(value, bool) or value == []:
        kind = {int: "an integer", float: "a number", list: "a list such as [1,2], without spaces"}[type(default)]
        raise ValueError(f"{name} must be {kind}, like its default {default!r}, got {text!r}")
    return value


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
    before = dict(os.environ)
    os.environ.update(  # kernels inherit it
        LASTITERATE_FIGURES=str(figure_folder),
        LASTITERATE_OTHER_PARAMETERS="1" if parameters else "",
        IPYTHONDIR=str(out.parent / "ipython"),  # nobody's start-up files
        JUPYTER_PREFER_ENV_PATH="1",
        PYTHONHASHSEED="0",
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    )

    def tell(cell, cell_index, **_):
        print(f"cell {cell_index + 1} of {len(notebook.cells)}", flush=True)

    logging.getLogger("papermill").setLevel("ERROR")  # it guesses at parameters from the cell's text; `run` has checked them
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
            os.environ.clear()
            os.environ.update(before)


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

    signatures = {name: _signature(root, name) for name in names}  # not in the threads: ast.parse is not safe in them

    def one(name):
        start, before = time.monotonic(), signatures[name]
        bars[name].reset()
        command = [sys.executable, "-m", "lastiterate.notebooks", "refresh", name]
        command += [] if with_logs[name] else ["--without-logs"]
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
            stamp = {"inputs": before, "logs": with_logs[name]}
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


def _source(name):
    """The source that a notebook's `logs` cells need: its folder, or the first where that is none."""
    folder = name.partition("/")[0]
    return folder if folder in NEEDS else next(iter(NEEDS))


def _missing(source):
    """Files that a paper's `logs` cells need and that are not here."""
    return [file for file in data.missing(source) if NEEDS[source] is None or file in NEEDS[source]]


def _try_download(source):
    try:
        data.fetch_all(source, NEEDS[source])
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
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            files |= _named_files(node.value, folder)
    return modules, files


def _named_files(text, folder):
    """The file that a string names relative to a folder; all files of a folder that it names with "/" at its end."""
    if "/" not in text or "\n" in text or len(text) > 200:
        return set()
    path = (folder / text).resolve()
    return {path} if path.is_file() else set(path.glob("*.*")) if text.endswith("/") and text.startswith("../") else set()


def _has_logs_cells(root, name):
    return any("logs" in cell["metadata"].get("tags", []) for cell in _cells(_path(root, name)))


def _path(root, name):
    """A notebook's file, by its name "paper/notebook", or by the notebook's alone where that is unique."""
    folder = root / "notebooks"
    known = {p.relative_to(folder).with_suffix("").as_posix(): p for p in sorted(folder.rglob("*.ipynb"))}
    known = {k: p for k, p in known.items() if ".ipynb_checkpoints" not in k}
    found = [k for k in known if name.removesuffix(".ipynb") in (k, k.split("/")[-1])]
    if len(found) != 1:
        asked = f"there is no notebook {name!r}" if name else "NB names the notebook to run, such as NB=schaipp2025/horizons"
        raise ValueError(f"{asked}; there are {', '.join(known)}")
    return known[found[0]]


def _stamp(root, name):
    return root / "build" / "stamps" / f"{name}.json"


def _cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _text(cell):
    return "".join(cell["source"])


def _bundles(root, name, tag=None):
    """Output data of a notebook's cells, or of those with a tag."""
    for cell in _cells(_path(root, name)):
        if tag is None or tag in cell["metadata"].get("tags", []):
            yield from (output.get("data", {}) for output in cell.get("outputs", []))


# --- the two tables -------------------------------------------------------------------------------------------------


def _tables(root, listed, failed):
    """The two tables that end `make figures`: figures drawn or not and why, and claims."""
    figure_lines, claim_lines, notes, states, verdicts = [], [], [], [], []
    for book in listed["notebooks"]:
        name, stamp = book["name"], _stamp(root, book["name"])
        with_logs = stamp.is_file() and json.loads(stamp.read_text())["logs"]
        kept = [] if with_logs else list(_bundles(root, name, tag="logs"))  # outputs that are as committed
        kept_figures = {bundle[figures.FIGURE]["figure"] for bundle in kept if figures.FIGURE in bundle}
        kept_claims = {bundle[figures.CLAIM]["id"] for bundle in kept if figures.CLAIM in bundle}
        here = drawn(root, name)
        if name in failed:
            notes.append(f"{name} failed: {failed[name]}")
        for f in (f for f in listed["figures"] if f["notebook"] == name):
            if name in failed:
                state = f"not drawn: {name} failed"
            elif f["id"] not in here:
                state = "not drawn: its notebook does not save it" if with_logs else "not drawn: needs the authors' logs"
            else:
                state = "as committed: needs the authors' logs" if f["id"] in kept_figures else "drawn"
            states.append(state)
            figure_lines.append((f["id"], f["number"], state))
        for c in claims(root, name):
            verdicts.append(c["verdict"] + (" (as committed)" if c["id"] in kept_claims else ""))
            compared = f"{c.get('source', 'paper')}: {figures.show(c['paper'])} | here: {figures.show(c['measured'])}"
            claim_lines.append((c["id"], verdicts[-1], compared))
    if any("logs" in state for state in states):
        notes.append(f"figures of the authors' logs: {data.HOW_TO}, then `make figures`")
    total = [f"{states.count('drawn')} of {len(states)} drawn", *notes]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    return "\n  ".join(["\nFigures", *_columns(figure_lines), *total, "\nClaims", *_columns(claim_lines), counts])


def _columns(rows):
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


if __name__ == "__main__":
    sys.exit(main())
