import hashlib
import http.server
import threading
from functools import partial

import pytest

from lastiterate import data

CONTENT = b'{"a": 1}\n' * 1000


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A source on this machine with one file, an empty cache, and no mirror; returns the folder that is served."""
    served = tmp_path / "served"
    served.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    monkeypatch.setattr(data, "SOURCES", {"test": {"url": url, "licence": "MIT", "what": "a test"}})
    rows = [{"file": "sub/log.json", "bytes": str(len(CONTENT)), "sha256": hashlib.sha256(CONTENT).hexdigest()}]
    monkeypatch.setattr(data, "_rows", lambda _: rows)
    monkeypatch.setenv("LASTITERATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LASTITERATE_MIRROR", raising=False)
    (served / "sub").mkdir()
    (served / "sub" / "log.json").write_bytes(CONTENT)
    yield served
    server.shutdown()
    server.server_close()


def test_download_once_then_from_the_cache(source):
    assert data.missing("test") == ["sub/log.json"]
    path = data.fetch("test", "sub/log.json")
    assert path.read_bytes() == CONTENT
    assert data.missing("test") == []
    (source / "sub" / "log.json").unlink()
    assert data.fetch_all("test") == [path]


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b.replace(b"1", b"2", 1), lambda b: b""])
def test_bad_download_is_refused_and_not_kept(source, tmp_path, damage):
    (source / "sub" / "log.json").write_bytes(damage(CONTENT))
    with pytest.raises(data.DataError, match=r"log.json: sha256 differs, expected [0-9a-f]{64}, found [0-9a-f]{64}; .*try again"):
        data.fetch("test", "sub/log.json")
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
    (source / "sub" / "log.json").write_bytes(CONTENT)
    assert data.fetch("test", "sub/log.json").read_bytes() == CONTENT


@pytest.mark.parametrize("damaged", [CONTENT[:50], CONTENT.replace(b"1", b"2")])
def test_damaged_cache_is_downloaded_again_and_never_kept(source, damaged):
    path = data.fetch("test", "sub/log.json")
    path.write_bytes(damaged)
    assert data.missing("test") == ["sub/log.json"]
    assert data.fetch("test", "sub/log.json").read_bytes() == CONTENT
    path.write_bytes(damaged)
    (source / "sub" / "log.json").unlink()
    with pytest.raises(data.DataError, match="404"):
        data.fetch("test", "sub/log.json")
    assert not path.exists()


def test_mirror_that_is_not_there(source, tmp_path, monkeypatch):
    monkeypatch.setenv("LASTITERATE_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(data.DataError, match=r"LASTITERATE_MIRROR names .*nowhere', which is not a folder"):
        data.fetch("test", "sub/log.json")


def test_relative_mirror(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LASTITERATE_MIRROR", "mirror")
    (tmp_path / "mirror" / "test" / "sub").mkdir(parents=True)
    (tmp_path / "mirror" / "test" / "sub" / "log.json").write_bytes(CONTENT)
    assert data.fetch("test", "sub/log.json").is_absolute()


def test_mirror_comes_first_and_is_verified(source, tmp_path, monkeypatch):
    mirrored = tmp_path / "mirror" / "test" / "sub" / "log.json"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(CONTENT)
    monkeypatch.setenv("LASTITERATE_MIRROR", str(tmp_path / "mirror"))
    assert data.missing("test") == []
    assert data.fetch("test", "sub/log.json") == mirrored
    mirrored.write_bytes(b"x" * len(CONTENT))
    with pytest.raises(data.DataError, match=r"sha256 differs, expected .* found .* unset LASTITERATE_MIRROR"):
        data.fetch("test", "sub/log.json")
    assert mirrored.exists(), "the mirror is not ours to change"


def test_file_that_is_not_in_the_mirror_is_downloaded(source, tmp_path, monkeypatch):
    monkeypatch.setenv("LASTITERATE_MIRROR", str(tmp_path))
    assert data.fetch("test", "sub/log.json").read_bytes() == CONTENT


def test_no_network(source, monkeypatch):
    data.SOURCES["test"]["url"] = "http://127.0.0.1:9/"
    with pytest.raises(data.DataError, match=r"cannot download http://127.0.0.1:9/sub/log.json .* run `make data`"):
        data.fetch("test", "sub/log.json")


def test_cache_that_cannot_be_written(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LASTITERATE_CACHE", str(tmp_path / "file"))
    with pytest.raises(data.DataError, match=r"cannot write to the cache folder .*LASTITERATE_CACHE"):
        data.fetch("test", "sub/log.json")


def test_unknown_names(source):
    with pytest.raises(ValueError, match="file must be one of the 1 in"):
        data.fetch("test", "other.json")


def test_registry_is_complete():
    rows = data._rows("schaipp2025")
    assert len(rows) == 235 == len({row["file"] for row in rows})
    assert all(len(row["sha256"]) == 64 and int(row["bytes"]) > 1000 for row in rows)
    assert "8ace3a327a396fbd4998ff7615d54012eba71573" in data.SOURCES["schaipp2025"]["url"]
