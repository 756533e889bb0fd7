from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.style import Style

from tests.tui.conftest import MakeApp
from tui.drawing.cells import Cell, cells, clipped
from tui.drawing.words import cut, padded
from tui.widgets.lines import KeyBar
from tui.widgets.settings import Settings


@pytest.mark.parametrize("width", [30, 40, 55, 80])
async def test_help_and_quit_are_the_last_to_go(still_app: MakeApp, width: int) -> None:
    app = still_app()
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.pause()
        row = "".join(text for text, _ in app.screen.query_one(KeyBar).draw(width, 1)[0])
        assert len(row) <= width
        assert "? help" in row
        assert "q quit" in row


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


async def test_the_parameter_at_hand_is_in_view_and_each_cut_side_says_so(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(30, 10)):
        settings = Settings()
        await app.screen.mount(settings)
        values = [(name, "1") for name in ("alpha", "beta", "gamma", "delta", "omega")]
        for at, (name, _) in enumerate(values):
            settings.show(["one", "two"], 0, values, at)
            row = "".join(character for character, _ in settings.draw(30, 2)[1])
            assert f"{name} ‹1›" in row
            assert len(row) <= 30
            assert row.startswith("…") == (at > 1)
            assert row.endswith("…") == (at < 4)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
async def test_settings_of_any_width(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, locale: str) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    app = still_app()
    async with app.run_test(size=(30, 10)):
        settings = Settings()
        await app.screen.mount(settings)
        for at in range(3):
            settings.show(["one", "two"], 1, [("alpha", "1"), ("beta", "2"), ("c", "3")], at)
            for width in range(40):
                assert all(len(row) <= width for row in settings.draw(width, 2))
