import hashlib
import http.server
import io
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import threading
from functools import partial

import numpy as np
import pytest

from lastiterate import cli, logs
from lastiterate.experiments.problems import cifar
from lastiterate.logs import published

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
    monkeypatch.setattr(published, "SOURCES", {"test": {"url": url, "licence": "MIT", "what": "a test"}})
    rows = [{"file": "sub/log.json", "bytes": str(len(CONTENT)), "sha256": hashlib.sha256(CONTENT).hexdigest()}]
    monkeypatch.setattr(published, "_rows", lambda _: rows)
    monkeypatch.setenv("LASTITERATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LASTITERATE_MIRROR", raising=False)
    (served / "sub").mkdir()
    (served / "sub" / "log.json").write_bytes(CONTENT)
    yield served
    server.shutdown()
    server.server_close()


def test_download_once_then_from_the_cache(source):
    assert published.missing("test") == ["sub/log.json"]
    path = published.fetch("test", "sub/log.json")
    assert path.read_bytes() == CONTENT
    assert published.missing("test") == []
    (source / "sub" / "log.json").unlink()
    assert published.fetch_all("test") == [path]


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b.replace(b"1", b"2", 1), lambda b: b""])
def test_bad_download_is_refused_and_not_kept(source, tmp_path, damage):
    (source / "sub" / "log.json").write_bytes(damage(CONTENT))
    with pytest.raises(published.DataError, match=r"log.json: hash differs, expected \w{64}, found \w{64}; .*try again"):
        published.fetch("test", "sub/log.json")
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
    (source / "sub" / "log.json").write_bytes(CONTENT)
    assert published.fetch("test", "sub/log.json").read_bytes() == CONTENT


@pytest.mark.parametrize("damaged", [CONTENT[:50], CONTENT.replace(b"1", b"2")])
def test_damaged_cache_is_downloaded_again_and_never_kept(source, damaged):
    path = published.fetch("test", "sub/log.json")
    path.write_bytes(damaged)
    assert published.missing("test") == ["sub/log.json"]
    assert published.fetch("test", "sub/log.json").read_bytes() == CONTENT
    path.write_bytes(damaged)
    (source / "sub" / "log.json").unlink()
    with pytest.raises(published.DataError, match="404"):
        published.fetch("test", "sub/log.json")
    assert not path.exists()


def test_mirror_that_is_not_there(source, tmp_path, monkeypatch):
    monkeypatch.setenv("LASTITERATE_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(published.DataError, match=r"LASTITERATE_MIRROR names .*nowhere', which is not a folder"):
        published.fetch("test", "sub/log.json")


def test_relative_mirror(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LASTITERATE_MIRROR", "mirror")
    (tmp_path / "mirror" / "test" / "sub").mkdir(parents=True)
    (tmp_path / "mirror" / "test" / "sub" / "log.json").write_bytes(CONTENT)
    assert published.fetch("test", "sub/log.json").is_absolute()


def test_mirror_comes_first_and_is_verified(source, tmp_path, monkeypatch):
    mirrored = tmp_path / "mirror" / "test" / "sub" / "log.json"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(CONTENT)
    monkeypatch.setenv("LASTITERATE_MIRROR", str(tmp_path / "mirror"))
    assert published.missing("test") == []
    assert published.fetch("test", "sub/log.json") == mirrored
    mirrored.write_bytes(b"x" * len(CONTENT))
    with pytest.raises(published.DataError, match=r"hash differs, expected .* found .* unset LASTITERATE_MIRROR"):
        published.fetch("test", "sub/log.json")
    assert mirrored.exists(), "the mirror is not ours to change"


def test_file_that_is_not_in_the_mirror_is_downloaded(source, tmp_path, monkeypatch):
    monkeypatch.setenv("LASTITERATE_MIRROR", str(tmp_path))
    assert published.fetch("test", "sub/log.json").read_bytes() == CONTENT


def test_no_network(source, monkeypatch):
    published.SOURCES["test"]["url"] = "http://127.0.0.1:9/"
    with pytest.raises(published.DataError, match=r"cannot download http://127.0.0.1:9/sub/log.json .* run `make data`"):
        published.fetch("test", "sub/log.json")


def test_cache_that_cannot_be_written(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LASTITERATE_CACHE", str(tmp_path / "file"))
    with pytest.raises(published.DataError, match=r"cannot write to the cache folder .*LASTITERATE_CACHE"):
        published.fetch("test", "sub/log.json")


def cifar_archive(classes, n=6):
    """A small archive as the real one is: pickled dicts with bytes as keys, in a folder."""
    rng, key = np.random.default_rng(classes), b"labels" if classes == 10 else b"fine_labels"
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"] if classes == 10 else ["train", "test"]
    parts = {
        name: {b"data": rng.integers(0, 256, (n, 3072), np.uint8), key: rng.integers(0, classes, n).tolist()} for name in names
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, part in parts.items():
            content = pickle.dumps(part, protocol=2)
            member = tarfile.TarInfo(f"cifar-{classes}-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return parts, buffer.getvalue()


@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_is_downloaded_verified_and_read(source, monkeypatch, classes):
    parts, archive = cifar_archive(classes)
    file = f"cifar-{classes}-python.tar.gz"
    published.SOURCES["cifar"] = published.SOURCES["test"]
    rows = [{"file": file, "bytes": str(len(archive)), "sha256": "md5:" + hashlib.md5(archive).hexdigest()}]
    monkeypatch.setattr(published, "_rows", lambda _: rows)
    cifar.images.cache_clear()
    (source / file).write_bytes(archive[:-1])
    with pytest.raises(published.DataError, match=rf"{file}: hash differs, expected md5:[0-9a-f]{{32}}, found md5:"):
        cifar.images(classes)
    (source / file).write_bytes(archive)
    (images, labels), (test_images, test_labels) = cifar.images(classes)
    train, test = [p for name, p in parts.items() if "test" not in name], [p for name, p in parts.items() if "test" in name]
    key = b"labels" if classes == 10 else b"fine_labels"
    assert images.shape == (6 * len(train), 3, 32, 32) and images.dtype == np.uint8 and test_images.shape == (6, 3, 32, 32)
    np.testing.assert_array_equal(images[-1], train[-1][b"data"][-1].reshape(3, 32, 32))
    assert labels.tolist() == [label for part in train for label in part[key]] and test_labels.tolist() == test[0][key]
    cifar.images.cache_clear()


def test_cifar_is_pinned_and_not_downloaded_unasked(monkeypatch, capsys):
    assert published.registry("cifar") == {
        "cifar-10-python.tar.gz": "md5:c58f30108f718f92721af3b95e74349a",
        "cifar-100-python.tar.gz": "md5:eb9058c3a382ffc7106e4002c42a8d85",
    }
    asked = []
    monkeypatch.setattr(published, "missing", lambda source: [])
    monkeypatch.setattr(published, "fetch_all", asked.append)
    assert cli.main(["data"]) == 0
    assert asked == ["schaipp2025", "defazio2023", "multipowerlaw2025", "tinyshakespeare"]
    assert "CIFAR" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="classes must be 10 or 100, got 20"):
        cifar.images(20)


def test_unknown_names(source):
    with pytest.raises(ValueError, match="file must be one of the 1 in"):
        published.fetch("test", "other.json")


def test_registry_is_complete():
    rows = published._rows("schaipp2025")
    assert len(rows) == 235 == len({row["file"] for row in rows})
    assert all(len(row["sha256"]) == 64 and int(row["bytes"]) > 1000 for row in rows)
    assert "8ace3a327a396fbd4998ff7615d54012eba71573" in published.SOURCES["schaipp2025"]["url"]


# --- corpora ---------------------------------------------------------------------------------------------------------


def test_files_known_by_their_git_blob_id_are_verified_by_it(source, monkeypatch, tmp_path):
    blob = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    monkeypatch.setattr(published, "_rows", lambda _: [{"file": "sub/log.json", "bytes": "", "sha256": f"blob:{blob}"}])
    assert published.fetch("test", "sub/log.json").read_bytes() == CONTENT and published.missing("test") == []
    published.fetch("test", "sub/log.json").write_bytes(CONTENT[:-1])
    (source / "sub" / "log.json").write_bytes(CONTENT[:-1])
    with pytest.raises(published.DataError, match=rf"hash differs, expected blob:{blob}, found blob:[0-9a-f]{{40}}"):
        published.fetch("test", "sub/log.json")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_norm_sequences_are_ten_and_seven_of_an_earlier_commit():
    known = published._rows("defazio2023")
    assert len(known) == 17 and sum(bool(row["commit"]) for row in known) == 7
    assert all(len(row["sha256"]) == 64 for row in known if row["commit"])


def test_own_data_are_registered_and_found_from_anywhere(repository, monkeypatch, tmp_path):
    known = published.registry("lastiterate")
    for file, digest in known.items():
        assert hashlib.sha256((repository / "data" / file).read_bytes()).hexdigest() == digest, (
            "make runs ends with data --register"
        )
    on_disk = {
        p.relative_to(repository / "data").as_posix() for s in ("csv", "parquet") for p in (repository / "data").rglob(f"*.{s}")
    }
    assert set(known) == on_disk
    monkeypatch.chdir(tmp_path)
    assert published.recorded("runs/nano.csv") == repository / "data" / "runs" / "nano.csv"


def test_own_data_without_the_repository_are_downloaded_and_verified(repository, source, monkeypatch):
    content = (repository / "data" / "runs" / "pico.csv").read_bytes()
    monkeypatch.setattr(published, "repository", lambda: None)
    url = published.SOURCES["test"]["url"]
    monkeypatch.setattr(published, "SOURCES", {"lastiterate": {"url": url}})
    rows = [{"file": "runs/pico.csv", "bytes": "1", "sha256": hashlib.sha256(content).hexdigest()}]
    monkeypatch.setattr(published, "_rows", lambda _: rows)
    (source / "runs").mkdir()
    (source / "runs" / "pico.csv").write_bytes(content)
    assert logs.recorded_names() == ["pico"]
    assert len(logs.find("pico", scheduler="cosine")) == 24
    (source / "runs" / "pico.csv").write_bytes(content + b"x")
    assert published.recorded("runs/pico.csv").read_bytes() == content, "from the cache"


def test_what_a_killed_download_leaves_is_removed_by_the_next(source, tmp_path):
    folder = tmp_path / "cache" / "test" / "sub"
    folder.mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = socket.gethostname()
    stale = folder / f"log.json.{host}-{dead.pid}-01234567.partial"
    alive = folder / f"log.json.{host}-{os.getpid()}-01234567.partial"
    for path in (stale, alive):
        path.write_text("a part")
    published.fetch("test", "sub/log.json")
    assert sorted(p.name for p in folder.iterdir()) == sorted(["log.json", alive.name])
