"""Published data, and the corpora that models are trained on.

**Published data** are downloaded once from their source, verified, kept in the user's cache folder. Each source is a public
repository at a fixed commit, or a page of fixed files; the files and their hashes stand in ``registry/<source>.csv``. Looked
for in this order: the folder named by LASTITERATE_MIRROR, the cache (LASTITERATE_CACHE moves it), the source itself. The
images (`cifar`) are large, and downloaded only when they are asked for.

**Corpora** are arrays of tokens: the Python code of pinned packages ("python", needs no network), Tiny Shakespeare, any
text file (all three with bytes as tokens), or a folder of tokens that `tokenize` made of a Hugging Face data set.

    python -m lastiterate.data                                              # download everything ahead, with progress
    python -m lastiterate.data tokenize fineweb-edu FOLDER --tokens 1e9     # needs: pip install "lastiterate[corpora]"
"""

import argparse
import csv
import functools
import hashlib
import importlib.metadata
import json
import os
import pickle
import sys
import tarfile
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lastiterate import _check
from lastiterate._files import write_atomic

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
}
PYTHON = {  # the corpus "python": pure-Python packages that every installation has, the same files on every platform
    "packages": "fsspec Jinja2 joblib mpmath networkx packaging PEPit platformdirs pooch pyparsing requests seaborn sympy tqdm",
    "sha256": "8ffb790b08c2d04de386d81565252e153343d53a74874179a3370085e896fd3d",
}
MAX_FILE = 100_000  # bytes; longer files are tables rather than code
VAL_SHARE = 0.05  # of a text corpus, split by file where it has files
HUB = {  # Hugging Face data sets by short names: (path, configuration)
    "slimpajama-6b": ("DKYoon/SlimPajama-6B", None),
    "fineweb-edu": ("HuggingFaceFW/fineweb-edu", "sample-10BT"),
    "openwebtext": ("Skylion007/openwebtext", None),
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
        pathlib.Path, in the mirror or in the cache; its hash is the registry's (a sha256, a git blob's id, or an md5).

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

    expected = known[file]
    if (mirror := _mirror()) and (path := mirror / source / file).is_file():
        if (found := _digest(path, expected)) != expected:
            raise DataError(_differs(path, expected, found, "replace it, or unset LASTITERATE_MIRROR"))
        return path
    cached, url = cache_folder() / source / file, SOURCES[source]["url"] + file
    if cached.is_file():
        if _digest(cached, expected) == expected:
            return cached
        cached.unlink()  # damaged: not to stay, whatever comes of the download
    pooch.get_logger().setLevel("ERROR")  # it asks for the sha256 that it is not given here
    try:
        pooch.retrieve(url, None, cached.name, cached.parent, downloader=pooch.HTTPDownloader(timeout=TIMEOUT))
    except requests.RequestException as error:
        reason = str(error) if isinstance(error, requests.HTTPError) else f"{type(error).__name__}, is there a network?"
        raise DataError(f"cannot download {url} ({reason}): {HOW_TO}") from None
    except OSError as error:
        raise DataError(
            f"cannot write to the cache folder {cached.parent} ({error.strerror or error}): "
            "make it writable, or set LASTITERATE_CACHE to another folder"
        ) from None
    if (found := _digest(cached, expected)) != expected:
        cached.unlink()
        raise DataError(_differs(url, expected, found, "the download was deleted: try again"))
    return cached


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
        return path is not None and _digest(path, row["sha256"]) == row["sha256"]

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
    """{file: hash} of a source: its sha256, or "blob:" and the id that git gives it, or "md5:" and that.

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


# --- images ---------------------------------------------------------------------------------------------------------


@functools.cache
def cifar(classes=10):
    """CIFAR-10 or CIFAR-100, downloaded when it is first asked for (170 MB).

    Args:
        classes: 10 or 100.

    Returns:
        ((images, labels), (images, labels)): 50,000 to train on and 10,000 to test on; uint8 of shape (n, 3, 32, 32), int64.

    Raises:
        ValueError: for another number of classes.
        DataError: as `fetch`.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    if classes not in (10, 100):
        raise ValueError(f"classes must be 10 or 100, got {classes!r}")
    parts = {
        10: ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"], b"labels"),
        100: (["train"], ["test"], b"fine_labels"),
    }
    *members, key = parts[classes]
    with tarfile.open(fetch("cifar", f"cifar-{classes}-python.tar.gz")) as tar:
        inside = {Path(member.name).name: member for member in tar.getmembers() if member.isfile()}

        def read(names):
            found = [pickle.load(tar.extractfile(inside[name]), encoding="bytes") for name in names]  # content was verified
            images = np.concatenate([part[b"data"] for part in found]).reshape(-1, 3, 32, 32)
            return images, np.concatenate([part[key] for part in found]).astype(np.int64)

        return read(members[0]), read(members[1])


# --- corpora --------------------------------------------------------------------------------------------------------


class Corpus(NamedTuple):
    """Tokens to train on and to validate on, each a list of 1-D integer arrays (shards), and what they are."""

    name: str
    train: list
    val: list
    vocabulary: int
    sha256: str  # of all tokens


@functools.cache
def corpus(name="python"):
    """A corpus by its name.

    Args:
        name: "python", the Python code of the pinned pure-Python packages in PYTHON, read where they are installed: bytes
            as tokens, files sorted and split by file, duplicates and long files dropped; "shakespeare", Tiny Shakespeare,
            downloaded; a text file's path, whose last 5 % are for validation; or a folder that `tokenize` made.

    Returns:
        Corpus.

    Raises:
        ValueError: for another name, or a text too short to split.
        DataError: where the installed packages are not the pinned ones, or a token file has not the length that was written.

    Source: this project, for experiments that need no download.

    >>> python = corpus("python")
    >>> sum(map(len, python.train)) > 20_000_000
    True
    >>> bytes(python.train[0][:28]).decode()
    'from .block_partition import'
    """
    if name == "python":
        return _python_corpus()
    if name == "shakespeare":
        return _text_corpus(name, fetch("tinyshakespeare", "input.txt").read_bytes())
    path = Path(name)
    if path.is_dir() and (path / "corpus.json").is_file():
        return _token_corpus(path)
    if path.is_file():
        return _text_corpus(str(name), path.read_bytes())
    raise ValueError(f"corpus must be 'python', 'shakespeare', a text file, or a folder made by `tokenize`, got {name!r}")


def tokenize(documents, folder, encoding="gpt2", tokens=None, shard_tokens=100_000_000, about=""):
    """Write documents as token files of a fixed size, with progress; called again, it goes on where it was stopped.

        folder/shard-00000.bin (validation), shard-00001.bin, …   uint16 or uint32 tokens;   folder/corpus.json

    Each document is followed by the encoding's end-of-text token. A shard holds whole documents.

    Args:
        documents: iterable of strings, the same at each call; one with a method `skip(n)`, as streamed Hugging Face data
            sets have, is resumed without reading what was done.
        folder: where to write.
        encoding: name of a tiktoken encoding, or a tiktoken.Encoding.
        tokens: stop after about so many; all by default.
        shard_tokens: length of a shard, but the first, for validation, has a tenth of that or of the budget, or of all.
        about: what the documents are, kept in corpus.json.

    Returns:
        Number of tokens in the folder.

    Raises:
        ValueError: on a bad argument, or a folder that holds tokens of something else.

    Source: this project.
    """
    import tiktoken
    from tqdm import tqdm

    shard_tokens = _check.integer("shard_tokens", shard_tokens)
    limit = np.inf if tokens is None else _check.real("tokens", tokens, 1)
    encoder = tiktoken.get_encoding(encoding) if isinstance(encoding, str) else encoding
    folder = Path(folder)
    dtype = "uint16" if encoder.n_vocab <= 2**16 else "uint32"
    kind = {"encoding": encoder.name, "vocabulary": encoder.n_vocab, "dtype": dtype, "about": about}
    index = {**kind, "documents": 0, "complete": False, "shards": []}
    if (folder / "corpus.json").is_file():
        index = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        if different := [key for key in kind if index[key] != kind[key]]:
            raise ValueError(f"folder {folder} holds tokens with {different[0]} {index[different[0]]!r}: name another one")
    total, done = sum(shard["tokens"] for shard in index["shards"]), index["documents"]
    rest = documents.skip(done) if hasattr(documents, "skip") else (d for i, d in enumerate(documents) if i >= done)

    def close(part, complete):
        if part:
            file, flat = f"shard-{len(index['shards']):05d}.bin", np.concatenate(part)
            write_atomic(folder / file, flat.tobytes())
            index["shards"].append({"file": file, "tokens": flat.size, "sha256": hashlib.sha256(flat.tobytes()).hexdigest()})
        index.update(documents=done, complete=complete)
        write_atomic(folder / "corpus.json", (json.dumps(index, indent=1) + "\n").encode())

    part, size = [], 0
    with tqdm(total=None if limit == np.inf else int(limit), initial=total, unit="token", unit_scale=True, disable=None) as bar:
        for document in rest if total < limit and not index["complete"] else ():
            text = document if isinstance(document, str) else document["text"]
            part.append(np.array([*encoder.encode_ordinary(text), encoder.eot_token], dtype=dtype))
            size, done = size + part[-1].size, done + 1
            bar.update(part[-1].size)
            if total + size >= limit:
                break
            if size >= (shard_tokens if index["shards"] else max(1, min(shard_tokens, limit) // 10)):
                close(part, complete=False)
                total, part, size = total + size, [], 0
    if not index["complete"]:
        if not index["shards"] and len(part) > 1:  # so few that all of it would be for validation
            head, end = -(-len(part) // 10), done
            done = end - (len(part) - head)
            close(part[:head], complete=False)
            part, done = part[head:], end
        close(part, complete=total + size < limit)
    return sum(shard["tokens"] for shard in index["shards"])


def hub(name, split="train", revision=None):
    """Documents of a Hugging Face data set, streamed, for `tokenize`.

    Args:
        name: a key of HUB, or "path" or "path:configuration" on the hub (or what `datasets.load_dataset` takes locally).
        split: split of the data set.
        revision: commit of the data set on the hub, so that a later call goes on with the same documents.

    Returns:
        datasets.IterableDataset whose rows have a column "text".

    Raises:
        ValueError: where the data set has no column "text" (its columns are listed).
        DataError: where `datasets` is not installed, or the data set cannot be had.

    Source: the data sets named in HUB; SlimPajama-6B and OpenWebText2 are those of Schaipp et al. 2025.
    """
    try:
        import datasets
    except ImportError:
        raise DataError('tokenizing needs two more packages: pip install "lastiterate[corpora]"') from None
    path, configuration = HUB.get(name) or name.partition(":")[::2]
    try:
        found = datasets.load_dataset(path, configuration or None, split=split, revision=revision, streaming=True)
    except Exception as error:  # the hub's own errors are of many kinds
        raise DataError(f"cannot load data set {name!r}: {type(error).__name__}: {error}") from None
    if found.column_names is not None and "text" not in found.column_names:
        raise ValueError(f"data set {name!r} has no column 'text'; it has {', '.join(found.column_names)}")
    return found


def _python_corpus():
    packages, files, seen = PYTHON["packages"].split(), {}, set()
    for package in packages:
        try:
            listed = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            listed = []
        for file in listed:
            if file.suffix == ".py" and ".." not in file.parts:
                text = file.locate().read_bytes()
                digest = hashlib.sha256(text).digest()
                if text.strip() and len(text) <= MAX_FILE and digest not in seen:
                    seen.add(digest)
                    files[file.as_posix()] = text
    parts = {True: [], False: []}
    for name in sorted(files):  # a file is for validation by a hash of its name, so that other files do not move it
        val = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 1000 < 1000 * VAL_SHARE
        parts[val].append(files[name] + b"\0")
    train, val = (b"".join(parts[which]) for which in (False, True))
    found = hashlib.sha256(train + val).hexdigest()
    if found != PYTHON["sha256"]:
        raise DataError(
            f"corpus 'python': sha256 differs, expected {PYTHON['sha256']}, found {found}: it is made of the packages "
            f"{', '.join(packages)} at the versions of requirements.lock, and others are installed. "
            "Use the environment of `make env`, or name a text file as corpus"
        )
    return Corpus("python", [np.frombuffer(train, np.uint8)], [np.frombuffer(val, np.uint8)], 256, found)


def _text_corpus(name, text):
    cut = int(len(text) * (1 - VAL_SHARE))
    if cut < 2 or len(text) - cut < 2:
        raise ValueError(f"corpus {name} is too short to train on: {len(text)} bytes")
    train, val = np.frombuffer(text[:cut], np.uint8), np.frombuffer(text[cut:], np.uint8)
    return Corpus(name, [train], [val], 256, hashlib.sha256(text).hexdigest())


def _token_corpus(folder):
    index = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    if len(index["shards"]) < 2:
        raise DataError(f"{folder} has no shard to train on yet: run `tokenize` again")
    shards = []
    for shard in index["shards"]:  # sizes only: hashing gigabytes at each start would take minutes
        path = folder / shard["file"]
        if not path.is_file() or path.stat().st_size != shard["tokens"] * np.dtype(index["dtype"]).itemsize:
            raise DataError(
                f"{path} is not what was written ({shard['tokens']} tokens): delete {folder} and run `tokenize` again"
            )
        shards.append(np.memmap(path, dtype=index["dtype"], mode="r"))
    digest = hashlib.sha256("".join(shard["sha256"] for shard in index["shards"]).encode()).hexdigest()
    return Corpus(str(folder), shards[1:], shards[:1], index["vocabulary"], digest)


def main(argv=None):
    """Download every source but the images, saying first how much it is; or tokenize a data set."""
    parser = argparse.ArgumentParser(prog="python -m lastiterate.data", description=main.__doc__)
    command = parser.add_subparsers(dest="command").add_parser(
        "tokenize", help="tokens of a Hugging Face data set, into a folder"
    )
    command.add_argument("dataset", help=f"{', '.join(HUB)}, or path:configuration on the hub")
    command.add_argument("folder")
    command.add_argument("--revision", help="commit of the data set on the hub")
    command.add_argument("--encoding", default="gpt2", help="a tiktoken encoding")
    command.add_argument("--tokens", type=float, help="stop after about so many")
    command.add_argument("--shard-tokens", type=int, default=100_000_000)
    args = parser.parse_args(argv)
    try:
        if args.command == "tokenize":
            n = tokenize(
                hub(args.dataset, revision=args.revision),
                args.folder,
                args.encoding,
                args.tokens,
                args.shard_tokens,
                about=f"{args.dataset} {args.revision or ''}".strip(),
            )
            print(f"{n:,} tokens in {args.folder}: train with --corpus {args.folder}")
        else:
            _download_all()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def _download_all():
    for source, about in SOURCES.items():
        if about.get("on_demand"):
            continue
        files = missing(source)
        size = sum(int(row["bytes"] or 2e6) for row in _rows(source) if row["file"] in set(files)) / 1e6
        what = f"{source}: {about['what']} ({about['licence']})"
        print(f"{what}; {len(files)} of {len(_rows(source))} files to fetch, about {size:.0f} MB")
        fetch_all(source)
        print(f"{source}: all files are there and verified")


if __name__ == "__main__":
    main()
