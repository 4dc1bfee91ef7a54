import numpy as np
import pytest

from lastiterate import schedules
from lastiterate.logs import published, sequences


def test_files_are_those_that_are_published():
    listed = published.registry("defazio2023")
    assert {sequence.file for sequence in sequences.SEQUENCES.values()} <= set(listed)
    assert all(sequence.power == (1 if sequence.file.endswith("_l1.csv") else 2) for sequence in sequences.SEQUENCES.values())


def test_load_leaves_out_artefacts_and_fills(tmp_path, monkeypatch):
    file = tmp_path / "norms.csv"
    file.write_text("Step,norm\n" + "".join(f"{i},{v}\n" for i, v in enumerate([99, 98, 1.0, "", 3.0, 0, 97, 96])))
    monkeypatch.setattr(published, "fetch", lambda source, name: file)
    assert sequences.load("vit").tolist() == [1.0, 1.0, 3.0, 3.0]
    with pytest.raises(ValueError, match="name must be one of 'imagenet'"):
        sequences.load("mnist")


def test_comparison_is_a_ramp_and_then_a_decay():
    eta = sequences.comparison(1000, 45, 0.8)
    assert eta.size == 1000 and eta.argmax() == 449 and eta[449] == eta[450] == 1 and eta[224] == 0.5
    np.testing.assert_array_equal(eta[450:], schedules.polynomial(550, 0.8))
    np.testing.assert_array_equal(sequences.comparison(7, 0, 1.5), schedules.polynomial(7, 1.5))
    with pytest.raises(ValueError, match="warmup must leave a step for the decay, got 100 % of 5 steps"):
        sequences.comparison(5, 100, 1.0)
