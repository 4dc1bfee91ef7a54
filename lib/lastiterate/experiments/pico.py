"""A language model of 0.12 million parameters, trained on a CPU in seconds; pretrained, and fine-tuned on another text."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from lastiterate import schedules, trainer
from lastiterate.trainer import checkpoint
from lastiterate.trainer.config import Config

SEQUENCES = 64  # of a text, on which `loss` is measured


def configure(eta: ArrayLike, **options: Any) -> tuple[Config, NDArray]:
    """A run of the preset pico in float32 on the CPU, not compiled: (config, rates), of `trainer.configure` with its options."""
    return trainer.configure(eta, preset="pico", dtype="float32", device="cpu", compile=False, **options)


def train(
    eta: ArrayLike,
    out: str | os.PathLike | None = None,
    keep: Iterable[int] = (),
    weights: str | os.PathLike | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Train, without a progress bar; returns the log.

    Args:
        eta: schedule, shape (T,).
        out, keep, weights: as `trainer.train`; without `out` the log's file is not kept.
        **options: as `trainer.configure`.

    Raises: as `trainer.train` and `trainer.configure`.
    """
    config, rates = configure(eta, **options)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.parquet" if out is None else out
        return trainer.train(config, rates, file, keep=keep, weights=weights, progress=False)


def pretrain(T: int, folder: str | os.PathLike, seed: int = 0, lr: float = 5e-3, **options: Any) -> dict[str, Path]:
    """Pretrain on Python code with wsd, and keep the weights of before and after the cooldown.

    Args:
        T: steps.
        folder: for log and checkpoints.
        seed: of weights and data.
        lr: base learning rate.
        **options: as `trainer.configure`.

    Returns:
        {"stable": checkpoint at the end of the constant phase, "cooled": checkpoint at the end}.
    """
    eta, out = schedules.wsd(T), Path(folder) / f"pretrained-{seed}.parquet"
    kept = {"stable": int((eta == 1).sum()), "cooled": T}
    train(eta, out, keep=kept.values(), lr=lr, seed=seed, eval_every=T, **options)
    return {name: trainer.checkpoint_path(out, step) for name, step in kept.items()}


def fine_tune(
    weights: str | os.PathLike, text: str | os.PathLike, T: int, lr: float, seed: int = 0, warmup: int = 6
) -> tuple[float, float]:
    """Fine-tune on a text with linear decay and fresh moments; returns the losses on that text and on Python code.

    Args:
        weights: checkpoint to begin with.
        text: corpus, as `trainer.corpus` takes it.
        T: steps.
        lr: base learning rate.
        seed: of the order of the data.
        warmup: steps of linear warmup.

    Returns:
        (validation loss on the new text, float32 as in the log; loss on the validation part of Python code), in nats per token.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.parquet"
        options = {"lr": lr, "seed": seed, "warmup": warmup, "corpus": os.fspath(text), "eval_every": T}
        log = train(schedules.linear(T), out, keep=[T], weights=weights, **options)
        return log["val_loss"].iloc[-1], loss(trainer.checkpoint_path(out, T))


def loss(weights: str | os.PathLike, text: str | os.PathLike = "python") -> float:
    """Mean loss of a checkpoint's model over SEQUENCES pieces of a text's validation part, at even intervals.

    Args:
        weights: checkpoint.
        text: corpus, as `trainer.corpus` takes it.
    """
    config, _ = configure([1.0], warmup=0, corpus=os.fspath(text))
    network = trainer.GPT(config.shape)
    checkpoint.load_weights(weights, network, config)
    held = trainer.windows(trainer.corpus(text).val, config.context, np.linspace(0, 1, SEQUENCES, endpoint=False))
    return trainer.evaluate(network, held, config, torch.device("cpu"))
