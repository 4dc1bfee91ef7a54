"""The command line: every subcommand's help, answers and errors."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lastiterate import bounds, cli, design, schedules, transfer


def said(capsys, *words):
    status = cli.main(list(words))
    found = capsys.readouterr()
    assert status == 0, found.err
    return found.out


@pytest.mark.parametrize("name", ["bound", "extend", "transfer", "optimal", "refine", "log", "train", "sweep"])
def test_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert f"usage: lastiterate {name}" in capsys.readouterr().out


def test_module_is_the_command():
    found = subprocess.run([sys.executable, "-m", "lastiterate", "--help"], capture_output=True, text=True, check=True)
    assert all(name in found.stdout for name in ("bound", "extend", "transfer", "optimal", "refine", "train", "sweep"))


def test_bound(capsys, tmp_path):
    out = said(capsys, "bound", "wsd:cooldown=0.2", "linear", "--steps", "400", "--lr", "0.02").splitlines()
    wsd = out[1].split()
    assert [float(x) for x in wsd[2:5]] == pytest.approx(
        [*bounds.optimal_lr(schedules.wsd(400)), bounds.omega(0.02 * schedules.wsd(400), horizons=400)], rel=1e-4
    )
    assert float(out[2].split()[-1]) == 1
    file = tmp_path / "omega.csv"
    said(capsys, "bound", "cosine", "--steps", "50", "--lr", "0.1", "--out", str(file))
    np.testing.assert_allclose(pd.read_csv(file)["omega"], bounds.omega(0.1 * schedules.cosine(50)), rtol=1e-9)


def test_bound_with_norms_of_a_log(capsys, tmp_path):
    log = tmp_path / "log.csv"
    pd.DataFrame({"step": range(1, 41), "grad_norm": np.linspace(2, 1, 40)}).to_csv(log, index=False)
    out = said(capsys, "bound", "linear", "--steps", "40", "--grad-norms", str(log), "--D", "3")
    assert float(out.splitlines()[1].split()[3]) == pytest.approx(
        bounds.optimal_lr(schedules.linear(40), np.linspace(2, 1, 40), 3.0)[1], rel=1e-4
    )


def plans(out):
    """Rows of extend's table by their plan."""
    return {re.split("  +", line)[0]: re.split("  +", line) for line in out.splitlines() if "  " in line}


def test_extend_in_the_units_of_the_tuned_rate(capsys, tmp_path):
    file = tmp_path / "next.csv"
    words = ["extend", "--from", "400", "--to", "1600", "--cooldown", "0.2"]
    out = said(capsys, *words, "--lr", "0.001", "--out", str(file))
    rho, rows = transfer.extend_rate(400, 1600), plans(out)
    assert float(rows["lower rate"][1]) == pytest.approx(0.001 * rho, rel=1e-4)
    assert 1 < float(rows["cooldown at once"][4]) < float(rows["lower rate"][4]) < float(rows["same rate and cooldown"][4])
    assert rows["best for the bound"][4] == "1.000" and "No cooldown is long enough" in out
    assert out.splitlines()[-3].startswith("Recommended: cool down at once") and out.splitlines()[-3].endswith("wsd:cooldown=0.8")
    np.testing.assert_allclose(schedules.read_csv(file), schedules.wsd(1600, 0.8))
    np.testing.assert_allclose(pd.read_csv(file)["lr"], 0.001 * schedules.wsd(1600, 0.8))
    assert plans(said(capsys, *words))["lower rate"][1] == f"{rho:.3f} ×"
    tuned = bounds.optimal_lr(schedules.wsd(400))[0]
    assert plans(said(capsys, *words, "--units", "bound"))["lower rate"][1] == f"{rho * tuned:.5g}"


def test_extend_does_not_recommend_what_needs_an_earlier_checkpoint(capsys):
    words = ["extend", "--from", "50000", "--to", "120000"]
    out = said(capsys, *words, "--have", "40000")
    assert "Not possible from there: longer cooldown needs a checkpoint of step 30,244." in out.splitlines()[1]
    assert plans(out)["longer cooldown"][-1] == "needs a checkpoint of step 30,244"
    assert "Recommended: cool down at once from the tuned rate, over all steps after step 40,000" in out.splitlines()[-2]
    assert "Assumed: there is that checkpoint, before the cooldown" in said(capsys, *words), "where none is named"
    out = said(capsys, *words, "--have", "30000")
    assert "Recommended: keep the rate, and cool down over the last 74.8%, after step 30,243" in out


def test_extend_with_a_peak_that_is_not_1(capsys):
    words = ["extend", "--from", "100", "--to", "300", "--have", "100"]
    high = said(capsys, *words, "--tuned", "OneCycleLR:max_lr=4e-3,total_steps=100", "--lr", "1e-3")
    same = said(capsys, *words, "--tuned", "OneCycleLR:max_lr=4e-3,total_steps=100", "--lr", "4e-3")
    assert plans(high) == plans(same)
    assert plans(high)["same rate and cooldown"][1] == "0.004"


def test_extend_takes_its_options_to_the_last_digit(capsys):
    out = said(capsys, "extend", "--from", "1300000", "--to", "1400000", "--warmup", "1234567", "--cooldown", "0.1234567")
    assert "wsd:cooldown=0.1234567,warmup=1234567," in out
    out = said(capsys, "extend", "--from", "500", "--to", "1200", "--tuned", "wsd:cooldown=0.2,final_lr=1e-4", "--lr", "1e-3")
    assert "cooldowns end at zero" in out


def test_a_sweep_that_is_no_table_of_one(capsys, tmp_path):
    for content, told in (
        (b"lr;horizon;loss\n1;2;3\n", "it has 'lr;horizon;loss'"),
        (b"\xff\xfe\0", "in UTF-8"),
        (b"", "no rows"),
    ):
        (tmp_path / "s.csv").write_bytes(content)
        assert cli.main(["transfer", "wsd", "wsd", "--steps", "9", "--sweep", str(tmp_path / "s.csv")]) == 2
        assert told in capsys.readouterr().err


def test_extend_from_the_end_alone(capsys, tmp_path):
    file = tmp_path / "next.csv"
    out = said(capsys, "extend", "--from", "500", "--to", "1200", "--have", "final", "--out", str(file))
    assert "The rate has fallen there already" in out and "earlier lower rate needs a checkpoint of step 400" in out
    eta = schedules.read_csv(file)
    np.testing.assert_allclose(eta[:500], schedules.wsd(500), rtol=1e-12)
    np.testing.assert_allclose(eta[500:], schedules.linear(700), rtol=1e-12)


def test_extend_with_any_schedule(capsys):
    out = said(capsys, "extend", "--from", "500", "--to", "1200", "--tuned", "cosine:warmup=50", "--lr", "3e-4")
    assert "from its end" in out and plans(out)["cooldown at once"][1] == "0.0003"
    words = ["--shape", "1-sqrt", "--warmup", "30"]
    out = said(capsys, "extend", "--from", "500", "--to", "1200", "--have", "200", *words)
    assert out == said(capsys, "extend", "--from", "500", "--to", "1200", "--have", "200", "--tuned", out.split()[3].rstrip(","))
    spec = out.splitlines()[-2].split()[-1]
    assert spec.endswith("shape=1-sqrt,warmup=30") and schedules.named(spec, 1200)[29] == 1


def test_transfer(capsys):
    out = said(capsys, "transfer", "wsd:cooldown=0.2", "linear", "--steps", "400", "--to-steps", "800", "--lr", "0.01")
    ratio = transfer.lr_ratio(schedules.wsd(400), schedules.linear(800))
    assert f"Multiply the rate by {ratio:.4f}." in out and f"{0.01 * ratio:.5g}" in out


def test_transfer_in_other_units(capsys):
    words = ["transfer", "wsd:cooldown=0.2", "linear", "--steps", "400"]
    ratio = transfer.lr_ratio(schedules.wsd(400), schedules.linear(400))
    out = said(capsys, *words)
    assert f"{ratio:.4f} ×" in out and "bound" not in out.partition("Evidence")[0]
    out = said(capsys, *words, "--units", "bound")
    assert "best rate for the bound" in out and f"{bounds.optimal_lr(schedules.linear(400))[0]:.5g}" in out


def test_optimal_in_units_of_the_bound(capsys, tmp_path):
    file = tmp_path / "best.csv"
    words = ["optimal", "--units", "bound", "--steps"]
    out = said(capsys, *words, "200", "--taken", "100", "--rate", "0.05", "--cap", "0.04", "--out", str(file))
    eta, bound, more = design.optimal(200, prefix=np.full(100, 0.05), cap=0.04)
    assert f"{bound:.8g}" in out and str(file) in out
    np.testing.assert_allclose(pd.read_csv(file)["lr"], more["lr"] * eta, rtol=1e-9)
    again = said(capsys, *words, "300", "--prefix", str(file), "--rate", "0.05")
    assert "no schedule is below" in again


def test_optimal_in_the_units_of_a_tuned_rate(capsys, tmp_path):
    file = tmp_path / "best.csv"
    words = [
        "optimal",
        "--steps",
        "2000",
        "--taken",
        "900",
        "--tuned",
        "wsd:cooldown=0.2",
        "--lr",
        "3e-4",
        "--tuned-steps",
        "1000",
    ]
    out = said(capsys, *words, "--out", str(file))
    tuned = bounds.optimal_lr(schedules.wsd(1000))[0]
    eta, bound, more = design.optimal(2000, prefix=np.full(900, tuned))
    np.testing.assert_allclose(pd.read_csv(file)["lr"], more["lr"] * eta * 3e-4 / tuned, rtol=1e-9)
    np.testing.assert_allclose(pd.read_csv(file)["lr"][:900], 3e-4, rtol=1e-9)
    assert f"{more['lr'] * eta[900] * 3e-4 / tuned:.5g}" in out and f"{bound / design.optimal(2000)[1]:.4f} ×" in out
    assert "0.0003 is taken for the best rate of wsd:cooldown=0.2 over 1,000 steps" in out
    thousandfold = said(capsys, *[word.replace("3e-4", "0.3") for word in words])
    ours, theirs = (float(text.splitlines()[1].split()[-1]) for text in (out, thousandfold))
    assert theirs == pytest.approx(1000 * ours, rel=1e-4), "no other unit is hidden in it"


def test_optimal_without_any_rate(capsys, tmp_path):
    file = tmp_path / "best.csv"
    out = said(capsys, "optimal", "--steps", "100", "--out", str(file))
    assert "× the best of linear decay at step 1 of 100" in out and f"{0.20360842 / 0.20011436:.4f} × the lowest" in out
    assert list(pd.read_csv(file)) == ["step", "eta"], "nobody said what a rate is"


def test_a_rate_in_other_units_is_noted_by_bound(capsys):
    assert cli.main(["bound", "linear", "--steps", "10000", "--lr", "3e-4"]) == 0
    assert "note: lr 0.0003 is far from every best rate: it is in units of D/G here" in capsys.readouterr().err


def test_log(capsys, tmp_path):
    log, picture = tmp_path / "log.csv", tmp_path / "run.png"
    steps = [*range(1, 51), *range(60, 101, 10)]
    pd.DataFrame({"global_step": steps, "loss": 3.0, "lr": 1e-3, "grad_norm": 2.0, "epoch": 1}).to_csv(log, index=False)
    out = said(capsys, "log", str(log), "--plot", str(picture))
    assert "format   CSV with commas" in out and "steps    1 to 100, 55 rows" in out and "not read: 'epoch'" in out
    row = re.split("  +", next(line for line in out.splitlines() if line.startswith("train_loss")))
    assert row == ["train_loss", "loss", "55", "1", "100", "every step to 50, then every 10", "3", "3"]
    assert picture.read_bytes().startswith(b"\x89PNG") and str(picture) in out
    said(capsys, "log", str(log), "--plot", str(picture))  # what it wrote itself it replaces


def test_log_of_several_runs(capsys, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("run,step,val_loss\na,1,2\nb,1,3\n")
    assert "runs     2: 'a', 'b'" in said(capsys, "log", str(log))
    assert "steps    1 to 1, 1 rows" in said(capsys, "log", str(log), "--run", "b")
    assert cli.main(["log", str(log), "--plot", str(tmp_path / "x.png")]) == 2
    found = capsys.readouterr()
    assert found.out == "" and "run must be given for a picture" in found.err and not (tmp_path / "x.png").exists()
    (tmp_path / "mine.png").write_bytes(b"a picture")
    assert cli.main(["log", str(log), "--run", "a", "--plot", str(tmp_path / "mine.png")]) == 2
    assert (tmp_path / "mine.png").read_bytes() == b"a picture"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bound", "wsd"], "T must be given for schedule 'wsd'"),
        (["bound", "triangle", "--steps", "9"], "schedule must be one of constant"),
        (["bound", "linear", "cosine", "--steps", "9", "--out", "x.csv"], "out needs a single schedule, got 2"),
        (["bound", "linear", "--steps", "9", "--out", "x.txt"], r"out must be a file name that ends in \.csv"),
        (["bound", "linear", "--steps", "9", "--grad-norms", "nowhere.csv"], "nowhere.csv"),
        (["extend", "--from", "50", "--to", "20"], r"to must be an integer in 51\.\.100000000, got 20"),
        (["extend", "--from", "50", "--to", "80", "--have", "51"], r"have must be a step in 1\.\.50, or final, got '51'"),
        (["extend", "--from", "50", "--to", "80", "--have", "last"], "have must be a step in"),
        (["extend", "--from", "50", "--to", "80", "--shape", "round"], "shape must be one of 'linear', '1-sqrt'"),
        (["extend", "--from", "50", "--to", "80", "--tuned", "wsd", "--warmup", "3"], "warmup must not be given with --tuned"),
        (["extend", "--from", "50", "--to", "80", "--lr", "1", "--units", "bound"], "units must not be given with --lr"),
        (["extend", "--from", "50", "--to", "80", "--cooldown", "1"], "cooldown must be below 1"),
        (["extend", "--from", "50", "--to", "80", "--lr", "-1"], "lr must be a finite number > 0"),
        (["transfer", "wsd", "linear", "--steps", "0"], r"T must be an integer in 1\.\.100000000, got 0"),
        (["optimal", "--steps", "9", "--taken", "3"], "rate must be given with --taken"),
        (["optimal", "--steps", "50000", "--taken", "40000", "--rate", "3e-4"], "rate must come with what fixes the units"),
        (
            ["optimal", "--steps", "50000", "--taken", "40000", "--rate", "3e-4", "--units", "bound"],
            r"rate must be within 10 times of 0\.004472.* in units of D/G, got 0\.0003.*need --tuned SPEC --lr LR",
        ),
        (
            ["optimal", "--steps", "50", "--taken", "40", "--rate", "3", "--tuned", "wsd", "--lr", "1e-3"],
            "rate must be within 10 times of .* got 3, .* is it in other units than --lr",
        ),
        (["optimal", "--steps", "9", "--cap", "1e-6", "--units", "bound"], "cap must be within 10 times"),
        (["optimal", "--steps", "9", "--lr", "1e-3"], "lr and tuned must come together"),
        (["optimal", "--steps", "9", "--tuned", "wsd"], "lr and tuned must come together"),
        (["optimal", "--steps", "9", "--tuned", "wsd", "--lr", "1", "--units", "bound"], "units must not be given with --lr"),
        (["optimal", "--steps", "9", "--tuned-steps", "8"], "tuned-steps must come with --tuned"),
        (["transfer", "wsd", "linear", "--steps", "9", "--lr", "1", "--units", "bound"], "units must not be given with --lr"),
        (["optimal", "--steps", "9", "--taken", "9", "--rate", "1"], r"taken must be an integer in 0\.\.8, got 9"),
        (["optimal", "--steps", "9", "--taken", "3", "--rate", "1", "--prefix", "x.csv"], "must not both be given"),
        (["train", "--schedule", "wsd:fraction=1", "--steps", "5"], "has no parameter 'fraction'"),
        (["refine", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_errors_name_the_argument(words, message, capsys):
    assert cli.main(words) == 2
    found = capsys.readouterr()
    assert found.err.startswith("error: ") and found.err.count("\n") == 1
    assert re.search(message, found.err), found.err


def test_an_exponent_given_or_measured(capsys, tmp_path):
    out = said(capsys, "transfer", "wsd", "linear", "--steps", "8000", "--exponent", "0.24")
    a, b = schedules.wsd(8000), schedules.linear(8000)
    assert f"Multiply the rate by {transfer.lr_ratio(a, b, exponent=0.24):.4f}." in out
    assert f"With T^-0.5 it would be {transfer.lr_ratio(a, b):.4f}." in out
    out = said(capsys, "extend", "--from", "5000", "--to", "10000", "--exponent", "0.24")
    assert "0.691" in out and "With T^-0.5 the factor would be 0.533." in out
    assert "constant gradient norms" in said(capsys, "extend", "--from", "50", "--to", "80")
    table = tmp_path / "sweep.csv"
    rows = [(lr, T, 10 * lr + 1e-2 / (lr * T)) for T in (1000, 4000) for lr in (2e-4, 5e-4, 1e-3, 2e-3)]
    table.write_text("lr,horizon,loss\n" + "".join(f"{lr},{T},{loss}\n" for lr, T, loss in rows))
    out = said(capsys, "transfer", "wsd", "linear", "--steps", "800", "--sweep", str(table))
    assert "best rates fall like T^-0.50 with the horizon (0.50 to 0.50" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--exponent", "7"], "exponent must be"),
        (["--exponent", "0.3", "--sweep", "{}"], "exponent and sweep must not both be given"),
        (["--sweep", "{}"], "sweep must have a number in column lr of every row"),
        (["--sweep", "missing.csv"], "missing.csv"),
    ],
)
def test_exponents_that_are_refused(capsys, tmp_path, options, words):
    table = tmp_path / "sweep.csv"
    table.write_text("lr,horizon,loss\nx,2,3\n")
    command = ["transfer", "wsd", "linear", "--steps", "80", *(option.format(table) for option in options)]
    assert cli.main(command) == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("global_step,eta,loss\n1,1,3.5", "a file that this command did not write"),
        ("step,eta,grad_norm\n1,1,2", "a file that this command did not write"),
    ],
)
def test_out_is_never_another_file(capsys, tmp_path, heading, words):
    foreign = tmp_path / "foreign.csv"
    foreign.write_text(heading)
    assert cli.main(["extend", "--from", "40", "--to", "60", "--out", str(foreign)]) == 2
    assert words in capsys.readouterr().err and foreign.read_text() == heading


def test_out_is_never_what_is_read(capsys, tmp_path):
    prefix = tmp_path / "prefix.csv"
    prefix.write_text("step,eta\n1,1\n2,1\n3,0.5\n")
    command = ["optimal", "--steps", "20", "--prefix", str(prefix), "--units", "bound", "--rate", "0.1", "--out", str(prefix)]
    assert cli.main(command) == 2 and "which this command reads" in capsys.readouterr().err
    assert prefix.read_text().count("\n") == 4


def test_norms_that_the_solver_cannot_do_are_no_bug(capsys, tmp_path):
    log = tmp_path / "span.csv"
    norms = [15.4, 0.0077, 84, 0.14, 715, 0.07, 215, 0.34, 270, 55]
    log.write_text("step,grad_norm\n" + "".join(f"{t},{norm}\n" for t, norm in enumerate(norms, 1)))
    status = cli.main(["optimal", "--steps", "10", "--grad-norms", str(log), "--D", "69", "--monotone"])
    assert status == 0 or "Clarabel found no optimum" in capsys.readouterr().err


def test_files_that_break_off_or_hold_huge_numbers(capsys, tmp_path):
    broken, huge = tmp_path / "z.csv.gz", tmp_path / "j.jsonl"
    broken.write_bytes(b"\x1f\x8b\x08bad")
    huge.write_text('{"step":%s,"grad_norm":1}\n{"step":2,"grad_norm":2}\n' % ("9" * 400))
    for path in (broken, huge):
        assert cli.main(["refine", str(path), "--out", str(tmp_path / "r.csv")]) == 2
        assert path.name in capsys.readouterr().err
