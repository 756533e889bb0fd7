"""A widget that is drawn cell by cell and sends only the changed cells to the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.drawing.cells import Cell, cells, spread
from tui.drawing.pixels import pixels_of
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink

NEAR = 4
"""Maximum distance of two changed cells that are sent together: a move of the cursor between them is as long."""


def _over(base: Style, style: Style) -> Style:
    # Pictures have thousands of styles, which is more than Rich's cache of style sums holds.
    return style if style.color and style.bgcolor else base + style


def title_row(widget: Widget, title: str, facts: list[Cell], width: int) -> list[Cell]:
    """A rule across the widget, with its title on the left and `facts` on the right."""
    rule = ink(widget.app, "rule")
    bold = ink(widget.app, "foreground", bold=True)
    left = cells((glyphs().rule + " ", rule), (title, bold), (" ", rule)) if title else []
    return spread(left, [*facts, *cells((glyphs().rule, rule))] if facts else [], width, (glyphs().rule, rule))


class CellWidget(Widget):
    """Base of widgets that draw rows of cells. It compares frames and refreshes only the regions that changed.

    Textual does not compare frames: refreshing a widget sends all of it, which is slow over SSH.
    """

    DEFAULT_CSS = "CellWidget { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[list[Cell]] = []
        self._base = Style()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """Rows of cells for this size. Missing cells are filled with blanks, extra ones are cut off."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw a new frame and refresh what differs from the last one."""
        if not self.is_attached:
            return
        width, height = self.size
        pixels = pixels_of(self.app)
        with pixels.drawing(self) if pixels else nullcontext():
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
    def _difference(old: list[Cell], new: list[Cell], y: int) -> Iterator[Region]:
        """The regions of a row that changed; those that are near each other are one."""
        changed = [x for x, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]
        start = 0
        for number, x in enumerate(changed, 1):
            if number == len(changed) or changed[number] - x > NEAR:
                yield Region(changed[start], y, x + 1 - changed[start], 1)
                start = number

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows of a region as strips of Textual's."""
        self._base = self.rich_style  # the theme's background, which takes longer to look up than a row to render
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Row `y` as a strip of Textual's."""
        base = self._base
        if y >= len(self._rows):
            return Strip.blank(self.size.width, base)
        runs = groupby(self._rows[y], key=lambda cell: cell[1])
        return Strip([Segment("".join(c for c, _ in run), _over(base, style)) for style, run in runs])

    def on_resize(self, _event: Resize) -> None:
        self.redraw()

    def on_unmount(self) -> None:
        if pixels := pixels_of(self.app):
            pixels.forget(self)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.call_after_refresh(self.redraw))
