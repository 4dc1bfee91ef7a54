"""Train a GPT with any schedule, log its steps, go on exactly where it was stopped.

One run makes one Parquet file, with the columns of `logs` and `tokens`, `grad_norm_l1`, `update_norm`. Row t is about step t:
rate, loss before the step, norms of the mean gradient before clipping, norm of what the step adds to the weights; `val_loss`
is measured after the step. The batch of step t is a function of seed and t alone, and nothing else is drawn at random after
the weights: that is why a resumed run, or one that branches off another's checkpoint, equals the run trained alone, bit by bit
on a CPU with the same number of threads (GPUs add up in no fixed order, and agree to rounding only).
"""

import contextlib
import dataclasses
import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lastiterate import _check, _extras, _files
from lastiterate.logs.published import DataError
from lastiterate.trainer import checkpoint, corpora, machine
from lastiterate.trainer.checkpoint import COLUMNS
from lastiterate.trainer.config import FREE, Config
from lastiterate.trainer.corpora import Corpus

_extras.require("torch", "train")
import torch  # noqa: E402

from lastiterate.trainer.step import any_process, batch_at, evaluate, one_step, prepare, sequences_at, set_rates  # noqa: E402

ONE_AT_A_TIME = threading.Lock()  # in a process: runs share the network that was compiled


class Diverged(RuntimeError):
    """A loss or a gradient that is not finite; the log up to there is written."""


def train(
    config: Config,
    rates: np.ndarray,
    out: str | os.PathLike,
    corpus: Corpus | None = None,
    start: str | os.PathLike | None = None,
    keep: Iterable[int] = (),
    checkpoint_seconds: float = 60.0,
    progress: bool = True,
    weights: str | os.PathLike | None = None,
) -> Any:
    """Train, or go on training, and write the log.

    Args:
        config, rates: from `configure`.
        out: Parquet file of the log. While the run is under way ``<out>.checkpoint`` holds its state; a run that finds one
            goes on from it, and a run whose log is there already is not trained again.
        corpus: a Corpus; by default the one that the config names.
        start: checkpoint of another run to branch from; its config and its rates so far must be this run's. The log then
            begins at the step after it.
        keep: numbers of steps after which to keep a checkpoint, as `checkpoint_path(out, step)`; those that lie behind, where
            a run is resumed, are not made any more.
        checkpoint_seconds: time between checkpoints.
        progress: whether to show a progress bar.
        weights: checkpoint of another run, of a model of the same shape, whose weights to begin with; moments, data and steps
            begin anew (fine-tuning).

    Returns:
        The log as a DataFrame with COLUMNS (on the first process; None on others): each step whose number is a multiple of
        config.log_every, those after which it was validated, and the last one.

    Raises:
        ValueError: where a checkpoint or the finished log is of another config, another process trains this run, a step to keep
            is not in 0..T, `out` does not end in .parquet, both start and weights are given, or the config asks for a GPU and
            there is none.
        DataError: where the corpus is not the config's, or a checkpoint cannot be written (the last one stays).
        Diverged: on a loss or gradient that is not finite, found at the next step that is logged; the log is written before.
        KeyboardInterrupt: on Ctrl-C and SIGTERM, after a checkpoint has been written.

    Source: this project.
    """
    out, kept, checkpoint_seconds = check(config, rates, out, start, keep, checkpoint_seconds, weights)
    first_process = machine.rank() == 0
    with ONE_AT_A_TIME:
        if not out.is_file():
            with checkpoint.locked(out) if first_process else contextlib.nullcontext():
                if not out.is_file():  # another process may have ended it meanwhile
                    return _train(config, rates, out, corpus, start, kept, checkpoint_seconds, progress, weights)
        return _finished(config, rates, out, first_process)


def check(
    config: Config,
    rates: np.ndarray,
    out: str | os.PathLike,
    start: str | os.PathLike | None = None,
    keep: Iterable[int] = (),
    checkpoint_seconds: float = 60.0,
    weights: str | os.PathLike | None = None,
    look_inside: bool = False,
) -> tuple[Path, set[int], float]:
    """What `train` checks before it begins: (out, steps to keep, seconds).

    Args:
        config, rates, out, start, keep, checkpoint_seconds, weights: as `train`.
        look_inside: whether to read the checkpoint that the run would begin with, too, and see whether it fits.

    Raises:
        ValueError: as `train`.
    """
    out = _files.writable("out", _check.path("out", out))
    if out.suffix != ".parquet":
        raise ValueError(f"out must be a file name that ends in .parquet, got {str(out)!r}")
    kept = {_check.integer("keep", k, 0, config.horizon) for k in _check.sequence("keep", keep)}
    checkpoint_seconds = _check.real("checkpoint_seconds", checkpoint_seconds, 0.0)
    start = None if start is None else _check.path("start", start)
    weights = None if weights is None else _check.path("weights", weights)
    if start is not None and weights is not None:
        raise ValueError("start and weights must not both be given: one goes on with a run, the other begins a new one")
    if look_inside and out.is_file():
        about = checkpoint.read_metadata(out)
        checkpoint.same_run(about["config"], config, out, about["rates"], rates, checkpoint.UNSEEN)
    elif look_inside and checkpoint.state_path(out).is_file():
        found = checkpoint.state_path(out)
        state = checkpoint.load(found)
        checkpoint.same_run(state["config"], config, found, state["rates"], rates)
    elif look_inside and start is not None:
        _check_branch(checkpoint.load(start), start, config, rates)
    elif look_inside and weights is not None:
        checkpoint.load_of_shape(weights, config)
    return out, kept, checkpoint_seconds


def _check_branch(state, found, config, rates):
    """A ValueError where a run cannot branch off a checkpoint."""
    step = state["step"]
    if step >= config.horizon:
        raise ValueError(f"start must be a checkpoint of before step {config.horizon}, got one of step {step}")
    checkpoint.same_run(state["config"], config, found, state["rates"][:step], rates[:step], FREE)


def _finished(config, rates, out, first_process):
    import pandas as pd

    about = checkpoint.read_metadata(out)
    checkpoint.same_run(about["config"], config, out, about["rates"], rates, checkpoint.UNSEEN)
    if about["status"] == "diverged":
        raise Diverged(f"{out} is of a run that diverged at step {about['last_step']}")
    return pd.read_parquet(out) if first_process else None


def _train(config, rates, out, corpus, start, keep, checkpoint_seconds, progress, weights):
    T, rank = config.horizon, machine.rank()
    tokens = corpora.corpus(config.corpus) if corpus is None else corpus
    if tokens.sha256 != config.corpus_sha256:
        raise DataError(f"corpus {tokens.name}: sha256 differs, expected {config.corpus_sha256}, found {tokens.sha256}")
    device, network, forward, optimizers = prepare(config)
    resumed = checkpoint.state_path(out)
    if rank == 0:
        for name in (out.name, *(checkpoint.checkpoint_path(out, k).name for k in keep)):
            _files.sweep(out.parent, name)  # what a killed run was writing
    first, step, log, parent = _restore(network, optimizers, config, rates, resumed, start, weights)

    def save(path):
        if rank == 0:
            state = {"step": step, "first": first, "parent": parent, "config": json.dumps(dataclasses.asdict(config))}
            state |= {"rates": torch.tensor(rates), "log": torch.tensor(log[first:step]), "model": network.state_dict()}
            checkpoint.save(path, state | {"optimizer": [optimizer.state_dict() for optimizer in optimizers]}, resumed)

    def write(status):
        if rank:
            return None
        table = _table(log[first:step])
        about = {"status": status, "first_step": first + 1, "last_step": step, "parent": parent}
        checkpoint.write_log(out, table, config, rates, **about)
        resumed.unlink(missing_ok=True)
        return table

    bar, place = _bar(T, step, out, progress and rank == 0), np.linspace(0, 1, config.eval_sequences, endpoint=False)
    val = sequences_at(tokens, tokens.val, config, place)
    trouble, last_saved = torch.zeros((), device=device), time.monotonic()
    with bar, _asked_to_stop() as asked:
        while step < T:
            stopping = any_process(bool(asked), step, config, device)
            if step in keep and not checkpoint.checkpoint_path(out, step).is_file():
                save(checkpoint.checkpoint_path(out, step))
            if stopping or time.monotonic() - last_saved >= checkpoint_seconds:
                save(resumed)
                last_saved = time.monotonic()
            if stopping:
                raise KeyboardInterrupt("state is saved, the same command goes on from there")
            set_rates(optimizers, rates[step])
            validated = (step + 1) % config.eval_every == 0 or step + 1 == T
            logged = validated or (step + 1) % config.log_every == 0
            batch = batch_at(tokens, config, step, rank)
            found = one_step(forward, network, optimizers, batch, config, device, trouble, logged)
            step += 1
            if logged:
                *metrics, so_far = found.tolist()
                log[step - 1, :3] = step, step * config.batch * config.context, rates[step - 1]
                log[step - 1, [3, 5, 6, 7]] = metrics
                if not np.isfinite([*metrics, so_far]).all():
                    write("diverged")
                    when = f"{'at' if config.log_every == 1 else 'up to'} step {step} (lr {rates[step - 1]:g})"
                    raise Diverged(f"loss or gradient is not finite {when}; log in {out}")
                bar.set_postfix_str(f"loss {metrics[0]:.3f}, lr {rates[step - 1]:.2g}, " + _speed(bar, config), refresh=False)
            if validated:
                log[step - 1, 4] = evaluate(network if config.processes > 1 else forward, val, config, device)
            bar.update()
    if T in keep:
        save(checkpoint.checkpoint_path(out, T))
    return write("finished")


def _restore(network, optimizers, config, rates, resumed, start, weights):
    """(first, step, log, parent) of a run that was stopped, of one that branches off another, or of one that begins."""
    log, first, step, parent = np.full((config.horizon, len(COLUMNS)), np.nan), 0, 0, None
    begun = resumed.is_file()
    found = Path(resumed if begun or start is None else start)
    state = None
    if begun or start is not None:
        state = checkpoint.load(found)
        step = state["step"]
    if begun and state:
        checkpoint.same_run(state["config"], config, found, state["rates"], rates)
        first, parent = state["first"], state.get("parent")
        log[first:step] = state["log"]
    elif state:
        first, parent = step, found.name
        _check_branch(state, found, config, rates)
    elif weights is not None:
        checkpoint.load_weights(weights, network, config)
    if config.processes > 1:
        steps: list[Any] = [None] * config.processes
        torch.distributed.all_gather_object(steps, step)
        if len(set(steps)) > 1:
            raise ValueError(f"out must be in a folder that all processes share: they found checkpoints of steps {steps}")
    if state:
        checkpoint.load_state(found, network, optimizers, state)
    return first, step, log, parent


@contextlib.contextmanager
def _asked_to_stop():
    """A list that is filled by Ctrl-C or SIGTERM, to be looked at between steps; a second one of the same interrupts at once."""
    asked = []

    def note(number, _):
        if number in asked:
            raise KeyboardInterrupt("at once: the same command goes on from the last checkpoint, if there is one")
        asked.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, which alone gets signals
        before = {}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _bar(T, step, out, show):
    _extras.require("tqdm", "train")
    from tqdm import tqdm

    return tqdm(total=T, initial=step, desc=out.stem, unit="step", disable=None if show else True, dynamic_ncols=True)


def _speed(bar, config):
    rate = bar.format_dict["rate"] or 0
    return f"{rate * config.batch * config.context:,.0f} tokens/s"


def _table(rows):
    import pandas as pd

    table = pd.DataFrame(rows[~np.isnan(rows[:, 0])], columns=COLUMNS)  # steps that are not logged have left theirs empty
    whole = {"step": np.int32, "tokens": np.int64, "lr": np.float64}
    return table.astype({name: whole.get(name, np.float32) for name in COLUMNS})
