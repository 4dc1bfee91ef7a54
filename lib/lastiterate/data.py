"""Published data: downloaded once from its source, verified by sha256, kept in the user's cache folder.

Each source is a public repository at a fixed commit; its files and their hashes stand in ``registry/<source>.csv``. Looked
for in this order: the folder named by LASTITERATE_MIRROR, the cache (LASTITERATE_CACHE moves it), the source itself.

    python -m lastiterate.data              # download everything ahead, with progress
"""

import csv
import functools
import hashlib
import os
import sys
from importlib import resources
from pathlib import Path

SOURCES = {  # name: where its files are; licence and what they are
    "schaipp2025": {
        "url": "https://raw.githubusercontent.com/fabian-sp/lr-scheduling/8ace3a327a396fbd4998ff7615d54012eba71573/data/",
        "licence": "MIT",
        "what": "training logs of Schaipp et al. 2025",
    },
}
TIMEOUT = 15  # seconds without an answer after which a download is given up
HOW_TO = "run `make data` (with a network), or set LASTITERATE_MIRROR to a folder that holds the files"


class DataError(OSError):
    """A data file that cannot be had; the message says which, why, and what to do."""


def fetch(source, file):
    """Path of a verified data file, downloaded if need be.

    Args:
        source: a key of SOURCES, such as "schaipp2025".
        file: its name in the registry, such as "grad_norm/….json".

    Returns:
        pathlib.Path, in the mirror or in the cache; its sha256 is the registry's.

    Raises:
        ValueError: for an unknown source or file.
        DataError: where the hash differs, the cache cannot be written, or there is no network. A bad download is deleted.

    Source: the public repositories in SOURCES, each at the commit in its URL.
    """
    known = registry(source)
    if file not in known:
        raise ValueError(f"file must be one of the {len(known)} in registry/{source}.csv, got {file!r}")
    import pooch
    import requests

    if (mirror := _mirror()) and (path := mirror / source / file).is_file():
        if (found := pooch.file_hash(path)) != known[file]:
            raise DataError(_differs(path, known[file], found, "replace it, or unset LASTITERATE_MIRROR"))
        return path
    if (cached := cache_folder() / source / file).is_file() and pooch.file_hash(cached) != known[file]:
        cached.unlink()  # damaged: not to stay, whatever comes of the download
    cache = pooch.create(cache_folder() / source, SOURCES[source]["url"], registry=known)
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(cache.fetch(file, downloader=pooch.HTTPDownloader(timeout=TIMEOUT)))
    except ValueError as error:  # pooch's word for a hash that differs, after it has deleted the download
        found = str(error).partition("but got ")[2].partition(".")[0]
        raise DataError(_differs(cache.get_url(file), known[file], found, "the download was deleted: try again")) from None
    except requests.RequestException as error:
        reason = str(error) if isinstance(error, requests.HTTPError) else f"{type(error).__name__}, is there a network?"
        raise DataError(f"cannot download {cache.get_url(file)} ({reason}): {HOW_TO}") from None
    except OSError as error:
        raise DataError(
            f"cannot write to the cache folder {cache.path} ({error.strerror or error}): "
            "make it writable, or set LASTITERATE_CACHE to another folder"
        ) from None


def fetch_all(source, files=None):
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


def missing(source):
    """Files of a source that are neither in the mirror nor in the cache, or differ there from what they should be.

    Returns:
        List of names in the registry.

    Raises:
        DataError: where LASTITERATE_MIRROR names a folder that does not exist.
    """
    folders = [folder / source for folder in (_mirror(), cache_folder()) if folder]

    def there(row):
        path = next((path for folder in folders if (path := folder / row["file"]).is_file()), None)
        return path is not None and hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]

    return [row["file"] for row in _rows(source) if not there(row)]


def cache_folder():
    """Folder in which downloads are kept, as a pathlib.Path: LASTITERATE_CACHE, or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("LASTITERATE_CACHE") or platformdirs.user_cache_dir("lastiterate")).absolute()


def _mirror():
    """The folder that LASTITERATE_MIRROR names, or None where it is not set."""
    mirror = os.environ.get("LASTITERATE_MIRROR")
    if mirror and not Path(mirror).is_dir():
        raise DataError(f"LASTITERATE_MIRROR names {mirror!r}, which is not a folder: correct it, or unset it")
    return Path(mirror).absolute() if mirror else None


def registry(source):
    """{file: sha256} of a source.

    >>> len(registry("schaipp2025"))
    235
    """
    return {row["file"]: row["sha256"] for row in _rows(source)}


@functools.cache
def _rows(source):
    if source not in SOURCES:
        raise ValueError(f"source must be one of {', '.join(map(repr, SOURCES))}, got {source!r}")
    with resources.files("lastiterate").joinpath(f"registry/{source}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _differs(where, expected, found, retry):
    return f"{where}: sha256 differs, expected {expected}, found {found or 'another'}; {retry}"


def main():
    """Download every source, saying first how much it is."""
    for source, about in SOURCES.items():
        files = missing(source)
        size = sum(int(row["bytes"]) for row in _rows(source) if row["file"] in set(files)) / 1e6
        print(
            f"{source}: {about['what']} ({about['licence']}); {len(files)} of {len(_rows(source))} files to fetch, {size:.0f} MB"
        )
        try:
            fetch_all(source)
        except DataError as error:
            sys.exit(f"error: {error}")
        print(f"{source}: all files are there and verified")


if __name__ == "__main__":
    main()
