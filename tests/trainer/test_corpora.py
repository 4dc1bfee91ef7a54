"""Corpora: what they are made of, token folders written, resumed, cut and foreign."""

import hashlib
import json

import numpy as np
import pytest

from lastiterate import cli
from lastiterate.logs import published
from lastiterate.trainer import corpora
from tiny import tiny


def test_python_corpus_is_real_text_split_by_file_and_the_pinned_one(monkeypatch):
    corpus = corpora.corpus()
    train, val = corpus.train[0].tobytes(), corpus.val[0].tobytes()
    assert 0.03 < len(val) / len(train) < 0.08 and corpus.vocabulary == 256
    files = train.split(b"\0")[:-1], val.split(b"\0")[:-1]
    assert len(set(files[0]) | set(files[1])) == len(files[0]) + len(files[1]) > 1000, "no file stands there twice"
    assert max(map(len, files[0])) <= corpora.MAX_FILE and b"def " in val
    assert hashlib.sha256(train + val).hexdigest() == corpora.PYTHON["sha256"]
    monkeypatch.setitem(corpora.PYTHON, "packages", "tqdm mpmath")
    with pytest.raises(published.DataError, match=r"corpus 'python': sha256 differs, expected .*requirements.lock"):
        corpora._python_corpus()


def test_packages_of_the_python_corpus_are_pinned_and_pure(repository):
    import importlib.metadata

    lock = {line.split("==")[0].lower() for line in (repository / "requirements.lock").read_text().splitlines()}
    for package in corpora.PYTHON["packages"].split():
        assert package.lower() in lock
        assert "py3-none-any" in importlib.metadata.distribution(package).read_text("WHEEL").replace("py2.", "")


def test_text_files_are_corpora(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(bytes(range(100)) * 10)
    corpus = corpora.corpus(str(path))
    assert len(corpus.train[0]) == 950 and len(corpus.val[0]) == 50 and corpus.name == str(path)
    (tmp_path / "short.txt").write_bytes(b"ab")
    with pytest.raises(ValueError, match="too short to train on"):
        corpora.corpus(str(tmp_path / "short.txt"))
    with pytest.raises(ValueError, match="corpus must be 'python', 'shakespeare', a text file"):
        corpora.corpus(str(tmp_path / "none.txt"))


def test_shakespeare_is_verified(tmp_path, monkeypatch):
    monkeypatch.delenv("LASTITERATE_MIRROR", raising=False)
    monkeypatch.setenv("LASTITERATE_CACHE", str(tmp_path))
    assert published.registry("tinyshakespeare") == {
        "input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    }
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_bytes(b"something else")
    assert published.missing("tinyshakespeare") == ["input.txt"]
    monkeypatch.setattr(published, "TIMEOUT", 0.01)
    with pytest.raises(published.DataError, match="cannot download"):
        corpora.corpus("shakespeare")
    assert not (tmp_path / "tinyshakespeare" / "input.txt").exists()


@pytest.fixture
def encoding():
    """An encoding like GPT-2's that needs no download: bytes, one merge, end of text."""
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([i]): i for i in range(256)} | {b"th": 256}
    return tiktoken.Encoding("bytes", pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 257})


DOCUMENTS = [f"this is document {i}, the one with the number {i}" for i in range(50)]


def test_tokenize_writes_shards_and_goes_on_where_it_was_stopped(tmp_path, encoding):
    total = corpora.tokenize(DOCUMENTS, tmp_path / "whole", encoding, shard_tokens=500)

    def stops_at(n):
        for i, document in enumerate(DOCUMENTS):
            if i == n:
                raise KeyboardInterrupt
            yield document

    for n in (15, 33):
        with pytest.raises(KeyboardInterrupt):
            corpora.tokenize(stops_at(n), tmp_path / "parts", encoding, shard_tokens=500)
    assert corpora.tokenize(DOCUMENTS, tmp_path / "parts", encoding, shard_tokens=500) == total
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes()
    corpus = corpora.corpus(str(tmp_path / "parts"))
    text = encoding.decode(np.concatenate([*corpus.val, *corpus.train]).tolist())
    assert text == "".join(d + "<|endoftext|>" for d in DOCUMENTS) and corpus.vocabulary == 258
    assert isinstance(corpus.train[0], np.memmap) and len(corpus.train) > 2 and len(corpus.val) == 1
    assert corpora.tokenize(DOCUMENTS, tmp_path / "parts", encoding, shard_tokens=500) == total, "complete: nothing is added"


def test_tokenize_stops_at_a_budget_and_extends_it(tmp_path, encoding):
    few = corpora.tokenize(DOCUMENTS, tmp_path, encoding, tokens=600, shard_tokens=300)
    assert 600 <= few < 700
    assert corpora.tokenize(DOCUMENTS, tmp_path, encoding, tokens=1200, shard_tokens=300) >= 1200
    with pytest.raises(ValueError, match="holds tokens with about"):
        corpora.tokenize(DOCUMENTS, tmp_path, encoding, about="something else")


def test_a_data_set_that_fits_in_one_shard_still_has_both_parts(tmp_path, encoding):
    corpora.tokenize(DOCUMENTS, tmp_path, encoding)
    corpus = corpora.corpus(str(tmp_path))
    text = encoding.decode(np.concatenate([*corpus.val, *corpus.train]).tolist())
    assert text == "".join(d + "<|endoftext|>" for d in DOCUMENTS) and len(corpus.train[0]) > 5 * len(corpus.val[0])


def test_token_files_that_were_cut(tmp_path, encoding):
    corpora.tokenize(DOCUMENTS, tmp_path, encoding, shard_tokens=500)
    shard = tmp_path / "shard-00001.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(published.DataError, match=r"shard-00001.bin is not what was written"):
        corpora.corpus(str(tmp_path))


def test_hugging_face_data_set_is_streamed_and_resumed(tmp_path, encoding, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "set").mkdir()
    lines = "".join(json.dumps({"text": d, "source": "test"}) + "\n" for d in DOCUMENTS)
    (tmp_path / "set" / "train.jsonl").write_text(lines)
    documents = corpora.hub(str(tmp_path / "set"))
    first = corpora.tokenize(documents, tmp_path / "tokens", encoding, tokens=500, shard_tokens=400)
    assert corpora.tokenize(documents, tmp_path / "tokens", encoding, shard_tokens=400) > first
    corpus = corpora.corpus(str(tmp_path / "tokens"))
    text = encoding.decode(np.concatenate([*corpus.val, *corpus.train]).tolist())
    assert text == "".join(d + "<|endoftext|>" for d in DOCUMENTS)
    (tmp_path / "set" / "train.jsonl").write_text('{"words": "a"}\n')
    with pytest.raises(ValueError, match="has no column 'text'; it has words"):
        corpora.hub(str(tmp_path / "set"))
    with pytest.raises(published.DataError, match="cannot load data set"):
        corpora.hub(str(tmp_path / "nowhere"))


# --- what is no corpus -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, 5, ["python"], True, "", "no such file", "\0"])
def test_what_names_no_corpus(name):
    with pytest.raises(ValueError, match=r"corpus must be 'python', 'shakespeare', a text file"):
        corpora.corpus(name)


GOOD = {"encoding": "bytes", "vocabulary": 256, "dtype": "uint16", "about": "", "documents": 3, "complete": True, "shards": []}
SHARD = {"file": "shard-00000.bin", "tokens": 500, "sha256": "0" * 64}
foreign = {
    "empty": "{}",
    "garbage": "{[",
    "list": "[1, 2]",
    "number": "3",
    "binary": b"\xff\xfe\x00",
    "deep": "[" * 100_000,
    "no shards": json.dumps({k: v for k, v in GOOD.items() if k != "shards"}),
    "shards a text": json.dumps(GOOD | {"shards": "abc"}),
    "vocabulary a text": json.dumps(GOOD | {"vocabulary": "many"}),
    "dtype": json.dumps(GOOD | {"dtype": "object"}),
    "a file elsewhere": json.dumps(GOOD | {"shards": [SHARD | {"file": "../other.bin"}] * 2}),
    "tokens": json.dumps(GOOD | {"shards": [SHARD | {"tokens": "500"}] * 2}),
    "huge": json.dumps(GOOD | {"vocabulary": 10**400}),
}


@pytest.mark.parametrize("what", foreign)
def test_foreign_token_folders_are_named(what, tmp_path, encoding):
    content = foreign[what]
    (tmp_path / "corpus.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(published.DataError, match=r"corpus.json is not as `tokenize` writes it"):
        corpora.corpus(str(tmp_path))
    with pytest.raises(published.DataError, match=r"corpus.json is not as `tokenize` writes it"):
        corpora.tokenize(DOCUMENTS, tmp_path, encoding)


def test_tokens_beyond_the_vocabulary_are_found_when_they_are_drawn(tmp_path):
    shards = []
    for i, largest in enumerate((100, 300)):
        tokens = np.arange(2000, dtype=np.uint16) % largest
        (tmp_path / f"shard-{i:05d}.bin").write_bytes(tokens.tobytes())
        shards.append(SHARD | {"file": f"shard-{i:05d}.bin", "tokens": tokens.size})
    (tmp_path / "corpus.json").write_text(json.dumps(GOOD | {"shards": shards}))
    from tiny import alone

    with pytest.raises(published.DataError, match=r"has a token 2\d\d, and should have less than 256"):
        alone(tmp_path, *tiny(corpus=str(tmp_path), vocabulary=64))


def test_tokenize_on_the_command_line(tmp_path, encoding, monkeypatch, capsys):
    monkeypatch.setattr(corpora, "hub", lambda name, revision: DOCUMENTS)
    monkeypatch.setattr("tiktoken.get_encoding", lambda name: encoding)
    assert cli.main(["tokenize", "some/set", str(tmp_path / "tokens"), "--tokens", "600", "--shard-tokens", "300"]) == 0
    assert f"train with --corpus {tmp_path / 'tokens'}" in capsys.readouterr().out
    assert corpora.corpus(str(tmp_path / "tokens")).vocabulary == 258
    assert cli.main(["tokenize", "some/set", str(tmp_path / "tokens"), "--tokens", "nan"]) == 2
    assert capsys.readouterr().err.startswith("error: tokens must be")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "", 5, b"python", None], ids=lambda v: repr(v)[:20])
def test_what_is_no_corpus(name):
    with pytest.raises(ValueError, match=r"^corpus must be 'python', 'shakespeare', a text file") as error:
        corpora.corpus(name)
    assert len(str(error.value)) < 250


def test_what_is_wrong_is_said_before_documents_are_read(tmp_path):
    (tmp_path / "file").touch()
    for arguments, message in (
        ({"tokens": np.nan}, "tokens must be a finite number >= 1, got nan"),
        ({"tokens": 0}, "tokens must be"),
        ({"shard_tokens": 0}, "shard_tokens must be an integer >= 1, got 0"),
        ({"folder": 5}, "folder must be a path, got 5"),
        ({"folder": tmp_path / "file"}, "folder must be a folder, got the file"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            corpora.tokenize(None, **{"folder": tmp_path} | arguments)
