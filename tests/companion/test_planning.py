"""Planning the next run: rates by the ratio of the best ones, plans that keep what was trained."""

import numpy as np
import pytest

from lastiterate import bounds, design, schedules, transfer
from lastiterate.companion import planning


def test_folder_is_the_repositorys_or_the_working_directorys(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert planning.folder("mine") == tmp_path / "build" / "mine" and (tmp_path / "build" / "mine").is_dir()
    monkeypatch.chdir(repository / "notebooks" / "guide")
    assert planning.folder("your_own_run") == repository / "build" / "your_own_run"


def test_rates_are_transferred_by_the_ratio():
    eta, G = schedules.wsd(200), np.linspace(2, 1, 200)
    found = planning.rates(eta, 3e-3, G, ["cosine", "wsd:cooldown=0.5"], [200, 600])
    assert found.index.tolist() == [(s, n) for s in ("cosine", "wsd:cooldown=0.5") for n in (200, 600)]
    for (spec, n), row in found.iterrows():
        expected = 3e-3 * transfer.lr_ratio(eta, schedules.named(spec, n))
        assert row["constant norms"] == pytest.approx(expected, rel=1e-12)
    own = 3e-3 * transfer.lr_ratio(eta, schedules.cosine(200), G)
    assert found.loc[("cosine", 200), "your norms"] == pytest.approx(own, rel=1e-12)
    stretched = bounds.optimal_lr(schedules.cosine(600), np.linspace(2, 1, 600))[0] / bounds.optimal_lr(eta, G)[0]
    assert found.loc[("cosine", 600), "your norms"] == pytest.approx(3e-3 * stretched, rel=1e-12)


def test_plans_keep_the_steps_at_the_full_rate():
    plans, kept, remarks = planning.continuations("wsd:cooldown=0.25", 200, 500)
    assert kept == 150 and remarks[0].startswith("lower rate: times 0.")
    for name, plan in plans.items():
        assert plan.shape == (500,)
        assert name == "longer cooldown" or plan[:150].tolist() == pytest.approx([1.0] * 150, rel=1e-12)
    tuned = bounds.optimal_lr(schedules.wsd(200, 0.25))[0]
    table = planning.compared(plans, tuned, kept)
    assert table["Ω over the best"].min() == table.loc[planning.BEST, "Ω over the best"] == 1
    best = design.optimal(500, prefix=np.full(150, tuned))[1]
    lower = bounds.omega(tuned * plans["lower rate"], horizons=500) / best
    assert table.loc["lower rate", "Ω over the best"] == pytest.approx(lower, abs=6e-4)
    assert table["goes on from step"].max() == 150 and (table["goes on from step"] > 0).all()


@pytest.mark.parametrize(
    ("spec", "steps", "names", "said"),
    [
        ("wsd", 1000, ["lower rate", "same rate and cooldown", planning.BEST], "no cooldown is long enough to keep the rate"),
        ("linear", 300, [planning.BEST], "linear leaves its peak at once: no checkpoint"),
        ("constant", 300, [planning.BEST], ""),
    ],
)
def test_what_a_schedule_allows_is_said(spec, steps, names, said):
    plans, kept, remarks = planning.continuations(spec, 200, steps)
    assert list(plans) == names and (any(r.startswith(said) for r in remarks) if said else not remarks)
    assert kept == {"wsd": 160, "linear": 1, "constant": 200}[spec]


def test_a_schedule_from_a_file_and_a_shorter_run(tmp_path):
    schedules.write_csv(tmp_path / "mine.csv", schedules.wsd(100, 0.4))
    plans, kept, _ = planning.continuations(str(tmp_path / "mine.csv"), 100, 150)
    assert list(plans) == [planning.BEST] and kept == np.sum(schedules.wsd(100, 0.4) == 1)
    with pytest.raises(ValueError, match="T2 must be an integer >= 101, got 100"):
        planning.continuations("wsd", 100, 100)
