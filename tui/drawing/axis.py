"""The geometry of a chart's axes: where a value stands, and which numbers are written beside it.

A cell has four rows of two braille dots. The dot of a value and the cell of its tick come from one function, so a tick
never stands beside another value than its own: ranges are widened until round numbers fall on the middle of cells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

import msgspec

DOWN, ACROSS = 4, 2
"""Dots per cell, from top to bottom and from left to right."""
MIDDLE = 2
"""The dot of a cell, counted from its bottom, that is level with a tick."""
APART = 3
"""The best distance between two ticks, in rows."""
LABEL_WIDTH = 6
"""Minimum width of the vertical axis's labels, in cells, so that the axes of stacked charts are aligned."""
_FURTHEST = 1e100
"""Larger values do not widen an axis further, so that no step overflows."""
_OUTSIDE = 1e6
"""A distance, in dots, that is outside any chart."""
_FINEST = 1e-9
"""The narrowest range, as a share of its values: below it, floating-point numbers no longer tell dots apart."""
_LONG, _LARGE = 6, 1e6
"""Numbers of more characters, or from this size on, are written with an exponent if that is shorter."""


class Scale(msgspec.Struct, frozen=True):
    """The vertical axis: a linear or logarithmic range of at least two ticks over some rows of cells."""

    rows: int
    dots: float
    """Dots per unit of the value or, on a logarithmic axis, per decade."""
    base: float
    """The position of the lowest dot: so many dots above 0 or, on a logarithmic axis, above 1."""
    logarithmic: bool
    ticks: tuple[float, ...]
    """Ascending, each in a row of its own."""

    def dot(self, value: float) -> int:
        """The row of dots of `value`, counted from the top; outside 0 to 4 * rows - 1 where it is out of range."""
        if self.logarithmic:
            value = math.log10(value) if value > 0 else -_OUTSIDE
        return self.rows * DOWN - 1 - _nearest(self.dots * value - self.base)

    def row(self, value: float) -> int:
        """The row of cells of `value`, counted from the top."""
        return self.dot(value) // DOWN


@lru_cache(maxsize=256)
def scale(
    low: float,
    high: float,
    rows: int,
    *,
    logarithmic: bool = False,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> Scale:
    """The axis of `rows` cells (at least 2) that contains `low` to `high` and wastes little.

    Its ticks are 1, 2 or 5 times a power of ten apart; on a logarithmic axis, where `low` must be positive, they are
    such numbers, or decades. `limits` are values that no tick lies beyond, such as 0 and 100 %.
    """
    low, high = (min(max(value, -_FURTHEST), _FURTHEST) for value in (low, high))
    if logarithmic:
        low = max(low, 1 / _FURTHEST)
        return _logarithmic(low, max(low, high), rows)
    if high - low < _FINEST * max(abs(low), abs(high)) or high <= low:
        room = 0.05 * max(abs(low), abs(high)) or 1.0
        low, high = low - room, high + room
    grid = _grid(low, high, rows, limits)
    return Scale(rows, grid.dots, grid.base, False, grid.ticks(limits))


class _Grid(msgspec.Struct, frozen=True):
    """Equidistant ticks: each `count` rows is one `step` more; the middle of the lowest row is `first` rows above 0."""

    rows: int
    step: float
    count: int
    first: int
    waste: float
    """How much worse than a range without any waste and with the best number of ticks, from 0."""

    @property
    def dots(self) -> float:
        return DOWN * self.count / self.step

    @property
    def base(self) -> float:
        return float(DOWN * self.first - MIDDLE)

    def ticks(self, limits: tuple[float, float]) -> tuple[float, ...]:
        """The multiples of the step in its rows and within `limits`."""
        numbers = range(-(-self.first // self.count), (self.first + self.rows - 1) // self.count + 1)
        # The decimal representation of a product like 3 * 0.1 has digits that only rounding made.
        values = (float(f"{number * self.step:.12g}") for number in numbers)
        return tuple(value for value in values if limits[0] <= value <= limits[1])


_ANY = (-math.inf, math.inf)


def _grid(low: float, high: float, rows: int, limits: tuple[float, float] = _ANY, finest: float = 0.0) -> _Grid:
    """The grid with the least waste that contains `low` to `high` and two ticks; its step is `finest` or more."""
    least = (high - low) / (rows - 0.25)
    best: _Grid | None = None
    for step in _round(max(least, finest), max(high - low, finest) * 20):
        for count in range(min(rows - 1, int(step / least + 1e-9)), 0, -1):
            unit = step / count
            last = math.floor(low / unit + 0.5 + 1e-9)
            first = math.ceil(high / unit - rows + 0.75 - 1e-9)
            # A range from 0 leaves the rows to spare at its top, others on both sides.
            wanted = last if low == 0 else (first + last + 1) // 2
            waste = math.log(unit / least) + _crowding(count)
            grids = (_Grid(rows, step, count, at, waste) for at in sorted(range(first, last + 1), key=_from(wanted)))
            if found := next((each for each in grids if len(each.ticks(limits)) > 1), None):
                if best is None or waste < best.waste:
                    best = found
                break  # fewer rows per step only waste more
    return best or _grid(low, high, rows, finest=finest)  # the limits leave no room for two ticks


def _from(wanted: int) -> Callable[[int], int]:
    return lambda number: abs(number - wanted)


def _crowding(apart: float) -> float:
    """How bad ticks are that are `apart` rows apart."""
    return abs(math.log(apart / APART)) * 0.3 + (0.2 if apart < 1.5 else 0.0)


def _round(low: float, high: float) -> Iterator[float]:
    """1, 2 and 5 times the powers of ten from `low` to `high`, both positive."""
    for exponent in range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1):
        for factor in (1, 2, 5):
            value = float(f"{factor}e{exponent}")
            if low * (1 - _FINEST) <= value <= high * (1 + _FINEST):
                yield value


def _logarithmic(low: float, high: float, rows: int) -> Scale:
    """Decades with 1, 2 and 5 where there is room for them; else decades, or each second, fifth ... decade."""
    inside = list(_round(low, high))
    if not inside:
        inside = [max(_round(low / 10, low)), min(_round(high, high * 10))]
    elif len(inside) == 1:  # widen it by as little as possible to a second tick
        under, over = max(_round(low / 10, low * 0.99)), min(_round(high * 1.01, high * 10))
        inside.append(under if low / under < over / high else over)
    low, high = min(low, *inside), max(high, *inside)
    grid = _grid(math.log10(low), math.log10(high), rows, finest=1.0)
    best, waste = (
        Scale(rows, grid.dots, grid.base, True, tuple(10**exponent for exponent in grid.ticks(_ANY))),
        grid.waste,
    )
    extent, most = math.log10(high / low), rows * DOWN - 1
    densest = math.floor(most / extent + _FINEST)
    for dots in range(densest, max(densest // 2, DOWN), -1):
        lowest = math.ceil(dots * math.log10(high) - most - 0.49)
        highest = math.floor(dots * math.log10(low) + 0.49)
        for base in range(lowest, min(lowest + DOWN, highest + 1)):
            ticks, lost, off = _beside(dots, base, rows)
            if len(ticks) > 1:
                worse = math.log(densest / dots) + _crowding(rows / len(ticks)) + 0.25 * lost + 0.1 * off
                if worse < waste:
                    best, waste = Scale(rows, dots, base, True, ticks), worse
    return best


def _beside(dots: int, base: int, rows: int) -> tuple[tuple[float, ...], int, float]:
    """The 1-2-5 numbers near the middle of a row, the number of others, and the mean distance of the first, in dots."""
    kept: dict[int, float] = {}
    lost, off = 0, 0.0
    for value in _round(10 ** ((base - 0.49) / dots), 10 ** ((base + rows * DOWN - 0.51) / dots)):
        height = dots * math.log10(value) - base
        row = math.floor(height + 0.5) // DOWN
        away = abs(height - DOWN * row - MIDDLE)
        if away > 1.25 or row in kept:
            lost += 1
        else:
            kept[row], off = value, off + away
    return tuple(kept.values()), lost, off / max(1, len(kept))


def labels(values: Sequence[float], width: int = LABEL_WIDTH) -> list[str]:
    """The numbers as text with equal decimals, aligned at the right in at least `width` cells.

    Very small and very large numbers have an exponent.
    """
    if not values:
        return []
    texts = _written(values, "f")
    if not texts or max(map(len, texts)) > _LONG or max(map(abs, values)) >= _LARGE:
        short = _written(values, "e")
        texts = min(texts or short, short, key=lambda each: max(map(len, each)))
    size = max(width, *map(len, texts))
    return [text.rjust(size) for text in texts]


def _written(values: Sequence[float], style: Literal["f", "e"]) -> list[str]:
    """The numbers with as few decimals as are right for all of them; empty if 15 are too few."""
    for decimals in range(16):
        texts = [f"{value:.{decimals}{style}}" for value in values]
        if all(abs(float(text) - value) <= abs(value) * _FINEST for text, value in zip(texts, values, strict=True)):
            return [re.sub(r"e([+-])0*(\d)", _exponent, text) for text in texts]
    return []


def _exponent(found: re.Match[str]) -> str:
    sign, digits = found.groups()
    return f"e{sign.strip('+')}{digits}"


def _nearest(position: float) -> int:
    return math.floor(min(max(position, -_OUTSIDE), _OUTSIDE) + 0.5)


# The horizontal axis


class Across(msgspec.Struct, frozen=True):
    """The horizontal axis: `low` is the leftmost column of dots, `high` the rightmost."""

    low: float
    high: float
    cells: int

    def dot(self, value: float) -> int:
        """The column of dots of `value`, from the left; outside 0 to 2 * cells - 1 where it is out of range."""
        return _nearest((value - self.low) / (self.high - self.low) * (self.cells * ACROSS - 1))

    def cell(self, value: float) -> int:
        """The column of cells of `value`."""
        return self.dot(value) // ACROSS


class Mark(msgspec.Struct, frozen=True):
    """A tick of the horizontal axis: the column of cells of its value, and its label with the column it begins in."""

    cell: int
    start: int
    text: str
    value: float


def power(exponent: float) -> str:
    """Ten to the power of `exponent` as text: `1e-3`, or `3.2e-4` for one that is not whole."""
    factor, _, whole = f"{10**exponent:.1e}".partition("e")
    return f"{factor.removesuffix('.0')}e{int(whole)}"


def marks(
    axis: Across,
    unit: str = "{}",
    *,
    whole: bool = False,
    names: Sequence[str] = (),
    powers: bool = False,
    before: int = 0,
) -> list[Mark]:
    """The ticks of a horizontal axis; the last one says the unit: it is `unit` with the number in it.

    `whole` is for an axis that counts: only whole numbers, and the last one is always there. `names` replace the
    numbers 0, 1, 2 and so on; with `powers` the numbers are exponents of ten. `before` is the number of cells left of
    the axis that a label may use.
    """
    room = max(1, min(15, axis.cells // 8))
    if names:
        values = [float(n) for n in range(len(names)) if axis.low <= n <= axis.high]
        texts = [names[int(value)] for value in values]
    else:
        values = ticks(axis.low, axis.high, room)
        if powers and axis.high - axis.low >= 2:
            values = [value for value in values if value == int(value)]
        if whole:
            values = [value for value in values if value == int(value)]
            end = float(math.floor(axis.high))
            if end >= axis.low and end not in values:
                values.append(end)
        texts = [power(value) for value in values] if powers else [text.strip() for text in labels(values, 0)]
    found: list[Mark] = []
    for number in reversed(range(len(values))):  # the last one takes its room first
        text = unit.format(texts[number]) if number == len(values) - 1 else texts[number]
        cell = axis.cell(values[number])
        start = max(-before, min(cell - (len(text) - 1) // 2, axis.cells - len(text)))
        if not found or start + len(text) + 1 < found[-1].start:
            found.append(Mark(cell, start, text, values[number]))
    return found[::-1]


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers from `low` to `high`, in steps of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or count < 1:
        return [low]
    step = next(_round((high - low) / count, (high - low) / count * 10))
    first, last = math.ceil(low / step - _FINEST), math.floor(high / step + _FINEST)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
