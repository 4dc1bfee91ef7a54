"""What several notebooks draw: the lines have the numbers of the bounds."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from lastiterate import bounds, logs, schedules
from lastiterate.companion import plots, run_plots, style

ETAS = {"short": schedules.linear(20), "long": schedules.wsd(50, 0.4)}


@pytest.fixture(autouse=True)
def closed():
    style.use()
    yield
    plt.close("all")


@pytest.mark.parametrize(("kind", "bound"), [("last", bounds.omega), ("average", bounds.average_omega)])
def test_tuned_schedules_and_their_bounds(kind, bound):
    _, left, right = plots.tuned(ETAS, ["red", "blue"], (0.5, 2.0), kind=kind, ends=True)
    assert [line.get_label() for line in left.get_lines()] == list(ETAS)
    assert [line.get_label() for line in right.get_lines()] == ["short", "end, short", "long", "end, long"]
    ends = []
    for i, eta in enumerate(ETAS.values()):
        rates = bounds.optimal_lr(eta, kind=kind)[0] * eta
        np.testing.assert_allclose(left.get_lines()[i].get_ydata(), rates)
        np.testing.assert_allclose(right.get_lines()[2 * i].get_ydata(), bound(rates))
        ends.append(bound(rates)[-1])
        assert right.get_lines()[2 * i + 1].get_xydata().tolist() == [[eta.size, ends[-1]]]
    assert right.get_ylim() == pytest.approx((0.5 * min(ends), 2 * max(ends)))


def test_tuned_refuses_an_unknown_bound():
    with pytest.raises(ValueError, match="kind must be one of 'last', 'average'"):
        plots.tuned(ETAS, ["red", "blue"], (0.5, 2.0), kind="best")


@pytest.mark.parametrize("kind", ["last", "average"])
def test_sweep_is_the_bound_at_each_rate_and_its_minimum(kind):
    ax = plt.figure().subplots()
    rates = np.geomspace(0.01, 1, 7)
    best = plots.sweep(ax, ETAS, ["red", "blue"], rates, kind, base=2, marker="o")
    assert best == {name: bounds.optimal_lr(eta, kind=kind)[0] for name, eta in ETAS.items()}
    curve, dots, star = ax.get_lines()[3:]
    for line, places in ((curve, np.geomspace(0.01, 1, plots.SMOOTH)), (dots, rates)):
        expected = [plots.BOUNDS[kind](rate * ETAS["long"], horizons=50) for rate in places]
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([places, expected]), rtol=1e-12)
    assert (curve.get_label(), star.get_label()) == ("long", r"$\gamma^*$, long") and star.get_marker() == "o"
    np.testing.assert_allclose(star.get_xydata(), [bounds.optimal_lr(ETAS["long"], kind=kind)])
    assert (ax.get_xscale(), ax.get_yscale(), ax.xaxis.get_transform().base) == ("log", "log", 2)
    plots.curves_only(ax, {"best": "o"}, fontsize=7)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["short", "long", "best"]
    plots.sweep(after := plt.figure().subplots(), ETAS, ["red", "blue"], np.geomspace(0.01, 1, plots.SMOOTH))
    assert len(after.get_lines()) == 4, "no dots where the rates are many"


def test_cooldowns_from_one_step_to_all():
    family = plots.cooldowns(50, 3, "1-sqrt")
    assert list(family) == ["c = 1/T", "c = 0.50", "c = T/(T+1)"] and list(plots.cooldowns(50, 1)) == ["c = 1/T"]
    np.testing.assert_array_equal(family["c = 1/T"], np.ones(50))
    np.testing.assert_array_equal(plots.cooldowns(50, 2)["c = T/(T+1)"], schedules.linear(50))
    np.testing.assert_array_equal(family["c = 0.50"], schedules.wsd(50, 0.5 * (1 / 50 + 50 / 51), "1-sqrt"))


def test_cuts_touch_their_envelope_from_above():
    ax = plt.figure().subplots()
    fractions = np.array([0.1, 0.5, 1.0])
    etas = [schedules.wsd(60, c) for c in fractions]
    best = bounds.optimal_lr(etas[1])[0]
    curves = plots.cuts(ax, fractions, etas, [best, 0.02], circles=True)
    assert list(curves) == [best, 0.02, None]
    assert curves[best][1] == pytest.approx(curves[None][1], rel=1e-14) and np.all(curves[0.02] >= curves[None])
    np.testing.assert_allclose(curves[0.02], [bounds.omega(0.02 * eta, horizons=60) for eta in etas], rtol=1e-12)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert lines["best, γ*"].get_xydata().tolist() == [[1.0, curves[None].min()]]
    assert len(lines) == 6 and lines[r"$\gamma^*(c)$"].get_color() == "black"
    under, over = lines[r"$\gamma^*(c)$"], lines[r"$\gamma$ = 0.02"]
    assert under.get_zorder() < over.get_zorder() and under.get_linewidth() > over.get_linewidth()


def test_power_law_finds_the_exponent():
    ax = plt.figure().subplots()
    x = np.array([100, 200, 400])
    A, B = plots.power_law(ax, x, 3 * x**-0.5, [100, 900], "wsd")
    assert (pytest.approx(3, rel=1e-9), pytest.approx(-0.5, rel=1e-9)) == (A, B)
    np.testing.assert_allclose(ax.get_lines()[1].get_xydata(), [[100, 0.3], [900, 0.1]], rtol=1e-8)
    assert ax.get_lines()[1].get_label() == "3.00 · $T^{-0.500}$"


def test_legend_of_some_lines():
    ax = plt.figure().subplots()
    for label in ("fit, a", "a", "fit, b"):
        ax.plot([1, 2], [1, 2], label=label)
    plots.legend_of(ax, "fit", {"runs": "o", "their range": {"marker": "|", "color": "red"}}, ncols=2)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["fit, a", "fit, b", "runs", "their range"]
    assert [handle.get_marker() for handle in ax.get_legend().legend_handles[2:]] == ["o", "|"]


def test_fitted_finds_the_rate_that_was_put_in():
    ax = plt.figure().subplots()
    lr = np.repeat([1e-3, 2e-3, 4e-3, 8e-3], 2)
    loss = 3e-4 / lr + 30 * lr + 2 + np.tile([0.01, -0.01], 4)  # two seeds about the bound's shape
    best, mean = run_plots.fitted(ax, lr, loss, "red", "runs", star="lowest")
    assert best == pytest.approx(np.sqrt(1e-5))
    assert mean.to_dict() == pytest.approx({1e-3: 2.33, 2e-3: 2.21, 4e-3: 2.195, 8e-3: 2.2775})
    points, fit, star = ax.get_lines()
    np.testing.assert_allclose(points.get_xydata(), np.column_stack([mean.index, mean]))
    assert (fit.get_label(), star.get_label(), ax.get_xscale()) == ("fit, runs", "lowest, runs", "log")
    np.testing.assert_allclose(star.get_xydata(), [[best, 2 + 2 * np.sqrt(9e-3)]])
    np.testing.assert_allclose(fit.get_ydata(), 3e-4 / fit.get_xdata() + 30 * fit.get_xdata() + 2, rtol=1e-9)


def test_fitted_refuses_a_sweep_without_a_minimum():
    with pytest.raises(ValueError, match="both sides of the best rate"):
        run_plots.fitted(plt.figure().subplots(), [1e-3, 2e-3, 4e-3], [3.0, 2.0, 1.0], "red", "runs")


def test_swept_draws_means_deviations_and_the_best_rate_of_the_means():
    ax = plt.figure().subplots()
    lr = np.array([1e-3, 2e-3, 4e-3, 8e-3])
    shape = 3e-4 / lr + 30 * lr + 2
    losses = pd.DataFrame([shape + 0.01, shape - 0.01], columns=lr)
    best, lowest = run_plots.swept(ax, losses, "red", "runs", dash=":", dodge=1.1)
    assert (best, lowest) == (pytest.approx(np.sqrt(1e-5)), pytest.approx(2 + 2 * np.sqrt(9e-3)))
    line, star = (next(x for x in ax.get_lines() if x.get_label() == label) for label in ("runs", "_best, runs"))
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([1.1 * lr, shape]))
    assert line.get_linestyle() == ":" and star.get_xydata().tolist() == [[best, lowest]] and ax.get_xscale() == "log"
    segments = ax.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([np.ptp(s[:, 1]) / 2 for s in segments], np.sqrt(2) * 0.01)
    with pytest.raises(ValueError, match="3 rates or more"):
        run_plots.swept(ax, losses.iloc[:, :2], "red", "runs")


def test_points_of_a_sweep_can_be_drawn_beside_their_rates():
    ax = plt.figure().subplots()
    lr = np.array([1e-3, 2e-3, 4e-3, 8e-3])
    run_plots.fitted(ax, lr, 3e-4 / lr + 30 * lr, "red", "runs", dodge=1.02)
    points, fit, _ = ax.get_lines()
    np.testing.assert_allclose(points.get_xdata(), 1.02 * lr)
    assert fit.get_xdata()[0] == lr[0]


def test_rate_gaps_leave_one_rate_out():
    lr = np.array([5e-4, 1e-3, 2e-3, 4e-3, 8e-3])
    losses = pd.DataFrame({c: best**2 / lr + lr for c, best in ((0.2, 1e-3), (1.0, 2e-3))}, index=lr)
    gaps = run_plots.rate_gaps(losses)
    assert gaps[0.2][:3] == pytest.approx((np.log(2),) * 3) and gaps[1.0][:3] == (0, 0, 0)
    losses.loc[1e-3, 0.2] -= 1e-4  # one point off the curve: without it the gap is as before
    low, high = run_plots.rate_gaps(losses)[0.2][1:3]
    assert low < np.log(2) + 1e-9 and high > np.log(2) - 1e-9 and low < high - 1e-3
    with pytest.raises(ValueError, match=r"none at c = \[0.2\]"):
        run_plots.rate_gaps(pd.DataFrame({0.2: lr}, index=lr))


def test_rate_gaps_keep_a_rate_that_a_fit_cannot_do_without():
    lr = np.array([5e-4, 1e-3, 2e-3, 4e-3])
    losses = pd.DataFrame({c: best**2 / lr + lr for c, best in ((0.2, 1e-3), (1.0, 3e-3))}, index=lr)
    assert run_plots.rate_gaps(losses)[0.2][:3] == pytest.approx((np.log(3),) * 3)  # without 4e-3 the second has no minimum


def test_inset_lies_in_its_panel():
    ax = plt.figure().subplots()
    small = plots.inset(ax, [0.5, 0.5, 0.4, 0.3], "end", [98_000, 100_000])
    assert ax.child_axes == [small] and small.get_title() == "end"
    assert [small.xaxis.get_major_formatter()(x) for x in small.get_xticks()] == ["98k", "100k"]
    inside = ax.transAxes.inverted().transform_bbox(small.get_window_extent())
    np.testing.assert_allclose(inside.bounds, [0.5, 0.5, 0.4, 0.3], atol=0.02)


def test_closeup_has_the_lines_again():
    ax = plt.figure().subplots()
    ax.plot([1, 2, 3], [4, 5, 6], color="red", label="a")
    ax.plot(3, 6, "o", color="blue")
    small = plots.closeup(ax, [0.5, 0.1, 0.4, 0.3], (2, 3), (5, 6))
    assert (small.get_xlim(), small.get_ylim()) == ((2, 3), (5, 6)) and ax.child_axes == [small]
    assert [(line.get_color(), line.get_marker()) for line in small.get_lines()] == [("red", "None"), ("blue", "o")]
    assert small.get_lines()[0].get_xydata().tolist() == [[1, 4], [2, 5], [3, 6]]


def test_losses_of_recorded_runs(repository):
    runs = logs.find("nano", scheduler="cosine", horizon=400, seed=0)
    ax = plt.figure().subplots()
    found = run_plots.losses(ax, runs, ["red"] * len(runs), "{scheduler}, lr {lr:g}", lw=1)
    assert list(found) == list(runs.index) and len(ax.get_lines()) == len(runs)
    for line, (run, row) in zip(ax.get_lines(), runs.iterrows(), strict=True):
        assert line.get_label() == f"cosine, lr {row['lr']:g}"
        assert line.get_xdata()[-1] == 400 and found[run].iloc[-1] == pytest.approx(row["final_val_loss"], rel=1e-6)


def test_spread_is_the_mean_and_the_range_of_runs():
    ax = plt.figure().subplots()
    runs = np.array([[1.0, 4.0, np.nan], [3.0, 8.0, 5.0]])
    assert plots.spread(ax, [1, 2, 3], runs, color="red", label="runs").tolist() == [2, 6, 5]
    plots.spread(ax, [1, 2, 3], runs, [2, 5, 5], alpha=0.5)
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[2, 6, 5], [2, 5, 5]]
    for band, opacity in zip(ax.collections, (0.15, 0.5), strict=True):
        corners = band.get_paths()[0].vertices
        assert {(1, 1), (1, 3), (2, 4), (2, 8), (3, 5)} <= {tuple(corner) for corner in corners.tolist()}
        assert band.get_alpha() == opacity


def test_percent_of_the_run():
    ax = plt.figure().subplots()
    plots.percent(ax, [5.0, 6.0, 7.0, 8.0], label="four")
    assert ax.get_lines()[0].get_xydata().tolist() == [[25, 5], [50, 6], [75, 7], [100, 8]]


def test_a_logarithmic_axis_with_plain_numbers():
    ax = plt.figure().subplots()
    ax.plot([1, 2], [0.9, 4.2])
    plots.log_numbers(ax, 0.8, 4.5)
    ax.figure.canvas.draw()
    assert ax.get_yscale() == "log" and ax.get_ylim() == (0.8, 4.5)
    shown = [float(text.get_text()) for text in ax.get_yticklabels(which="both")]  # plain numbers, no powers of ten
    assert 4 <= len(shown) <= 6 and np.ptp(np.diff(shown)) < 1e-9


def test_names_stand_at_the_ends_of_their_curves_and_apart():
    _, ax = plt.subplots()
    for name, end in {"low": 0.1, "near": 0.101, "high": 0.9, "unnamed": 0.5}.items():
        ax.plot([1, 2], [0.5, end], label=name, color="red" if name == "near" else "blue")
    ax.set(xlim=(1, 2), ylim=(0, 1))
    plots.at_ends(ax, {"low": "low", "near": "nearly low", "high": "high"})
    texts = {text.get_text(): text for text in ax.texts}
    places = {name: text.xy[1] for name, text in texts.items()}
    assert list(texts) == ["low", "nearly low", "high"] and all(text.xy[0] == 1 for text in ax.texts)
    height = 7.5 / (72 * ax.bbox.height / ax.figure.dpi)
    assert places["high"] == pytest.approx(0.9) and places["nearly low"] > places["low"] + height
    assert (places["low"] + places["nearly low"]) / 2 == pytest.approx((0.1 + 0.101) / 2), "moved as little as can be"
    assert 0.3 * to_rgb(texts["nearly low"].get_color())[0] <= 0.45 and to_rgb(texts["high"].get_color()) == to_rgb("blue")
