"""The pages of a screen and the settings of the page in front, above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from textual import events

from tui.drawing.cells import Cell, cells, clipped, trimmed
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.setting import Setting
from tui.widgets.fields import Fields

TWO_ROWS = 2
"""Height in cells from which pages and settings have a row each."""


class Settings(Fields):
    """The titles of the pages, the one in front highlighted, and the settings; on one row or two."""

    DEFAULT_CSS = "Settings { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pages: Sequence[str] = ()
        self.front = 0
        self._ends: list[tuple[int, int, int]] = []
        """Row, and first and last column of each setting."""
        self._titles: list[tuple[int, int]] = []
        """First and last column of each title of a page; empty where only one is shown."""
        self.turn: Callable[[int], None] = lambda _place: None
        """Called with the index of a page whose title was clicked."""
        self.next_key = "s"
        """The key that goes to the next setting, as it is shown to the user."""
        self.said: Callable[[], None] = lambda: None
        """Called when another setting is selected or edited."""

    def show(self, pages: Sequence[str], front: int, settings: Sequence[Setting]) -> None:
        """Show these; `front` is the index of the page in front."""
        self.pages, self.front = pages, front
        self.take(settings)

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The pages, then the settings, scrolled so that the selected one is visible."""
        quiet = ink(self.app, "quiet")
        settings, ends = self._settings()
        if height >= TWO_ROWS:
            return [clipped(self._pages(), width, quiet), self._window(settings, ends, width, 1)]
        pages = self._pages()
        if len(pages) + len(settings) > width:
            pages = self._pages(short=True)
        ends = [(begin + len(pages), end + len(pages)) for begin, end in ends]
        return [self._window(pages + settings, ends, width, 0)]

    def _pages(self, *, short: bool = False) -> list[Cell]:
        """The titles of the pages; `short`: only that of the page in front, with its place."""
        quiet, bold = ink(self.app, "quiet"), ink(self.app, "primary", bold=True, reverse=True)
        self._titles = []
        if short and self.pages:
            return cells((f" {self.pages[self.front]} ", bold), (f" {self.front + 1}/{len(self.pages)} ", quiet))
        parts = [(f" {title} ", bold if number == self.front else quiet) for number, title in enumerate(self.pages)]
        for text, _ in parts:
            begin = self._titles[-1][1] if self._titles else 0
            self._titles.append((begin, begin + cell_len(text)))
        return cells(*parts, *([(" ", quiet)] if parts else []))

    def _settings(self) -> tuple[list[Cell], list[tuple[int, int]]]:
        """The names and values, and the first and last column of each."""
        quiet = ink(self.app, "quiet")
        row: list[Cell] = []
        ends = []
        for number, setting in enumerate(self.settings):
            begin = len(row)
            row += [*cells((f" {setting.label}", quiet)), *self.value_cells(number)]
            ends.append((begin, len(row)))
        return row, ends

    def _window(self, row: list[Cell], ends: list[tuple[int, int]], width: int, line: int) -> list[Cell]:
        """`row` from a column on that keeps the selected setting in view, with an ellipsis on each side that is cut."""
        quiet = ink(self.app, "quiet")
        mark = cells((glyphs().ellipsis, quiet))
        fits = len(trimmed(row, 0)) <= width
        shift = 0 if fits or not ends or not self.has_focus else max(0, ends[self.at][1] - (width - len(mark)))
        self._ends = [(line, begin - shift, end - shift) for begin, end in ends]
        if not shift:
            return clipped(row, width, quiet)
        rest = row[shift + len(mark) :]
        if rest and not rest[0][0]:  # the second half of a wide character
            rest[0] = (" ", quiet)
        return (mark + clipped(rest, width - len(mark), quiet))[:width]

    def words(self) -> str:
        """What the selected setting is and how to change it; empty without the focus."""
        setting = self.selected
        if setting is None:
            return ""
        what = setting.help or setting.label
        if self.editing:
            return self.problem or f"{what}: enter takes it, esc does not"
        how = "left and right change it, a digit or enter types it" if setting.parse else "left and right change it"
        return self.problem or f"{what}: {how}, {self.next_key} the next, esc leaves"

    def edited(self) -> None:
        self.said()

    def on_click(self, event: events.Click) -> None:
        """Turn to the page whose title was clicked, or select or change a setting."""
        page = next((n for n, (begin, end) in enumerate(self._titles) if event.y == 0 and begin <= event.x < end), None)
        if page is None:
            super().on_click(event)
        else:
            self.turn(page)

    def field_at(self, x: int, y: int) -> int | None:
        return next((n for n, (row, begin, end) in enumerate(self._ends) if row == y and begin <= x < end), None)
