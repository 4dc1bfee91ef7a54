"""Files that are either the old one or the new one, never a part of it."""

import contextlib
import glob
import os
import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """A path beside `path` to write to; put in its place when the block ends, removed when the block fails.

    Its name says whose it is, so that `sweep` can remove what a killed process has left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomic(path: str | os.PathLike, content: bytes) -> None:
    """Write bytes; an equal file is left untouched."""
    path = Path(path)
    if path.is_file() and path.read_bytes() == content:
        return
    with atomic(path) as partial:
        partial.write_bytes(content)


def writable(name: str, path: str | os.PathLike) -> Path:
    """A path that a file can be written to, or a ValueError that names the argument."""
    path = Path(path)
    try:
        if path.is_dir():
            raise ValueError(f"{name} must be a file name, got the folder {str(path)[:200]!r}")
        above = next(folder for folder in path.absolute().parents if folder.exists())
        path.exists()
    except OSError as error:  # longer than a file system takes
        raise ValueError(f"{name} must be a file name, got {str(path)[:80]!r}: {error.strerror}") from None
    if "\0" in str(path) or not path.name or not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise ValueError(f"{name} must be in a folder that can be written to, got {str(path)[:200]!r}")
    return path


def sweep(folder: str | os.PathLike, name: str | None = None) -> None:
    """Remove the partial files that killed processes of this machine have left in a folder, of one file or of all."""
    host = re.escape(socket.gethostname())
    for partial in Path(folder).glob(f"{'*' if name is None else glob.escape(name)}.*.partial"):
        found = re.search(rf"\.{host}-(\d+)-[0-9a-f]{{8}}\.partial$", partial.name)
        if found and not alive(int(found[1])):
            partial.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True
