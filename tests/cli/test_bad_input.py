"""Bad input on the command line: one line, status 2, before any work; bugs are said to be bugs; nothing is overwritten."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from lastiterate import cli


def refused(capsys, *words):
    status = cli.main(list(words))
    found = capsys.readouterr()
    assert (status, found.out) == (2, ""), (words, status, found.out)
    assert found.err.startswith("error: ") and found.err.count("\n") == 1, found.err
    assert len(found.err) < 1000, "a line that can be read"
    return found.err


def exits(capsys, *words):
    """What argparse refuses."""
    with pytest.raises(SystemExit) as stop:
        cli.main(list(words))
    found = capsys.readouterr()
    assert stop.value.code == 2 and found.out == "" and found.err.startswith("error: ") and found.err.count("\n") == 1, found.err
    return found.err


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "1e400"])
@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("bound linear --steps 9 --lr", "lr"),
        ("bound linear --steps 9 --D", "D"),
        ("transfer wsd linear --steps 9 --lr", "lr"),
        ("extend --from 50 --to 80 --lr", "lr"),
        ("optimal --steps 9 --D", "D"),
        ("optimal --steps 9 --cap", "cap"),
        ("optimal --steps 9 --taken 3 --rate", "rate"),
        ("optimal --steps 9 --prefix PREFIX --rate", "rate"),
        ("optimal --steps 9 --tuned wsd --lr", "lr"),
    ],
)
def test_numbers_that_must_be_positive_are_never_ignored(words, name, value, capsys, tmp_path):
    (tmp_path / "prefix.csv").write_text("eta\n1\n0.5\n")
    words = f"{words}={value}".replace("PREFIX", str(tmp_path / "prefix.csv"))
    assert f"{name} must be" in refused(capsys, *words.split())


@pytest.mark.parametrize("value", ["0", "-5", "100000000000", "1" * 400])
@pytest.mark.parametrize(
    "words", ["bound linear --steps", "optimal --steps", "transfer wsd linear --steps 9 --to-steps", "extend --from 50 --to"]
)
def test_steps(words, value, capsys):
    assert "must be an integer" in refused(capsys, *words.split(), value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("optimal --steps 9 --rate 0.1", "rate must come with --taken or --prefix"),
        ("optimal --steps 9 --taken -5 --rate 1", "taken must be an integer in 0..8, got -5"),
        ("optimal --steps 9 --taken 3 --prefix x.csv --rate 1", "must not both be given"),
        ("bound linear --steps 9 --column norm", "column must come with --grad-norms"),
        ("bound linear --steps 9 --G 2 --grad-norms x.csv", "must not both be given"),
        ("bound wsd:cooldown=0.2,cooldown=0.9 --steps 9", "must have cooldown once"),
        ("bound wsd:cooldown=0.2)+f( --steps 9", "cooldown must be a number in [0, 1], got '0.2)+f('"),
        (f"bound wsd:cooldown={'-' * 5000}1 --steps 9", "cooldown must be a number"),
        (f"bound wsd:cooldown={'9' * 5000} --steps 9", "cooldown must be"),
        ("bound linear --steps 9 --G 1e200 --D 1e200", "G"),
        ("bound linear --steps 9 --D 1e-200", ""),
        ("figures --without-logs", "must come with --only"),
        ("notebook nowhere", "there is no notebook 'nowhere'"),
        ("fly", "the command must be one of schedule, bound"),
    ],
)
def test_what_is_said(words, message, capsys):
    if message:
        assert message in refused(capsys, *words.split())
    else:  # extreme, and right
        assert cli.main(words.split()) == 0


@pytest.mark.parametrize(
    "words", ["bound linear --steps x", "bound", "bound linear --stepz 9", "extend --from 9", "refine", "convex"]
)
def test_what_the_parser_refuses_is_one_line_too(words, capsys):
    exits(capsys, *words.split())


def test_a_log_is_not_overwritten(tmp_path, capsys):
    log = tmp_path / "log.csv"
    pd.DataFrame({"step": np.arange(1, 41), "grad_norm": np.linspace(2, 1, 40)}).to_csv(log, index=False)
    before = log.read_bytes()
    assert "must not be" in refused(capsys, "refine", str(log), "--out", str(log))
    assert log.read_bytes() == before
    picture = tmp_path / "holiday.png"
    picture.write_bytes(b"a picture")
    assert "a file that this command did not write" in refused(capsys, "refine", str(log), "--out", str(tmp_path / "holiday.csv"))
    assert picture.read_bytes() == b"a picture" and not (tmp_path / "holiday.csv").exists()
    for _ in range(2):  # what it wrote itself it replaces
        assert cli.main(["refine", str(log), "--out", str(tmp_path / "refined.csv")]) == 0
    assert (tmp_path / "refined.png").is_file()


@pytest.mark.parametrize(
    "words",
    [
        "bound linear --steps 9 --out",
        "extend --from 50 --to 80 --out",
        "optimal --steps 9 --out",
        "worstcase",
        "convex",
    ],
)
def test_a_foreign_file_is_not_overwritten(words, tmp_path, capsys):
    for content in (b"name,age\nAda,36\n", b"", bytes(range(256))):
        path = tmp_path / "mine.csv"
        path.write_bytes(content)
        refused(capsys, *words.split(), str(path))
        assert path.read_bytes() == content
    refused(capsys, *words.split(), str(tmp_path))
    refused(capsys, *words.split(), str(tmp_path / "mine.txt"))


def test_a_foreign_file_is_not_overwritten_by_problems(tmp_path, capsys):
    for name in ("mine.parquet", "mine_norms.csv"):
        (tmp_path / name).write_bytes(b"something else")
        refused(capsys, "problems", str(tmp_path / "mine"), "--problems", "overfit")
        assert (tmp_path / name).read_bytes() == b"something else"
        (tmp_path / name).unlink()
    assert "problems must be one of" in refused(capsys, "problems", str(tmp_path / "mine"), "--problems", "mnist")


def test_a_bug_is_said_to_be_one(monkeypatch, capsys):
    from lastiterate.cli import bound

    def broken(_):
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr(bound, "run", broken)
    monkeypatch.delenv("LASTITERATE_DEBUG", raising=False)
    assert cli.main(["bound", "linear", "--steps", "9"]) == 70
    said = capsys.readouterr().err
    assert said.startswith("bug: ZeroDivisionError: division by zero; and more") and said.count("\n") == 1 and "/issues" in said
    monkeypatch.setenv("LASTITERATE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["bound", "linear", "--steps", "9"])


def test_a_traceback_where_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("LASTITERATE_DEBUG", "1")
    with pytest.raises(ValueError, match="T must be"):
        cli.main(["bound", "linear", "--steps", "0"])


def test_version_and_no_command(capsys):
    assert cli.main(["--version"]) == 0 and capsys.readouterr().out.startswith("lastiterate 0.")
    assert cli.main([]) == 2 and "usage" in capsys.readouterr().out


def test_a_reader_that_has_seen_enough():
    command = f"{sys.executable} -m lastiterate bound linear cosine wsd --steps 400 | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""


def ended(group, seconds=10):
    """Whether the last process of a group ends within some seconds."""
    for _ in range(10 * seconds):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [["convex"], ["problems"], ["worstcase"]])
def test_interrupted_commands_say_a_line_and_leave_nothing_running(words, number, tmp_path):
    command = [sys.executable, "-m", "lastiterate", *words, str(tmp_path / "out.csv")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline()  # it has begun
    time.sleep(3)
    process.send_signal(number)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode in (130, -signal.SIGINT), said
    assert "Traceback" not in said and said.rstrip().endswith("the same command goes on from there"), said
    assert ended(process.pid), "its workers have ended too"
    assert not list(tmp_path.glob("*.partial"))


LOST = """
import os, signal, sys, time
from lastiterate import cli
from lastiterate.cli import bound

class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)  # the signal's handler raises here, where nothing can be raised

def run(_):
    Last()
    time.sleep(30)

bound.run = run
sys.exit(cli.main(["bound", "linear", "--steps", "9"]))
"""


def test_an_interrupt_that_is_lost_in_a_callback_is_raised_again():
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr.startswith("\ninterrupted: ") and "Traceback" not in done.stderr, done.stderr
    assert time.monotonic() - start < cli.GRACE


def test_an_error_that_a_library_makes_of_an_interrupt_is_an_interrupt(monkeypatch, capsys):
    def run(_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        except KeyboardInterrupt:
            raise TypeError("catching classes that do not inherit from BaseException is not allowed") from None

    monkeypatch.setattr("lastiterate.cli.bound.run", run)
    assert cli.main(["bound", "linear", "--steps", "9"]) == 130
    assert capsys.readouterr().err.startswith("\ninterrupted: ")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("bound linear --steps 9 --out", "--out"),
        ("bound linear --steps 9 --grad-norms", "--grad-norms"),
        ("extend --from 50 --to 80 --out", "--out"),
        ("optimal --steps 9 --out", "--out"),
        ("optimal --steps 9 --prefix", "--prefix"),
        ("transfer wsd linear --steps 9 --sweep", "--sweep"),
        ("refine log.csv --out", "--out"),
        ("train --preset", "--preset"),
        ("train --out", "--out"),
        ("train --from", "--from"),
        ("train --milestones 3", "--milestones"),
        ("sweep t.csv --record", "--record"),
        ("sweep t.csv --dask", "--dask"),
        ("sweep t.csv --preset", "--preset"),
        ("sweep t.csv --folder", "--folder"),
        ("tokenize fineweb-edu tokens --revision", "--revision"),
        ("figures --only", "--only"),
        ("convex", "out"),
        ("problems x --problems overfit", "--problems"),
    ],
)
def test_an_empty_word_is_not_dropped(words, name, capsys):
    for word in ("", " "):
        assert f"{name} must not be empty, got" in exits(capsys, *words.split(), word)


@pytest.mark.parametrize(
    "words", ["sweep nosuch.csv --dry-run", "sweep nosuch.toml", "transfer wsd linear --steps 9 --sweep nosuch.csv"]
)
def test_a_file_that_is_not_there(words, capsys):
    said = refused(capsys, *words.split())
    assert "no such file" in said and "nosuch." in said and "Errno" not in said


def test_a_folder_where_a_file_should_be(tmp_path, capsys):
    (tmp_path / "t.csv").mkdir()
    assert refused(capsys, "sweep", str(tmp_path / "t.csv")) == f"error: is a directory: {str(tmp_path / 't.csv')!r}\n"


def test_a_notebook_outside_a_clone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "the working directory must be in a clone of the repository" in refused(capsys, "notebook", "x/y")


@pytest.mark.parametrize("value", ["abc", "0", "-5", "1.5"])
def test_the_number_of_a_parent(value, monkeypatch, capsys):
    monkeypatch.setenv("LASTITERATE_PARENT", value)
    assert f"environment variable LASTITERATE_PARENT must be an integer in 1..2147483647, got {value!r}" in refused(
        capsys, "bound", "linear", "--steps", "9"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--tokens nan", "tokens must be a finite number >= 1, got nan"),
        ("--shard-tokens 0", "shard_tokens must be an integer >= 1, got 0"),
    ],
)
def test_tokenize_asks_no_network_for_what_it_cannot_do(words, message, capsys, tmp_path, monkeypatch):
    from lastiterate.trainer import corpora

    monkeypatch.setattr(corpora, "hub", lambda *_, **__: pytest.fail("the network was asked"))
    assert message in refused(capsys, "tokenize", "fineweb-edu", str(tmp_path / "tokens"), *words.split())
