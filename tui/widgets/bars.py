"""The probabilities of the ten classes as bars."""

from __future__ import annotations

import math

from textual.events import Click
from textual.message import Message

from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget, title_row

SPACIOUS = 4
"""Maximum number of lines per class."""


class Bars(CellWidget):
    """One bar per class. The actual class has a mark; it and an incorrect prediction are highlighted."""

    DEFAULT_CSS = "Bars { height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = ""
        self.shares: list[float] = []
        self.actual = self.predicted = -1
        self.role = "actual"
        self._on_lines: list[int] = []
        """The class of each line after the title."""

    def show(self, title: str, shares: list[float], actual: int, predicted: int, role: str = "actual") -> None:
        """Show the probabilities `shares`, each from 0 to 1; `role` is what the class `actual` is called."""
        self.title, self.shares, self.actual, self.predicted, self.role = title, shares, actual, predicted, role
        self.redraw()

    class Chosen(Message):
        """A class was chosen with the mouse."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def on_click(self, event: Click) -> None:
        """Choose the clicked class."""
        if (number := self.class_at(event.y)) is not None:
            self.post_message(self.Chosen(number))

    def class_at(self, y: int) -> int | None:
        """The class whose bar is on line `y` of the widget; None if there is none."""
        return self._on_lines[y - 1] if 0 < y <= len(self._on_lines) else None

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, then as many lines per class as fit; if not all classes fit, the most probable ones."""
        key = cells((f" {glyphs().true} {self.role} ", ink(self.app, "quiet"))) if self.shares else []
        title = title_row(self, self.title, key, width)
        count, room = len(self.shares), max(0, height - 1)
        classes = list(range(count))
        if room < count:
            classes = sorted(classes, key=lambda number: -self.shares[number])[:room]
        pitch = min(max(1, room // count), SPACIOUS) if count else 1
        self._on_lines = [number for number in classes for _ in range(pitch)]
        rows = [line for number in classes for line in self._bar(number, width, pitch)]
        if key and key[1] not in title and len(rows) < room:  # the title left no room for it
            rows.append(key)
        return [title, *rows]

    def _bar(self, number: int, width: int, pitch: int) -> list[list[Cell]]:
        """The lines of one class: from three on, all but the last have a thick bar."""
        share, wrong = self.shares[number], self.actual != self.predicted
        highlighted = {self.predicted: "error" if wrong else "success"} | {self.actual: "success"}
        name = highlighted.get(number, "quiet")
        decimals = next((digits for digits in (2, 1) if width >= digits + 13), 0)
        text = f"{share * 100:.{decimals}f} %".rjust(7 + decimals if decimals else 6)
        room = max(0, width - 5 - len(text) - 1)
        full = round(share * room) if math.isfinite(share) else 0  # NaN weights give NaN probabilities
        thick, g = pitch > 2, glyphs()
        piece = g.block if thick else g.bar_full
        mark = g.true if number == self.actual else " "
        first = cells(
            (f" {number} ", ink(self.app, name, bold=number in highlighted)),
            (f"{mark} ", ink(self.app, "success")),
            (piece * full, ink(self.app, name)),
            (g.bar_empty * (room - full), ink(self.app, "rule")),
            (text, ink(self.app, "foreground" if share >= 0.005 else "quiet")),
        )
        more = cells(("     ", ink(self.app, name)), (piece * full, ink(self.app, name))) if thick else []
        return [first, *([more] * (pitch - 2)), *([[]] if pitch > 1 else [])]
