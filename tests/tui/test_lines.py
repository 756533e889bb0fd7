from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.style import Style
from textual.screen import Screen

from tests.tui.conftest import MakeApp
from tui.drawing.cells import Cell, cells, clipped
from tui.drawing.words import cut, padded
from tui.setting import Setting
from tui.widgets.lines import KeyBar
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
