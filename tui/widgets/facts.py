"""What is known of the open run or weights file, as labelled values in a narrow column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace
from rich.cells import cell_len
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Region, Size
from textual.strip import Strip

from engine.words import shown
from tui.drawing.about import Group, Known, Tone
from tui.drawing.cells import Cell, cells
from tui.drawing.fitting import cut_between_words, wrapped
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget, title_row

LABELS = 16
"""Width of the column of labels, in cells: that of the form."""
NARROWEST = 20
"""The width in cells below which nothing is drawn."""
SHORTEST = 4
"""Rows that are shown at least, where the container has three times as many; the mouse wheel scrolls the rest."""

Line = list[tuple[str, Tone]]
"""Pieces of text, each in its tone."""
INKS: dict[Tone, str] = {"plain": "foreground", "usual": "quiet", "unusual": "strong", "wrong": "error"}
"""The colour of each tone."""


def aligned(groups: Iterable[Group], width: int) -> list[Line]:
    """A line for each value, with the labels in a column."""
    lines: list[Line] = []
    for known in (known for group in groups for known in group):
        label = shown(known.label)
        label += " " * (LABELS - cell_len(label)) if label else ""
        for number, text in enumerate(wrapped(known.value, max(1, width - cell_len(label)))):
            before: Line = [(" " * cell_len(label) if number else label, "usual")] if label else []
            lines.append([*before, (text, known.tone)])
    return lines


def spaced(groups: Sequence[Group], width: int) -> list[Line]:
    """As `aligned`, with a blank line between two groups."""
    lines: list[Line] = []
    for group in groups:
        lines += [[], *aligned([group], width)] if lines else aligned([group], width)
    return lines


def flowing(groups: Iterable[Group], width: int) -> list[Line]:
    """As many values on a line as fit; each group begins a new line."""
    return [line for group in groups for line in _paragraph(group, width)]


def _paragraph(group: Group, width: int) -> list[Line]:
    lines: list[Line] = [[]]
    room = width
    for known in (_brief(known, width) for known in group):
        words = shown(f"{known.label} {known.value}" if known.label else known.value)
        if lines[-1] and cell_len(words) + 2 <= room:
            lines[-1].append((", ", "usual"))
            room -= 2
        elif lines[-1]:
            lines.append([])
            room = width
        if cell_len(words) <= room:
            lines[-1] += _pieces(known)
            room -= cell_len(words)
        else:
            lines[-1:] = [[(text, known.tone)] for text in wrapped(words, width)]
            room = width - sum(cell_len(text) for text, _ in lines[-1])
    return lines


def _brief(known: Known, width: int) -> Known:
    """`known` on one line, if it may be cut to that."""
    return replace(known, value=cut_between_words(known.value, width)) if known.brief else known


def _pieces(known: Known) -> Line:
    return [*([(f"{known.label} ", _quiet(known.tone))] if known.label else []), (known.value, known.tone)]


def _quiet(tone: Tone) -> Tone:
    """The tone of the label of a value."""
    return "unusual" if tone == "unusual" else "usual"


class Facts(CellWidget):
    """Labelled values: one on a line where there is room, several on a line where there is not."""

    DEFAULT_CSS = "Facts { height: auto; }"

    def __init__(self, leave: int, *, id: str | None = None) -> None:
        """`leave` is the number of rows of its container that it leaves to others."""
        super().__init__(id=id)
        self.leave = leave
        self.title = ""
        self.groups: list[Group] = []
        self._top = 0
        """The first line in view."""

    def show(self, title: str, groups: list[Group]) -> None:
        """Show `groups` under `title`."""
        if title != self.title or groups != self.groups:
            self.title = title
            before, self.groups = self.groups, groups
            if before[:1] != groups[:1]:
                self._top = 0
            if [len(group) for group in before] != [len(group) for group in groups]:
                self.refresh(layout=True)
            self.redraw()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as it needs, if the container has them; one is for the title."""
        room = container.height - self.leave - 1
        if room < SHORTEST:
            room = SHORTEST if container.height >= 3 * SHORTEST else 0
        return min(room, len(self._lines(width, room))) + 1

    def _lines(self, width: int, height: int) -> list[Line]:
        """The lines in the roomiest layout that fits into `height` rows, or else in the tightest."""
        width -= 1  # a blank on the left
        if width < NARROWEST:
            return []
        for layout in (spaced, aligned):
            if len(lines := layout(self.groups, width)) <= height:
                return lines
        return flowing(self.groups, width)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The strips of `crop`; drawn anew first if the size has changed.

        Where a focus that moves makes Textual compute a layout, it sends no Resize for it.
        """
        width, height = self.size
        if len(self._rows) != height and height:
            self._rows = self._fitted(self.draw(width, height), width, height)
        return super().render_lines(crop)

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, and the lines from the first one in view."""
        height -= 1
        lines = self._lines(width, height)
        self._top = max(0, min(self._top, len(lines) - height))
        rows = [self._row(line) for line in lines[self._top : self._top + height]]
        if self._top + height < len(lines) and rows:
            last = lines[self._top + height - 1]
            mark = glyphs().ellipsis
            while last and sum(cell_len(text) for text, _ in last) + cell_len(mark) >= width:
                last = last[:-1]
            rows[-1] = self._row([*last, (mark, "usual")])
        return [title_row(self, self.title, [], width), *rows]

    def _row(self, line: Line) -> list[Cell]:
        parts = [(text, ink(self.app, INKS[tone], bold=tone == "unusual")) for text, tone in line]
        return cells((" ", ink(self.app, "quiet")), *parts)

    def on_mouse_scroll_up(self, _event: MouseScrollUp) -> None:
        self._scroll(-1)

    def on_mouse_scroll_down(self, _event: MouseScrollDown) -> None:
        self._scroll(1)

    def _scroll(self, lines: int) -> None:
        self._top = max(0, self._top + lines)
        self.redraw()
