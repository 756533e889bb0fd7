"""Pictures in the terminal: a single one, a grid with a cursor, and the legend of their colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

import numpy as np
from rich.style import Style
from textual.events import Click, MouseScrollDown, MouseScrollUp, Resize
from textual.message import Message

from tui.drawing.cells import Cell, cells, clipped
from tui.drawing.raster import BLANK, Levels, Palette, Span, enlarge, frame, halve, paint, quantise
from tui.drawing.theme import ink
from tui.drawing.view import View
from tui.widgets.cells import CellWidget, title_row

LARGEST = 16
"""Maximum magnification of a picture."""
MOST_APART = 2
"""Maximum number of blank lines between two rows of a grid, for room that larger pictures cannot use."""


Box = tuple[int, int, int]
"""(row, column, side) of a square, in pixels."""


def write_over(picture: list[list[Cell]], words: str, style: Style) -> list[list[Cell]]:
    """`picture` (rows of equally many cells) with `words` wrapped and centred on it, where they fit."""
    width = len(picture[0]) if picture else 0
    lines = wrap(words, width) if width else []
    top = max(0, len(picture) - len(lines)) // 2
    written = [row.copy() for row in picture]
    for row, line in zip(written[top:], lines, strict=False):
        text = cells((line, style))
        left = (width - len(text)) // 2
        row[left : left + len(text)] = text
    return written


def frame_box(levels: Levels, box: Box, zoom: int) -> None:
    """Draw a frame around `box` on a picture that was enlarged `zoom` times (0: halved)."""
    top, left, side = (round(edge * (zoom or 0.5)) for edge in box)
    frame(levels, top - 1, left - 1, side + 2, side + 2)


def finer_than(zoom: int, colours: Palette) -> int:
    """How many levels there are along half a cell: two where a picture at half its size keeps all its pixels."""
    return 2 if zoom == 0 and colours.mode == "pixels" else 1


class Raster(CellWidget):
    """One picture under a title, as large as possible. With `numbers`, values are written on the pixels if they fit."""

    DEFAULT_CSS = "Raster { height: 1fr; }"

    def __init__(self, *, numbers: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.numbers = numbers
        self.title, self.facts = "", ""
        self.values: np.ndarray | None = None
        self.view: View | None = None
        self.span: Span | None = None
        self.box: Box | None = None
        self.note = ""

    def show(  # noqa: PLR0917
        self,
        title: str,
        facts: str,
        values: np.ndarray | None,
        view: View,
        span: Span | None = None,
        box: Box | None = None,
        note: str = "",
    ) -> None:
        """Show `values` (H, W) with a frame around `box`, and `note` written over them.

        `span` is the value range; by default that of `values`.
        """
        self.title, self.facts, self.values, self.view, self.span, self.box = title, facts, values, view, span, box
        self.note = note
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, then the picture."""
        facts = cells((f" {self.facts} ", ink(self.app, "quiet"))) if self.facts else []
        rows = [title_row(self, self.title, facts, width)]
        if self.values is None or self.view is None or height < 2:
            return rows
        colours = self.view.palette(self.app)
        span = self.span or Span.of(self.values, self.view.colours)
        if self.numbers and (annotated := _annotated(self.values, span, colours, width, height - 1)):
            return rows + annotated
        levels, finer = self._enlarged(self.values, span, colours, width, height - 1)
        picture = paint(levels, colours, finer)
        return rows + (write_over(picture, self.note, colours.writing(int(levels[0, 0]))) if self.note else picture)

    def _enlarged(
        self, values: np.ndarray, span: Span, colours: Palette, width: int, height: int
    ) -> tuple[Levels, int]:
        """`values` (H, W) as levels with the frame, enlarged or halved to fit into `width` x `height` cells.

        And how many of them fit into half a cell: real pixels are not halved.
        """
        zoom = min(width // values.shape[1], 2 * height // values.shape[0], LARGEST)
        finer = finer_than(zoom, colours)
        whole = values if zoom or finer > 1 else halve(values)
        levels = enlarge(quantise(whole, span, colours.count), max(1, zoom))
        if self.box:
            frame_box(levels, self.box, zoom or finer // 2)
        return levels, finer


def _annotated(values: np.ndarray, span: Span, colours: Palette, width: int, height: int) -> list[list[Cell]]:
    """Each value as a number on its colour; empty if the numbers do not fit."""
    columns, lines = width // values.shape[1], height // values.shape[0]
    texts, size = _numbers(values, columns - 1)
    if not texts or lines < 1:
        return []
    # A cell is about twice as high as it is wide.
    lines = max(1, min(lines, columns // 2))
    columns = min(columns, max(size + 2, 2 * lines))
    levels = quantise(values, span, colours.count)
    rows: list[list[Cell]] = []
    for picture, line in zip(levels.tolist(), texts, strict=True):
        paper = [colours.cell(level, level) for level in picture]
        blank = [cell for cell in paper for _ in range(columns)]
        number: list[Cell] = []
        for text, level, cell in zip(line, picture, paper, strict=True):
            written = cells((f" {text} "[: columns - 1], colours.writing(level)))
            before = (columns - len(written)) // 2
            number += [cell] * before + written + [cell] * (columns - before - len(written))
        rows += [number if y == (lines - 1) // 2 else blank for y in range(lines)]
    return rows


def _numbers(values: np.ndarray, room: int) -> tuple[list[list[str]], int]:
    """The values with up to three decimals, as many as fit into `room` characters, and the width of the longest."""
    for decimals in (3, 2, 1):
        texts = [[f"{value:.{decimals}f}" for value in row] for row in values.tolist()]
        if decimals < 3:
            texts = [[_without_zero(text) for text in row] for row in texts]
        size = max(len(text) for row in texts for text in row)
        if size <= room:
            return texts, size
    return [], 0


def _without_zero(text: str) -> str:
    """`.25` for `0.25`, to save space."""
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


@dataclass(frozen=True)
class Sheet:
    """The contents of a grid."""

    images: np.ndarray
    """(n, H, W)."""
    labels: Sequence[str] = ()
    """A line above each image. Without labels, images are one pixel apart, and rows and columns may have names."""
    inks: Sequence[str] = ()
    """Theme colour of each label, by name."""
    boxes: Sequence[Box | None] = ()
    """The square to frame on each image."""
    notes: Sequence[str] = ()
    """Words to write over each image, which has nothing else to show."""
    plain: int = 0
    """Number of leading images that are always drawn in gray, from 0 to 1, regardless of the colour map."""
    columns: int = 0
    """Images per row; 0 for as many as fit."""
    row_names: Sequence[str] = ()
    column_names: Sequence[str] = ()
    enough: int = 0
    """Number of images that must be visible; the others may scroll, so that images are larger. 0 for all."""

    def __len__(self) -> int:
        return len(self.images)


EMPTY = Sheet(np.zeros((0, 1, 1), np.float32))


@dataclass(frozen=True)
class _Layout:
    """How the images of a sheet are arranged."""

    zoom: int
    """Magnification; 0 for half the size."""
    width: int
    height: int
    """Size in cells of one image with its label and gap."""
    columns: int
    """Images per row of the sheet."""
    across: int
    down: int
    """Visible columns and rows of images."""


class RasterGrid(CellWidget):
    """Many pictures with a cursor, which the screen moves. Only the visible pictures are drawn."""

    DEFAULT_CSS = "RasterGrid { height: 1fr; }"

    class Moved(Message):
        """The cursor moved to another picture."""

    class Opened(Message):
        """The user asked to enlarge the picture under the cursor."""

    def __init__(self, *, empty: str = "", cursor: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty, self._has_cursor = empty, cursor
        """`empty` is the text shown while there is nothing to draw."""
        self.title, self.facts = "", ""
        self.sheet = EMPTY
        self.view: View | None = None
        self.span: Span | None = None
        self.cursor = 0 if cursor else -1
        self._top = self._left = 0
        """First visible row and column of images."""

    def show(self, title: str, facts: str, sheet: Sheet, view: View, span: Span | None = None) -> None:
        """Show `sheet` in the value range `span`. The cursor keeps its index if the sheet has that many images.

        Without `span`, the range is that of all images, or of each image, as `view` says.
        """
        self.title, self.facts, self.sheet, self.view = title, facts, sheet, view
        own = sheet.images[sheet.plain :]
        self.span = span or (Span.of(own, view.colours) if len(own) and view.shared else None)
        self.cursor = min(max(self.cursor, 0), len(sheet) - 1) if self._has_cursor else -1
        self.redraw()

    def span_at_cursor(self) -> Span | None:
        """The value range that the picture under the cursor is drawn with."""
        if self.view is None or not len(self.sheet):
            return None
        return self.span or Span.of(self.sheet.images[self.cursor], self.view.colours)

    # Moving the cursor

    def move(self, across: int, down: int) -> None:
        """Move the cursor. It wraps from the end of a row to the next row, and stays on the sheet."""
        columns = self._layout(*self._room()).columns
        target = self.cursor + across + down * columns
        if 0 <= target < len(self.sheet):
            self.go_to(target)

    def page(self, pages: int) -> None:
        """Move the cursor by `pages` times the number of visible rows."""
        layout = self._layout(*self._room())
        target = self.cursor + pages * layout.down * layout.columns
        column, last = self.cursor % layout.columns, len(self.sheet) - 1
        self.go_to(min(max(target, column), last - (last - column) % layout.columns))

    def jump(self, index: int) -> None:
        """Move the cursor to the first picture (index 0) or the last one (-1)."""
        self.go_to(index % len(self.sheet) if len(self.sheet) else 0)

    def go_to(self, index: int) -> None:
        """Move the cursor to a picture."""
        if 0 <= index < len(self.sheet) and index != self.cursor:
            self.cursor = index
            self.redraw()
            self.post_message(self.Moved())

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked picture; a click on the picture under the cursor enlarges it."""
        layout, (names, first) = self._layout(*self._room()), self._margins()
        column, row = (event.x - names) // layout.width, (event.y - first) // layout.height
        if (
            not self._has_cursor
            or event.x < names
            or event.y < first
            or not (0 <= column < layout.across and 0 <= row < layout.down)
        ):
            return
        index = (self._top + row) * layout.columns + self._left + column
        if index == self.cursor:
            self.post_message(self.Opened())
        self.go_to(index)

    def on_resize(self, _event: Resize) -> None:
        self._top = self._left = 0  # the next drawing scrolls to the cursor

    def on_mouse_scroll_up(self, _event: MouseScrollUp) -> None:
        self.move(0, -1)

    def on_mouse_scroll_down(self, _event: MouseScrollDown) -> None:
        self.move(0, 1)

    # Drawing

    def _margins(self) -> tuple[int, int]:
        """Cells left of the first picture, for row names, and above it, for the title and column names."""
        names = max((len(name) for name in self.sheet.row_names), default=-1) + 1
        return names, 2 if self.sheet.column_names else 1

    def _room(self) -> tuple[int, int]:
        names, first = self._margins()
        return self.size.width - names, self.size.height - first

    def _layout(self, width: int, height: int) -> _Layout:
        sheet = self.sheet
        _, rows, columns = sheet.images.shape
        label = max((len(label) for label in sheet.labels), default=0)
        smallest = 0 if rows >= 20 and sheet.labels else 1
        wanted = min(len(sheet), sheet.enough or len(sheet))
        layout = None
        for zoom in range(LARGEST, smallest - 1, -1):
            if sheet.labels:
                wide, high = (columns * zoom, rows * zoom) if zoom else ((columns + 1) // 2, (rows + 1) // 2)
                pitch, line = max(wide, label) + 1, math.ceil(high / 2) + 1
            else:
                pitch, line = columns * zoom + 1, (rows * zoom + 1) / 2
            # Pictures without labels have a margin on the left, also without row names, and a gap on both sides.
            room = width + 1 if sheet.labels else width - (1 if sheet.row_names else 2)
            across, down = max(1, room // pitch), max(1, int(height / line))
            # As few rows as possible, filled evenly.
            per_row = sheet.columns or math.ceil(len(sheet) / math.ceil(max(1, len(sheet)) / across)) or 1
            layout = _Layout(zoom, pitch, math.ceil(line), per_row, min(across, per_row), down)
            if layout.across * down >= wanted and (not sheet.columns or across >= per_row):
                break
        assert layout is not None
        if not sheet.labels:
            return layout
        lines = min(layout.down, math.ceil(len(sheet) / layout.columns)) or 1
        apart = min(max(0, height - lines * layout.height) // lines, MOST_APART)
        return replace(layout, height=layout.height + apart)

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, the column names, then the visible pictures."""
        facts = cells((f" {self.facts} ", ink(self.app, "quiet"))) if self.facts else []
        rows = [title_row(self, self.title, facts, width)]
        if not len(self.sheet) or self.view is None:
            words = cells((self.empty.center(width), ink(self.app, "quiet")))
            return rows + [[]] * max(0, (height - 2) // 2) + [words]
        names, first = self._margins()
        layout = self._layout(width - names, height - first)
        self._scroll(layout)
        if self.sheet.labels:
            return rows + self._labelled(layout, height - 1)
        return rows + self._matrix(layout, names)

    def _scroll(self, layout: _Layout) -> None:
        row, column = divmod(max(0, self.cursor), layout.columns)
        total = math.ceil(len(self.sheet) / layout.columns)
        self._top = min(max(self._top, row - layout.down + 1, 0), row, max(0, total - layout.down))
        self._left = min(max(self._left, column - layout.across + 1), column, max(0, layout.columns - layout.across))

    def _levels(self, indices: list[int], layout: _Layout, colours: Palette, span: Span | None = None) -> Levels:
        """The images at `indices` as levels (n, h, w), enlarged, or halved unless they are drawn finer."""
        assert self.view is not None
        images = self.sheet.images[indices]
        if layout.zoom == 0 and finer_than(0, colours) == 1:
            images = halve(images)
        levels = quantise(images, span or self.span or Span.of_each(images, self.view.colours), colours.count)
        return enlarge(levels, max(1, layout.zoom))

    def _plain(self, index: int, layout: _Layout) -> list[list[Cell]]:
        """One image in gray, from 0 to 1."""
        assert self.view is not None
        gray = replace(self.view, colours="gray").palette(self.app)
        levels = self._levels([index], layout, gray, Span(0.0, 1.0))[0]
        return paint(levels, gray, finer_than(layout.zoom, gray))

    def _labelled(self, layout: _Layout, height: int) -> list[list[Cell]]:
        assert self.view is not None
        colours = self.view.palette(self.app)
        rows: list[list[Cell]] = []
        gap = cells((" ", Style.null()))
        for line in range(self._top, self._top + layout.down):
            first = line * layout.columns + self._left
            last = min(first + layout.across, (line + 1) * layout.columns, len(self.sheet))
            indices = list(range(first, last))
            if not indices:
                break
            levels, finer = self._levels(indices, layout, colours), finer_than(layout.zoom, colours)
            titles: list[Cell] = []
            pictures: list[list[Cell]] = [[] for _ in range(math.ceil(levels.shape[1] / (2 * finer)))]
            for index, picture in zip(indices, levels, strict=True):
                titles += self._label(index, layout.width - 1) + gap
                if index < len(self.sheet.boxes) and (box := self.sheet.boxes[index]):
                    frame_box(picture, box, layout.zoom or finer // 2)
                margin = gap * (layout.width - math.ceil(picture.shape[1] / finer))
                plain = index < self.sheet.plain
                tile = self._plain(index, layout) if plain else paint(picture, colours, finer)
                if index < len(self.sheet.notes) and (note := self.sheet.notes[index]):
                    tile = write_over(tile, note, colours.writing(int(picture[0, 0])))
                for line_so_far, painted in zip(pictures, tile, strict=True):
                    line_so_far.extend(painted + margin)
            rows += [titles, *pictures, *([] for _ in range(layout.height - 1 - len(pictures)))]
        return rows[:height]

    def _label(self, index: int, width: int) -> list[Cell]:
        name = self.sheet.inks[index] if index < len(self.sheet.inks) else "quiet"
        here = index == self.cursor
        style = ink(self.app, "primary" if here else name, bold=here, reverse=here)
        return cells((self.sheet.labels[index][:width].ljust(width), style))

    def _matrix(self, layout: _Layout, names: int) -> list[list[Cell]]:
        assert self.view is not None
        sheet, colours, quiet = self.sheet, self.view.palette(self.app), ink(self.app, "quiet")
        total = math.ceil(len(sheet) / layout.columns)
        lines = range(self._top, min(self._top + layout.down, total))
        columns = range(self._left, min(self._left + layout.across, layout.columns))
        all_of_them = [line * layout.columns + column for line in lines for column in columns]
        indices = [index for index in all_of_them if index < len(sheet)]  # the last row may not be full
        levels = self._levels(indices, layout, colours)
        high, wide = levels.shape[1] + 1, levels.shape[2] + 1
        canvas = np.full((len(lines) * high + 1, len(columns) * wide + 1), BLANK, np.int16)
        for number, picture in enumerate(levels):
            row, column = divmod(number, len(columns))
            canvas[row * high + 1 : (row + 1) * high, column * wide + 1 : (column + 1) * wide] = picture
        if self.cursor in indices:
            row, column = divmod(indices.index(self.cursor), len(columns))
            frame(canvas, row * high, column * wide, high + 1, wide + 1)
        rows = []
        for y, painted in enumerate(paint(canvas, colours)):
            line, inside = divmod(2 * y - high // 2 + 1, high)
            name = sheet.row_names[lines[line]] if inside < 2 and 0 <= line < len(lines) and sheet.row_names else ""
            here = bool(name) and lines[line] == self.cursor // layout.columns
            rows.append(cells((name.rjust(names - 1) + " ", ink(self.app, "primary" if here else "quiet"))) + painted)
        if not sheet.column_names:
            return rows
        head: list[Cell] = cells((" " * (names + 1), quiet))
        for column in columns:
            name = sheet.column_names[column]
            here = column == self.cursor % layout.columns
            head += cells((name[:wide].ljust(wide), ink(self.app, "primary" if here else "quiet")))
        return [head, *rows]


class Legend(CellWidget):
    """The colour map between the ends of the value range, or each glyph with its value; and what they show."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.span: Span | None = None
        self.view: View | None = None
        self.words = ""
        self.sides = ("", "")
        self.counts = False

    def show(
        self,
        view: View,
        span: Span | None,
        words: str = "",
        sides: tuple[str, str] = ("", ""),
        *,
        counts: bool = False,
    ) -> None:
        """Show the colours of `view` over `span`.

        `words` say what the values are; `sides`, what negative and positive ones mean in the diverging map; `counts`
        are coloured from the paper on, as in the confusion matrix.
        """
        self.counts = counts
        self.view, self.span, self.words = view, span, words
        self.sides = sides if view.colours == "diverging" else ("", "")
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """One row."""
        if self.view is None or self.span is None:
            return []
        quiet = ink(self.app, "quiet")
        colours = self.view.palette(self.app)
        names = [self.words, "one range for all" if self.view.shared else "one range each", self.view.colours]
        facts = cells((" " + "  ".join([*filter(None, names), self.view.mode]), quiet))
        scale = self._gradient(colours, width) if colours.colours else self._glyphs(colours)
        if len(scale) + len(facts) > width and not colours.colours:
            scale = self._glyphs(colours, valued=False)
        return [clipped(scale + facts, width, quiet)]

    def _between(self, sample: list[Cell]) -> list[Cell]:
        """`sample` between the ends of the value range, and what these mean."""
        assert self.span is not None
        text, quiet = ink(self.app, "foreground"), ink(self.app, "quiet")
        low, high = _ends(self.span.low), _ends(self.span.high)
        if any(self.sides):
            low, high = f"({low})", f"({high})"
        left = cells((f" {self.sides[0]}".rstrip(), quiet), (f" {low} ", text))
        return left + sample + cells((f" {high}", text), (f" {self.sides[1]}".rstrip() + " ", quiet))

    def _gradient(self, colours: Palette, width: int) -> list[Cell]:
        size = max(8, min(32, width // 6)) // 2 * 2 + 1  # odd, so that zero has a cell
        shares = np.linspace(0, 1, size)
        sample = quantise(shares, Span(0, 1), colours.count)
        if self.counts:
            dark = self.app.current_theme.dark
            sample = np.array([colours.from_paper(share, dark=dark) for share in shares.tolist()], np.int16)
        painted = paint(sample[None, :].repeat(2, axis=0), colours)[0]
        if colours.name == "diverging" and not self.counts:
            painted[size // 2] = ("0", colours.writing(colours.count // 2))
        return self._between(painted)

    def _glyphs(self, colours: Palette, *, valued: bool = True) -> list[Cell]:
        """Each glyph; with its value if `valued`, or else between the ends of the range."""
        assert self.span is not None
        text, quiet = ink(self.app, "foreground"), ink(self.app, "quiet")
        if not valued:
            marks = "".join(glyph * 2 for glyph in colours.ramp)
            return self._between(cells((marks.replace("  ", "0") if colours.zero else marks, text)))
        row = cells((f" {self.sides[0]}" if self.sides[0] else "", quiet))
        values = np.linspace(self.span.low, self.span.high, colours.count)
        for glyph, value in zip(colours.ramp, values.tolist(), strict=True):
            row += cells((f" {glyph * 2}" if glyph.strip() else "", text), (f" {_ends(value)} ", quiet))
        return row + cells((f" {self.sides[1]} " if self.sides[1] else "", quiet))


def _ends(value: float) -> str:
    """A value with three significant digits; `0` for zero."""
    return f"{value:.3g}" if value else "0"
