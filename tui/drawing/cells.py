"""Rows of cells: styled text, clipped and spread to a width."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.style import Style

from engine.words import shown
from tui.drawing.terminal import glyphs

Cell = tuple[str, Style]
"""A character and its style. A wide character is followed by an empty one."""


@lru_cache(4096)
def width(text: str) -> int:
    """The number of cells that a short text takes."""
    return cell_len(text)


def cells(*parts: tuple[str, Style]) -> list[Cell]:
    """A row of cells from pairs of text and style."""
    row: list[Cell] = []
    for text, style in parts:
        if text.isascii() and text.isprintable():  # fast path: all are shown, and one cell wide
            row += [(character, style) for character in text]
            continue
        for character in shown(text):
            cells_taken = width(character)
            if not cells_taken and row:  # it combines with the one before
                row[-1] = (row[-1][0] + character, row[-1][1])
            else:
                row += [(character, style), *[("", style)] * (cells_taken - 1)]
    return row


def cut_cells(row: list[Cell], end: int) -> list[Cell]:
    """The first `end` cells of `row`; of a wide character that is cut into halves, a blank is left."""
    kept = row[:end]
    if kept and len(row) > end and width(kept[-1][0]) > 1:
        kept[-1] = (" ", kept[-1][1])
    return kept


def trimmed(row: list[Cell], least: int) -> list[Cell]:
    """`row` without trailing blanks, but with at least its first `least` cells."""
    end = len(row)
    while end > least and row[end - 1][0] == " ":
        end -= 1
    return row[:end]


def clipped(row: list[Cell], width: int, style: Style) -> list[Cell]:
    """`row` clipped to `width` cells. It ends with an ellipsis in `style` if anything but blanks is cut off."""
    width = max(0, width)
    row = trimmed(row, width)
    if len(row) <= width:
        return row
    mark = cells((glyphs().ellipsis, style))
    return (cut_cells(row, max(0, width - len(mark))) + mark)[:width]


def spread(left: list[Cell], right: list[Cell], width: int, fill: Cell) -> list[Cell]:
    """A row of `width` cells with `left` and `right` at its ends. If both do not fit, `right` is left out."""
    gap = width - len(left) - len(right)
    if gap < 1:
        right, gap = [], max(0, width - len(left))
    return cut_cells(left, width) + [fill] * gap + right
