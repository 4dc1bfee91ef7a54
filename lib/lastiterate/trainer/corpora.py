"""The corpora that models are trained on: arrays of tokens.

The Python code of pinned packages ("python", needs no network), Tiny Shakespeare, any text file (all three with bytes as tokens),
or a folder of tokens that `tokenize` made of a Hugging Face data set.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lastiterate import _check, _extras
from lastiterate._files import write_atomic
from lastiterate.logs.published import DataError, fetch

PYTHON = {  # the corpus "python": pure-Python packages that every installation has, the same files on every platform
    "packages": "fsspec Jinja2 joblib mpmath networkx packaging PEPit platformdirs pooch pyparsing requests seaborn sympy tqdm",
    "sha256": "8ffb790b08c2d04de386d81565252e153343d53a74874179a3370085e896fd3d",
}
MAX_FILE = 100_000  # bytes; longer files are tables rather than code
INDEX = "corpus.json"  # of a folder of tokens
VAL_SHARE = 0.05  # of a text corpus, split by file where it has files
HUB = {  # Hugging Face data sets by short names: (path, configuration)
    "slimpajama-6b": ("DKYoon/SlimPajama-6B", None),
    "fineweb-edu": ("HuggingFaceFW/fineweb-edu", "sample-10BT"),
    "openwebtext": ("Skylion007/openwebtext", None),
}


class Corpus(NamedTuple):
    """Tokens to train on and to validate on, each a list of 1-D integer arrays (shards), and what they are."""

    name: str
    train: list
    val: list
    vocabulary: int
    sha256: str  # of all tokens


def corpus(name: str | os.PathLike = "python") -> Corpus:
    """A corpus by its name.

    Args:
        name: "python", the Python code of the pinned pure-Python packages in PYTHON, read where they are installed: bytes
            as tokens, files sorted and split by file, duplicates and long files dropped; "shakespeare", Tiny Shakespeare,
            downloaded; a text file's path, whose last 5 % are for validation; or a folder that `tokenize` made.

    Returns:
        Corpus.

    Raises:
        ValueError: for another name, or a text too short to split.
        DataError: where the installed packages are not the pinned ones, or a folder is not as `tokenize` has written it.

    Source: this project, for experiments that need no download.

    >>> python = corpus("python")
    >>> sum(map(len, python.train)) > 20_000_000
    True
    >>> bytes(python.train[0][:28]).decode()
    'from .block_partition import'
    """
    if isinstance(name, str | os.PathLike) and isinstance(os.fspath(name), str) and (found := _corpus(os.fspath(name))):
        return found
    raise ValueError(
        f"corpus must be 'python', 'shakespeare', a text file, or a folder made by `tokenize`, got {_check.shown(name)}"
    )


@functools.cache
def _corpus(name):
    if name == "python":
        return _python_corpus()
    if name == "shakespeare":
        return _text_corpus(name, fetch("tinyshakespeare", "input.txt").read_bytes())
    path = Path(name)
    try:
        folder, file = path.is_dir() and (path / INDEX).is_file(), path.is_file()
    except (OSError, ValueError):  # longer than a file system takes, or a NUL in it
        return None
    return _token_corpus(path) if folder else _text_corpus(name, path.read_bytes()) if file else None


def tokenize(
    documents: Any,
    folder: str | os.PathLike,
    encoding: Any = "gpt2",
    tokens: float | None = None,
    shard_tokens: int = 100_000_000,
    about: str = "",
) -> int:
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
    folder, limit, shard_tokens = tokenized(folder, encoding, tokens, shard_tokens)
    _extras.require("tqdm", "train")
    import tiktoken
    from tqdm import tqdm

    encoder = tiktoken.get_encoding(encoding) if isinstance(encoding, str) else encoding
    dtype = "uint16" if encoder.n_vocab <= 2**16 else "uint32"
    kind = {"encoding": encoder.name, "vocabulary": encoder.n_vocab, "dtype": dtype, "about": about}
    index = {**kind, "documents": 0, "complete": False, "shards": []}
    if (folder / INDEX).is_file():
        index = _index(folder)
        if different := [key for key in kind if index.get(key) != kind[key]]:
            raise ValueError(f"folder {folder} holds tokens with {different[0]} {index.get(different[0])!r}: name another one")
    total, done = sum(shard["tokens"] for shard in index["shards"]), index["documents"]
    rest = documents.skip(done) if hasattr(documents, "skip") else (d for i, d in enumerate(documents) if i >= done)

    def close(part, complete):
        if part:
            file, flat = f"shard-{len(index['shards']):05d}.bin", np.concatenate(part)
            write_atomic(folder / file, flat.tobytes())
            index["shards"].append({"file": file, "tokens": flat.size, "sha256": hashlib.sha256(flat.tobytes()).hexdigest()})
        index.update(documents=done, complete=complete)
        write_atomic(folder / INDEX, (json.dumps(index, indent=1) + "\n").encode())

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


def tokenized(folder: Any, encoding: Any, tokens: Any, shard_tokens: Any) -> tuple[Path, float, int]:
    """(folder, tokens to stop after, length of a shard) of `tokenize`, checked before any document is read."""
    limit = np.inf if tokens is None else _check.real("tokens", tokens, 1)
    shard_tokens, folder = _check.integer("shard_tokens", shard_tokens), _check.path("folder", folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder must be a folder, got the file {str(folder)!r}")
    tiktoken = _extras.require("tiktoken", "corpora")
    if not isinstance(encoding, tiktoken.Encoding):
        _check.choice("encoding", encoding, tiktoken.list_encoding_names())
    return folder, limit, shard_tokens


def hub(name: str, split: str = "train", revision: str | None = None) -> Any:
    """Documents of a Hugging Face data set, streamed, for `tokenize`.

    Args:
        name: a key of HUB, or "path" or "path:configuration" on the hub (or what `datasets.load_dataset` takes locally).
        split: split of the data set.
        revision: commit of the data set on the hub, so that a later call goes on with the same documents.

    Returns:
        datasets.IterableDataset whose rows have a column "text".

    Raises:
        ValueError: where the data set has no column "text" (its columns are listed).
        DataError: where the data set cannot be had.

    Source: the data sets named in HUB; SlimPajama-6B and OpenWebText2 are those of Schaipp et al. 2025.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"name must be that of a data set, such as {next(iter(HUB))!r}, got {_check.shown(name)}")
    _extras.require("datasets", "corpora")
    import datasets

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
                text = Path(str(file.locate())).read_bytes()
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
    index = _index(folder)
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


def _index(folder):
    """What `tokenize` has written beside the tokens of a folder."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        about = isinstance(index["documents"], int), isinstance(index["complete"], bool), isinstance(index["shards"], list)
        good = all(about) and index["dtype"] in ("uint16", "uint32") and 0 < int(index["vocabulary"]) <= 2**32
        for shard in index["shards"]:
            good &= bool(re.fullmatch(r"shard-\d{5,}\.bin", shard["file"]) and re.fullmatch("[0-9a-f]{64}", shard["sha256"]))
            good &= isinstance(shard["tokens"], int) and shard["tokens"] > 0
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        good = False
    if not good:
        raise DataError(
            f"{folder / INDEX} is not as `tokenize` writes it: name another folder, or delete this one and tokenize again"
        )
    return index
