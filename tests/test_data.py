import hashlib
import http.server
import io
import json
import pickle
import tarfile
import threading
from functools import partial

import numpy as np
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
    with pytest.raises(data.DataError, match=r"log.json: hash differs, expected [0-9a-f]{64}, found [0-9a-f]{64}; .*try again"):
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
    with pytest.raises(data.DataError, match=r"hash differs, expected .* found .* unset LASTITERATE_MIRROR"):
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
    data.SOURCES["cifar"] = data.SOURCES["test"]
    rows = [{"file": file, "bytes": str(len(archive)), "sha256": "md5:" + hashlib.md5(archive).hexdigest()}]
    monkeypatch.setattr(data, "_rows", lambda _: rows)
    data.cifar.cache_clear()
    (source / file).write_bytes(archive[:-1])
    with pytest.raises(data.DataError, match=rf"{file}: hash differs, expected md5:[0-9a-f]{{32}}, found md5:"):
        data.cifar(classes)
    (source / file).write_bytes(archive)
    (images, labels), (test_images, test_labels) = data.cifar(classes)
    train, test = [p for name, p in parts.items() if "test" not in name], [p for name, p in parts.items() if "test" in name]
    key = b"labels" if classes == 10 else b"fine_labels"
    assert images.shape == (6 * len(train), 3, 32, 32) and images.dtype == np.uint8 and test_images.shape == (6, 3, 32, 32)
    np.testing.assert_array_equal(images[-1], train[-1][b"data"][-1].reshape(3, 32, 32))
    assert labels.tolist() == [label for part in train for label in part[key]] and test_labels.tolist() == test[0][key]
    data.cifar.cache_clear()


def test_cifar_is_pinned_and_not_downloaded_unasked(monkeypatch, capsys):
    assert data.registry("cifar") == {
        "cifar-10-python.tar.gz": "md5:c58f30108f718f92721af3b95e74349a",
        "cifar-100-python.tar.gz": "md5:eb9058c3a382ffc7106e4002c42a8d85",
    }
    asked = []
    monkeypatch.setattr(data, "missing", lambda source: [])
    monkeypatch.setattr(data, "fetch_all", asked.append)
    data.main([])
    assert asked == ["schaipp2025", "defazio2023", "tinyshakespeare"] and "CIFAR" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="classes must be 10 or 100, got 20"):
        data.cifar(20)


def test_unknown_names(source):
    with pytest.raises(ValueError, match="file must be one of the 1 in"):
        data.fetch("test", "other.json")


def test_registry_is_complete():
    rows = data._rows("schaipp2025")
    assert len(rows) == 235 == len({row["file"] for row in rows})
    assert all(len(row["sha256"]) == 64 and int(row["bytes"]) > 1000 for row in rows)
    assert "8ace3a327a396fbd4998ff7615d54012eba71573" in data.SOURCES["schaipp2025"]["url"]


# --- corpora ---------------------------------------------------------------------------------------------------------


def test_python_corpus_is_real_text_split_by_file_and_the_pinned_one(monkeypatch):
    corpus = data.corpus()
    train, val = corpus.train[0].tobytes(), corpus.val[0].tobytes()
    assert 0.03 < len(val) / len(train) < 0.08 and corpus.vocabulary == 256
    files = train.split(b"\0")[:-1], val.split(b"\0")[:-1]
    assert len(set(files[0]) | set(files[1])) == len(files[0]) + len(files[1]) > 1000, "no file stands there twice"
    assert max(map(len, files[0])) <= data.MAX_FILE and b"def " in val
    assert hashlib.sha256(train + val).hexdigest() == data.PYTHON["sha256"]
    monkeypatch.setitem(data.PYTHON, "packages", "tqdm mpmath")
    with pytest.raises(data.DataError, match=r"corpus 'python': sha256 differs, expected .*requirements.lock"):
        data._python_corpus()


def test_packages_of_the_python_corpus_are_pinned_and_pure(repository):
    import importlib.metadata

    lock = {line.split("==")[0].lower() for line in (repository / "requirements.lock").read_text().splitlines()}
    for package in data.PYTHON["packages"].split():
        assert package.lower() in lock
        assert "py3-none-any" in importlib.metadata.distribution(package).read_text("WHEEL").replace("py2.", "")


def test_text_files_are_corpora(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(bytes(range(100)) * 10)
    corpus = data.corpus(str(path))
    assert len(corpus.train[0]) == 950 and len(corpus.val[0]) == 50 and corpus.name == str(path)
    (tmp_path / "short.txt").write_bytes(b"ab")
    with pytest.raises(ValueError, match="too short to train on"):
        data.corpus(str(tmp_path / "short.txt"))
    with pytest.raises(ValueError, match="corpus must be 'python', 'shakespeare', a text file"):
        data.corpus(str(tmp_path / "none.txt"))


def test_shakespeare_is_verified(tmp_path, monkeypatch):
    monkeypatch.delenv("LASTITERATE_MIRROR", raising=False)
    monkeypatch.setenv("LASTITERATE_CACHE", str(tmp_path))
    assert data.registry("tinyshakespeare") == {"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"}
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_bytes(b"something else")
    assert data.missing("tinyshakespeare") == ["input.txt"]
    monkeypatch.setattr(data, "TIMEOUT", 0.01)
    with pytest.raises(data.DataError, match="cannot download"):
        data.corpus("shakespeare")
    assert not (tmp_path / "tinyshakespeare" / "input.txt").exists()


@pytest.fixture
def encoding():
    """An encoding like GPT-2's that needs no download: bytes, one merge, end of text."""
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([i]): i for i in range(256)} | {b"th": 256}
    return tiktoken.Encoding("bytes", pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 257})


DOCUMENTS = [f"this is document {i}, the one with the number {i}" for i in range(50)]


def test_tokenize_writes_shards_and_goes_on_where_it_was_stopped(tmp_path, encoding):
    total = data.tokenize(DOCUMENTS, tmp_path / "whole", encoding, shard_tokens=500)

    def stops_at(n):
        for i, document in enumerate(DOCUMENTS):
            if i == n:
                raise KeyboardInterrupt
            yield document

    for n in (15, 33):
        with pytest.raises(KeyboardInterrupt):
            data.tokenize(stops_at(n), tmp_path / "parts", encoding, shard_tokens=500)
    assert data.tokenize(DOCUMENTS, tmp_path / "parts", encoding, shard_tokens=500) == total
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes()
    corpus = data.corpus(str(tmp_path / "parts"))
    text = encoding.decode(np.concatenate([*corpus.val, *corpus.train]).tolist())
    assert text == "".join(d + "<|endoftext|>" for d in DOCUMENTS) and corpus.vocabulary == 258
    assert isinstance(corpus.train[0], np.memmap) and len(corpus.train) > 2 and len(corpus.val) == 1
    assert data.tokenize(DOCUMENTS, tmp_path / "parts", encoding, shard_tokens=500) == total, "complete: nothing is added"


def test_tokenize_stops_at_a_budget_and_extends_it(tmp_path, encoding):
    few = data.tokenize(DOCUMENTS, tmp_path, encoding, tokens=600, shard_tokens=300)
    assert 600 <= few < 700
    assert data.tokenize(DOCUMENTS, tmp_path, encoding, tokens=1200, shard_tokens=300) >= 1200
    with pytest.raises(ValueError, match="holds tokens with about"):
        data.tokenize(DOCUMENTS, tmp_path, encoding, about="something else")


def test_a_data_set_that_fits_in_one_shard_still_has_both_parts(tmp_path, encoding):
    data.tokenize(DOCUMENTS, tmp_path, encoding)
    corpus = data.corpus(str(tmp_path))
    text = encoding.decode(np.concatenate([*corpus.val, *corpus.train]).tolist())
    assert text == "".join(d + "<|endoftext|>" for d in DOCUMENTS) and len(corpus.train[0]) > 5 * len(corpus.val[0])


def test_token_files_that_were_cut(tmp_path, encoding):
    data.tokenize(DOCUMENTS, tmp_path, encoding, shard_tokens=500)
    shard = tmp_path / "shard-00001.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(data.DataError, match=r"shard-00001.bin is not what was written"):
        data.corpus(str(tmp_path))


def test_hugging_face_data_set_is_streamed_and_resumed(tmp_path, encoding, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "set").mkdir()
    lines = "".join(json.dumps({"text": d, "source": "test"}) + "\n" for d in DOCUMENTS)
    (tmp_path / "set" / "train.jsonl").write_text(lines)
    documents = data.hub(str(tmp_path / "set"))
    first = data.tokenize(documents, tmp_path / "tokens", encoding, tokens=500, shard_tokens=400)
    assert data.tokenize(documents, tmp_path / "tokens", encoding, shard_tokens=400) > first
    corpus = data.corpus(str(tmp_path / "tokens"))
    text = encoding.decode(np.concatenate([*corpus.val, *corpus.train]).tolist())
    assert text == "".join(d + "<|endoftext|>" for d in DOCUMENTS)
    (tmp_path / "set" / "train.jsonl").write_text('{"words": "a"}\n')
    with pytest.raises(ValueError, match="has no column 'text'; it has words"):
        data.hub(str(tmp_path / "set"))
    with pytest.raises(data.DataError, match="cannot load data set"):
        data.hub(str(tmp_path / "nowhere"))


def test_files_known_by_their_git_blob_id_are_verified_by_it(source, monkeypatch, tmp_path):
    blob = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    monkeypatch.setattr(data, "_rows", lambda _: [{"file": "sub/log.json", "bytes": "", "sha256": f"blob:{blob}"}])
    assert data.fetch("test", "sub/log.json").read_bytes() == CONTENT and data.missing("test") == []
    data.fetch("test", "sub/log.json").write_bytes(CONTENT[:-1])
    (source / "sub" / "log.json").write_bytes(CONTENT[:-1])
    with pytest.raises(data.DataError, match=rf"hash differs, expected blob:{blob}, found blob:[0-9a-f]{{40}}"):
        data.fetch("test", "sub/log.json")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_norm_sequences_are_ten():
    assert len(data.registry("defazio2023")) == 10
