"""A row of choices and a row of their parameters; the selected parameter is highlighted."""

from __future__ import annotations

from collections.abc import Sequence

from tui.drawing.cells import Cell, cells, clipped, trimmed
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget


class Settings(CellWidget):
    """Names on one line, with the chosen one highlighted; below it, parameters and their values."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.names: Sequence[str] = ()
        self.chosen = 0
        self.values: Sequence[tuple[str, str]] = ()
        self.at = 0

    def show(self, names: Sequence[str], chosen: int, values: Sequence[tuple[str, str]], at: int) -> None:
        """Show these; `at` is the index of the selected parameter, or -1 for none."""
        self.names, self.chosen, self.values, self.at = names, chosen, values, at
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """Two rows, each scrolled so that its highlighted item is visible."""
        quiet, text = ink(self.app, "quiet"), ink(self.app, "foreground")
        first: list[Cell] = []
        ends = [0, 0]
        for number, name in enumerate(self.names):
            here = number == self.chosen
            first += cells((f" {name} ", ink(self.app, "primary" if here else "quiet", bold=here, reverse=here)))
            if here:
                ends[0] = len(first)
        second: list[Cell] = []
        for number, (name, value) in enumerate(self.values):
            second += cells((f" {name} ", quiet))
            if number == self.at:
                mark = ink(self.app, "primary", bold=True)
                second += cells((f"{glyphs().left}{value}{glyphs().right} ", mark))
                ends[1] = len(second)
            else:
                second += cells((f" {value}  ", text))
        return [self._window(row, end, width) for row, end in zip((first, second), ends, strict=True)]

    def _window(self, row: list[Cell], end: int, width: int) -> list[Cell]:
        """A part of `row` that includes the cell before `end`, with an ellipsis on each side that is cut."""
        quiet = ink(self.app, "quiet")
        mark = cells((glyphs().ellipsis, quiet))
        row = trimmed(row, max(end, width))
        if len(row) <= width or end + len(mark) <= width:
            return clipped(row, width, quiet)
        start = max(0, min(end, len(row) - len(mark)) + len(mark) - width)
        rest = row[start + len(mark) :]
        if rest and not rest[0][0]:  # the second half of a wide character
            rest[0] = (" ", quiet)
        return (mark + clipped(rest, width - len(mark), quiet))[:width]
