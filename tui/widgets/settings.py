"""What one can choose from, and its parameters, in two lines: the parameter at hand is marked."""

from __future__ import annotations

from collections.abc import Sequence

from tui.terminal import glyphs
from tui.theme import ink
from tui.widgets.cells import Cell, CellWidget, cells


class Settings(CellWidget):
    """Names in one line, the chosen one marked; under it parameters and their values."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.names: Sequence[str] = ()
        self.chosen = 0
        self.values: Sequence[tuple[str, str]] = ()
        self.at = 0

    def show(self, names: Sequence[str], chosen: int, values: Sequence[tuple[str, str]], at: int) -> None:
        """These from now on; `at` is the number of the parameter at hand, -1 for none."""
        self.names, self.chosen, self.values, self.at = names, chosen, values, at
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """Two rows, each shifted as far as what is marked in it must be in view."""
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
        return [row[max(0, end - width) :] for row, end in zip((first, second), ends, strict=True)]
