"""Every page of the built site in Chromium: complaints, requests, links, widths, formulas, headings, contrast, weight."""

import itertools
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from lastiterate.companion import manifest

from .conftest import SITE

pytestmark = pytest.mark.site
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
READ = [page for page in PAGES if page not in ("genindex.html", "py-modindex.html", "search.html")]

CONTRAST = """() => {
  const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const light = (c) => { const f = (v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
    return .2126 * f(c[0]) + .7152 * f(c[1]) + .0722 * f(c[2]); };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (e) => { const layers = [];
    for (; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]); };
  const bad = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (e.closest("script, style, noscript, option, .visually-hidden")) continue;
    const back = behind(e), style = getComputedStyle(e), front = over(parse(style.color), back);
    const [a, b] = [light(front), light(back)], ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) bad.add(`${e.tagName}.${e.className} ${ratio.toFixed(2)} ${e.textContent.slice(0, 30)}`);
  }
  return [...bad];
}"""
FORMULAS = """() => [...document.querySelectorAll("math")].filter((m) => {
  const box = m.getBoundingClientRect();
  return m.checkVisibility() && (box.width < 2 || box.height < 2 || m.querySelector("merror, mtext.error"));
}).map((m) => m.textContent)"""
TEX = """() => { const text = document.querySelector("article")?.cloneNode(true); if (!text) return [];
  text.querySelectorAll("pre, code, script, annotation").forEach((e) => e.remove());
  return text.textContent.match(/\\\\[a-zA-Z]{2,}|\\$[^$\\n]+\\$/g) ?? []; }"""


class Anchors(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.pictures, self.levels = [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.add(found["id"])
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag == "img":
            self.pictures.append(found)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))


@pytest.fixture(scope="module")
def parsed():
    return {page: Anchors((SITE / page).read_text(encoding="utf-8")) for page in PAGES}


def test_every_notebook_and_kind_of_page_is_there(repository):
    listed = manifest.read(repository)
    wanted = {f"notebooks/{book['name']}.html" for book in listed["notebooks"]}
    wanted |= {"index.html", "explorer.html", "gallery.html", "claims.html", "cite.html", "changelog.html", "api/bounds.html"}
    assert wanted <= set(PAGES)


def test_no_link_is_broken(parsed):
    broken = []
    for page, found in parsed.items():
        for link in found.links:
            parts = urlsplit(urljoin(page, link))
            if parts.scheme or link.startswith(("//", "data:")):
                continue
            target = unquote(parts.path) or page
            target += "index.html" * (target.endswith("/"))
            anchors = parsed[target].ids | {""} if target in parsed else {unquote(parts.fragment)}
            if not (SITE / target).is_file() or unquote(parts.fragment) not in anchors:
                broken.append((page, link))
    assert not broken


@pytest.mark.parametrize("page", READ)
def test_headings_are_in_order_and_pictures_have_words(parsed, page):
    levels = parsed[page].levels
    assert levels.count(1) == 1 and all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    assert all(picture.get("alt", "").strip() for picture in parsed[page].pictures)


@pytest.mark.parametrize("page", PAGES)
def test_page_is_quiet_fits_and_draws_its_formulas(visit, page):
    wide, narrow = visit(page), visit(page, width=400, theme="dark")
    for one in (wide, narrow):
        assert not one.errors and not one.away
        assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
        assert one.page.evaluate(CONTRAST) == []
    assert wide.page.evaluate(FORMULAS) == [] and wide.page.evaluate(TEX) == []
    if "explorer" not in page:
        assert wide.bytes() < 1.5e6, "at first paint"


def test_start_page_is_light(visit):
    assert 20e3 < visit("index.html").bytes() < 300e3


def test_search_finds_a_page(visit):
    page = visit("search.html?q=cooldown").page
    page.wait_for_selector("#search-results li a")
    assert page.locator("#search-results li a").count() > 3


def test_claims_are_filtered_and_the_address_keeps_the_choice(visit):
    page = visit("claims.html").page
    everything = page.locator("article.claim:visible").count()
    page.select_option("select[name=verdict]", "differs")
    page.select_option("select[name=paper]", "guide")
    shown = page.locator("article.claim:visible")
    assert 0 < shown.count() < everything
    assert set(shown.evaluate_all("claims => claims.map(c => c.dataset.verdict + c.dataset.paper)")) == {"differsguide"}
    again = visit("claims.html?" + page.url.partition("?")[2]).page
    assert again.locator("article.claim:visible").count() == shown.count()


def test_code_is_folded_until_it_is_asked_for(visit):
    page = visit("notebooks/schaipp2025/horizons.html").page
    code = page.locator("details.hide pre").nth(2)
    assert not code.is_visible()
    page.locator("details.hide summary").nth(2).click()
    assert code.is_visible()
