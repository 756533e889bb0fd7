"""Ridge lines over the epochs of a run: the distribution of the values of a layer after each of them."""

from __future__ import annotations

from rich.style import Style
from textual.color import Color

from engine.runs.events import InsidesShown
from engine.runs.history import RunHistory
from engine.runs.insides import Axis, Ridges, at_columns, ridges, shown
from engine.training.events import Kind
from engine.words import percent
from tui.drawing.axis import ACROSS, DOWN
from tui.drawing.cells import Cell, cells
from tui.drawing.ridges import capacity, drawing, stacked
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink, solid
from tui.widgets.cells import CellWidget, title_row

MIN_WIDTH, MIN_HEIGHT = 20, 5
"""Size in cells below which only the title is shown."""
TOLD = 0.0005
"""Shares of values near zero below this are not told."""


class RidgeLines(CellWidget):
    """One ridge an epoch, the oldest at the back, over a logarithmic axis; one of them is bright."""

    DEFAULT_CSS = "RidgeLines { height: 1fr; width: 1fr; }"

    def __init__(self, kind: Kind, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.kind: Kind = kind
        self.empty = ""
        """Text shown while there is nothing to draw."""
        self._of: tuple[RunHistory | None, str, int | None] = (None, "", None)
        self._drawn: object = None

    def show(self, history: RunHistory, layer: str, at: int | None, empty: str) -> None:
        """Show a layer of the network of a run; `at` is the bright epoch, None for the last one."""
        self.empty, self._of = empty, (history, layer, at)
        state = (id(history), len(history.epochs), history.epoch, layer, at, empty)
        if state != self._drawn:
            self._drawn = state
            self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, the ridges with the numbers of their epochs, the axis and its numbers."""
        history, layer, at = self._of
        rows = height - 3
        event = shown(history, layer, capacity(rows), at) if history and rows > 0 else None
        found = ridges(event, self.kind) if event else None
        if event is None or found is None:
            title = title_row(self, self.kind, [], width)
            blank: list[list[Cell]] = [[] for _ in range(max(0, (height - 2) // 2))]
            return [title, *blank, cells((self.empty.center(width), ink(self.app, "quiet")))]
        here = _place(event, at)
        zero = found.zeros[here]
        facts = [(f" {percent(zero)} zero ", ink(self.app, "quiet"))] if zero >= TOLD else []
        title = title_row(self, f"{layer} {self.kind}", cells(*facts), width)
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            return [title]
        labels = [str(epoch) for epoch in event.epochs]
        left = max(map(len, labels)) + 1
        columns = width - left - 1
        return [title, *self._ridges(found, labels, here, columns, rows, left), *self._below(found.axis, columns, left)]

    def _ridges(  # noqa: PLR0917
        self, found: Ridges, labels: list[str], here: int, columns: int, rows: int, left: int
    ) -> list[list[Cell]]:
        stack = stacked(len(labels), rows)
        heights = [at_columns(each, found.axis.length, columns * ACROSS) for each in found.points]
        inks = self._inks(len(labels), here)
        beside: dict[int, int] = {}
        for number in (*range(len(labels)), here):  # of two in a row, the bright one is named, or else the later one
            beside[stack.baselines[number] // DOWN] = number
        quiet = ink(self.app, "quiet")
        lines = []
        for number, row in enumerate(drawing(heights, found.most, stack, columns, rows)):
            epoch = beside.get(number)
            label = "" if epoch is None else labels[epoch]
            style = inks[here] if epoch == here else quiet
            lines.append([*cells((label.rjust(left) + " ", style)), *((text, inks[owner]) for text, owner in row)])
        return lines

    def _inks(self, count: int, here: int) -> list[Style]:
        """The style of each ridge, from dim to clear, and last that of none; the bright one has a colour of its own."""
        dim, clear = (Color.parse(solid(self.app, name)) for name in ("rule", "curve-train"))
        found = [Style(color=dim.blend(clear, (n + 1) / count).hex) for n in range(count)]
        found[here] = ink(self.app, "secondary", bold=True)
        return [*found, ink(self.app, "quiet")]

    def _below(self, axis: Axis, columns: int, left: int) -> list[list[Cell]]:
        """The line of the axis, and its numbers."""
        g, quiet = glyphs(), ink(self.app, "quiet")
        line, text = [g.floor] * columns, [" "] * (columns + left + 1)
        ticks = {tick.text: tick for tick in axis.ticks()}
        for name in sorted(ticks, key=lambda name: (name != "0", -ticks[name].place)):
            pair = [ticks[each] for each in (name, f"-{name}") if each in ticks]
            starts = []
            for tick in pair:
                column = left + 1 + min(columns - 1, int(tick.place / axis.length * columns))
                starts.append(min(max(0, column - len(tick.text) // 2), len(text) - len(tick.text)))
            around = (text[max(0, x - 1) : x + len(tick.text) + 1] for x, tick in zip(starts, pair, strict=True))
            if not name.startswith("-") and all(each == " " for part in around for each in part):  # both, or neither
                for x, tick in zip(starts, pair, strict=True):
                    text[x : x + len(tick.text)] = tick.text
                    line[min(columns - 1, int(tick.place / axis.length * columns))] = g.foot
        return [cells((" " * (left + 1) + "".join(line), quiet)), cells(("".join(text), quiet))]


def _place(event: InsidesShown, at: int | None) -> int:
    """The index of an epoch; of the last one where it is not among those shown."""
    return event.epochs.index(at) if at in event.epochs else len(event.epochs) - 1
