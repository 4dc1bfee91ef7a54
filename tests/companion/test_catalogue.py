"""The field guide's catalogue: its formulas are those of its schedules, and PyTorch has the schedulers that it names."""

import numpy as np
import pytest
import torch

from lastiterate import schedules
from lastiterate.companion import catalogue

T = 40
t = np.arange(1, T + 1)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("constant", np.ones(T)),
        ("linear", (T + 1 - t) / T),
        ("polynomial, 2", ((T + 1 - t) / T) ** 2),
        ("cosine", (1 + np.cos(np.pi * (t - 1) / T)) / 2),
        ("cosine to 0.1", 0.1 + 0.9 * (1 + np.cos(np.pi * (t - 1) / T)) / 2),
        ("inverse sqrt", t**-0.5),
        ("inverse sqrt, offset", np.sqrt((T / 10) / (T / 10 + t - 1))),
        ("step", 0.1 ** np.sum(t[:, None] > [T // 3, 2 * T // 3, 9 * T // 10], axis=1)),
        ("exponential", 0.01 ** ((t - 1) / T)),
        ("warmup + linear", np.minimum(t / (T // 10), 1) * (T + 1 - t) / T),
    ],
)
def test_formula(name, values):
    np.testing.assert_allclose(catalogue.etas(T)[name], values, rtol=1e-12)


def test_every_entry_is_a_schedule_and_says_who_uses_it():
    for name, eta in catalogue.etas(96).items():
        assert eta.shape == (96,) and 0.7 < eta.max() <= 1 and eta.min() >= 0 and eta[-1] > 0, name
        entry = catalogue.SCHEDULES[name]
        assert entry.formula and entry.users
        scheduler = entry.torch.removesuffix(" + …")
        assert scheduler == "–" or hasattr(torch.optim.lr_scheduler, scheduler)
    assert len(catalogue.table()) == len(catalogue.SCHEDULES)


def test_cycles_go_up_again():
    etas = catalogue.etas(96)
    for name in ("cosine, 4 restarts", "triangular", "triangular2", "exp range"):
        assert np.sum((np.diff(etas[name])[1:] > 0) & (np.diff(etas[name])[:-1] <= 0)) >= 3, name
    np.testing.assert_array_equal(etas["wsd"], schedules.wsd(96, 0.2))
