"""Steps to a loss, and the critical batch size of data that have one."""

import numpy as np
import pytest

from lastiterate.experiments import batch_size, quadratic


def test_steps_to_a_loss_along_one_run():
    steps = np.unique(np.geomspace(1, 1000, 60).astype(int))
    losses = 3.0 * steps**-0.7
    assert batch_size.steps_to(0.1, steps, losses) == pytest.approx(30 ** (1 / 0.7), rel=1e-9)
    assert np.isnan(batch_size.steps_to(1e-3, steps, losses)), "no run is so long"
    with pytest.raises(ValueError, match="target must be a finite number > 0"):
        batch_size.steps_to(0.0, steps, losses)


def test_critical_batch_size():
    B = np.array([1.0, 4, 16, 64, 256, 1024])
    S = 50 * (1 + 20 / B)
    assert batch_size.critical(B, S) == pytest.approx((50, 20), rel=1e-9)
    assert batch_size.critical(B, np.where(B == 1, np.nan, S)) == pytest.approx((50, 20), rel=1e-9)
    rough = batch_size.critical(B, S * np.array([1.1, 0.9, 1.1, 0.9, 1.1, 0.9]))
    assert rough == pytest.approx((50, 20), rel=0.25)
    with pytest.raises(ValueError, match="two batch sizes or more, got 1"):
        batch_size.critical([1, 2], [3, np.nan])


def test_a_noisier_problem_has_a_larger_critical_batch():
    h, start = np.array([1.0, 0.1]), np.ones(2)
    lengths, rates = np.unique(np.geomspace(1, 3000, 20).astype(int)), np.geomspace(1e-3, 1.9, 12)

    def fitted(noise):
        needed = []
        for b in (1, 16, 256, 4096):
            ends = [quadratic.tuned(rates, np.ones(n), h, noise, start, b)[1] for n in lengths]
            needed.append(batch_size.steps_to(0.02, lengths, np.minimum.accumulate(ends)))
        return batch_size.critical([1, 16, 256, 4096], needed)[1]

    assert fitted(2.0) > 4 * fitted(0.5)


STRANGE = [
    "ab",
    ["1", "2"],
    [True, True],
    np.ma.array([1.0, 2.0], mask=[0, 1]),
    np.array(["2024-01-01"] * 2, "M8[D]"),
    [-1.0, 2.0],
]
STRANGE += [[0.0, 1.0], [[1.0, 2.0]], [1j, 2j], [], 5, None]


@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_what_is_no_batch_step_or_loss(value):
    calls = {
        "steps": [lambda v: batch_size.steps_to(1.0, v, [2.0, 0.5]), lambda v: batch_size.critical([1.0, 2.0], v)],
        "losses": [lambda v: batch_size.steps_to(1.0, [1, 2], v)],
        "batches": [lambda v: batch_size.critical(v, [1.0, 2.0])],
    }
    for name, every in calls.items():
        for call in every:
            with pytest.raises(ValueError, match=f"^{name} must be"):
                call(value)


def test_lengths_and_what_is_unknown():
    with pytest.raises(ValueError, match="losses must have the length of steps, 2, got 3"):
        batch_size.steps_to(1.0, [1, 2], [3.0, 2.0, 1.0])
    with pytest.raises(ValueError, match="steps must ascend"):
        batch_size.steps_to(1.0, [2, 1], [3.0, 2.0])
    with pytest.raises(ValueError, match="losses must be numbers > 0, got nan"):
        batch_size.steps_to(1.0, [1, 2], [np.nan, 2.0])
    with pytest.raises(ValueError, match="steps must have the length of batches, 3, got 2"):
        batch_size.critical([1, 2, 3], [3.0, 2.0])
    assert batch_size.steps_to(1.5, [1, 2, 4], [np.inf, 2.0, 1.0]) == pytest.approx(2 * 2 ** np.log2(2 / 1.5))
