"""The probabilities of the ten classes as bars."""

from __future__ import annotations

import math

from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget, title_row


class Bars(CellWidget):
    """One bar per class. The actual class and an incorrect prediction are highlighted."""

    DEFAULT_CSS = "Bars { height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = ""
        self.shares: list[float] = []
        self.actual = self.predicted = -1

    def show(self, title: str, shares: list[float], actual: int, predicted: int) -> None:
        """Show the probabilities `shares`, each from 0 to 1."""
        self.title, self.shares, self.actual, self.predicted = title, shares, actual, predicted
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, then one line per class: double-spaced if they fit, the most probable classes if not all fit."""
        wrong = self.actual != self.predicted
        rows = [title_row(self, self.title, [], width)]
        room = max(1, width - 15)
        airy = height > 2 * len(self.shares)
        classes = list(range(len(self.shares)))
        if height - 1 < len(classes):
            likeliest = sorted(classes, key=lambda number: -self.shares[number])
            classes = likeliest[: max(0, height - 1)]
        for number in classes:
            share = self.shares[number]
            name = {self.actual: "success", self.predicted: "error" if wrong else "success"}.get(number, "quiet")
            if number == self.actual:
                name = "success"
            full = round(share * room) if math.isfinite(share) else 0  # NaN weights give NaN probabilities
            mark = glyphs().best if number == self.actual else " "
            rows.append(
                cells(
                    (f" {number} ", ink(self.app, name, bold=number in (self.actual, self.predicted))),
                    (f"{mark} ", ink(self.app, "success")),
                    (glyphs().bar_full * full, ink(self.app, name)),
                    (glyphs().bar_empty * (room - full), ink(self.app, "rule")),
                    (f"{share * 100:7.2f} %", ink(self.app, "foreground" if share >= 0.005 else "quiet")),
                )
            )
            if airy:
                rows.append([])
        return rows
