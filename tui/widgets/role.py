"""What a unit responds to, and what it does for the logits, class by class."""

from __future__ import annotations

import math

from engine.inspection.unit_events import UnitShown
from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget, title_row

CLEAR = 0.005
"""A change of a logit that is smaller is not coloured, as it is written as 0.00 or 0.01."""


class Role(CellWidget):
    """A bar of the mean activation by each class, and the mean change of its logit without the unit."""

    DEFAULT_CSS = "Role { height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.event: UnitShown | None = None

    def show(self, event: UnitShown | None) -> None:
        """Show what is known of a unit so far."""
        self.event = event
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, and a line for each class."""
        quiet = ink(self.app, "quiet")
        event = self.event
        rows = [title_row(self, "response", cells((" logit without it ", quiet)), width)]
        if event is None or not event.responses:
            return rows
        lost = event.ablation
        most = max((value for value in event.responses if math.isfinite(value)), default=0.0)
        pitch = 2 if height >= 2 * len(event.responses) else 1
        for number, mean in enumerate(event.responses):
            rows.append(self._line(number, mean, most, lost.logits[number] if lost else None, width))
            rows += [[]] * (pitch - 1)
        return rows

    def _line(self, number: int, mean: float, most: float, change: float | None, width: int) -> list[Cell]:
        quiet, rule = ink(self.app, "quiet"), ink(self.app, "rule")
        value = f"{mean:8.3f}" if math.isfinite(mean) else f"{'-':>8}"
        said, tone = " " * 10, "foreground"
        if change is not None:
            said = f"{change:+9.2f} " if math.isfinite(change) else f"{'-':>9} "
            tone = "error" if change <= -CLEAR else "success" if change >= CLEAR else "foreground"
        room = max(0, width - 3 - len(value) - len(said))
        full = round(mean / most * room) if most > 0 and math.isfinite(mean) else 0
        return cells(
            (f" {number} ", quiet),
            (glyphs().bar_full * full, ink(self.app, "primary")),
            (glyphs().bar_empty * (room - full), rule),
            (value, ink(self.app, "foreground")),
            (said, ink(self.app, tone)),
        )
