"""A widget drawn cell by cell, which sends the terminal only the cells that changed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.drawing.cells import Cell, cells, spread
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink


def _over(base: Style, style: Style) -> Style:
    # Pictures have thousands of styles, more than Rich keeps sums of.
    return style if style.color and style.bgcolor else base + style


def title_row(widget: Widget, title: str, facts: list[Cell], width: int) -> list[Cell]:
    """A rule across the widget with its title at the left and `facts` at the right."""
    rule = ink(widget.app, "rule")
    bold = ink(widget.app, "foreground", bold=True)
    left = cells((glyphs().rule + " ", rule), (title, bold), (" ", rule)) if title else []
    return spread(left, [*facts, *cells((glyphs().rule, rule))] if facts else [], width, (glyphs().rule, rule))


class CellWidget(Widget):
    """Subclasses say what to draw; this class finds what changed and has only that drawn again.

    Textual itself compares nothing: to refresh a widget sends all of it, which over SSH is what costs.
    """

    DEFAULT_CSS = "CellWidget { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[list[Cell]] = []

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """Rows of cells for the size at hand; what is missing is blank, what is too much is cut."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw again, and let the terminal have the difference."""
        if not self.is_attached:
            return
        width, height = self.size
        rows = self._fitted(self.draw(width, height), width, height) if width and height else []
        old, self._rows = self._rows, rows
        if len(old) != len(rows) or (rows and old and len(old[0]) != len(rows[0])):
            self.refresh()
            return
        changed = [region for y, row in enumerate(rows) for region in self._difference(old[y], row, y)]
        if changed:
            self.refresh(*changed)

    def _fitted(self, rows: Iterable[list[Cell]], width: int, height: int) -> list[list[Cell]]:
        blank = (" ", self.rich_style)
        fitted = [row[:width] + [blank] * (width - len(row)) for row in rows][:height]
        return fitted + [[blank] * width for _ in range(height - len(fitted))]

    @staticmethod
    def _difference(old: list[Cell], new: list[Cell], y: int) -> Iterable[Region]:
        # One region a row: Textual sends a region from the left edge of its widget on, so that of two in a row the
        # second would send the first one again.
        changed = [x for x, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]
        if changed:
            yield Region(changed[0], y, changed[-1] - changed[0] + 1, 1)

    def render_line(self, y: int) -> Strip:
        """One row, as Textual wants it."""
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        base = self.rich_style  # the theme's paper under the ink
        runs = groupby(self._rows[y], key=lambda cell: cell[1])
        return Strip([Segment("".join(c for c, _ in run), _over(base, style)) for style, run in runs])

    def on_resize(self, _event: Resize) -> None:
        """A new size is a new drawing."""
        self.redraw()

    def on_mount(self) -> None:
        """A new theme is a new drawing."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.call_after_refresh(self.redraw))
