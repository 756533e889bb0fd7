"""Ridge lines: curves one below the other, each of which hides what is behind the area under it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tui.drawing.axis import ACROSS, DOWN
from tui.drawing.braille import BITS, character
from tui.drawing.terminal import UNICODE, glyphs

Owned = tuple[str, int]
"""A character, and the index of the ridge that it belongs to; -1 for none."""
MOST_APART, LEAST_APART = 16, 4
"""Dots between two baselines; there are four of them in a cell."""
REACH = 2.0
"""The height of the highest ridge, in distances of baselines, where there is no room to spare."""
TALLEST = 60
"""Most dots of that height."""
_UPPER = 0x1B
"""The bits of the upper half of a cell of braille dots."""


class Stack(msgspec.Struct, frozen=True):
    """Where the baselines of some ridges are, in dots, of which there are four in a row of cells."""

    tall: int
    """The height of the highest ridge."""
    baselines: tuple[int, ...]
    """The row of dots of each, from the top, ascending."""


def capacity(rows: int) -> int:
    """The largest number of ridges for which there is room in so many rows of cells."""
    return max(1, math.floor((rows * DOWN - 1) / LEAST_APART - REACH) + 1)


def stacked(count: int, rows: int) -> Stack:
    """`count` ridges in `rows` rows of cells, as far apart as there is room for, the last one at the bottom."""
    bottom = rows * DOWN - 1
    apart = min(float(MOST_APART), bottom / (count - 1 + REACH))
    baselines = tuple(bottom - round((count - 1 - number) * apart) for number in range(count))
    return Stack(max(1, min(TALLEST, baselines[0])), baselines)


def drawing(ridges: Sequence[Sequence[float]], most: float, stack: Stack, columns: int, rows: int) -> list[list[Owned]]:
    """`rows` rows of `columns` characters with all ridges, the first behind all others.

    Each ridge has a height for each of the `columns` * 2 columns of dots; `most` is as high as `stack` says. A height
    of less than half a dot is not drawn.
    """
    width, height = columns * ACROSS, rows * DOWN
    owner = [[-1] * width for _ in range(height)]
    for number, (heights, baseline) in enumerate(zip(ridges, stack.baselines, strict=True)):
        floor = min(height - 1, baseline)
        tops = [floor - round(stack.tall * min(1.0, each / most)) if most > 0 else floor for each in heights]
        before = tops[0]
        for x, top in enumerate(tops):
            for y in range(max(0, min(top, before)), floor + 1):
                owner[y][x] = -1
            if top < floor or before < floor:
                # Vertically as far as the line between this column and the one before it.
                first, last = (top, max(top, before - 1)) if top <= before else (min(top, before + 1), top)
                for y in range(max(0, first), last + 1):
                    owner[y][x] = number
            before = top
    return [[_cell(owner, column, row) for column in range(columns)] for row in range(rows)]


def _cell(owner: Sequence[Sequence[int]], column: int, row: int) -> Owned:
    """The character of a cell, and the frontmost ridge in it."""
    bits, front = 0, -1
    for y, pair in enumerate(BITS):
        for x, bit in enumerate(pair):
            if (found := owner[row * DOWN + y][column * ACROSS + x]) >= 0:
                bits |= bit
                front = max(front, found)
    if not bits:
        return " ", -1
    if glyphs() is UNICODE:
        return character(bits), front
    upper, lower = bits & _UPPER, bits & ~_UPPER
    return "|" if upper and lower else "'" if upper else ".", front
