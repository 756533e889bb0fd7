"""Images as text: arrays of numbers become rows of cells, in 24-bit colour, in 256 colours, or as glyphs.

With colour, a cell shows two pixels, one above the other, as half blocks. Without colour, it shows one character for
both: the denser the character, the higher the value. `░▒▓█` are positive, and half blocks where one pixel is much
higher than the other; `╌─═≡` are negative. In ASCII, `':+#` and `.-=E`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from rich.color import Color
from rich.console import Console
from rich.style import Style

from engine.figures.requests import ColourMapName
from tui.drawing.cells import Cell
from tui.drawing.terminal import UNICODE, glyphs

Mode = Literal["24-bit", "256 colours", "glyphs", "pixels"]
Levels: TypeAlias = np.ndarray[Any, np.dtype[np.int16]]
"""One value per pixel: a step of a palette (0 or more), BLANK, or OUTLINE."""

MODES: tuple[Mode, ...] = get_args(Mode)
TEXT_MODES = MODES[:3]
"""The modes of a terminal that shows text only."""
COLOUR_MAPS: tuple[ColourMapName, ...] = get_args(ColourMapName)
BLANK, OUTLINE = -1, -2
"""No pixel, and a pixel of the frame around the selection."""

_ANCHORS = {
    "gray": "000000 ffffff",
    "viridis": "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c "
    "1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
    "diverging": "053061 175290 2a71b2 3f8ec0 6bacd1 9bc9e0 c2ddec e0ecf3 f7f6f6 "
    "fbe5d8 fbccb4 f5aa89 e48066 d05548 ba2832 930e26 67001f",
}
"""Equidistant colours of Matplotlib's viridis and RdBu_r; the 24-bit maps interpolate linearly between them."""

_CUBE = {
    # 247 is left out: Rich converts it to 246 for a 256-colour terminal.
    "gray": (16, *range(232, 247), *range(248, 256), 231),
    # Chosen by hand so that luminance always rises; with the nearest colours of the cube it would fall in five places.
    "viridis": (53, 54, 24, 30, 36, 71, 77, 113, 149, 184, 220),
    "diverging": (24, 31, 74, 110, 153, 189, 255, 224, 217, 174, 167, 124, 88),
}
"""The same maps in xterm's 256 colours, by number."""

_SHADES, _LINES, _FRAME = " ░▒▓█", "≡═─╌", "╬"
"""Glyphs from zero up to the highest value, from the lowest value up to zero, and for the frame of the selection."""
_RAMPS = {
    True: {"gray": _SHADES, "viridis": _SHADES, "diverging": _LINES + _SHADES},
    False: {"gray": " .:-=+*#%@", "viridis": " .:-=+*#%@", "diverging": "E=-. ':+#"},
}
"""The glyphs of each map by value; shades where the terminal has them, and else ASCII."""

_BLACK, _WHITE = Color.from_rgb(0, 0, 0), Color.from_rgb(255, 255, 255)

STEPS = {"gray": 64, "viridis": 64, "diverging": 65}
"""Number of steps of the 24-bit maps. Small enough to cache the cells of all pairs; odd if zero needs its own step."""
FINE_STEPS = {"gray": 240, "viridis": 240, "diverging": 241}
"""The same for real pixels, of which an image has at most 256 colours."""


def modes_of(console: Console, *, no_color: bool) -> tuple[Mode, ...]:
    """The modes of text to choose from, starting with the best that the terminal is known to support.

    Better modes come last, since a terminal may support more than it reports. Only glyphs if colour is off, or if the
    terminal cannot show half blocks.
    """
    if no_color or glyphs() is not UNICODE or console.color_system is None:
        return TEXT_MODES[2:]
    best = {"truecolor": 0, "256": 1}.get(console.color_system, 2)
    return TEXT_MODES[best:] + TEXT_MODES[:best]


def colours_of(name: ColourMapName, mode: Mode) -> list[tuple[int, int, int]]:
    """The steps of the map as (red, green, blue), each from 0 to 255; empty if the mode has no colour."""
    if mode == "glyphs":
        return []
    if mode == "256 colours":
        return [_xterm(number) for number in _CUBE[name]]
    anchors = np.array([[int(text[i : i + 2], 16) for i in (0, 2, 4)] for text in _ANCHORS[name].split()])
    at, marks = np.linspace(0, 1, (FINE_STEPS if mode == "pixels" else STEPS)[name]), np.linspace(0, 1, len(anchors))
    channels = [np.interp(at, marks, anchors[:, channel]).round().astype(int).tolist() for channel in range(3)]
    return list(zip(*channels, strict=True))


def _xterm(number: int) -> tuple[int, int, int]:
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    side = (0, 95, 135, 175, 215, 255)
    red, green, blue = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
    return side[red], side[green], side[blue]


class _Cells(dict[int, Cell]):
    """The cell of each pair of pixels, made on first use."""

    def __init__(self, palette: Palette) -> None:
        self.palette = palette

    def __missing__(self, code: int) -> Cell:
        top, bottom = divmod(code, self.palette.count + 2)
        cell = self[code] = self.palette.cell(top - 2, bottom - 2)
        return cell


class Palette:
    """A colour map in one mode. Use `palette`, which caches them."""

    def __init__(self, name: ColourMapName, mode: Mode, accent: Style, *, shades: bool = True) -> None:
        self.name, self.mode, self.shades = name, mode, shades
        self.ramp = _RAMPS[shades][name]
        """The glyph of each step, if there is no colour."""
        self.zero = len(self.ramp) // 2 if name == "diverging" else 0
        """The step of `ramp` that is zero, or else the lowest value."""
        self.rgb = colours_of(name, mode)
        self.colours = [Color.from_rgb(*rgb) for rgb in self.rgb]
        self.accent = accent
        self.count = len(self.colours) or len(self.ramp)
        """Number of steps."""
        self.cells = _Cells(self)

    def cell(self, top: int, bottom: int) -> Cell:
        """The cell for two pixels; either may be BLANK or OUTLINE."""
        if top == bottom == BLANK:
            return " ", Style.null()
        if not self.colours:
            if OUTLINE in (top, bottom):
                return (_FRAME, Style.null()) if self.shades else (" ", Style(reverse=True))
            return self._glyph(top, bottom), Style.null()
        upper, lower = self._colour(top), self._colour(bottom)
        if upper == lower:
            return " ", Style.from_color(None, upper)
        if upper is None:
            return "▄", Style.from_color(lower)
        return "▀", Style.from_color(upper, lower)

    def from_paper(self, share: float, *, dark: bool) -> int:
        """The step for a share from 0 to 1 of the largest count: from the colour of the paper to the most striking one.

        The paper is black if `dark`, or else white. Counts have no sign: of the diverging map, they take the half that
        is for positive values.
        """
        last = self.count - 1
        first = self.count // 2 if self.name == "diverging" else 0
        rising = self.name != "diverging"  # in luminance, away from black
        return round(first + (share if rising is dark else 1 - share) * (last - first))

    def writing(self, level: int) -> Style:
        """The style of text on a background of this step; plain if there is no colour or no pixel."""
        if level < 0 or not self.colours:
            return Style.null()
        red, green, blue = self.rgb[level]
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128
        return Style.from_color(_WHITE if dark else _BLACK, self.colours[level])

    def _glyph(self, top: int, bottom: int) -> str:
        levels = [level for level in (top, bottom) if level >= 0]
        if self.shades and min(levels) >= self.zero:
            return _half_or_shade(*(max(0, level - self.zero) for level in (top, bottom)))
        if self.name == "diverging":  # the mean of opposite values would be zero
            return self.ramp[max(levels, key=lambda level: abs(level - self.zero))]
        # Round half up, to the denser glyph, so that thin strokes do not vanish.
        return self.ramp[-(-sum(levels) // len(levels))]

    def _colour(self, level: int) -> Color | None:
        if level == OUTLINE:
            return self.accent.color
        return self.colours[level] if level >= 0 else None


def _half_or_shade(top: int, bottom: int) -> str:
    """The block that is nearest to two steps of `_SHADES`; of equally near ones the denser."""
    full = len(_SHADES) - 1
    blocks = {shade: (step, step) for step, shade in enumerate(_SHADES)} | {"▀": (full, 0), "▄": (0, full)}

    def distance(block: str) -> tuple[int, int]:
        upper, lower = blocks[block]
        return (upper - top) ** 2 + (lower - bottom) ** 2, -upper - lower

    return min(blocks, key=distance)


@lru_cache(maxsize=32)
def palette(name: ColourMapName, mode: Mode, accent: Style, *, shades: bool = True) -> Palette:
    """The palette of a colour map in a mode; `accent` is the colour of the frame around the selection.

    `shades` says whether the glyphs of pictures without colour are blocks and lines, rather than ASCII.
    """
    return Palette(name, mode, accent, shades=shades)


@dataclass(frozen=True)
class Span:
    """A value range or, as arrays (n, 1, 1), one value range for each of n images."""

    low: Any
    high: Any

    @classmethod
    def of(cls, values: np.ndarray, name: ColourMapName) -> Span:
        """The range of the finite `values`; symmetric around zero for the diverging map."""
        each = cls.of_each(values.reshape(1, 1, -1), name)
        return cls(float(each.low.item()), float(each.high.item()))

    @classmethod
    def of_each(cls, images: np.ndarray, name: ColourMapName) -> Span:
        """The range of each of `images` (n, H, W), as in `of`."""
        known = np.isfinite(images)
        low = np.min(images, axis=(1, 2), keepdims=True, where=known, initial=np.inf)
        high = np.max(images, axis=(1, 2), keepdims=True, where=known, initial=-np.inf)
        nothing = low > high
        low, high = np.where(nothing, 0.0, low), np.where(nothing, 1.0, high)
        if name == "diverging":
            high = np.maximum(np.abs(low), np.abs(high))
            high = np.where(high > 0, high, 1.0)  # an image of zeros also has zero in the middle
            low = -high
        return cls(low, high)


PIXEL = Span(0.0, 1.0)
"""The value range of an image's pixels."""


def quantise(values: np.ndarray, span: Span, count: int) -> Levels:
    """`values` (any shape) as steps from 0 to `count` - 1 of `span`. Values outside are clipped; NaN becomes BLANK."""
    width = np.asarray(span.high - span.low, np.float64)
    shares = (values - span.low) / np.where(width > 0, width, 1.0)
    levels = np.rint(np.nan_to_num(shares * (count - 1), nan=BLANK, posinf=count - 1, neginf=0))
    clipped: Levels = np.clip(levels, np.where(np.isnan(values), BLANK, 0), count - 1).astype(np.int16)
    return clipped


def enlarge(levels: Levels, zoom: int) -> Levels:
    """Levels (..., H, W) with each pixel repeated `zoom` times in both directions."""
    return levels if zoom == 1 else levels.repeat(zoom, axis=-2).repeat(zoom, axis=-1)


def halve(values: np.ndarray) -> np.ndarray:
    """Images (..., H, W) at half their size, as means of 2x2 pixels; an odd last row or column is repeated."""
    *_, height, width = values.shape
    padding = [(0, 0)] * (values.ndim - 2) + [(0, height % 2), (0, width % 2)]
    padded = np.pad(values, padding, mode="edge") if height % 2 or width % 2 else values
    rows = padded[..., 0::2, :] + padded[..., 1::2, :]
    halved: np.ndarray = (rows[..., 0::2] + rows[..., 1::2]) / 4
    return halved


class Painter(Protocol):
    """Makes the cells of a picture of real pixels; None where it cannot."""

    def __call__(self, levels: Levels, colours: Palette, finer: int) -> list[list[Cell]] | None:
        """The cells of a picture, of which `finer` levels fit along half the height of a cell."""


_painter: ContextVar[Painter | None] = ContextVar("painter", default=None)


@contextmanager
def painting_by(painter: Painter) -> Iterator[None]:
    """Within the context, pictures of palettes for real pixels are made by `painter`."""
    token = _painter.set(painter)
    try:
        yield
    finally:
        _painter.reset(token)


def paint(levels: Levels, colours: Palette, finer: int = 1) -> list[list[Cell]]:
    """Levels (H, W) as ceil(H / 2) rows of W cells.

    Real pixels may be `finer`: as many levels along half the height of a cell. Where there are none after all, the
    picture is as large, of one in `finer` levels.
    """
    painter = _painter.get()
    if colours.mode == "pixels" and painter and (rows := painter(levels, colours, finer)) is not None:
        return rows
    levels = levels[::finer, ::finer]
    height, width = levels.shape
    if height % 2:
        levels = np.concatenate((levels, np.full((1, width), BLANK, np.int16)))
    shifted = levels.astype(np.int32) + 2
    codes = shifted[0::2] * (colours.count + 2) + shifted[1::2]
    cell = colours.cells.__getitem__
    return [list(map(cell, row)) for row in codes.tolist()]


def frame(levels: Levels, row: int, column: int, height: int, width: int) -> None:
    """Draw an OUTLINE into `levels` (H, W) along the inner edge of a box, which is clipped to the picture."""
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + height, levels.shape[0]) - 1, min(column + width, levels.shape[1]) - 1
    if top <= bottom and left <= right:
        levels[[top, bottom], left : right + 1] = OUTLINE
        levels[top : bottom + 1, [left, right]] = OUTLINE
