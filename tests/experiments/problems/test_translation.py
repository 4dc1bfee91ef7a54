"""Messages of catalogues: pairs, pieces, what is held out, and a translator that is causal and learns."""

import numpy as np
import pytest
import torch

from lastiterate import schedules
from lastiterate.experiments import problems
from lastiterate.experiments.problems import translation

pytestmark = pytest.mark.usefixtures("one_thread")
pytest.importorskip("tokenizers", reason='tokenizers is of the extra "suites"')
NUMBERS = dict(
    zip(
        ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht"],
        ["one", "two", "three", "four", "five", "six", "seven", "eight"],
        strict=True,
    )
)


@pytest.fixture
def counting(monkeypatch):
    """Instead of the catalogues, "eins drei": "one three" and the like."""
    pairs = sorted((f"{a} {b}", f"{NUMBERS[a]} {NUMBERS[b]}") for a in NUMBERS for b in NUMBERS)
    monkeypatch.setattr(translation, "catalogue", lambda: pairs)
    monkeypatch.setattr(translation, "VOCABULARY", 320)
    translation.messages.cache_clear()
    yield pairs
    translation.messages.cache_clear()


def test_catalogues_are_read_and_what_is_not_translated_is_left_out(monkeypatch, tmp_path):
    babel = pytest.importorskip("babel.messages", reason='Babel is of the extra "suites"')
    from babel.messages.mofile import write_mo

    entries = {"Save": "Speichern", "OK": "OK", "": "header", "x" * 40: "y", "Open": ""}
    for folder in ("conf/locale/de", "contrib/admin/locale/de", "locale/de_DE"):
        catalogue = babel.Catalog(locale="de")
        for english, german in entries.items() if folder.startswith("conf") else [(f"in {folder}", "da")]:
            catalogue.add(english, german)
        file = tmp_path / folder / "LC_MESSAGES" / "all.mo"
        file.parent.mkdir(parents=True)
        with file.open("wb") as opened:
            write_mo(opened, catalogue)
    monkeypatch.setattr(translation, "LANGUAGES", {"de": "de_DE"})
    monkeypatch.setattr(translation._extras, "folder", lambda module, extra: tmp_path)
    found = translation.catalogue()
    assert found == [("Speichern", "Save"), ("da", "in contrib/admin/locale/de"), ("da", "in locale/de_DE")]


def test_an_english_message_is_held_out_in_all_languages_or_in_none(counting, monkeypatch):
    monkeypatch.setattr(translation, "catalogue", lambda: sorted(counting + [(f"{a}!", b) for a, b in counting]))
    source, target, held = translation.messages()
    assert source.shape == target.shape == (128, translation.TOKENS) and 4 < held.sum() < 30
    held_out = {tuple(row) for row in target[held].tolist()}
    assert len(held_out) == held.sum() / 2 and not held_out & {tuple(row) for row in target[~held].tolist()}
    assert (target[:, 0] == translation.START).all() and ((target == translation.END).sum(1) == 1).all()


def test_a_token_does_not_see_what_follows_it():
    torch.manual_seed(0)
    network = translation.Translator(50).eval()
    source, target = torch.randint(3, 50, (2, 4, 9))
    changed = target.clone()
    changed[:, 5:] = 7
    with torch.no_grad():
        before, after = network(source, target), network(source, changed)
        padded = network(torch.cat([source, torch.zeros(4, 3, dtype=torch.long)], 1), target)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert (before[:, 6:] - after[:, 6:]).abs().max() > 0.01
    torch.testing.assert_close(before, padded, atol=1e-5, rtol=1e-4)


def test_translating_one_token_at_a_time_is_what_the_decoder_gives():
    torch.manual_seed(0)
    network = translation.Translator(50).eval()
    with torch.no_grad():
        source = torch.randint(3, 50, (6, 9))
        found = network.translate(source)
        assert found.shape == (6, translation.TOKENS - 1)
        given = torch.cat([torch.full((6, 1), translation.START), found[:, :-1]], 1)
        likeliest = network(source, given).argmax(2)
    for row, expected in zip(found, likeliest, strict=True):
        length = int((row != translation.PAD).sum())
        assert row[:length].equal(expected[:length]) and (row[length:] == translation.PAD).all()


def test_counting_is_learnt(counting):
    curve, norms = problems.train("translation", 0.01 * schedules.linear(60), seed=0)
    again, _ = problems.train("translation", 0.01 * schedules.linear(60), seed=0)
    assert curve.equals(again) and np.isfinite(norms).all()
    assert curve["loss"].iloc[-1] < 0.3 * curve["loss"].iloc[0] and curve["error"].iloc[-1] < 1
