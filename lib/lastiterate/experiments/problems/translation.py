"""German, French and Spanish to English: messages of Django and JupyterLab, by a small transformer."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lastiterate import _extras

LANGUAGES = {"de": "de_DE", "fr": "fr_FR", "es": "es_ES"}  # in Django; of the language packs of JupyterLab
PAD, START, END, VOCABULARY = 0, 1, 2, 1000
LONGEST = 32  # characters of a message
TOKENS = 14  # of a message, with its ends; longer ones are left out


def make(batch_size=32):
    """(network, batch, held_out): see `problem.Problem`. Loss: nats a token; error: share of messages not translated exactly."""
    source, target, held = messages()
    network = Translator(VOCABULARY)
    train, held = (torch.from_numpy(np.flatnonzero(rows)) for rows in (~held, held))
    asked = held[:: max(1, len(held) // 256)]

    def loss(network, rows, **how):
        logits, true = network(source[rows], target[rows, :-1]), target[rows, 1:]
        return F.cross_entropy(logits.flatten(0, 1), true.flatten(), ignore_index=PAD, **how)

    def batch(network, rng):
        return loss(network, train[torch.from_numpy(rng.integers(0, len(train), batch_size))])

    def held_out(network):
        network.eval()  # without dropout
        total = sum(loss(network, rows, reduction="sum") for rows in held.split(128))
        wrong = (network.translate(source[asked]) != target[asked, 1:]).any(1).float().mean()
        network.train()
        return float(total / (target[held, 1:] != PAD).sum()), float(wrong)

    return network, batch, held_out


class Translator(nn.Module):
    """An encoder and a decoder of one transformer block each, with one embedding for both and for what comes out."""

    def __init__(self, vocabulary, width=64, layers=1):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.place = nn.Parameter(0.02 * torch.randn(TOKENS, width))
        self.blocks = nn.Transformer(
            width, 4, layers, layers, 2 * width, dropout=0.2, activation="gelu", batch_first=True, norm_first=True
        )

    def forward(self, source, target):
        """Logits of the next token at each place of `target`, shape (n, length, vocabulary)."""
        return self._decode(target, *self._encode(source))

    def _embed(self, tokens):
        return self.embedding(tokens) * self.embedding.embedding_dim**0.5 + self.place[: tokens.shape[1]]

    def _encode(self, source):
        padding = source == PAD
        return self.blocks.encoder(self._embed(source), src_key_padding_mask=padding), padding

    def _decode(self, target, memory, padding):
        ahead = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        found = self.blocks.decoder(self._embed(target), memory, tgt_mask=ahead, memory_key_padding_mask=padding)
        return found @ self.embedding.weight.T

    def translate(self, source):
        """The most likely token after each, from START until END, then PAD: shape (n, TOKENS − 1)."""
        found, encoded = torch.full((len(source), 1), START), self._encode(source)
        ended = torch.zeros(len(source), dtype=torch.bool)
        for _ in range(TOKENS - 1):
            following = self._decode(found, *encoded)[:, -1].argmax(1).masked_fill(ended, PAD)
            ended |= following == END
            found = torch.cat([found, following[:, None]], 1)
        return found[:, 1:]


@functools.cache
def messages():
    """Pairs of messages, cut into the pieces of one vocabulary of byte pairs, learnt from the training messages of all languages.

    An English message is held out in all languages, or in none.

    Returns:
        (source, target, held_out): int64 of shape (n, TOKENS), padded with PAD, the target from START to END; bool of shape (n,).

    Raises:
        MissingExtra: without Django, the language packs, Babel or tokenizers.
    """
    tokenizers = _extras.require("tokenizers", "suites")
    pairs = catalogue()
    english = sorted({english for _, english in pairs})
    held = dict(zip(english, np.random.default_rng(0).random(len(english)) < 0.1, strict=True))
    model = tokenizers.ByteLevelBPETokenizer(lowercase=True)
    known = [text for pair in pairs if not held[pair[1]] for text in pair]
    model.train_from_iterator(known, VOCABULARY, special_tokens=["<pad>", "<start>", "<end>"], show_progress=False)
    coded = [([*model.encode(a).ids, END], [START, *model.encode(b).ids, END], held[b]) for a, b in pairs]
    coded = [row for row in coded if max(map(len, row[:2])) <= TOKENS]
    padded = (torch.tensor([row[i] + [PAD] * (TOKENS - len(row[i])) for row in coded]) for i in (0, 1))
    return *padded, np.array([row[2] for row in coded])


def catalogue():
    """(message, its English) of all languages, of at most LONGEST characters, sorted; what is not translated is left out."""
    _extras.require("babel", "suites")
    from babel.messages.mofile import read_mo

    pairs = set()
    for language, pack in LANGUAGES.items():
        folders = [_extras.folder("django", "suites") / "conf" / "locale" / language]
        folders += sorted((_extras.folder("django", "suites") / "contrib").glob(f"*/locale/{language}"))
        folders.append(_extras.folder(f"jupyterlab_language_pack_{pack}", "suites") / "locale" / pack)
        for file in (file for folder in folders for file in sorted(folder.glob("LC_MESSAGES/*.mo"))):
            with file.open("rb") as opened:
                found = [(entry.string, entry.id) for entry in read_mo(opened) if entry.id]
            pairs |= {pair for pair in found if all(isinstance(text, str) and 0 < len(text) <= LONGEST for text in pair)}
    return sorted((message, english) for message, english in pairs if message != english)
