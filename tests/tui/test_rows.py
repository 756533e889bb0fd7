"""The table of lines: which lines and notes are visible where there is no room for all."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from tests.tui.driving import words
from tui.drawing.theme import DARK
from tui.widgets.rows import Row, Rows


class Alone(App[None]):
    """An app with nothing but a table."""

    def compose(self) -> ComposeResult:
        self.register_theme(DARK)
        self.theme = DARK.name
        yield Rows(empty="nothing")


@pytest.mark.parametrize(
    ("height", "lines", "notes"),
    [(24, 9, 4), (16, 9, 4), (15, 9, 4), (11, 5, 4), (10, 4, 4), (9, 3, 4), (7, 3, 2), (5, 3, 0), (3, 1, 0)],
)
async def test_notes_stay_while_lines_scroll(height: int, lines: int, notes: int) -> None:
    app = Alone()
    async with app.run_test(size=(40, height)):
        rows = app.query_one(Rows)
        rows.show("title", "head", [Row(f"line {n}") for n in range(9)], [f"note {n}" for n in range(4)])
        text = words(rows)
        assert text.count("line ") == lines
        assert text.count("note ") == notes
        assert ("…" in text) == (0 < notes < 4)
        rows.jump(-1)
        assert "line 8" in words(rows)
        if notes:
            assert "note 0" in words(rows)
        assert rows.height_of(9, 4) == 16


async def test_what_has_not_changed_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Alone()
    async with app.run_test(size=(40, 10)):
        rows, lines = app.query_one(Rows), [Row("a", key="a"), Row("b", key="b")]
        rows.show("title", "head", lines)
        draws: list[int] = []
        monkeypatch.setattr(rows, "redraw", lambda: draws.append(1))
        rows.show("title", "head", lines)
        assert draws == []
        rows.key = "b"
        rows.show("title", "head", lines)
        assert (len(draws), rows.cursor) == (1, 1)
        rows.show("title", "head", list(lines))
        rows.show("another", "head", lines)
        assert len(draws) == 3
