"""A table of preformatted lines with a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message

from tui.drawing.cells import Cell, cells, clipped
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget, title_row

FEWEST = 3
"""Number of lines that notes below them leave room for."""


TWO = 150
"""Width in cells from which lines may stand in two columns."""
GAP = 4
"""Cells between two columns of lines."""


@dataclass(frozen=True)
class Row:
    """One line."""

    text: str
    mark: str = ""
    """Highlighted text after it."""
    sample: tuple[str, str] = ("", "")
    """A legend before it, which shows how its curve is drawn: a few characters and the name of their theme colour."""
    key: object = None
    """Identity of the line: the cursor follows it when lines move. None to identify it by its position."""


class Rows(CellWidget):
    """A title, column heads, lines with a cursor, and notes below them.

    Where there is no room for all, the lines scroll and the notes stay.
    """

    DEFAULT_CSS = "Rows { height: 1fr; }"

    class Moved(Message):
        """The cursor moved to another line."""

    class HeadClicked(Message):
        """The column heads were clicked."""

        def __init__(self, x: int) -> None:
            """`x` is the position in `head`, in cells."""
            super().__init__()
            self.x = x

    def __init__(self, *, empty: str, id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty, self.title, self.facts, self.head = empty, "", "", ""
        self.lines: Sequence[Row] = ()
        self.notes: Sequence[str] = ()
        self.cursor = 0
        self.key: object = None
        """Key of the line under the cursor."""
        self.lost = False
        """Whether that line has disappeared. Then no line has the cursor until the user moves it, so that a key press
        never acts on a line that took its position."""
        self._drawn: tuple[int, bool] | None = None
        """The cursor as it was drawn last."""

    def show(self, title: str, head: str, lines: Sequence[Row], notes: Sequence[str] = (), *, facts: str = "") -> None:
        """Show these lines, and `facts` to the right of the title. The cursor stays on the line with its key."""
        same = lines is self.lines and (title, facts, head, notes) == (self.title, self.facts, self.head, self.notes)
        self.title, self.facts, self.head, self.lines, self.notes = title, facts, head, lines, notes
        self.cursor = min(self.cursor, max(0, len(lines) - 1))
        at = None if self.key is None else next((n for n, line in enumerate(lines) if _same(line.key, self.key)), None)
        self.lost = self.key is not None and at is None
        if at is not None:
            self.cursor = at
        elif lines and not self.lost:
            self.key = lines[self.cursor].key
        if not same or self._drawn != (self.cursor, self.lost):  # `go_to` has drawn it already
            self.redraw()

    def settle(self, line: int | None = None) -> None:
        """At the next `show`, put the cursor on `line`, or keep its position, regardless of its key."""
        self.key, self.cursor = None, self.cursor if line is None else line

    def move(self, across: int, down: int) -> None:
        """Move the cursor by `down` (or `across`) lines."""
        self.go_to(self.cursor + (0 if self.lost else down + across))

    def page(self, pages: int) -> None:
        """Move the cursor by ten lines per page."""
        self.go_to(self.cursor + 10 * pages)

    def jump(self, index: int) -> None:
        """Move the cursor to the first line (index 0) or the last one (-1)."""
        self.go_to(index % len(self.lines) if self.lines else 0)

    def go_to(self, line: int) -> None:
        """Move the cursor to a line, or the nearest one."""
        line = min(max(line, 0), len(self.lines) - 1)
        if self.lines and (line != self.cursor or self.lost):
            self.cursor, self.key, self.lost = line, self.lines[line].key, False
            self.redraw()
            self.post_message(self.Moved())

    def on_click(self, event: Click) -> None:
        """Select a line, or report a click on the heads."""
        first = 2 if self.head else 1
        if event.y >= first:
            room, across = self._rooms(self.size.height)[0], self._across(*self.size)
            if event.y - first < room:
                column = min(event.x // (self.size.width // across), across - 1)
                self.go_to(self._top(*self.size) + column * room + event.y - first)
        elif event.y == 1:
            self.post_message(self.HeadClicked(event.x - 1))

    def on_mouse_scroll_up(self, _event: MouseScrollUp) -> None:
        self.move(0, -3)

    def on_mouse_scroll_down(self, _event: MouseScrollDown) -> None:
        self.move(0, 3)

    def height_of(self, lines: int, notes: int) -> int:
        """The height at which this number of lines and of notes are all visible."""
        return 2 + lines + (notes + 1 if notes else 0)

    def _rooms(self, height: int) -> tuple[int, int]:
        """Number of lines and of notes that are visible. A few lines come first, then the notes, then more lines."""
        room = max(1, height - (2 if self.head else 1))
        lines = min(len(self.lines), FEWEST, room)
        notes = min(len(self.notes), max(0, room - lines))
        left = room - notes
        return left - 1 if notes and left > len(self.lines) else left, notes

    def _across(self, width: int, height: int) -> int:
        """Number of columns of lines: two if they show more, and the lines are short enough."""
        if width < TWO or len(self.lines) <= self._rooms(height)[0]:
            return 1
        longest = max(cell_len(f"{line.sample[0]} {line.text}  {line.mark}") for line in self.lines)
        return 2 if width >= 2 * (max(longest, cell_len(self.head)) + GAP) else 1

    def _top(self, width: int, height: int) -> int:
        """Index of the first visible line."""
        room = self._rooms(height)[0] * self._across(width, height)
        return min(max(0, self.cursor - room // 2), max(0, len(self.lines) - room))

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """As many lines as fit, around the cursor."""
        self._drawn = (self.cursor, self.lost)
        quiet = ink(self.app, "quiet")
        rows = [title_row(self, self.title, cells((f" {self.facts} ", quiet)) if self.facts else [], width)]
        if not self.lines:
            words = [cells((line.center(width), quiet)) for line in self.empty.split("\n")]
            return [*rows, *[[] for _ in range(max(0, (height - 1 - len(words)) // 2))], *words]
        top, (room, told), across = self._top(width, height), self._rooms(height), self._across(width, height)
        if self.head:
            rows.append(self._side_by_side([cells((f" {self.head}", quiet))] * across, width))
        for number in range(top, min(top + room, len(self.lines))):
            parts = [self._line(at) for at in range(number, min(number + across * room, len(self.lines)), room)]
            rows.append(self._side_by_side(parts[:across], width))
        if told:
            gap: list[list[Cell]] = [[]] if len(rows) + told < height else []
            more = [f" {glyphs().ellipsis}" if told < len(self.notes) and n == told - 1 else "" for n in range(told)]
            said = (f" {note}{rest}" for note, rest in zip(self.notes, more, strict=False))
            rows += [*gap, *(clipped(cells((note, quiet)), width, quiet) for note in said)]
        return rows

    def _line(self, number: int) -> list[Cell]:
        """A line, highlighted if it has the cursor."""
        line, here = self.lines[number], number == self.cursor and not self.lost
        # Without colour, bold alone is hard to see.
        style = ink(self.app, "primary" if here else "foreground", bold=here, reverse=here and self.app.no_color)
        sample, colour = line.sample
        first = [(f" {sample}", ink(self.app, colour))] if sample else []
        more = [(f"  {line.mark}", ink(self.app, "error"))] if line.mark else []
        return cells(*first, (f" {line.text}", style), *more)

    def _side_by_side(self, parts: Sequence[list[Cell]], width: int) -> list[Cell]:
        """One line or two, each in its share of the width."""
        quiet = ink(self.app, "quiet")
        if len(parts) == 1:
            return clipped(parts[0], width, quiet)
        left = clipped(parts[0], width // 2, quiet)
        return left + cells((" " * (width // 2 - len(left)), quiet)) + clipped(parts[1], width - width // 2, quiet)


def _same(one: object, other: object) -> bool:
    """Whether two keys are the same: the same object or equal strings. Equal experiments in the queue are distinct."""
    return one is other or (isinstance(one, str) and one == other)
