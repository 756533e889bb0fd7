"""The faithfulness of each attribution method, one line per method."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.message import Message

from engine.attribution.events import Faithfulness, best_method
from engine.attribution.requests import METHOD_TITLES
from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget, title_row


class TrustTable(CellWidget):
    """Areas under the deletion and insertion curves, and rank correlations as layers are randomised one by one."""

    DEFAULT_CSS = "TrustTable { height: 1fr; }"

    class Moved(Message):
        """The cursor moved to another method."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title, self.facts = "", ""
        self.measured: Sequence[Faithfulness] = ()
        self.stages: Sequence[str] = ()
        self.cursor = 0

    def show(self, title: str, facts: str, measured: Sequence[Faithfulness], stages: Sequence[str] = ()) -> None:
        """Show these measurements; `stages` are the layers that were randomised, in order."""
        self.title, self.facts, self.measured, self.stages = title, facts, measured, stages
        self.redraw()

    @property
    def here(self) -> Faithfulness | None:
        """The method under the cursor."""
        return self.measured[min(self.cursor, len(self.measured) - 1)] if self.measured else None

    def move(self, across: int, down: int) -> None:
        """Move the cursor by `down` (or `across`) methods."""
        self.jump_to(self.cursor + down + across)

    def page(self, pages: int) -> None:
        """Move the cursor to the first method (negative `pages`) or the last one."""
        self.jump_to(pages * len(self.measured))

    def jump(self, index: int) -> None:
        """Move the cursor to the first method (index 0) or the last one (-1)."""
        self.jump_to(index % len(self.measured) if self.measured else 0)

    def jump_to(self, index: int) -> None:
        """Move the cursor to the method at `index`, or the nearest one."""
        index = min(max(index, 0), len(self.measured) - 1)
        if index >= 0 and index != self.cursor:
            self.cursor = index
            self.redraw()
            self.post_message(self.Moved())

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The column titles, then one line per method."""
        quiet = ink(self.app, "quiet")
        facts = cells((f" {self.facts} ", quiet)) if self.facts else []
        rows = [title_row(self, self.title, facts, width)]
        if not self.measured:
            return rows
        stages = bool(self.stages)
        wide = width >= 90
        names = [stage if number == 0 else f"+{stage}" for number, stage in enumerate(self.stages)]
        head = f" {'':<16}{'deletion':>15}{'insertion':>16}"
        if stages:
            head += f"{'change':>9}" + ("".join(f"{stage:>8}" for stage in names) if wide else "")
        rows.append(cells((head, quiet)))
        best = {
            "deletion": best_method(self.measured, "deletion"),
            "insertion": best_method(self.measured, "insertion"),
        }
        for number, each in enumerate(self.measured):
            here = number == self.cursor
            style = ink(self.app, "primary" if here else "foreground", bold=here, reverse=here)
            row = cells((f" {METHOD_TITLES[each.method].short:<16}", style))
            for name, size in (("deletion", 15), ("insertion", 16)):
                first = each.method == best[name]
                style = ink(self.app, "success" if first else "foreground", bold=first)
                mark = glyphs().best if first else " "
                row += cells((f"{mark}{getattr(each, name).summary(glyphs().spread)}".rjust(size), style))
            if stages and each.similarities:
                row += cells((f"{_number(each.change):>9}", ink(self.app, "foreground")))
                texts = "".join(f"{_number(value):>8}" for value in each.similarities) if wide else ""
                row += cells((texts, quiet))
            rows.append(row)
        good = " good: low deletion, high insertion" + (", change near 1 (random weights)" if stages else "")
        words = f"{good}   {glyphs().best} best"
        return [*rows, cells((words, quiet))]


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"  # no -0.00
