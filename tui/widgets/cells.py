"""A widget that is drawn cell by cell and sends only the changed cells to the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext

from rich.segment import Segment
from rich.style import Style
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.events import Resize
from textual.filter import LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.drawing.cells import Cell, cells, cut_cells, spread
from tui.drawing.pixels import pixels_of
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink

NEAR = 4
"""Maximum distance of two changed cells that are sent together: a move of the cursor between them is as long."""


def _over(base: Style, style: Style) -> Style:
    # Pictures have thousands of styles, which is more than Rich's cache of style sums holds.
    return style if style.color and style.bgcolor else base + style


_BLANK: Cell = (" ", Style.null())


def title_row(widget: Widget, title: str, facts: list[Cell], width: int) -> list[Cell]:
    """A rule across the widget, with its title on the left and `facts` on the right."""
    rule, line = ink(widget.app, "rule"), glyphs().rule
    bold = ink(widget.app, "foreground", bold=True)
    left = cells((f"{line} ", rule), (title, bold), (" ", rule)) if title else []
    return spread(left, [*facts, (line, rule)] if facts else [], width, (line, rule))


class _Strips(StylesCache):
    """The rows of a cell widget as strips of Textual's.

    One without borders and the like has no need of what Textual does for these at each row, which takes longer than to
    make the row. Textual calls `clear` for what changes all rows: styles, the size, the theme and with it the filters.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bare: bool | None = None
        """Whether the widget has only text and background; None while unknown."""
        self._base: Style | None = None
        self._background: Color | None = None

    def base(self, widget: Widget) -> Style:
        """The style of the widget's background. To look it up takes longer than to make a row."""
        if self._base is None:
            self._base = widget.rich_style
        return self._base

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self._bare = self._base = self._background = None

    def render_widget(self, widget: Widget, crop: Region) -> list[Strip]:
        """The rows of the region `crop` of the widget."""
        if self._bare is None:
            styles = widget.styles
            framed = any(styles.gutter) or any(kind for kind, _ in styles.outline)
            self._bare = not framed and widget.opacity == styles.text_opacity == 1 and not styles.tint.a
        if not self._bare:
            return super().render_widget(widget, crop)
        width = widget.size.width
        if width != self._width:
            self._cache.clear()
            self._width = width
        filters = widget.get_line_filters()
        strips = [self._row(widget, y, filters) for y in crop.line_range]
        self._dirty_lines.difference_update(crop.line_range)
        if crop.column_span == (0, width):
            return strips
        return [strip.crop(*crop.column_span) for strip in strips]

    def _row(self, widget: Widget, y: int, filters: Sequence[LineFilter]) -> Strip:
        strip = None if y in self._dirty_lines else self._cache.get(y)
        if strip is None:
            if self._background is None:
                self._background = widget.background_colors[1]
            strip = widget.render_line(y)
            strip = strip.adjust_cell_length(self._width, self.base(widget))  # a resized widget is drawn anew later
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, self._background)
            self._cache[y] = strip
        return strip


class CellWidget(Widget):
    """Base of widgets that draw rows of cells. It compares frames and refreshes only the regions that changed.

    Textual does not compare frames: refreshing a widget sends all of it, which is slow over SSH.
    """

    DEFAULT_CSS = "CellWidget { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[list[Cell]] = []
        self._styles_cache: _Strips = _Strips()

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
        changed = [r for y, row in enumerate(rows) if row != old[y] for r in self._difference(old[y], row, y)]
        if changed:
            self.refresh(*changed)

    def _fitted(self, rows: Iterable[list[Cell]], width: int, height: int) -> list[list[Cell]]:
        fitted = [cut_cells(row, width) + [_BLANK] * (width - len(row)) for row in rows][:height]
        return fitted + [[_BLANK] * width for _ in range(height - len(fitted))]

    @staticmethod
    def _difference(old: list[Cell], new: list[Cell], y: int) -> Iterator[Region]:
        """The regions of a row that changed; those that are near each other are one."""
        changed = [x for x, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]
        start = 0
        for number, x in enumerate(changed, 1):
            if number == len(changed) or changed[number] - x > NEAR:
                yield Region(changed[start], y, x + 1 - changed[start], 1)
                start = number

    def render_line(self, y: int) -> Strip:
        """Row `y` as a strip of Textual's."""
        base = self._styles_cache.base(self)
        if y >= len(self._rows):
            return Strip.blank(self.size.width, base)
        row = self._rows[y]
        segments: list[Segment] = []
        text, last = "", row[0][1] if row else base
        for character, style in row:
            if style is not last:  # equal ones are mostly one object, and to compare others takes longer than it saves
                segments.append(Segment(text, _over(base, last)))
                text, last = "", style
            text += character
        segments.append(Segment(text, _over(base, last)))
        return Strip(segments, len(row))

    def on_resize(self, _event: Resize) -> None:
        self.redraw()

    def on_unmount(self) -> None:
        if pixels := pixels_of(self.app):
            pixels.forget(self)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.call_after_refresh(self._draw_anew))

    def _draw_anew(self) -> None:
        self.redraw()
        self.refresh()  # the blanks too, which have the theme's background
