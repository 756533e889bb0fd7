"""Rows of cells: texts and their styles, cut and spread to a width."""

from __future__ import annotations

from rich.cells import cell_len
from rich.style import Style

from engine.words import shown
from tui.drawing.terminal import glyphs

Cell = tuple[str, Style]
"""A character and its style. A wide character is followed by an empty one."""


def cells(*parts: tuple[str, Style]) -> list[Cell]:
    """Texts and their styles as a row of cells."""
    row: list[Cell] = []
    for text, style in parts:
        for character in shown(text):
            row.append((character, style))
            row.extend([("", style)] * (cell_len(character) - 1))
    return row


def trimmed(row: list[Cell], least: int) -> list[Cell]:
    """`row` without the blanks at its end, as far as `least` cells are left."""
    end = len(row)
    while end > least and row[end - 1][0] == " ":
        end -= 1
    return row[:end]


def clipped(row: list[Cell], width: int, style: Style) -> list[Cell]:
    """`row` in at most `width` cells: with an ellipsis in `style` at its end where more than blanks is left out."""
    width = max(0, width)
    row = trimmed(row, width)
    if len(row) <= width:
        return row
    mark = cells((glyphs().ellipsis, style))
    kept = row[: max(0, width - len(mark))]
    if kept and not row[len(kept)][0]:  # half of a wide character
        kept[-1] = (" ", style)
    return (kept + mark)[:width]


def spread(left: list[Cell], right: list[Cell], width: int, fill: Cell) -> list[Cell]:
    """A row of `width` cells with `left` and `right` at its ends; what does not fit is cut, the right side first."""
    gap = width - len(left) - len(right)
    if gap < 1:
        right, gap = [], max(0, width - len(left))
    return left[:width] + [fill] * gap + right
