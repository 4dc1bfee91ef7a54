"""Published data: downloaded once from their source, verified, kept in the user's cache folder.

Each source is a public repository at a fixed commit, or a page of fixed files; the files and their hashes stand in
``registry/<source>.csv``, with a commit of its own where a file is in an earlier one alone. Looked for in this order: the folder
named by LASTITERATE_MIRROR, the cache (LASTITERATE_CACHE moves it), the source itself. The images of CIFAR are large, and
downloaded only when they are asked for. This repository's own recorded data (`recorded`) are read where they stand, and are a
source like the others for who has the package alone.
"""

import csv
import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path

from lastiterate import HOME, _check, _files

SOURCES = {  # name: where its files are; licence and what they are
    "schaipp2025": {
        "url": "https://raw.githubusercontent.com/fabian-sp/lr-scheduling/8ace3a327a396fbd4998ff7615d54012eba71573/data/",
        "licence": "MIT",
        "what": "training logs of Schaipp et al. 2025",
    },
    "defazio2023": {
        "url": "https://raw.githubusercontent.com/facebookresearch/adaptive_scheduling/37a8a9ba057089a6cf4937c579cc1764cea14184/",
        "licence": "CC BY-NC 4.0",
        "what": "gradient-norm sequences of Defazio et al. 2023",
    },
    "multipowerlaw2025": {
        "url": "https://raw.githubusercontent.com/thu-yao-01-luo/MultiPowerLaw/8da9f1902602f3391b971a811e3cc51604541769/loss_curve_repo/",
        "licence": "MIT",
        "what": "loss curves of Luo et al. 2025",
    },
    "tinyshakespeare": {
        "url": "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/",
        "licence": "public domain",
        "what": "a text of 1.1 MB to train on",
    },
    "cifar": {
        "url": "https://www.cs.toronto.edu/~kriz/",
        "licence": "none stated",
        "what": "the images of CIFAR-10 and CIFAR-100",
        "on_demand": True,
    },
    "lastiterate": {
        "url": f"{HOME}/raw/v0.1.0/data/",
        "licence": "MIT",
        "what": "this repository's recorded runs and tables",
        "on_demand": True,
    },
}
TIMEOUT = 15  # seconds without an answer after which a download is given up
HOW_TO = "run `make data` (with a network), or set LASTITERATE_MIRROR to a folder that holds the files"


class DataError(OSError):
    """A data file that cannot be had; the message says which, why, and what to do."""


def fetch(source: str, file: str) -> Path:
    """Path of a verified data file, downloaded if need be.

    Args:
        source: a key of SOURCES, such as "schaipp2025".
        file: its name in the registry, such as "grad_norm/….json".

    Returns:
        pathlib.Path, in the mirror or in the cache; its hash is the registry's (a sha256, a git blob's id, or an md5).

    Raises:
        ValueError: for an unknown source or file.
        DataError: where the hash differs, the cache cannot be written, or there is no network. A bad download is deleted.

    Source: the public repositories in SOURCES, each at the commit in its URL.
    """
    known = registry(source)
    if not isinstance(file, str) or file not in known:
        raise ValueError(f"file must be one of the {len(known)} in registry/{source}.csv, got {_check.shown(file)}")
    import pooch
    import requests

    expected = known[file]
    if (mirror := _mirror()) and (path := mirror / source / file).is_file():
        if (found := _digest(path, expected)) != expected:
            raise DataError(_differs(path, expected, found, "replace it, or unset LASTITERATE_MIRROR"))
        return path
    cached, url = cache_folder() / source / file, address(source, file)
    if cached.is_file():
        if _digest(cached, expected) == expected:
            return cached
        cached.unlink()  # damaged: not to stay, whatever comes of the download
    try:
        _files.sweep(cached.parent, cached.name)
        with _files.atomic(cached) as partial:
            pooch.HTTPDownloader(timeout=TIMEOUT)(url, str(partial), None)
            if (found := _digest(partial, expected)) != expected:
                raise DataError(_differs(url, expected, found, "the download was deleted: try again"))
    except DataError:
        raise
    except requests.RequestException as error:
        reason = str(error) if isinstance(error, requests.HTTPError) else f"{type(error).__name__}, is there a network?"
        raise DataError(f"cannot download {url} ({reason}): {HOW_TO}") from None
    except OSError as error:
        raise DataError(
            f"cannot write to the cache folder {cached.parent} ({error.strerror or error}): "
            "make it writable, or set LASTITERATE_CACHE to another folder"
        ) from None
    return cached


def recorded(file: str) -> Path:
    """Path of a file of this repository's folder ``data``: where it stands, or else by verified download.

    Args:
        file: such as "runs/nano.csv" or "convex.csv".

    Returns:
        pathlib.Path.

    Raises:
        ValueError, DataError: as `fetch`.

    >>> recorded("runs/nano.csv").name
    'nano.csv'
    """
    if not isinstance(file, str) or not file:
        raise ValueError(f"file must be text, such as 'runs/nano.csv', got {_check.shown(file)}")
    here = repository()
    return path if here and (path := here / "data" / file).is_file() else fetch("lastiterate", file)


def repository() -> Path | None:
    """Folder of this repository: one above the working directory, or the one that this file is in; None after `pip install` of
    a wheel."""
    return above(Path.cwd()) or above(Path(__file__).resolve())


def above(folder: Path) -> Path | None:
    """The nearest folder from there upwards with a figure manifest, or None."""
    return next((p for p in (folder, *folder.parents) if (p / "figures" / "manifest.yml").is_file()), None)


def fetch_all(source: str, files: Iterable[str] | None = None) -> list[Path]:
    """Fetch many files (all of a source by default) with a progress bar; what is there already is only verified.

    Args, raises: as `fetch`. Stops at the first file that cannot be had; a later call goes on from there.

    Returns:
        List of paths.
    """
    from concurrent.futures import ThreadPoolExecutor

    from tqdm import tqdm

    files = list(registry(source)) if files is None else list(files)
    with ThreadPoolExecutor(8) as pool:
        paths = [pool.submit(fetch, source, file) for file in files]
        try:
            return [path.result() for path in tqdm(paths, desc=source, unit="file", disable=None)]
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the first failure stops the rest
            raise


def missing(source: str) -> list[str]:
    """Files of a source that are neither in the mirror nor in the cache, or differ there from what they should be.

    Returns:
        List of names in the registry.

    Raises:
        DataError: where LASTITERATE_MIRROR names a folder that does not exist.
    """
    folders = [folder / source for folder in (_mirror(), cache_folder()) if folder]

    def there(row):
        path = next((path for folder in folders if (path := folder / row["file"]).is_file()), None)
        return path is not None and _digest(path, row["sha256"]) == row["sha256"]

    return [row["file"] for row in _rows(source) if not there(row)]


def cache_folder() -> Path:
    """Folder in which downloads are kept, as a pathlib.Path: LASTITERATE_CACHE, or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("LASTITERATE_CACHE") or platformdirs.user_cache_dir("lastiterate")).absolute()


def _mirror():
    """The folder that LASTITERATE_MIRROR names, or None where it is not set."""
    mirror = os.environ.get("LASTITERATE_MIRROR")
    if mirror and not Path(mirror).is_dir():
        raise DataError(f"LASTITERATE_MIRROR names {mirror!r}, which is not a folder: correct it, or unset it")
    return Path(mirror).absolute() if mirror else None


def registry(source: str) -> dict[str, str]:
    """{file: hash} of a source: its sha256, or "blob:" and the id that git gives it, or "md5:" and that.

    >>> len(registry("schaipp2025"))
    235
    """
    return {row["file"]: row["sha256"] for row in _rows(_check.choice("source", source, SOURCES))}


def address(source: str, file: str) -> str:
    """Where a file is downloaded from: under the URL of its source, at the file's own commit where the registry names one.

    >>> address("defazio2023", "norm_sequences/gpt.csv").split("/", 5)[5]
    '2a19331cfcf3df32bb8eaec8a6d6117530cfd957/norm_sequences/gpt.csv'
    """
    own = next((row.get("commit") for row in _rows(source) if row["file"] == file), None)
    url = SOURCES[source]["url"]
    return (re.sub(r"/[0-9a-f]{40}/", f"/{own}/", url) if own else url) + file


@functools.cache
def _rows(source):
    with resources.files("lastiterate.logs").joinpath(f"registry/{source}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _digest(path, like):
    """Hash of a file, of the kind of a known one."""
    content = path.read_bytes()
    if like.startswith("blob:"):  # git's: over a header and the content
        return "blob:" + hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if like.startswith("md5:"):
        return "md5:" + hashlib.md5(content).hexdigest()
    return hashlib.sha256(content).hexdigest()


def _differs(where, expected, found, retry):
    return f"{where}: hash differs, expected {expected}, found {found}; {retry}"


def download(progress: Callable[[str], object] = print) -> None:
    """Download every source but those that are fetched on demand, saying first how much it is."""
    for source, about in SOURCES.items():
        if about.get("on_demand"):
            continue
        files = missing(source)
        size = sum(int(row["bytes"] or 2e6) for row in _rows(source) if row["file"] in set(files)) / 1e6
        what = f"{source}: {about['what']} ({about['licence']})"
        progress(f"{what}; {len(files)} of {len(_rows(source))} files to fetch, about {size:.0f} MB")
        fetch_all(source)
        progress(f"{source}: all files are there and verified")


def register() -> int:
    """Write the hashes of this repository's folder ``data`` anew, after a run or a table was recorded; returns how many files.

    Raises:
        ValueError: outside a clone of the repository.
    """
    root = repository()
    if root is None:
        raise ValueError(f"the working directory must be in a clone of the repository, got {str(Path.cwd())!r}")
    folder = root / "data"
    files = sorted(path for suffix in ("csv", "parquet") for path in folder.rglob(f"*.{suffix}"))
    rows = [f"{p.relative_to(folder).as_posix()},{hashlib.sha256(p.read_bytes()).hexdigest()},{p.stat().st_size}" for p in files]
    registry_file = root / "lib" / "lastiterate" / "logs" / "registry" / "lastiterate.csv"
    _files.write_atomic(registry_file, ("\n".join(["file,sha256,bytes", *rows]) + "\n").encode())
    _rows.cache_clear()
    return len(rows)
