"""Maps over patch positions, side by side with a shared cursor, and facts about the position under it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from textual.events import Click
from textual.message import Message

from tui.drawing.cells import Cell, cells, clipped
from tui.drawing.raster import OUTLINE, Levels, Span, enlarge, frame, paint, quantise
from tui.drawing.theme import ink
from tui.drawing.view import View
from tui.widgets.cells import CellWidget, title_row
from tui.widgets.pictures import LARGEST

GAP = 1
"""Cells between two maps."""
LABEL = 17
"""Width of the name of a fact, in cells."""


@dataclass(frozen=True)
class Panel:
    """One map."""

    title: str
    facts: str
    """Shown to the right of the title if there is room."""
    values: np.ndarray
    """(rows, columns): numbers, or classes if `usual` is set."""
    view: View
    span: Span | None = None
    """Value range; None for the range of `values`."""
    usual: int | None = None
    """For a map of classes, drawn as digits: the class that is not highlighted."""
    words: str = ""
    """What the numbers mean, for the legend."""


class Maps(CellWidget):
    """Maps of the same size and magnification. If they do not all fit, only one of them is shown."""

    DEFAULT_CSS = "Maps { height: 1fr; width: 1fr; }"

    class Moved(Message):
        """The cursor moved to another position."""

    def __init__(self, *, empty: str, id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = empty
        self.panels: tuple[Panel, ...] = ()
        self.facts: Sequence[tuple[str, str]] = ()
        self.front = 0
        """Index of the panel to show if there is room for only one."""
        self.cursor: tuple[int, int] | None = None
        """Row and column; None before it was first placed."""
        self._shape: tuple[int, ...] = ()
        """Shape of the maps that the cursor refers to, kept while there are no maps."""

    def show(self, panels: tuple[Panel, ...], facts: Sequence[tuple[str, str]]) -> None:
        """Show these panels and facts. If the size of the maps changes, the cursor keeps its relative position."""
        if panels and self.cursor:
            shape = panels[0].values.shape
            row, column = (
                min(round(place * (now - 1) / max(1, before - 1)), now - 1)
                for place, before, now in zip(self.cursor, self._shape or shape, shape, strict=True)
            )
            self.cursor = row, column
        if panels:
            self._shape = panels[0].values.shape
        self.panels, self.facts = panels, facts
        self.redraw()

    @property
    def at(self) -> tuple[int, int]:
        """Row and column of the cursor; (0, 0) before it was placed."""
        return self.cursor or (0, 0)

    @property
    def shown(self) -> tuple[Panel, ...]:
        """The visible panels."""
        if not self.panels or self.both_fit:
            return self.panels
        return (self.panels[self.front % len(self.panels)],)

    @property
    def both_fit(self) -> bool:
        """Whether there is room for all panels."""
        return len(self.panels) < 2 or self._across() == len(self.panels)

    # Moving

    def move(self, across: int, down: int) -> None:
        """Move the cursor, up to the edge of the map."""
        row, column = self.at
        self.go_to(row + down, column + across)

    def page(self, pages: int) -> None:
        """Move the cursor vertically by `pages` quarters of the map."""
        if self.panels:
            self.move(0, pages * max(1, len(self.panels[0].values) // 4))

    def jump(self, index: int) -> None:
        """Move the cursor to the first position (index 0) or the last one (-1)."""
        if self.panels:
            rows, columns = self.panels[0].values.shape
            self.go_to(*divmod(index % (rows * columns), columns))

    def go_to(self, row: int, column: int) -> None:
        """Move the cursor to this position, or the nearest one on the map."""
        if not self.panels:
            return
        rows, columns = self.panels[0].values.shape
        place = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
        if place != self.cursor:
            self.cursor = place
            self.redraw()
            self.post_message(self.Moved())

    def on_click(self, event: Click) -> None:
        if self.panels and event.y >= 1:
            width = self._width(self.size.width)
            zoom = self._zoom(width, self.size.height)
            row, column = 2 * (event.y - 1) // zoom, event.x % (width + GAP) // zoom
            rows, columns = self.panels[0].values.shape
            if row < rows and column < columns:
                self.go_to(row, column)

    # Drawing

    def _across(self) -> int:
        columns = self.panels[0].values.shape[1]
        count = len(self.panels)
        return count if (self.size.width + GAP) // count - GAP >= columns else 1

    def _width(self, width: int) -> int:
        across = self._across()
        return (width + GAP) // across - GAP

    def _zoom(self, width: int, height: int) -> int:
        rows, columns = self.panels[0].values.shape
        below = len(self.facts) + 1 if self.facts else 0
        tall = max(2 * (height - 1 - below), height)
        zoom = min(width // int(columns), tall // int(rows), LARGEST)
        if any(panel.usual is not None for panel in self.panels):
            zoom -= zoom % 2  # an odd zoom would space rows of letters unevenly, as a cell is two pixels high
        return max(1, zoom)

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The maps, then the facts."""
        quiet = ink(self.app, "quiet")
        if not self.panels:
            words = cells((self.empty.center(width), quiet))
            return [title_row(self, "", [], width), *[[] for _ in range(max(0, (height - 2) // 2))], words]
        each = self._width(width)
        zoom = self._zoom(each, height)
        pictures = [self._panel(panel, each, zoom) for panel in self.shown]
        rows = []
        for line in zip(*pictures, strict=True):
            row: list[Cell] = []
            for number, part in enumerate(line):
                row += part + [(" ", quiet)] * (each - len(part) + (GAP if number < len(line) - 1 else 0))
            rows.append(row)
        return [*rows, [], *(self._fact(*fact, width) for fact in self.facts)]

    def _fact(self, name: str, text: str, width: int) -> list[Cell]:
        quiet = ink(self.app, "quiet")
        row = cells((f" {name:<{LABEL - 1}}", quiet), (text, ink(self.app, "foreground")))
        return clipped(row, width, quiet)

    def _panel(self, panel: Panel, width: int, zoom: int) -> list[list[Cell]]:
        facts = cells((f" {panel.facts} ", ink(self.app, "quiet"))) if panel.facts else []
        return [title_row(self, panel.title, facts, width), *self._picture(panel, zoom)]

    def _picture(self, panel: Panel, zoom: int) -> list[list[Cell]]:
        if panel.usual is not None:
            return self._letters(panel.values, panel.usual, zoom)
        colours = panel.view.palette(self.app)
        span = panel.span or Span.of(panel.values, panel.view.colours)
        levels = enlarge(quantise(panel.values, span, colours.count), zoom)
        self._mark(levels, zoom)
        return paint(levels, colours)

    def _mark(self, levels: Levels, zoom: int) -> None:
        if self.cursor is None:
            return
        row, column = self.cursor
        if zoom == 1:
            levels[row, column] = OUTLINE
        else:
            frame(levels, row * zoom - 1, column * zoom - 1, zoom + 2, zoom + 2)

    def _letters(self, classes: np.ndarray, usual: int, zoom: int) -> list[list[Cell]]:
        """A digit at each position. If two positions share a cell, a class other than `usual` is shown."""
        rows, columns = classes.shape
        blank: Cell = (" ", ink(self.app, "quiet"))
        picture = [[blank] * (columns * zoom) for _ in range(math.ceil(rows * zoom / 2))]
        styles = {same: ink(self.app, "quiet" if same else "error", bold=not same) for same in (True, False)}
        known = classes.tolist()
        # Usual classes first, so that unusual ones overwrite them where two positions share a cell.
        order = sorted(np.ndindex(rows, columns), key=lambda place: known[place[0]][place[1]] != usual)
        for row, column in order:
            if (winner := known[row][column]) >= 0:
                cell = (str(winner), styles[winner == usual])
                picture[(row * zoom + zoom // 2) // 2][column * zoom + (zoom - 1) // 2] = cell
        if self.cursor is not None:
            row, column = self.cursor
            y, x = (row * zoom + zoom // 2) // 2, column * zoom + (zoom - 1) // 2
            winner = known[row][column]
            letter = str(winner) if winner >= 0 else " "
            picture[y][x] = (letter, ink(self.app, "primary", bold=True, reverse=True))
        return picture
