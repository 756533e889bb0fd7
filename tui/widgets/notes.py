"""A few sentences under a title, wrapped to the width that there is."""

from __future__ import annotations

from collections.abc import Sequence

from tui.drawing.cells import Cell, cells
from tui.drawing.fitting import wrapped
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget, title_row

Note = tuple[str, str]
"""A sentence, and the theme colour of its ink."""


class Notes(CellWidget):
    """Sentences, each on lines of its own; the last ones are left out where there is no room."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title, self.facts = "", ""
        self.notes: Sequence[Note] = ()

    def show(self, title: str, notes: Sequence[Note], facts: str = "") -> None:
        """Show `notes` under `title`, with `facts` to the right of it."""
        if (title, tuple(notes), facts) != (self.title, self.notes, self.facts):
            self.title, self.notes, self.facts = title, tuple(notes), facts
            self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, then the sentences."""
        facts = cells((f" {self.facts} ", ink(self.app, "quiet"))) if self.facts else []
        rows = [title_row(self, self.title, facts, width)]
        for text, tone in self.notes:
            rows += [cells((f" {line}", ink(self.app, tone))) for line in wrapped(text, max(1, width - 2))]
        return rows[:height]
