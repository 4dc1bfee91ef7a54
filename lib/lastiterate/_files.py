"""Files that are either the old one or the new one, never a part of it."""

import contextlib
import uuid
from pathlib import Path


@contextlib.contextmanager
def atomic(path):
    """A path beside `path` to write to; put in its place when the block ends, removed when the block fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomic(path, content):
    """Write bytes; an equal file is left untouched."""
    path = Path(path)
    if path.is_file() and path.read_bytes() == content:
        return
    with atomic(path) as partial:
        partial.write_bytes(content)
