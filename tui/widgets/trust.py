"""How far the maps of each method can be trusted: a line a method."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.message import Message

from engine.events import Curve, Trust
from tui.tables import METHOD_NAMES
from tui.terminal import glyphs
from tui.theme import ink
from tui.widgets.cells import Cell, CellWidget, cells, title_row

STAGES = ("fc2", "+fc1", "+conv2", "+conv1")


class TrustTable(CellWidget):
    """Areas under the deletion and insertion curves, and what stays of a map when weights become random."""

    DEFAULT_CSS = "TrustTable { height: 1fr; }"

    class Moved(Message):
        """The cursor is on another method."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title, self.facts = "", ""
        self.trust: Sequence[Trust] = ()
        self.cursor = 0

    def show(self, title: str, facts: str, trust: Sequence[Trust]) -> None:
        """These from now on."""
        self.title, self.facts, self.trust = title, facts, trust
        self.redraw()

    @property
    def here(self) -> Trust | None:
        """The method under the cursor."""
        return self.trust[min(self.cursor, len(self.trust) - 1)] if self.trust else None

    def move(self, across: int, down: int) -> None:
        """Another method."""
        self.jump_to(self.cursor + down + across)

    def page(self, pages: int) -> None:
        """The first or the last one."""
        self.jump_to(pages * len(self.trust))

    def jump(self, index: int) -> None:
        """The first or the last one."""
        self.jump_to(index % len(self.trust) if self.trust else 0)

    def jump_to(self, index: int) -> None:
        """To the method of that number, or the nearest one."""
        index = min(max(index, 0), len(self.trust) - 1)
        if index >= 0 and index != self.cursor:
            self.cursor = index
            self.redraw()
            self.post_message(self.Moved())

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The titles, then a line a method."""
        quiet = ink(self.app, "quiet")
        facts = cells((f" {self.facts} ", quiet)) if self.facts else []
        rows = [title_row(self, self.title, facts, width)]
        if not self.trust:
            return rows
        stages = any(each.similarities for each in self.trust)
        wide = width >= 90
        head = f" {'':<16}{'deletion':>15}{'insertion':>16}"
        if stages:
            head += f"{'change':>9}" + ("".join(f"{stage:>8}" for stage in STAGES) if wide else "")
        rows.append(cells((head, quiet)))
        best = {name: self._best(name) for name in ("deletion", "insertion")}
        for number, each in enumerate(self.trust):
            here = number == self.cursor
            style = ink(self.app, "primary" if here else "foreground", bold=here, reverse=here)
            row = cells((f" {METHOD_NAMES[each.method]:<16}", style))
            for name, size in (("deletion", 15), ("insertion", 16)):
                first = each.method == best[name]
                style = ink(self.app, "success" if first else "foreground", bold=first)
                mark = glyphs().best if first else " "
                row += cells((f"{mark}{_area(getattr(each, name))}".rjust(size), style))
            if stages and each.similarities:
                row += cells((f"{_number(each.change):>9}", ink(self.app, "foreground")))
                texts = "".join(f"{_number(value):>8}" for value in each.similarities) if wide else ""
                row += cells((texts, quiet))
            rows.append(row)
        good = " good: low deletion, high insertion" + (", change near 1 (random weights)" if stages else "")
        words = f"{good}   {glyphs().best} best"
        return [*rows, cells((words, quiet))]

    def _best(self, name: str) -> str:
        found = {each.method: getattr(each, name).area for each in self.trust if each.method != "random"}
        if not found:
            return ""
        return (min if name == "deletion" else max)(found, key=lambda method: found[method])


def _area(curve: Curve) -> str:
    return f"{curve.area:.3f}" + (f" {glyphs().spread}{curve.area_spread:.2f}" if curve.spread else "")


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"  # no -0.00
