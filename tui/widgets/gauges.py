"""Values with their history as small curves, in sections, as many beside each other as fit."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from textual.events import MouseScrollDown, MouseScrollUp

from tui.drawing.cells import Cell, cells, clipped, cut_cells, spread
from tui.drawing.sparkline import sparkline
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.drawing.words import cut, padded
from tui.machines import Trail
from tui.widgets.cells import CellWidget, title_row

LABEL, VALUE = 13, 20
"""Widths of the label and of the value before a curve, in cells."""
BESIDE, CLOSE = 75, 48
"""Width of a gauge, in cells, where curves may be several rows high, and the smallest."""
TALLEST = 4
"""Maximum height of a curve, in rows; below one of several rows, one is left blank."""


class Gauge(msgspec.Struct, frozen=True):
    """A value and its history."""

    label: str
    value: str
    """With its unit; empty where it is not known."""
    trail: Trail
    most: float
    """The value that fills the height of the curve."""


class Section(msgspec.Struct, frozen=True):
    """Gauges that belong together."""

    title: str
    facts: str
    """What is told at the right of the title."""
    at: float
    """The time of the values, in seconds since 1970."""
    gauges: tuple[Gauge, ...]
    notes: tuple[str, ...] = ()
    """Lines below the gauges."""


class Gauges(CellWidget):
    """Sections of gauges; where they do not fit, they scroll."""

    DEFAULT_CSS = "Gauges { height: 1fr; }"

    def __init__(self, *, empty: str, id: str | None = None) -> None:
        """`empty` is shown while there is no section."""
        super().__init__(id=id)
        self.empty = empty
        self.sections: Sequence[Section] = ()
        self.stretch = 1
        self._top = 0
        """The first line in view."""
        self._lines = 0
        """Number of lines, as drawn last."""

    def show(self, sections: Sequence[Section], stretch: int) -> None:
        """Show `sections`; a column of a curve stands for `stretch` seconds."""
        self.sections, self.stretch = sections, stretch
        self.redraw()

    def move(self, across: int, down: int) -> None:
        """Scroll by `down` lines."""
        self._scroll(self._top + down + across)

    def jump(self, index: int) -> None:
        """Scroll to the first line (index 0) or the last one (-1)."""
        self._scroll(self._lines if index < 0 else index)

    def _scroll(self, top: int) -> None:
        top = max(0, min(top, self._lines - self.size.height))
        if top != self._top:
            self._top = top
            self.redraw()

    def on_mouse_scroll_up(self, _event: MouseScrollUp) -> None:
        self.move(0, -3)

    def on_mouse_scroll_down(self, _event: MouseScrollDown) -> None:
        self.move(0, 3)

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """In the roomiest layout that fits; in the tightest one, what is in view."""
        quiet = ink(self.app, "quiet")
        if not self.sections:
            return [*[[] for _ in range(height // 2)], cells((self.empty.center(width), quiet))]
        across, rows = self._layout(width, height)
        lines = [line for section in self.sections for line in self._section(section, width, across, rows)]
        self._lines = len(lines)
        self._top = max(0, min(self._top, len(lines) - height))
        shown = lines[self._top : self._top + height]
        if self._top + height < len(lines) and shown:
            mark = cells((f" {glyphs().ellipsis} more below ", quiet))
            shown[-1] = spread(cut_cells(shown[-1], max(0, width - len(mark) - 1)), mark, width, (" ", quiet))
        return shown

    def _layout(self, width: int, height: int) -> tuple[int, int]:
        """Number of gauges beside each other, and of rows of each."""
        roomy, close = max(1, width // BESIDE), max(1, width // CLOSE)
        layouts = [(roomy, rows) for rows in range(TALLEST, 0, -1)]
        layouts += [(across, 1) for across in range(roomy + 1, close + 1)]
        for across, rows in layouts:
            if sum(self._height(section, across, rows) for section in self.sections) <= height:
                return across, rows
        return layouts[-1]

    @staticmethod
    def _height(section: Section, across: int, rows: int) -> int:
        pitch = rows if rows == 1 else rows + 1
        return 1 + -(-len(section.gauges) // across) * pitch + len(section.notes)

    def _section(self, section: Section, width: int, across: int, rows: int) -> list[list[Cell]]:
        quiet = ink(self.app, "quiet")
        facts = cells((f" {section.facts} ", quiet)) if section.facts else []
        lines = [title_row(self, cut(section.title, max(8, width - len(facts) - 5)), facts, width)]
        each = width // across
        for first in range(0, len(section.gauges), across):
            beside = [self._gauge(gauge, section.at, each, rows) for gauge in section.gauges[first : first + across]]
            lines += [[cell for part in row for cell in part] for row in zip(*beside, strict=True)]
            if rows > 1:
                lines.append([])
        lines += [clipped(cells((f" {note}", quiet)), width, quiet) for note in section.notes]
        return lines

    def _gauge(self, gauge: Gauge, at: float, width: int, rows: int) -> list[list[Cell]]:
        """The rows of one gauge, each `width` cells wide."""
        quiet, text, colour = (ink(self.app, name) for name in ("quiet", "foreground", "primary"))
        value = cut(gauge.value or "not known", VALUE)
        label = f" {padded(gauge.label, LABEL - 1)}"
        room = max(0, width - LABEL - VALUE - 2)
        curve = sparkline(gauge.trail.columns(self.stretch, room, at), gauge.most, rows)
        lines = []
        for number, columns in enumerate(curve):
            words = [(label, quiet), (padded(value, VALUE), text if gauge.value else quiet)]
            blank = [(" " * (LABEL + VALUE), quiet)]
            row = cells(*(blank if number else words), (columns, colour))
            lines.append(spread(row, [], width, (" ", quiet)))
        return lines
