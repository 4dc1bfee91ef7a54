"""The trainer: against plain PyTorch, killed and resumed, branched, on two processes, and with what can go wrong."""

import json
import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from lastiterate import logs, schedules, trainer
from lastiterate.logs.published import DataError
from lastiterate.trainer import step as steps
from tiny import ENVIRONMENT, alone, command, shell, tiny

pytestmark = pytest.mark.usefixtures("one_thread")


# --- another run's weights -------------------------------------------------------------------------------------------


def test_fine_tuning_begins_with_the_weights_alone(tmp_path):
    config, rates = tiny(schedules.wsd(20), dtype="float32")
    alone(tmp_path, config, rates, "first", keep=[20])
    checkpoint = trainer.checkpoint_path(tmp_path / "first.parquet", 20)
    text = tmp_path / "text.txt"
    text.write_bytes(b"0123456789,\n" * 400)
    config, rates = tiny(schedules.linear(10), corpus=str(text), dtype="float32", seed=3)
    log = alone(tmp_path, config, rates, "tuned", weights=checkpoint)
    assert log["step"].tolist() == list(range(1, 11)) and trainer.read_metadata(tmp_path / "tuned.parquet")["parent"] is None

    network = trainer.GPT(config.shape)
    network.load_state_dict(torch.load(checkpoint)["model"])
    batch = trainer.batch_at(trainer.corpus(str(text)), config, 0)
    assert log["train_loss"].iloc[0] == pytest.approx(network(batch[:, :-1], batch[:, 1:]).item(), rel=1e-6)
    fresh = alone(tmp_path, config, rates, "fresh")
    assert fresh["train_loss"].iloc[0] != log["train_loss"].iloc[0]

    with pytest.raises(ValueError, match="start and weights must not both be given"):
        alone(tmp_path, config, rates, "both", start=checkpoint, weights=checkpoint)
    other, rates = tiny(schedules.linear(10), width=64)
    with pytest.raises(ValueError, match="are of another model: width 32, this run's 64"):
        alone(tmp_path, other, rates, "other", weights=checkpoint)


# --- a step is AdamW's -----------------------------------------------------------------------------------------------


def test_steps_are_those_of_a_plain_torch_loop(tmp_path):
    config, rates = tiny(schedules.cosine(12), dtype="float32", clip=0.5)
    log = alone(tmp_path, config, rates, keep=[12])
    corpus = trainer.corpus()

    network = trainer.GPT(config.shape)
    network.initialise(config.seed)
    matrices, gains = ([p for p in network.parameters() if (p.ndim > 1) is many] for many in (True, False))
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}],
        lr=config.lr, betas=(0.9, 0.95), foreach=False, fused=False,
    )  # fmt: skip
    scheduler = schedules.to_torch(optimizer, schedules.warmup(schedules.cosine(12), 5))
    for t in range(12):
        batch = trainer.batch_at(corpus, config, t)
        loss = network(batch[:, :-1], batch[:, 1:])
        loss.backward()
        flat = torch.cat([p.grad.flatten() for p in network.parameters()])
        weights = torch.cat([p.detach().flatten() for p in network.parameters()])
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        row = log.iloc[t]
        assert optimizer.param_groups[0]["lr"] == pytest.approx(row["lr"], rel=1e-12)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        update = torch.cat([p.detach().flatten() for p in network.parameters()]) - weights
        for name, value in (
            ("train_loss", loss),
            ("grad_norm", flat.norm()),
            ("grad_norm_l1", flat.abs().sum()),
            ("update_norm", update.norm()),
        ):
            assert row[name] == pytest.approx(value.item(), rel=1e-4), name
    state = torch.load(trainer.checkpoint_path(tmp_path / "alone.parquet", 12), weights_only=True)
    for name, p in network.state_dict().items():
        torch.testing.assert_close(state["model"][name], p, rtol=1e-4, atol=1e-6)


def test_adamw_is_the_formula():
    config, _ = tiny()
    network = trainer.GPT(config.shape).double()
    optimizer = trainer.make_optimizers(network, config)[0]
    expected = {name: p.detach().clone() for name, p in network.named_parameters()}
    m, v = ({name: torch.zeros_like(p) for name, p in expected.items()} for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    for t, lr in enumerate((1e-2, 3e-2, 2e-2), start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr
        for name, p in network.named_parameters():
            g = p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.95 * v[name] + 0.05 * g**2
            decay = 0.1 if p.ndim == 2 else 0.0
            step = (m[name] / (1 - 0.9**t)) / ((v[name] / (1 - 0.95**t)).sqrt() + 1e-8)
            expected[name] = expected[name] - lr * decay * expected[name] - lr * step
        optimizer.step()
    for name, p in network.named_parameters():
        torch.testing.assert_close(p.detach(), expected[name], rtol=1e-12, atol=1e-14)


# --- other optimizers --------------------------------------------------------------------------------------------------


def test_muon_has_the_blocks_matrices_and_adamw_the_rest():
    config, _ = tiny(optimizer="muon", weight_decay=0.2)
    network = trainer.GPT(config.shape)
    muon, adamw = trainer.make_optimizers(network, config)
    names = {p: name for name, p in network.named_parameters()}
    has = [{names[p] for group in optimizer.param_groups for p in group["params"]} for optimizer in (muon, adamw)]
    assert has[0] == {name for name in names.values() if name.startswith("blocks.") and "norm" not in name}
    assert has[0] | has[1] == set(names.values()) and "embedding.weight" in has[1]
    assert type(muon) is torch.optim.Muon and muon.param_groups[0]["weight_decay"] == 0.2
    assert [group["weight_decay"] for group in adamw.param_groups] == [0.2, 0.0]


@pytest.mark.parametrize("optimizer", ["muon", "sgd"])
def test_other_optimizers_learn_resume_and_branch_as_adamw_does(tmp_path, optimizer):
    options = {"optimizer": optimizer, "lr": 0.1 if optimizer == "sgd" else 3e-3}
    config, rates = tiny(schedules.wsd(60), **options)
    log = alone(tmp_path, config, rates, keep=[20])
    assert log["val_loss"].iloc[-1] < log["train_loss"].iloc[0] - 0.5
    start = trainer.checkpoint_path(tmp_path / "alone.parquet", 20)
    branch = alone(tmp_path, *tiny(schedules.wsd(60, 0.5), **options), name="branch", start=start)
    whole = alone(tmp_path, *tiny(schedules.wsd(60, 0.5), **options), name="whole")
    pd.testing.assert_frame_equal(branch, whole.iloc[20:].reset_index(drop=True), check_exact=True)
    start.rename(trainer.state_path(tmp_path / "again.parquet"))
    pd.testing.assert_frame_equal(alone(tmp_path, config, rates, name="again"), log, check_exact=True)


def test_sgd_is_the_formula():
    config, _ = tiny(optimizer="sgd")
    network = trainer.GPT(config.shape).double()
    (optimizer,) = trainer.make_optimizers(network, config)
    expected = {name: p.detach().clone() for name, p in network.named_parameters()}
    m = {name: torch.zeros_like(p) for name, p in expected.items()}
    generator = torch.Generator().manual_seed(0)
    for lr in (1e-2, 3e-2):
        steps.set_rates([optimizer], lr)
        for name, p in network.named_parameters():
            p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            m[name] = 0.9 * m[name] + p.grad + (0.1 if p.ndim == 2 else 0.0) * expected[name]
            expected[name] = expected[name] - lr * m[name]
        optimizer.step()
    for name, p in network.named_parameters():
        torch.testing.assert_close(p.detach(), expected[name], rtol=1e-12, atol=1e-14)


def test_accumulated_micro_batches_are_one_batch(tmp_path):
    results = [alone(tmp_path, *tiny(dtype="float32", micro_batch=m), name=str(m)) for m in (4, 2, 1)]
    for other in results[1:]:
        for name in ("train_loss", "val_loss", "grad_norm", "update_norm"):
            np.testing.assert_allclose(other[name], results[0][name], rtol=2e-3)


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(tmp_path):
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    flags = ("--steps=20", "--dtype=float32", "--micro-batch=1")
    shell(*flags, f"--out={one}", check=True)
    launch = command(*flags, f"--out={two}", before=("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"))
    launch.remove(sys.executable)
    done = subprocess.run([sys.executable, *launch], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    a, b = pd.read_parquet(one), pd.read_parquet(two)
    for name in ("train_loss", "val_loss", "grad_norm", "grad_norm_l1", "update_norm"):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4, err_msg=name)
    assert trainer.read_metadata(two)["config"]["processes"] == 2


def test_bfloat16_keeps_float32_weights_and_learns_as_well(tmp_path):
    losses = {}
    for dtype in ("float32", "bfloat16"):
        log = alone(tmp_path, *tiny(schedules.wsd(100), dtype=dtype), name=dtype, keep=[100])
        losses[dtype] = log["val_loss"].iloc[-1]
        state = torch.load(trainer.checkpoint_path(tmp_path / f"{dtype}.parquet", 100), weights_only=True)
        assert {p.dtype for p in state["model"].values()} == {torch.float32}
    assert losses["bfloat16"] == pytest.approx(losses["float32"], abs=0.2) and losses["float32"] < 4.5


# --- the log -----------------------------------------------------------------------------------------------------------


def test_a_log_has_every_step_and_all_that_it_depends_on(tmp_path):
    config, rates = tiny(schedules.wsd(45))
    log = alone(tmp_path, config, rates)
    assert log.columns.tolist() == trainer.COLUMNS and log["step"].tolist() == list(range(1, 46))
    assert log.loc[log["val_loss"].notna(), "step"].tolist() == [10, 20, 30, 40, 45]
    np.testing.assert_array_equal(log["lr"], rates)
    np.testing.assert_array_equal(log["tokens"], log["step"] * 4 * 32)
    assert (
        np.isfinite(log.drop(columns="val_loss")).all(axis=None) and log["train_loss"].iloc[-1] < log["train_loss"].iloc[0] - 0.5
    )
    about = trainer.read_metadata(tmp_path / "alone.parquet")
    assert about["status"] == "finished" and about["config"]["corpus_sha256"] == trainer.PYTHON["sha256"]
    assert about["packages"]["torch"] == torch.__version__ and about["rates"] == rates.tolist()
    assert {"commit", "hardware"} <= set(about) and about["config"]["seed"] == 0
    read = logs.read(tmp_path / "alone.parquet")
    assert read.columns.tolist() == logs.COLUMNS + logs.EXTRA and read["grad_norm"].tolist() == log["grad_norm"].tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["alone.parquet"], "checkpoints and parts are gone"


def test_a_thinned_log_has_the_rows_of_the_whole_one(tmp_path):
    whole = alone(tmp_path, *tiny(schedules.wsd(45)))
    config, rates = tiny(schedules.wsd(45), log_every=4)
    thin = alone(tmp_path, config, rates, name="thin")
    kept = whole["step"].isin([*range(4, 46, 4), 10, 20, 30, 40, 45])
    pd.testing.assert_frame_equal(thin, whole[kept].reset_index(drop=True), check_exact=True)
    alone(tmp_path, config, rates, name="parts", keep=[22])
    trainer.checkpoint_path(tmp_path / "parts.parquet", 22).rename(trainer.state_path(tmp_path / "resumed.parquet"))
    pd.testing.assert_frame_equal(alone(tmp_path, config, rates, name="resumed"), thin, check_exact=True)
    pd.testing.assert_frame_equal(alone(tmp_path, config, rates), whole), "how a finished run was logged changes nothing in it"


def test_a_step_that_is_not_logged_has_no_work_for_the_log(tmp_path, monkeypatch):
    count = {"l1": 0, "before": 0, "read": 0}
    norm, add, tolist = torch._foreach_norm, torch._foreach_add, torch.Tensor.tolist

    def counted(name, function):
        def call(*args):
            count[name] += name != "l1" or args[1:] == (1,)
            return function(*args)

        return call

    config, rates = tiny(schedules.constant(20), log_every=10, eval_every=10)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "_foreach_norm", counted("l1", norm))
        patch.setattr(torch, "_foreach_add", counted("before", add))
        patch.setattr(torch.Tensor, "tolist", counted("read", tolist))
        alone(tmp_path, config, rates)
    assert count == {"l1": 2, "before": 2, "read": 2}


def test_seed_decides_weights_and_data():
    corpus = trainer.corpus()
    (a, _), (b, _) = tiny(seed=0), tiny(seed=1)
    assert torch.equal(trainer.batch_at(corpus, a, 3), trainer.batch_at(corpus, a, 3))
    assert not torch.equal(trainer.batch_at(corpus, a, 3), trainer.batch_at(corpus, b, 3))
    assert not torch.equal(trainer.batch_at(corpus, a, 3), trainer.batch_at(corpus, a, 4))


def test_windows_stay_within_their_shard():
    shards = [np.arange(0, 10), np.arange(100, 103), np.arange(200, 230)]
    found = trainer.windows(shards, 4, np.linspace(0, 1, 200, endpoint=False))
    assert (np.diff(found, axis=1) == 1).all()
    assert {*found[:, 0]} == {*range(0, 6), *range(200, 226)}, "each start is possible, and the short shard has none"


# --- stopped, resumed, branched ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_at_random_steps_and_resumed_gives_the_same_log(tmp_path):
    flags = ("--steps=150", "--cooldown=0.3")
    shell(*flags, f"--out={tmp_path / 'left.parquet'}", check=True)
    out = tmp_path / "killed.parquet"
    kills, rng = 0, random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            command(*flags, f"--out={out}", "--checkpoint-seconds=0"), env=ENVIRONMENT, stderr=subprocess.DEVNULL
        )
        seen = trainer.state_path(out)
        before = seen.stat().st_mtime_ns if seen.is_file() else 0
        while process.poll() is None and (seen.stat().st_mtime_ns if seen.is_file() else 0) == before and not out.is_file():
            time.sleep(0.01)
        time.sleep(rng.random() * 0.3)
        kills += process.poll() is None
        process.kill()
        process.wait()
    assert kills >= 2, "it was killed in the middle"
    shell(*flags, f"--out={out}", check=True)
    pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(tmp_path / "left.parquet"), check_exact=True)


def test_terminated_it_saves_and_goes_on(tmp_path):
    flags, out = ("--steps=400", f"--out={tmp_path / 'run.parquet'}"), tmp_path / "run.parquet"
    started = command(*flags, "--checkpoint-seconds=0")
    process = subprocess.Popen(started, env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while process.poll() is None and not trainer.state_path(out).is_file():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 130 and "goes on from there" in process.stderr.read()
    state = torch.load(trainer.state_path(out), weights_only=True)
    assert 0 <= state["step"] < 400 and len(state["log"]) == state["step"]
    shell(*flags, check=True)
    expected = alone(tmp_path, *tiny(*trainer.make_schedule("wsd", 400)))
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected, check_exact=True)


def test_a_resumed_run_goes_on_from_its_checkpoint(tmp_path):
    config, rates = tiny()
    alone(tmp_path, config, rates, keep=[20])
    state = torch.load(trainer.checkpoint_path(tmp_path / "alone.parquet", 20), weights_only=True)
    state["log"][0, trainer.COLUMNS.index("train_loss")] = 123.0
    torch.save(state, tmp_path / "marked.parquet.checkpoint")
    log = alone(tmp_path, config, rates, name="marked")
    assert log["train_loss"].iloc[0] == 123.0 and len(log) == 40


def test_a_branch_equals_the_run_trained_alone(tmp_path):
    long, rates = tiny(schedules.wsd(60, 0.2))
    alone(tmp_path, long, rates, name="long", keep=[20])
    short, rates = tiny(schedules.wsd(40, 0.5))
    start = trainer.checkpoint_path(tmp_path / "long.parquet", 20)
    branch = alone(tmp_path, short, rates, name="branch", start=start)
    whole = alone(tmp_path, short, rates, name="whole")
    pd.testing.assert_frame_equal(branch, whole.iloc[20:].reset_index(drop=True), check_exact=True)
    assert trainer.read_metadata(tmp_path / "branch.parquet")["first_step"] == 21


def test_a_finished_run_is_not_trained_again(tmp_path):
    config, rates = tiny()
    log = alone(tmp_path, config, rates)
    before = (tmp_path / "alone.parquet").stat().st_mtime_ns
    pd.testing.assert_frame_equal(alone(tmp_path, config, rates), log)
    assert (tmp_path / "alone.parquet").stat().st_mtime_ns == before


# --- what can go wrong -----------------------------------------------------------------------------------------------


def test_divergence_stops_with_a_message_and_a_usable_log(tmp_path):
    out = tmp_path / "run.parquet"
    done = shell("--steps=40", "--lr=1e30", "--clip=1e30", f"--out={out}")
    assert done.returncode == 3 and "not finite at step" in done.stderr
    log, about = pd.read_parquet(out), trainer.read_metadata(out)
    assert about["status"] == "diverged" and about["last_step"] == len(log) < 40
    assert np.isfinite(log["train_loss"].iloc[0]) and not np.isfinite(log.drop(columns="val_loss").iloc[-1]).all()
    assert shell("--steps=40", "--lr=1e30", "--clip=1e30", f"--out={out}").returncode == 3


def test_divergence_between_two_rows_is_found_at_the_next(tmp_path):
    config, rates = tiny(schedules.constant(40), lr=1e30, clip=1e30, log_every=15, eval_every=40)
    with pytest.raises(trainer.Diverged, match="not finite up to step 15"):
        alone(tmp_path, config, rates)
    assert pd.read_parquet(tmp_path / "alone.parquet")["step"].tolist() == [15]


def test_a_single_bad_gradient_between_two_rows_is_not_forgotten(tmp_path, monkeypatch):
    config, rates = tiny(schedules.constant(20), log_every=10, eval_every=20)
    norm, calls = torch._foreach_norm, []

    def once_infinite(tensors, *order):
        calls.append(order)
        found = norm(tensors, *order)
        return [x * float("nan") for x in found] if len(calls) == 3 else found

    monkeypatch.setattr(torch, "_foreach_norm", once_infinite)
    monkeypatch.setattr(torch, "_foreach_mul_", lambda *_: None)  # so that the weights stay finite
    with pytest.raises(trainer.Diverged, match="up to step 10"):
        alone(tmp_path, config, rates)


@pytest.mark.slow
def test_a_disk_that_fills_during_a_checkpoint(tmp_path):
    flags, out = ("--steps=60", f"--out={tmp_path / 'run.parquet'}"), tmp_path / "run.parquet"
    shell(*flags, "--keep=30", check=True)
    whole = pd.read_parquet(out)
    out.unlink()
    size = trainer.checkpoint_path(out, 30).stat().st_size
    trainer.checkpoint_path(out, 30).rename(trainer.state_path(out))  # as if it had been stopped there

    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    kept = trainer.state_path(out).read_bytes()
    done = shell(*flags, "--checkpoint-seconds=0", preexec_fn=no_room)
    assert done.returncode == 2 and "cannot write checkpoint" in done.stderr and "is the last" in done.stderr
    assert trainer.state_path(out).read_bytes() == kept and not list(tmp_path.glob("*.partial"))
    shell(*flags, check=True)
    pd.testing.assert_frame_equal(pd.read_parquet(out), whole, check_exact=True)


def test_files_and_devices_that_are_not_there(tmp_path, monkeypatch):
    config, rates = tiny()
    with pytest.raises(ValueError, match=r"out must be a file name that ends in .parquet, got 'lr0.001'"):
        trainer.train(config, rates, "lr0.001")
    with pytest.raises(ValueError, match=r"keep must be an integer in 0..40, got 41"):
        alone(tmp_path, config, rates, keep=[41])
    for seconds in (float("nan"), -1, "60"):
        with pytest.raises(ValueError, match=r"checkpoint_seconds must be a finite number >= 0, got"):
            alone(tmp_path, config, rates, checkpoint_seconds=seconds)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device must be 'cpu', got 'cuda': PyTorch sees no GPU here"):
        alone(tmp_path, *tiny(device="cuda"))


def test_what_a_broken_step_leaves_is_not_carried_into_the_next_run(tmp_path, monkeypatch):
    config, rates = tiny(schedules.constant(5))
    log = alone(tmp_path, config, rates)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "_foreach_norm", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            alone(tmp_path, config, rates, name="broken")
    pd.testing.assert_frame_equal(alone(tmp_path, config, rates, name="again"), log, check_exact=True)


def test_a_corpus_that_is_not_the_one_of_the_config(tmp_path):
    config, rates = tiny()
    other = trainer.corpus()._replace(sha256="0" * 64)
    with pytest.raises(DataError, match="sha256 differs, expected"):
        alone(tmp_path, config, rates, corpus=other)


def test_metadata_is_json_and_names_no_path(tmp_path):
    config, rates = tiny(schedules.constant(10))
    alone(tmp_path, config, rates)
    assert str(tmp_path) not in json.dumps(trainer.read_metadata(tmp_path / "alone.parquet"))


# --- time ----------------------------------------------------------------------------------------------------------------


def test_a_large_model_is_estimated_and_a_small_one_measured(monkeypatch):
    config, rates = trainer.configure(schedules.constant(400), preset="124m", device="cpu")
    monkeypatch.setattr(steps, "seconds_per_step", lambda *_: 0.5)
    seconds, how = steps.time_of_step(config, rates)
    assert how.startswith("estimated") and 1 < seconds < 10_000
    assert steps.time_of_step(*tiny(compile=True)) == (0.5, "measured over a few steps, not compiled")
