"""Run the notebooks: all whose inputs changed (`make figures`), or one with other parameters (`make notebook`).

Cells tagged `logs` need the authors' logs: where those cannot be had the cells are left out and keep their committed outputs.
What is written into the repository has no times, paths or machine names in it.
"""

import ast
import concurrent.futures
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from lastiterate import _processes
from lastiterate._files import sweep, write_atomic
from lastiterate.companion import dependencies, evidence, front, manifest, outputs, report
from lastiterate.logs import published, sequences

MPL_RUNS = ("cosine_24000", "constant_24000", "wsdcon_9", "wsd_20000_24000", "wsdld_20000_24000", "cosine_72000")
NEEDS = {  # files that the cells tagged `logs` need, by the notebook's folder, a source of `data`; None: all of that source
    "schaipp2025": None,
    "defazio2023": [sequences.SEQUENCES[name].file for name in (*sequences.TASKS, "roberta_l2", "vit_l2", "rcnn_earlier")],
    "multipowerlaw2025": [f"csv_{size}/{run}.csv" for size in (100, 400) for run in MPL_RUNS],
}
SOURCES_OF = {"laws": ("multipowerlaw2025", "schaipp2025")}  # of folders that are not named after their only source
WORKERS = 2
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

SAME_BYTES = {  # so that float32 training depends on the processor as little as can be: one thread, nothing beyond AVX2
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
}


def make_figures(root: Path) -> int:
    """Run what changed, two notebooks at a time, refresh gallery and claims, print both tables. Returns the exit status."""
    listed = manifest.read(root)
    for folder in ("figures", "notebooks", "build"):  # what a killed run may have left
        for part in (root / folder, *(root / folder).rglob("*/")):
            sweep(part)
    there = {source: not _missing(source) for source in NEEDS}

    def here(name):
        return all(there[source] for source in _sources(name))

    books = {book["name"]: book for book in listed["notebooks"]}

    def changed():
        return [name for name in books if not dependencies.up_to_date(root, name, listed, here(name))]

    stale = changed()
    for source in {source for name in stale if dependencies.has_logs_cells(root, name) for source in _sources(name)}:
        there[source] = there[source] or _try_download(source)
    failed = {}
    if stale:
        seconds = sum(books[name]["seconds"] for name in stale) / min(WORKERS, len(stale))
        print(f"{len(stale)} of {len(books)} notebooks to run, {WORKERS} at a time: about {seconds + 3:.0f} s", flush=True)
        failed = _run_all(root, stale, {name: here(name) for name in stale})
    records, shipped = report.all_claims(root, listed), root / "lib" / "lastiterate" / "cli" / "evidence.json"
    if not shipped.is_file() or shipped.read_text(encoding="utf-8") != evidence.file(records):
        write_atomic(shipped, evidence.file(records).encode())
        if stale := [name for name in changed() if name not in failed]:  # those that run commands, which print it
            failed |= _run_all(root, stale, {name: here(name) for name in stale})
            records = report.all_claims(root, listed)
    if front.inputs(root):
        write_atomic(root / "figures" / "front.svg", front.picture(root).encode())
    write_atomic(root / "figures" / "README.md", manifest.gallery(listed).encode())
    write_atomic(root / "figures" / "claims.json", report.claims_file(records).encode())
    write_atomic(root / "figures" / "CLAIMS.md", report.claims_page(listed, records).encode())
    print(report.tables(root, listed, failed))
    return 1 if failed else 0


def run(root: Path, name: str, assignments: list[str]) -> int:
    """Run one notebook with other parameters into build/<name>.ipynb, its figures into build/figures. Returns 0."""
    path = dependencies.find(root, name)
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
    needed = _sources(name) if dependencies.has_logs_cells(root, name) else ()
    with_logs = all(not _missing(source) or _try_download(source) for source in needed)
    print(f"{name} with {parameters or 'its own parameters'} -> {out.relative_to(root)}", flush=True)
    _execute(path, out, parameters, with_logs, root / "build" / "figures", progress_bar=True)
    print(f"done: {out.relative_to(root)}, figures in build/figures/")
    return 0


def parameters_of(path: Path) -> dict[str, tuple]:
    """{name: (default, comment)} of a notebook's parameters cell."""
    code = next("".join(cell["source"]) for cell in outputs.cells(path) if "parameters" in cell["metadata"].get("tags", []))
    namespace, known = {}, {}
    exec(code, namespace)
    for node in ast.parse(code).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            comment = code.splitlines()[(node.end_lineno or 1) - 1].encode()[node.end_col_offset :].decode()
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


def refresh(root: Path, name: str, with_logs: bool, progress: bool = False) -> int:
    """Run one notebook with its own parameters, its figures into figures/, and renew its outputs in place. Returns 0."""
    path = dependencies.find(root, name)
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
    write_atomic(path, text.encode())
    return 0


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
        **SAME_BYTES,
    )

    def tell(cell, cell_index, **_):
        print(f"cell {cell_index + 1} of {len(notebook.cells)}", flush=True)

    logging.getLogger("papermill").setLevel("ERROR")  # it guesses at parameters from the cell's text; `run` has checked them
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hook = {"on_cell_start": tell} if report else {}
        options = {"kernel_name": "python3", "cwd": str(path.parent), "progress_bar": progress_bar}
        try:
            paths = (str(file).replace("{", "{{").replace("}", "}}") for file in (source, out))  # papermill formats them
            return papermill.execute_notebook(*paths, parameters, **options, **hook)
        except papermill.PapermillExecutionError as error:
            source_line = error.source.strip().splitlines()[0] if error.source.strip() else ""
            raise ValueError(f"{path.stem}: {error.ename}: {error.evalue} (cell {source_line!r}; see {out})") from None
        finally:
            source.unlink(missing_ok=True)
            _processes.kill_children()  # a kernel, where this was interrupted
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

    signatures = {name: dependencies.signature(root, name) for name in names}  # not in the threads: ast.parse is not safe in them
    environment = os.environ | {_processes.PARENT: str(os.getpid())}
    running = set()

    def one(name):
        start, before = time.monotonic(), signatures[name]
        bars[name].reset()
        command = [sys.executable, "-m", "lastiterate", "figures", "--only", name]
        command += [] if with_logs[name] else ["--without-logs"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=root, env=environment, **pipes) as process:
            running.add(process)
            with concurrent.futures.ThreadPoolExecutor(1) as reader:
                assert process.stdout and process.stderr
                errors = reader.submit(process.stderr.read)
                for line in process.stdout:
                    if line.startswith("cell "):
                        _, done, _, bars[name].total = (int(w) if w.isdigit() else w for w in line.split())
                        bars[name].n = done
                        bars[name].refresh()
        running.discard(process)
        error = None if process.returncode == 0 else errors.result().strip().splitlines()[-1:] or ["stopped"]
        if error is None:
            path = dependencies.find(root, name)
            before[str(path.relative_to(root))] = path.stat().st_mtime_ns
            dependencies.note(root, name, before, with_logs[name])
        if bars[name].disable:
            print(f"{name:<32} {'done' if error is None else 'FAILED'} in {time.monotonic() - start:.0f} s", flush=True)
        return name, error

    pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
    try:
        results = dict(pool.map(one, names))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running):
            process.terminate()
        raise
    finally:
        pool.shutdown()
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


def _sources(name):
    """The sources that a notebook's `logs` cells need: those of its folder, or the first where it has none."""
    folder = name.partition("/")[0]
    return SOURCES_OF.get(folder, (folder if folder in NEEDS else next(iter(NEEDS)),))


def _missing(source):
    """Files that a paper's `logs` cells need and that are not here."""
    return [file for file in published.missing(source) if NEEDS[source] is None or file in NEEDS[source]]


def _try_download(source):
    try:
        published.fetch_all(source, NEEDS[source])
    except published.DataError as error:
        print(f"without the authors' logs: {error}", flush=True)
        return False
    return True
