"""Exponents of the best rate: implied by laws whose exponent is known, measured in the authors' sweeps."""

import pytest

from lastiterate import laws
from lastiterate.experiments import rate_exponents
from lastiterate.logs import published


def test_a_law_whose_terms_balance_at_a_known_rate():
    """A S^−a + B N with N ~ γ and S ~ γT: the best rate falls like T^−a/(1+a), but for a logarithm."""
    for a in (0.5, 1.0):
        law = laws.Fit(laws.LAWS["bound"], {"L0": 1.0, "A": 1.0, "a": a, "B": 1.0}, total=1000.0)
        assert rate_exponents.implied(law, 0.2, [500, 2000, 8000]) == pytest.approx(a / (1 + a), abs=0.02)


def test_one_horizon_has_no_exponent():
    law = laws.Fit(laws.LAWS["bound"], {"L0": 1.0, "A": 1.0, "a": 1.0, "B": 1.0})
    with pytest.raises(ValueError, match="horizons must be two or more"):
        rate_exponents.implied(law, 0.2, [500, 500])
    with pytest.raises(ValueError, match="horizons must be an integer"):
        rate_exponents.implied(law, 0.2, [5, 500])


@pytest.mark.skipif(bool(published.missing("schaipp2025")), reason="the authors' logs are not here")
def test_the_authors_sweeps():
    found = rate_exponents.measured([0.1, 0.2])
    assert found["P"].round(2).tolist() == [0.28, 0.24]
    assert (found["low"] < found["P"]).all() and (found["P"] < found["high"]).all()
