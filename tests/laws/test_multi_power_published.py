"""The Multi-Power Law as published: the authors' parameters, and their protocol."""

import numpy as np
import pytest

from lastiterate import laws
from lastiterate.experiments import schedule_laws as bench
from lastiterate.laws import multi_power_published
from lastiterate.logs import published

AUTHORS = {  # src/config.py of their repository, at the registry's commit: L0 A a B C beta gamma
    "100": (2.6514477, 0.60115152, 0.45295811, 437.9464276, 2.13245612, 0.59785199, 0.65523644),
    "400": (2.37474466, 0.65421216, 0.42878731, 523.42464371, 2.02462735, 0.59350493, 0.63472457),
}
TEST = ("cosine_72000", "constant_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")
needs_curves = pytest.mark.skipif(bool(published.missing("multipowerlaw2025")), reason="the authors' curves are not here")


@needs_curves
@pytest.mark.parametrize(("size", "pred_e"), [("100", 0.00142), ("400", 0.00168)])
def test_the_authors_parameters_give_their_error(size, pred_e):
    fit = laws.Fit(laws.LAWS["multi_power"], dict(zip(multi_power_published.NAMES, AUTHORS[size], strict=True)))
    off = []
    for name in TEST:
        lr, steps, losses = bench.curve("multipowerlaw2025", f"csv_{size}/{name}.csv")
        off.append(np.mean(np.abs(fit.predict(lr, steps) / losses - 1)))
    assert round(float(np.mean(off)), 5) == pred_e


@needs_curves
def test_rates_by_formula_are_those_logged():
    import pandas as pd

    for name in (*TEST, "cosine_24000", "constant_24000", "wsdcon_9"):
        log = pd.read_csv(published.fetch("multipowerlaw2025", f"csv_100/{name}.csv"))
        np.testing.assert_allclose(bench.mpl_rates(name)[log["step"]], log["lr"], rtol=1e-12)


@needs_curves
@pytest.mark.slow
@pytest.mark.parametrize(("task", "high"), [("mpl100", 0.0015), ("mpl400", 0.00168)])
def test_the_authors_protocol_gives_about_their_error(task, high):
    assert bench.run(task, "multi_power", "published")["pred_e"].mean() < high
