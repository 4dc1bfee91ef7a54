"""Python code, byte by byte, with the layers of the GPT: the next byte, or bytes that are masked."""

import numpy as np
import torch
import torch.nn.functional as F

from lastiterate.experiments.problems.problem import classified
from lastiterate.trainer.config import Shape
from lastiterate.trainer.corpora import corpus
from lastiterate.trainer.model import GPT

LENGTH, HIDDEN, SHARE = 32, 256, 0.15  # bytes of a sequence; the token in place of a masked byte; share of the bytes that are


def make(seed, masked, batch_size):
    """(network, batch, held_out): see `problem.Problem`. Of 2 layers and 0.1M parameters; causal unless bytes are masked."""
    text, longer = corpus("python"), 0 if masked else 1
    network = GPT(Shape(layers=2, heads=2, width=64, context=LENGTH, vocabulary=320))
    network.initialise(seed)

    def answered(shard, starts, rng):
        true = torch.from_numpy(np.stack([shard[s : s + LENGTH + longer] for s in starts]).astype(np.int64))
        if not masked:
            return network(true[:, :-1]).flatten(0, 1), true[:, 1:].flatten()
        hidden = torch.from_numpy(rng.random(true.shape) < SHARE)
        return network(true.masked_fill(hidden, HIDDEN), causal=False)[hidden], true[hidden]

    train, held = text.train[0], text.val[0]
    places = np.linspace(0, len(held) - LENGTH - longer, 512, endpoint=False).astype(int)
    return (
        network,
        lambda _, rng: F.cross_entropy(*answered(train, rng.integers(0, len(train) - LENGTH - longer, batch_size), rng)),
        lambda _: classified(*answered(held, places, np.random.default_rng(0))),
    )
