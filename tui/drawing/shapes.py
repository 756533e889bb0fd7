"""The characters that tile, as shapes: blocks, shades, lines and braille.

The glyphs of a font have gaps between them, or overlap, and many fonts lack them.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

THIN, THICK = 0.1, 0.2
"""Width of light and heavy lines, as a share of a cell's width."""
DOT = 0.2
"""Radius of a braille dot, as a share of a cell's width; a full cell is about half covered."""


@dataclass(frozen=True)
class Box:
    """A rectangle in a cell, whose sides are at 0 and 1."""

    left: float
    top: float
    right: float
    bottom: float
    strength: float = 1.0
    """Opacity: a shade is an even mix of both colours."""


@dataclass(frozen=True)
class Shape:
    """Rectangles, and the centres (x, y) of dots."""

    boxes: tuple[Box, ...] = ()
    dots: tuple[tuple[float, float], ...] = ()


_SHADES = {"░": 0.25, "▒": 0.5, "▓": 0.75}
_HALVES = {"▀": Box(0, 0, 1, 0.5), "▐": Box(0.5, 0, 1, 1), "▔": Box(0, 0, 1, 0.125), "▕": Box(0.875, 0, 1, 1)}
_CROSS = (Box(0, 0.43, 1, 0.47), Box(0, 0.53, 1, 0.57), Box(0.36, 0, 0.44, 1), Box(0.56, 0, 0.64, 1))
_OTHERS = {
    "═": (Box(0, 0.4, 1, 0.45), Box(0, 0.55, 1, 0.6)),
    "≡": (Box(0, 0.25, 1, 0.33), Box(0, 0.46, 1, 0.54), Box(0, 0.67, 1, 0.75)),
    "╬": _CROSS,
}
_CORNERS = (Box(0, 0, 0.5, 0.5), Box(0.5, 0, 1, 0.5), Box(0, 0.5, 0.5, 1), Box(0.5, 0.5, 1, 1))
_QUADRANTS = {
    **{"▖": "2", "▗": "3", "▘": "0", "▝": "1", "▚": "03", "▞": "12"},
    **{"▙": "023", "▛": "012", "▜": "013", "▟": "123"},
}
"""The corners that each character fills: upper left, upper right, lower left, lower right, numbered from 0."""


@cache
def shape_of(character: str) -> Shape | None:
    """The shape of a character; None for one that does not tile, such as a letter."""
    if other := _OTHERS.get(character):
        return Shape(other)
    code = ord(character[0]) if character else 0
    if 0x2800 <= code < 0x2900:
        return Shape(dots=_dots(code - 0x2800))
    if 0x2580 <= code < 0x25A0:
        return Shape(_block(character, code))
    if 0x2500 <= code < 0x2580:
        return Shape(lines) if (lines := _lines(unicodedata.name(character).split()[2:])) else None
    return None


def _dots(bits: int) -> tuple[tuple[float, float], ...]:
    """The dots of a braille character: three rows of two columns first, then the fourth row."""
    places = [(column, row) for column in (0, 1) for row in (0, 1, 2)] + [(0, 3), (1, 3)]
    return tuple((0.25 + x / 2, 0.125 + y / 4) for n, (x, y) in enumerate(places) if bits >> n & 1)


def _block(character: str, code: int) -> tuple[Box, ...]:
    if shade := _SHADES.get(character):
        return (Box(0, 0, 1, 1, shade),)
    if half := _HALVES.get(character):
        return (half,)
    if corners := _QUADRANTS.get(character):
        return tuple(_CORNERS[int(corner)] for corner in corners)
    if code <= 0x2588:  # from one eighth at the bottom to a full block
        return (Box(0, 1 - (code - 0x2580) / 8, 1, 1),)
    return (Box(0, 0, (0x2590 - code) / 8, 1),)  # from seven eighths at the left to one


def _lines(words: list[str]) -> tuple[Box, ...]:
    """Lines from the middle of the cell to its sides, by a character's name; rounded corners become sharp.

    Empty for other lines, such as double or diagonal ones.
    """
    weights, sides = {"LIGHT", "HEAVY"}, {"UP", "DOWN", "LEFT", "RIGHT", "HORIZONTAL", "VERTICAL"}
    dashes = {"DOUBLE": 2, "TRIPLE": 3, "QUADRUPLE": 4}.get(words[1], 0) if "DASH" in words else 0
    named = [word for word in words if word not in {"AND", "ARC", "DASH", "DOUBLE", "TRIPLE", "QUADRUPLE"}]
    if named[0] not in weights or not set(named[1:]) <= sides:
        return ()
    thick = THICK if named[0] == "HEAVY" else THIN
    across, down = thick / 2, thick / 4  # a cell is twice as high as it is wide
    boxes = []
    for side in named[1:]:
        left, right = (0.5 - across if side == "RIGHT" else 0.0), (0.5 + across if side == "LEFT" else 1.0)
        top, bottom = (0.5 - down if side == "DOWN" else 0.0), (0.5 + down if side == "UP" else 1.0)
        if side in ("UP", "DOWN", "VERTICAL"):
            left, right = 0.5 - across, 0.5 + across
        else:
            top, bottom = 0.5 - down, 0.5 + down
        boxes.append(Box(left, top, right, bottom))
    if not dashes:
        return tuple(boxes)
    (line,), step = boxes, 1 / dashes
    return tuple(Box((n + 0.2) * step, line.top, (n + 0.8) * step, line.bottom) for n in range(dashes))
