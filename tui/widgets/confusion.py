"""The confusion matrix: rows are actual classes, columns are predicted classes."""

from __future__ import annotations

import numpy as np
from rich.style import Style

from engine.inspection.events import SplitEvaluated
from engine.words import percent
from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.drawing.view import View
from tui.widgets.cells import CellWidget, title_row

CELL = 4
"""Minimum width of a number, in cells."""


class Confusion(CellWidget):
    """Counts on coloured cells. Errors have a logarithmic scale, so that one in ten thousand can be seen too."""

    DEFAULT_CSS = "Confusion { height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.evaluated: SplitEvaluated | None = None
        self.view: View | None = None

    def show(self, evaluated: SplitEvaluated | None, view: View) -> None:
        """Show `evaluated`; None while it is being computed."""
        self.evaluated, self.view = evaluated, view
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """A header, then ten rows, each with the accuracy of its class."""
        event, quiet, text = self.evaluated, ink(self.app, "quiet"), ink(self.app, "foreground")
        when = f"epoch {event.epoch}   " if event and event.epoch is not None else ""
        facts = cells((f" {when}{percent(event.accuracy)} of {event.count:,} ", text)) if event else []
        rows = [title_row(self, "confusion", facts, width)]
        if event is None or self.view is None:
            return [*rows, [], cells(("evaluating the whole split".center(width), quiet))]
        predicted = range(len(event.confusion))
        size = max(CELL, len(str(max(map(max, event.confusion)))) + 1)
        head = "".join(f"{number:>{size}}" for number in predicted)
        rows.append(cells((f"   {head}    acc", quiet)))
        most = max(n for a, counts in enumerate(event.confusion) for p, n in enumerate(counts) if a != p)
        for actual, counts in enumerate(event.confusion):
            row = cells((f" {actual} ", quiet))
            for column, count in enumerate(counts):
                row += cells((f"{count or glyphs().nothing:>{size}}", self._style(actual, column, count, most)))
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
