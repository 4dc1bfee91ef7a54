import numpy as np
import pytest

from lastiterate import schedules
from lastiterate.logs import published, sequences


def test_files_are_those_that_are_published():
    listed = published.registry("defazio2023")
    assert sorted(sequence.file for sequence in sequences.SEQUENCES.values()) == sorted(listed)
    assert all(sequence.norm == (1 if sequence.file.endswith("_l1.csv") else 2) for sequence in sequences.SEQUENCES.values())
    assert len(sequences.TASKS) == len({sequences.SEQUENCES[name].title for name in sequences.TASKS}) == 8


def test_files_of_an_earlier_commit_are_fetched_from_there():
    for name in ("gpt_l2", "rcnn_earlier"):
        url = published.address("defazio2023", sequences.SEQUENCES[name].file)
        assert "/2a19331cfcf3df32bb8eaec8a6d6117530cfd957/norm_sequences/" in url
    assert "/37a8a9ba057089a6cf4937c579cc1764cea14184/" in published.address("defazio2023", sequences.SEQUENCES["vit"].file)


def rows(tmp_path, monkeypatch, steps, values):
    file = tmp_path / "norms.csv"
    head = '"Step","run - gnorm","run - gnorm__MIN","run - gnorm__MAX"\n'
    file.write_text(head + "".join(f'"{i}","{v}","{v}","{v}"\n' for i, v in zip(steps, values, strict=True)))
    monkeypatch.setattr(published, "fetch", lambda source, name: file)


def test_load_leaves_out_artefacts_and_fills(tmp_path, monkeypatch):
    rows(tmp_path, monkeypatch, range(8), [99, 98, 1.0, "Infinity", 3.0, 0, 97, 96])
    assert sequences.load("vit").tolist() == [1.0, 1.0, 3.0, 3.0]
    with pytest.raises(ValueError, match="name must be one of 'imagenet'"):
        sequences.load("mnist")


def test_time_is_the_step_and_not_the_row(tmp_path, monkeypatch):
    rows(tmp_path, monkeypatch, [0, 1, 2, 3, 7, 8, 9], [9, 9, 1.0, 2.0, 6.0, 9, 9])
    assert sequences.load("vit").tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_smoothing_by_rows_is_a_median_over_1001_of_them(tmp_path, monkeypatch):
    values = np.random.default_rng(0).uniform(1, 2, 20_004)
    rows(tmp_path, monkeypatch, range(0, 200_040, 10), values)
    smoothed = sequences.smooth_by_rows("vit")
    assert smoothed.shape == sequences.load("vit").shape == (20_000,)
    assert smoothed[5000] == np.median(values[2 + 4500 : 2 + 5501])
    rows(tmp_path, monkeypatch, range(104), values[:104])  # few rows: a tenth of them
    assert sequences.smooth_by_rows("vit").shape == (100,)
    np.testing.assert_allclose(sequences.smooth_by_rows("vit")[50], np.median(values[47:58]), atol=0.1)


def test_comparison_is_a_ramp_and_then_a_decay():
    eta = sequences.comparison(1000, 45, 0.8)
    assert eta.size == 1000 and eta.argmax() == 449 and eta[449] == eta[450] == 1 and eta[224] == 0.5
    np.testing.assert_array_equal(eta[450:], schedules.polynomial(550, 0.8))
    np.testing.assert_array_equal(sequences.comparison(7, 0, 1.5), schedules.polynomial(7, 1.5))
    with pytest.raises(ValueError, match="warmup must leave a step for the decay, got 100 % of 5 steps"):
        sequences.comparison(5, 100, 1.0)
