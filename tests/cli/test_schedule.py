"""`lastiterate schedule`, budgets in tokens, and the line of evidence."""

import pytest

from lastiterate import cli, schedules


def said(capsys, *words):
    assert cli.main(list(words)) == 0
    return capsys.readouterr().out


def test_table_file_and_picture(capsys, tmp_path):
    spec, out, picture = "wsd:cooldown=0.2,warmup=10,final_lr=1e-5", tmp_path / "eta.csv", tmp_path / "eta.png"
    text = said(capsys, "schedule", spec, "--steps", "200", "--lr", "1e-3", "--out", str(out), "--plot", str(picture))
    eta = schedules.named(spec, 200, 1e-3)
    assert (schedules.read_csv(out) == eta).all() and picture.read_bytes().startswith(b"\x89PNG")
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line[:1].isdigit()}
    assert set(rows) > {"1", "10", "161", "200"}
    for step, (rate, share) in rows.items():
        assert float(rate) == pytest.approx(1e-3 * eta[int(step) - 1], rel=1e-4)
        assert float(share) == pytest.approx(eta[int(step) - 1], abs=5e-5)
    assert "peak      0.001 first at step 10, last at step 161" in text
    assert "2e-" not in said(capsys, "schedule", str(out)), "a file has its own steps"


def test_for_a_trainer(capsys):
    words = ["schedule", "cosine:warmup=50,join=after", "--steps", "1000", "--lr", "3e-4", "--for"]
    assert said(capsys, *words, "megatron").startswith("--train-iters 1000 --lr 0.0003 --lr-decay-style cosine")
    assert 'schedules.named("cosine:warmup=50,join=after", 1000)' in said(capsys, *words, "torch")
    words[1] += ",final_lr=3e-5"
    assert 'final_lr=3e-5", 1000, 0.0003)' in said(capsys, *words, "optax"), "a rate needs its unit"
    assert cli.main(["schedule", "cosine:warmup=50", *words[2:], "nanogpt"]) == 2
    error = capsys.readouterr().err
    assert "the nearest that it has is off by" in error and "it has cosine:warmup=50,join=after exactly" in error


@pytest.mark.parametrize(
    ("steps", "tokens"),
    [
        ("bound linear --steps 4769", "bound linear --tokens 2.5e9 --batch-tokens 524288"),
        ("optimal --steps 20", "optimal --tokens 2000 --batch-tokens 100"),
        (
            "transfer wsd linear --steps 100 --to-steps 200",
            "transfer wsd linear --tokens 1000 --to-tokens 2000 --batch-tokens 10",
        ),
        ("extend --from 100 --to 250", "extend --from-tokens 1000 --to-tokens 2500 --batch-tokens 10"),
        ("extend --from 100 --to 250", "extend --from 100 --to-tokens 2500 --batch-tokens 10"),
    ],
)
def test_tokens_instead_of_steps(capsys, steps, tokens):
    assert said(capsys, *tokens.split()) == said(capsys, *steps.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("schedule linear --tokens 1e9", "tokens must come with --batch-tokens, the tokens of a step, got 1e+09 alone"),
        ("schedule linear --steps 9 --batch-tokens 5", "batch-tokens must come with --tokens, got 5 alone"),
        ("schedule linear --tokens 1e9 --batch-tokens 0", "batch-tokens must be an integer >= 1, got 0"),
        ("transfer wsd linear --steps 9 --to-tokens 5", "to-tokens must come with --batch-tokens"),
        ("schedule linear", "T must be given"),
        ("schedule linear --steps 9 --for optax", "lr must be given with --for optax"),
        ("schedule linear --steps 9 --lr 0", "lr must be a finite number > 0"),
        ("schedule cosine:final_lr=1e-5 --steps 9", "final_lr must come with the base learning rate lr"),
        ("schedule cosine:final_lr=1 --steps 9 --lr 0.1", "final_lr must be at most the base learning rate 0.1, got 1.0"),
        ("schedule cosine:final_lr=0,final=0 --steps 9 --lr 0.1", "final and final_lr must not both be given"),
        ("schedule linear:start=0.1 --steps 9", "start must come with a warmup"),
        ("schedule linear:warmup=3,join=before --steps 9", "join must be one of 'under', 'after', got 'before'"),
        ("schedule linear:warmup=9,lag=1 --steps 9", "steps must be an integer in 0..8, got 9"),
        ("schedule linear:warmup=9,lag=1,join=after --steps 9", "warmup must leave a step of the 9"),
        ("schedule wsd:shape=exponential --steps 9", "final must be above 0 with the shape 'exponential'"),
        ("schedule linear --steps 9 --out x.txt", "out must be a file name that ends in .csv"),
    ],
)
def test_refused(capsys, words, message):
    assert cli.main(words.split()) == 2
    found = capsys.readouterr()
    assert message in found.err and found.err.count("\n") == 1 and found.out == ""


@pytest.mark.parametrize(
    "words",
    ["transfer wsd linear --steps 100", "extend --from 100 --to 250", "optimal --steps 20", "optimal --steps 20 --units bound"],
)
def test_advice_ends_with_its_evidence(capsys, words):
    last = said(capsys, *words.split()).splitlines()[-1]
    assert last.startswith("Evidence: Authors' 124M and 210M runs: ") and "This repository's runs: " in last
    assert "agrees (" in last or "undecided (" in last
