"""Lines of braille dots: two across and four down in each cell."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tui.drawing.axis import ACROSS, DOWN

Spot = tuple[int, int]
"""A cell: its column and its row, from the top left."""
Dots = dict[Spot, int]
"""The dots of a line as bits, by cell."""
Point = tuple[int, int]
"""A dot: its column and its row, from the top left."""

BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot in Unicode's braille, by row and column."""
LEFT_DOTS = 0x47
"""The bits of the left one of the two columns of dots."""
BLANK = 0x2800


def character(bits: int) -> str:
    """The braille character with these dots."""
    return chr(BLANK + bits)


def blot(row: int) -> int:
    """The bits of a thick dot that contains a row of dots, as the marker of a point."""
    upper = max(0, row % DOWN - 1)  # the row and the one above it, within one cell
    return sum(bit for pair in BITS[upper : upper + 2] for bit in pair)


def line(points: Iterable[Point], columns: int, rows: int) -> Dots:
    """A line through points, clipped to `columns` by `rows` cells; a single point is one dot."""
    right, bottom = columns * ACROSS - 1, rows * DOWN - 1
    found: Dots = {}
    before: Point | None = None
    end: Point | None = None
    for point in points:
        ends = _clipped(before or point, point, right, bottom)
        before = point
        if ends is None:
            continue
        (x0, y0), (x1, y1) = ends
        across, down = x1 - x0, y1 - y0
        steps = max(abs(across), abs(down))
        for step in range(int(end == (x0, y0)), steps + 1):  # the last line has drawn the dot that it shares with this
            column = x0 + (2 * step * across + steps) // (2 * steps) if steps else x0
            row = y0 + (2 * step * down + steps) // (2 * steps) if steps else y0
            spot = column // ACROSS, row // DOWN
            found[spot] = found.get(spot, 0) | BITS[row % DOWN][column % ACROSS]
        end = x1, y1
    return found


def _clipped(start: Point, end: Point, right: int, bottom: int) -> tuple[Point, Point] | None:
    """The ends of the part of a straight line within 0 to `right` and 0 to `bottom`; None if it is outside."""
    (x0, y0), (x1, y1) = start, end
    if 0 <= x0 <= right and 0 <= x1 <= right and 0 <= y0 <= bottom and 0 <= y1 <= bottom:
        return start, end
    enter, leave = 0.0, 1.0  # shares of the way from start to end, as Liang and Barsky clip
    for at, change, most in ((x0, x1 - x0, right), (y0, y1 - y0, bottom)):
        if change:
            first, last = sorted((-at / change, (most - at) / change))
            enter, leave = max(enter, first), min(leave, last)
        elif not 0 <= at <= most:
            return None
    if enter > leave:
        return None
    ends = [
        (
            min(max(math.floor(x0 + share * (x1 - x0) + 0.5), 0), right),
            min(max(math.floor(y0 + share * (y1 - y0) + 0.5), 0), bottom),
        )
        for share in (enter, leave)
    ]
    return ends[0], ends[1]
