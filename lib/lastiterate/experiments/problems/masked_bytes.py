"""Filling in masked bytes of Python code, with the layers of the GPT, not causal."""

import numpy as np
import torch
import torch.nn.functional as F

from lastiterate.experiments.problems.problem import classified
from lastiterate.trainer.config import Shape
from lastiterate.trainer.corpora import corpus
from lastiterate.trainer.model import GPT


def make(seed, batch_size=32, length=32, share=0.15):
    """(network, batch, held_out): see `problem.Problem`."""
    text, hidden_byte = corpus("python"), 256
    network = GPT(Shape(layers=2, heads=2, width=64, context=length, vocabulary=320))
    network.initialise(seed)

    def masked(shard, starts, rng):
        true = torch.from_numpy(np.stack([shard[s : s + length] for s in starts]).astype(np.int64))
        hidden = torch.from_numpy(rng.random(true.shape) < share)
        return network(true.masked_fill(hidden, hidden_byte), causal=False)[hidden], true[hidden]

    train, held = text.train[0], text.val[0]
    places = np.linspace(0, len(held) - length, 512, endpoint=False).astype(int)
    return (
        network,
        lambda _, rng: F.cross_entropy(*masked(train, rng.integers(0, len(train) - length, batch_size), rng)),
        lambda _: classified(*masked(held, places, np.random.default_rng(0))),
    )
