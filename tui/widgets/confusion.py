"""The confusion matrix: rows are actual classes, columns are predicted classes."""

from __future__ import annotations

import numpy as np
from rich.style import Style
from textual.events import Click
from textual.message import Message

from engine.geometry import CLASSES
from engine.inspection.events import SplitEvaluated
from engine.words import percent
from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.drawing.view import View
from tui.widgets.cells import CellWidget, title_row

EDGE = 3
"""Width of the actual classes on the left, in cells."""
CELL = 4
"""Minimum width of a number, in cells."""


CURSOR = Style(reverse=True, bold=True)


class Confusion(CellWidget):
    """Counts on coloured cells. Errors have a logarithmic scale, so that one in ten thousand can be seen too."""

    DEFAULT_CSS = "Confusion { height: 1fr; }"

    class Opened(Message):
        """The user asked for the digits that the cell under the cursor counts."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.evaluated: SplitEvaluated | None = None
        self.view: View | None = None
        self.in_front = False
        """Whether the cursor is shown."""
        self.at = (0, 0)
        """Actual and predicted class of the cell under the cursor."""

    def show(self, evaluated: SplitEvaluated | None, view: View, *, in_front: bool) -> None:
        """Show `evaluated`, with the cursor if it is `in_front`; None while it is being computed."""
        self.evaluated, self.view, self.in_front = evaluated, view, in_front
        self.redraw()

    # Moving the cursor

    def move(self, across: int, down: int) -> None:
        """Move the cursor, up to the edge of the matrix."""
        self.go_to(self.at[0] + down, self.at[1] + across)

    def page(self, pages: int) -> None:
        """Move the cursor to the first row (negative `pages`) or the last one."""
        self.move(0, CLASSES * pages)

    def jump(self, index: int) -> None:
        """Move the cursor to the first cell (0) or the last one (-1)."""
        self.go_to(*divmod(index % CLASSES**2, CLASSES))

    def go_to(self, actual: int, predicted: int) -> None:
        """Move the cursor to a cell, or the nearest one."""
        self.at = min(max(actual, 0), CLASSES - 1), min(max(predicted, 0), CLASSES - 1)
        self.redraw()

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked cell; a click on the cell under the cursor opens it."""
        actual, predicted = event.y - 2, (event.x - EDGE) // self._column()
        if self.evaluated and 0 <= actual < CLASSES and 0 <= predicted < CLASSES:
            if self.in_front and (actual, predicted) == self.at:
                self.post_message(self.Opened())
            self.go_to(actual, predicted)

    def _column(self) -> int:
        """Width of a column, in cells."""
        return max(CELL, len(str(max(map(max, self.evaluated.confusion)))) + 1) if self.evaluated else CELL

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """A header, then ten rows, each with the accuracy of its class."""
        event, quiet, text = self.evaluated, ink(self.app, "quiet"), ink(self.app, "foreground")
        when = f"epoch {event.epoch}   " if event and event.epoch is not None else ""
        facts = cells((f" {when}{percent(event.accuracy)} of {event.count:,} ", text)) if event else []
        rows = [title_row(self, "confusion", facts, width)]
        if event is None or self.view is None:
            return [*rows, [], cells(("evaluating the whole split".center(width), quiet))]
        predicted = range(len(event.confusion))
        size = self._column()
        head = "".join(f"{number:>{size}}" for number in predicted)
        rows.append(cells((f"   {head}    acc", quiet)))
        most = max(n for a, counts in enumerate(event.confusion) for p, n in enumerate(counts) if a != p)
        for actual, counts in enumerate(event.confusion):
            row = cells((f" {actual} ", quiet))
            for column, count in enumerate(counts):
                number = cells((f"{count or glyphs().nothing:>{size}}", self._style(actual, column, count, most)))
                if self.in_front and self.at == (actual, column):
                    number = [(character, CURSOR) for character, _ in number]
                row += number
            rows.append(row + cells((f"{event.class_accuracy[actual] * 100:>6.1f}%", text)))
        return [*rows, [], cells((" rows: actual class, columns: predicted class", quiet))]

    def _style(self, actual: int, column: int, count: int, most: int) -> Style:
        """The style of one number; `most` is the largest count off the diagonal."""
        assert self.view is not None
        if not count:
            return ink(self.app, "rule")
        if actual == column:
            return ink(self.app, "success", bold=True)
        palette = self.view.palette(self.app)
        if not palette.colours:
            return ink(self.app, "foreground", bold=True)
        share = float(np.log1p(count) / np.log1p(most))
        return palette.writing(palette.from_paper(share, dark=self.app.current_theme.dark))
