"""The explorer in Chromium beside the library: the same numbers, fast enough to move."""

import re
from urllib.parse import urlencode

import numpy as np
import pytest

import lastiterate
from lastiterate import bounds, design, schedules, transfer
from lastiterate.companion import explorer

pytestmark = pytest.mark.site
NOW = "({terms, omega, gamma, lowest, at, omegas, state, star}) => ({terms, omega, gamma, lowest, at, omegas, state, star})"


def settings(n=50):
    rng = np.random.default_rng(0)
    for i in range(n):
        family = explorer.FAMILIES[i % len(explorer.FAMILIES)]
        yield {
            "family": family,
            "T": int(10 ** rng.uniform(2, 4.3)),
            "cooldown": round(rng.uniform(0, 1), 2),
            "warmup": round(rng.uniform(0, 0.5), 2) * (i % 3 > 0),
            "rate": round(rng.uniform(-3, 3), 2),
            "alpha": round(rng.uniform(-0.5, 0.25), 2) * (i % 2),
            "longer": 1,
        }


@pytest.fixture(scope="module")
def page(browser, address):
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(address + "explorer.html")
    opened.wait_for_function("globalThis.lastiterate_explorer")
    yield opened
    context.close()


def at(page, address, state):
    page.goto("about:blank")
    page.goto(f"{address}explorer.html#{urlencode(state)}")
    page.wait_for_function("globalThis.lastiterate_explorer")
    return page.evaluate(f"({NOW})(lastiterate_explorer)")


@pytest.mark.parametrize("state", list(settings()), ids=lambda s: f"{s['family']}-{s['T']}")
def test_numbers_are_those_of_the_library(page, address, state):
    shown = at(page, address, state)
    assert shown["state"]["family"] == state["family"] and shown["state"]["cooldown"] == state["cooldown"]
    T, G = shown["state"]["T"], np.arange(1.0, shown["state"]["T"] + 1) ** shown["state"]["alpha"]
    assert abs(T - state["T"]) <= 0.005 * T  # three digits
    eta = schedules.named(page.evaluate("lastiterate_explorer.code('spec')"), T)
    lr, bound = bounds.optimal_lr(eta, G)
    assert [shown["star"]["gamma"], shown["star"]["omega"]] == pytest.approx([lr, bound], rel=1e-9)
    assert shown["gamma"] == pytest.approx(lr * 2 ** state["rate"], rel=1e-9)
    assert shown["omegas"] == pytest.approx(bounds.omega(shown["gamma"] * eta, G, horizons=shown["at"]), rel=1e-9)
    assert shown["omega"] == pytest.approx(bounds.omega(shown["gamma"] * eta, G, horizons=T), rel=1e-9)
    assert shown["lowest"] == pytest.approx(design.optimal(T, G)[1], rel=1e-9)


@pytest.mark.parametrize(("T1", "T2"), [(1000, 1500), (1000, 2000), (400, 3000)])
@pytest.mark.parametrize("alpha", [0.0, -0.26])
def test_plans_are_those_of_the_library(page, T1, T2, alpha):
    found = page.evaluate(
        f"(({{rho, fraction}}) => [rho, fraction])(lastiterate_explorer.theory.extend({T1}, {T2}, 0.2, {alpha}))"
    )
    wanted = transfer.extension_plans(T1, T2, 0.2, 0.5 + alpha)
    assert found[0] == pytest.approx(transfer.extend_rate(T1, T2, 0.2, 0.5 + alpha), rel=1e-9)
    if "longer cooldown" in wanted:
        assert found[1] == pytest.approx(transfer.extend_cooldown(T1, T2, 0.2, 0.5 + alpha), rel=1e-9)
    else:
        assert np.isnan(found[1])


@pytest.mark.parametrize("longer", [1, 2])
def test_a_slider_answers_within_50_ms_at_10_000_steps(page, address, longer):
    at(page, address, {"T": 10_000, "family": "wsd", "longer": longer})
    took = []
    slider = page.locator(".noUi-handle").nth(1)
    slider.focus()
    for _ in range(12):
        before = page.evaluate("lastiterate_explorer.state.cooldown")
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"lastiterate_explorer.state.cooldown > {before}")
        took.append(page.evaluate("lastiterate_explorer.milliseconds"))
    assert np.median(took) < 50, took


def test_address_keeps_the_state_and_pins_stay(page, address):
    at(page, address, {"family": "cosine", "T": 1000})
    page.get_by_role("button", name="pin these curves").click()
    slider = page.locator(".noUi-handle").nth(2)
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("lastiterate_explorer.state.warmup > 0")
    state = page.evaluate("lastiterate_explorer.state")
    pins = page.evaluate(
        "Bokeh.documents[0].all_models.size && [...Bokeh.documents[0].all_models].flatMap(m => m.data?.omega ?? [])"
    )
    assert any(isinstance(curve, list) for curve in pins)
    address_then = page.url
    page.goto("about:blank")
    page.goto(address_then)
    page.wait_for_function("globalThis.lastiterate_explorer")
    assert page.evaluate("lastiterate_explorer.state") == state


def test_copied_python_gives_the_number_that_is_shown(page, address):
    shown = at(page, address, {"family": "wsd 1-sqrt", "T": 2000, "warmup": 0.05, "alpha": -0.25, "rate": 1, "cooldown": 0.3})
    lines = page.evaluate("lastiterate_explorer.code('python')").splitlines()
    names: dict = {}
    exec("\n".join(lines[:-1]), names)
    assert names["lr"] == pytest.approx(shown["star"]["gamma"])
    assert eval(lines[-1], names) == pytest.approx(shown["omega"], rel=1e-5)  # the rate has six digits
    command = page.evaluate("lastiterate_explorer.code('command')")
    assert re.match(r"lastiterate bound wsd:cooldown=0.3,shape=1-sqrt,warmup=100 --steps 2000 --lr ", command), command
    assert "to_torch" in page.evaluate("lastiterate_explorer.code('pytorch')")


def test_in_jupyterlab_it_shows_the_same(monkeypatch, browser):
    import bokeh.io
    import IPython.display
    from bokeh.resources import INLINE

    shown = []
    monkeypatch.setattr(bokeh.io, "output_notebook", lambda *a, **k: None)  # which puts Bokeh's scripts into the notebook
    monkeypatch.setattr(IPython.display, "display", shown.append)
    lastiterate.explore()
    page = browser.new_page()
    page.set_content(f"<html><head>{INLINE.render()}</head><body>{shown[0].data}</body></html>")
    page.wait_for_function("globalThis.lastiterate_explorer")
    lr, bound = bounds.optimal_lr(schedules.wsd(10_000, 0.2))
    assert page.evaluate("[lastiterate_explorer.gamma, lastiterate_explorer.omega]") == pytest.approx([lr, bound], rel=1e-9)
    assert page.url == "about:blank"
    page.close()
