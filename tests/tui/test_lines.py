from __future__ import annotations

import re

import pytest
from rich.cells import cell_len
from rich.style import Style
from textual.screen import Screen

from tests.tui.conftest import MakeApp
from tui.drawing.cells import Cell, cells, clipped
from tui.drawing.fitting import Fact, cut_between_words, fitted, wrapped
from tui.drawing.words import counted, cut, padded
from tui.opened import Opened
from tui.setting import Setting
from tui.widgets.lines import Header, KeyBar, ProgressLine
from tui.widgets.settings import Settings


@pytest.mark.parametrize("width", [30, 40, 55, 80, 200])
async def test_the_key_bar_says_when_there_are_more_keys(still_app: MakeApp, width: int) -> None:
    app = still_app()
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.pause()
        bar = app.screen.query_one(KeyBar)
        row = "".join(text for text, _ in bar.draw(width, 1)[0])
        assert len(row.rstrip()) <= width
        labels = [each.label for each in bar.commands if each.label]
        shown = [label for label in labels if f" {label}  " in row]
        assert shown == labels[: len(shown)]  # in the order of use
        assert row.rstrip().endswith("? help" if len(shown) == len(labels) else "? more")


def test_names_are_measured_in_cells() -> None:
    assert cut("日本語のラン", 8) == "日本語 …"
    assert cut("日本語", 6) == "日本語"
    for name in ("日本語", "abc", "e\u0301"):
        assert cell_len(padded(name, 9)) == cell_len(padded(name, 9, right=True)) == 9
    assert padded("日", 4, right=True) == "  日"


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    plain = Style()

    def text(row: list[Cell]) -> str:
        return "".join(character for character, _ in row)

    assert text(clipped(cells(("abcdef", plain)), 6, plain)) == "abcdef"
    assert text(clipped(cells(("abcdef", plain)), 5, plain)) == "abcd…"
    assert text(clipped(cells(("abc   ", plain)), 4, plain)) == "abc "  # blanks are dropped without an ellipsis
    assert text(clipped(cells(("日本語", plain)), 4, plain)) == "日 …"  # wide characters are not split
    assert [len(clipped(cells(("日本語", plain)), width, plain)) for width in (0, 1, 2)] == [0, 1, 2]


def _settings(*names: str) -> list[Setting]:
    return [Setting(name, name, 1, lambda _: None, (1, 2)) for name in names]


async def test_the_selected_setting_is_in_view_and_each_cut_side_says_so(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(30, 10)) as pilot:
        await app.push_screen(Screen())
        row = Settings()
        await app.screen.mount(row)
        names = ("alpha", "beta", "gamma", "delta", "omega")
        row.show(["one", "two"], 0, _settings(*names))
        row.focus()
        await pilot.pause()
        for at, name in enumerate(names):
            row.select(name)
            line = "".join(character for character, _ in row.draw(30, 2)[1])
            assert f"{name}‹1›" in line
            assert len(line) <= 30
            assert line.startswith("…") == (at > 2)
            assert line.endswith("…") == (at < 4)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
async def test_settings_of_any_width(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, locale: str) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    app = still_app()
    async with app.run_test(size=(30, 10)) as pilot:
        await app.push_screen(Screen())
        row = Settings()
        await app.screen.mount(row)
        row.focus()
        await pilot.pause()
        row.show(["one", "two"], 1, _settings("alpha", "beta", "c"))
        for name in ("alpha", "beta", "c"):
            row.select(name)
            for width in range(40):
                assert all(len(line) <= width for height in (1, 2) for line in row.draw(width, height))


def test_the_lowest_rank_is_given_up_first() -> None:
    facts = [Fact("a long name of it", 3, Fact("a name", 9)), Fact("seed 1", 5), Fact("cnn", 1)]
    kept = {width: [fact.words for (row,) in [fitted([facts], width, 3)] for fact in row] for width in range(40)}
    assert kept[32] == ["a long name of it", "seed 1", "cnn"] == kept[39]
    assert kept[26] == ["a long name of it", "seed 1"] == kept[31]
    assert kept[15] == ["a name", "seed 1"] == kept[25]
    assert kept[0] == ["a name"] == kept[14]


def test_facts_of_both_sides_compete() -> None:
    left, right = [Fact("日本", 9), Fact("seed 1", 2)], [Fact("cpu", 5)]
    assert fitted([left, right], 19, 3) == [left, right]
    assert fitted([left, right], 18, 3) == [left[:1], right]
    assert fitted([left, right], 9, 3) == [left[:1], []]
    assert fitted([[], []], 0, 3) == [[], []]


@pytest.mark.parametrize(
    "text", ["wider kernels, lower rate #sweep", "日本語 のラン 二", "onelongwordonly", "", "a\x1b[2Jb c"]
)
def test_a_text_is_cut_between_words(text: str) -> None:
    whole = cut_between_words(text, 100)
    assert "\x1b" not in whole
    for most in range(40):
        kept = cut_between_words(text, most)
        assert cell_len(kept) <= most
        if kept != whole and " " in kept:
            assert kept.endswith("…")
            assert whole.startswith(f"{kept[:-1]} ")


def test_a_text_is_wrapped_between_words() -> None:
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("extraordinary it is", 6) == ["extrao", "rdinar", "y it", "is"]
    assert wrapped("日本語", 4) == ["日本", "語"]
    assert wrapped("", 4) == [""]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
async def test_the_header_keeps_what_matters_at_any_width(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, locale: str
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.workspace._open.bundled = False
        app.workspace._open.history.name = "20260101-000000-cnn"
        app.workspace._open.note = "wider kernels with a lower learning rate and smaller batches #sweep"
        header = app.screen.query_one(Header)
        header.show(app.workspace.facts(), app.workspace.place())
        known = {word for fact in (*header.facts, *header.place) for word in fact.words.split()}
        for width in range(10, 200):
            (row,) = header.draw(width, 1)
            text = "".join(character for character, _ in row)
            assert len(row) == width
            words = re.sub(r"…|\.\.\.| [|·] ", " ", text).split()
            assert set(words) <= known | {"mnist-tui"}, text
            if width >= 60:
                assert "test 99.17 %" in text
                assert "epoch 15/15" in text
                assert "wider kernels" in text
            if width >= 80:
                assert "seed 0" in text
                assert "cpu" in text


async def test_a_hint_is_shown_only_where_it_fits(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)):
        line = ProgressLine()
        await app.screen.mount(line)
        line.show("the answer", hint="r does it")
        for width in range(40):
            text = "".join(character for character, _ in line.draw(width, 1)[0])
            assert len(text) <= width
            assert ("r does it" in text) == (width >= 23), width
            assert "the answer" in text or width < 11


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), (1200, "1,200 epochs")]
)
def test_things_are_counted(number: int, words: str) -> None:
    assert counted(number, "epoch") == words


def test_nothing_open_has_no_facts() -> None:
    assert Opened().facts() == ()
