"""The drawing of a chart as characters with the names of their colours: axes, bands, curves, markers and a cursor."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from tui.drawing.axis import ACROSS, DOWN, Across, Mark, Scale, labels, marks, scale
from tui.drawing.braille import LEFT_DOTS, Dots, Spot, blot, character, line
from tui.drawing.terminal import UNICODE, glyphs

Layer = Literal["back", "middle", "front"]
Mote = tuple[str, str, str]
"""A character, the theme colour of its ink, and the theme colour of the band behind it; either may be empty. Without
ink, the character itself is a part of the band; there may be a second band, after a blank, behind it."""

_SPARSE = 3
"""Minimum mean distance of measured points, in cells, for each of them to be marked."""
_CLOSEST = 64
"""Maximum enlargement of an axis that does not count."""


class Curve(msgspec.Struct, frozen=True):
    """One curve."""

    name: str
    """Its name in the legend; curves of the same name have one entry."""
    ink: str
    """Name of a theme variable."""
    xs: Sequence[float]
    """Ascending."""
    ys: Sequence[float]
    latest: str = ""
    """What the legend says of it while there is no cursor; empty for its last value."""
    form: str = "{:.4g}"
    """The format of its values in the legend."""
    layer: Layer = "middle"
    """In a cell that several curves share, one in front is drawn rather than those in the middle, which take turns, and
    those rather than one in the back, which has no markers either."""
    scattered: bool = False
    """Where there is no colour, draw only its points, to tell it from others."""
    letter: str = ""
    """A letter to draw it with where there is no colour."""
    thin: bool = False
    """Whether it is dotted, without markers."""

    def finite(self) -> Curve:
        """The curve without points whose value is not finite."""
        if all(map(math.isfinite, self.ys)):
            return self
        kept = [(x, y) for x, y in zip(self.xs, self.ys, strict=True) if math.isfinite(y)]
        return replace(self, xs=[x for x, _ in kept], ys=[y for _, y in kept])

    def reading(self, at: float | None) -> str:
        """Its value at a place, or the last one before it; without a place, its latest value.

        Of a single point with a text of its own, that text.
        """
        if at is None or (self.latest and len(self.xs) == 1):
            return self.latest or (self.form.format(self.ys[-1]) if self.ys else "")
        place = bisect_right(self.xs, at)
        beyond = place == len(self.xs) and self.layer != "back" and not (self.xs and self.xs[-1] == at)
        return "-" if not place or beyond else self.form.format(self.ys[place - 1])

    def sample(self, *, colour: bool) -> str:
        """How it is drawn, in up to two characters, for a legend."""
        g = glyphs()
        if not colour and (self.letter or self.scattered):
            return self.letter or g.point
        if self.thin:
            return g.thin * 2
        return (g.faint if self.layer == "back" else g.curve) * 2


class Band(msgspec.Struct, frozen=True):
    """The area between two curves."""

    ink: str
    """Name of a theme variable, of which it has a tint."""
    xs: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    name: str = ""
    """Its name in the legend; empty to leave it out there."""
    behind: bool = False
    """Whether others hide it."""

    def sample(self, *, colour: bool) -> str:
        """How it is drawn, in two characters, for a legend."""
        g = glyphs()
        return (g.behind if self.behind and not colour else g.band) * 2


class Shade(NamedTuple):
    """The bands over a cell."""

    upper: str = ""
    """The ink of the one over its upper half; empty for none."""
    lower: str = ""
    thin: bool = False
    """Whether it is thinner than a cell: then the curve would hide it if it did not tint the whole cell."""
    behind: bool = False
    """Whether others would hide it."""


NO_SHADE = Shade()


class Plot(msgspec.Struct, frozen=True, dict=True):
    """What a chart shows, and along which axes."""

    curves: Sequence[Curve] = ()
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] | None = None
    """None for the range of the curves in view; of those in the back only if there are no others."""
    bands: Sequence[Band] = ()
    logarithmic: bool = False
    """Whether the vertical axis is."""
    from_zero: bool = False
    """Whether the range of the curves begins at 0 at the latest, on a linear axis."""
    limits: tuple[float, float] = (-math.inf, math.inf)
    """Values that no tick lies beyond."""
    whole: bool = True
    """Whether the horizontal axis shows only whole numbers, because it counts something."""
    unit: str = "{}"
    """A number of the horizontal axis with its unit, as a format: `epoch {}`."""
    names: Sequence[str] = ()
    """Names that replace the numbers 0, 1, 2 and so on of the horizontal axis."""
    powers: bool = False
    """Whether the numbers of the horizontal axis are exponents of ten, as of values on a logarithmic axis."""
    stops: Sequence[float] = ()
    """Where the cursor stops; empty for the points of the curves that are not in the back."""

    def cleaned(self) -> Plot:
        """The plot without values that are not finite, and without a range that is none."""
        fits = self.y_range and -math.inf < self.y_range[0] < self.y_range[1] < math.inf
        low, high = self.x_range
        return replace(
            self,
            curves=tuple(curve.finite() for curve in self.curves),
            bands=tuple(map(_finite, self.bands)),
            y_range=self.y_range if fits else None,
            x_range=(low, high if high > low else low + 1.0),
        )

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(len(curve.xs) for curve in self.curves)

    @cached_property
    def places(self) -> Sequence[float]:
        """Where the cursor stops, ascending."""
        return self.stops or sorted({x for curve in self.curves if curve.layer != "back" for x in curve.xs})

    @property
    def deepest(self) -> int:
        """How often the horizontal axis can be halved."""
        low, high = self.x_range
        return max(0, math.floor(math.log2((high - low) / 2 if self.whole else _CLOSEST))) if high > low else 0

    def view(self, cursor: float | None, zoom: int) -> tuple[float, float]:
        """The part of the horizontal axis in view: halved `zoom` times around the cursor, or at its end without one."""
        low, high = self.x_range
        zoom = min(zoom, self.deepest)
        if not zoom:
            return low, high
        width = (high - low) / 2**zoom
        if self.whole:
            width = float(max(2, round(width)))
        start = (high if cursor is None else cursor) - width / 2
        start = min(max(float(math.floor(start + 0.5)) if self.whole else start, low), high - width)
        return start, start + width

    def span(self, view: tuple[float, float]) -> tuple[float, float]:
        """The range of the values in view."""
        if self.y_range:
            return self.y_range
        least = 0.0 if self.logarithmic else -math.inf
        near = [curve for curve in self.curves if curve.layer != "back"]
        edges = [edge for band in self.bands for edge in ((band.xs, band.low), (band.xs, band.high))]
        for pairs in (
            [*((curve.xs, curve.ys) for curve in near), *edges],
            [(curve.xs, curve.ys) for curve in self.curves],
        ):
            for low, high in (view, self.x_range):
                ys = [y for xs, ys in pairs for x, y in zip(xs, ys, strict=True) if low <= x <= high and y > least]
                if ys:
                    return min(0.0, *ys) if self.from_zero and not self.logarithmic else min(ys), max(ys)
        return (0.1, 1.0) if self.logarithmic else (0.0, 1.0)


def _finite(band: Band) -> Band:
    kept = [
        (x, low, high)
        for x, low, high in zip(band.xs, band.low, band.high, strict=True)
        if math.isfinite(low) and math.isfinite(high)
    ]
    if len(kept) == len(band.xs):
        return band
    xs, low, high = zip(*kept, strict=True) if kept else ((), (), ())
    return replace(band, xs=xs, low=low, high=high)


def decimate(xs: Sequence[float], ys: Sequence[float], columns: int) -> tuple[Sequence[float], Sequence[float]]:
    """At most two points per column, the lowest and the highest, in their order. The drawing stays the same."""
    if len(xs) <= 2 * columns:
        return xs, ys
    kept: list[int] = []
    size = len(xs) / columns
    for column in range(columns):
        block = range(int(column * size), min(len(xs), int((column + 1) * size)))
        kept += sorted({min(block, key=ys.__getitem__), max(block, key=ys.__getitem__)})
    return [xs[i] for i in kept], [ys[i] for i in kept]


def drawing(
    plot: Plot,
    width: int,
    height: int,
    *,
    cursor: float | None = None,
    zoom: int = 0,
    colour: bool = True,
    tints: bool = True,
) -> list[list[Mote]]:
    """`plot` in `height` rows of `width` characters, the last two of which are the horizontal axis.

    `colour` says whether colours tell curves apart, and `tints` whether bands can have tints of them.
    """
    view, rows = plot.view(cursor, zoom), height - 2
    low, high = plot.span(view)
    down = scale(low, high, rows, logarithmic=plot.logarithmic, limits=plot.limits)
    numbers = labels(down.ticks)
    beside = dict(zip(map(down.row, down.ticks), numbers, strict=True))
    left = len(numbers[0])
    across = Across(*view, width - left - 1)
    canvas = _Canvas(across, down, colour, tints)
    g = glyphs()
    found = []
    for number, row in enumerate(canvas.rows(plot, cursor)):
        tick = beside.get(number)
        axis = (tick or " " * left) + (g.tick if tick else g.wall)
        found.append([*_plain(axis), *row])
    ticks = marks(across, plot.unit, whole=plot.whole, names=plot.names, powers=plot.powers, before=left)
    return [*found, *_below(ticks, left, across.cells)]


def _plain(text: str, ink: str = "quiet") -> Iterator[Mote]:
    return ((character, ink, "") for character in text)


def _below(ticks: Sequence[Mark], left: int, columns: int) -> Iterator[list[Mote]]:
    """The line of the horizontal axis, and its numbers; `left` is the width of the vertical axis's numbers."""
    g = glyphs()
    places = {tick.cell for tick in ticks}
    yield list(_plain(" " * left + g.corner + "".join(g.foot if x in places else g.floor for x in range(columns))))
    text = ""
    for tick in ticks:
        text = text.ljust(left + 1 + tick.start) + tick.text
    yield list(_plain(text))


class _Canvas:
    """The cells inside the axes."""

    def __init__(self, across: Across, down: Scale, colour: bool, tints: bool) -> None:
        self.across, self.down, self.colour, self.tints = across, down, colour, tints
        self.columns, self.height = across.cells, down.rows

    def rows(self, plot: Plot, cursor: float | None) -> Iterator[list[Mote]]:
        """The cells, row by row."""
        bands, curves, g = self._shade(plot.bands), self._owned(plot.curves), glyphs()
        here = -1 if cursor is None else self.across.cell(cursor)
        for y in range(self.height):
            row: list[Mote] = []
            for x in range(self.columns):
                upper, lower, thin, behind = bands.get((x, y), NO_SHADE)
                ground, whole = upper or lower, bool(upper and lower)
                if owned := curves.get((x, y)):
                    own = owned[1] if owned[1] in (upper, lower) else ""
                    tinted = self.tints and (whole or thin or own)
                    row.append((*owned, (own or ground) if tinted else ""))
                elif x == here:
                    row.append((g.wall, "quiet", ground if whole and self.tints else ""))
                elif not ground:
                    row.append((" ", "", ""))
                elif not self.tints:
                    row.append((g.behind if behind else g.band, "rule", ""))
                elif upper == lower:
                    row.append((" ", "quiet", ground))
                elif whole:
                    row.append((g.upper, "", f"{upper} {lower}"))
                else:
                    row.append((g.upper if upper else g.lower, "", ground))
            yield row

    def _owned(self, curves: Sequence[Curve]) -> dict[Spot, tuple[str, str]]:
        """The character of each cell that a curve goes through, and its ink."""
        drawn = [(curve, *self._traced(curve)) for curve in curves]
        through: dict[Spot, list[int]] = {}
        for number, (_, dots, _) in enumerate(drawn):
            for spot in dots:
                through.setdefault(spot, []).append(number)
        turns: Counter[tuple[int, ...]] = Counter()
        owned: dict[Spot, tuple[str, str]] = {}
        for spot in sorted(through):
            sharing = through[spot]
            if len(sharing) > 1:
                for layer in ("front", "middle", "back"):
                    if first := [number for number in sharing if drawn[number][0].layer == layer]:
                        break
                # Those that have measured a point here come before those that only pass by; equals take turns.
                equals = tuple([number for number in first if spot in drawn[number][2]] or first)
                number = equals[turns[equals] % len(equals)]
                turns[equals] += 1
            else:
                (number,) = sharing
            curve, dots, points = drawn[number]
            owned[spot] = self._character(curve, dots[spot], marked=spot in points), curve.ink
        return owned

    def _traced(self, curve: Curve) -> tuple[Dots, set[Spot]]:
        """The dots of a curve, and the cells of its points where these are so few that they are marked."""
        xs, ys = _around(curve, self.across.low, self.across.high)
        xs, ys = decimate(xs, ys, self.columns * ACROSS)
        points = [(self.across.dot(x), self.down.dot(y)) for x, y in zip(xs, ys, strict=True)]
        few = curve.layer != "back" and not curve.thin and len(points) * _SPARSE <= self.columns + 2 * _SPARSE
        scattered = curve.scattered and not self.colour
        marked = {spot for spot in map(_spot, points) if self._inside(spot)} if few or scattered else set()
        dots = {}
        if not scattered:
            dots = line(points, self.columns, self.height)
        for point in points if marked else ():
            if self._inside(spot := _spot(point)):
                dots[spot] = dots.get(spot, 0) | blot(point[1])
        return dots, marked

    def _inside(self, spot: Spot) -> bool:
        return 0 <= spot[0] < self.columns and 0 <= spot[1] < self.height

    def _character(self, curve: Curve, bits: int, *, marked: bool) -> str:
        g = glyphs()
        if curve.letter and not self.colour:
            return curve.letter
        if g is UNICODE:
            return character(bits & LEFT_DOTS or bits) if curve.thin else character(bits)
        return g.point if marked else g.thin if curve.thin else g.faint if curve.layer == "back" else g.curve

    def _shade(self, bands: Iterable[Band]) -> dict[Spot, Shade]:
        """The bands over each cell; of several, those that are not behind take turns, and the others fill the rest."""
        over: dict[Spot, list[Shade]] = {}
        for band in sorted(bands, key=lambda band: band.behind):
            halves: Counter[tuple[int, int]] = Counter()
            for x, top, bottom in self._columns(band):
                for half in range(max(top, 0) // 2, min(bottom, self.height * DOWN - 1) // 2 + 1):
                    halves[x // ACROSS, half] += min(bottom, 2 * half + 1) - max(top, 2 * half) + 1
            covered = {place for place, count in halves.items() if count > 1}
            for x, y in {(x, half // 2) for x, half in covered}:
                above, upper, lower, below = ((x, 2 * y + part) in covered for part in (-1, 0, 1, 2))
                thin = not (above and upper) and not (lower and below)
                shade = Shade(band.ink if upper else "", band.ink if lower else "", thin, band.behind)
                others = over.setdefault((x, y), [])
                if band.behind and others:
                    others[:] = [_filled(each, shade) for each in others]
                else:
                    others.append(shade)
        return {spot: each[sum(spot) % len(each)] for spot, each in over.items()}

    def _columns(self, band: Band) -> Iterator[tuple[int, int, int]]:
        """The highest and the lowest dot of a band in each column of dots."""
        dots = [
            (self.across.dot(x), self.down.dot(high), self.down.dot(low))
            for x, low, high in zip(band.xs, band.low, band.high, strict=True)
        ]
        for (x0, top0, bottom0), (x1, top1, bottom1) in pairwise(dots):
            for x in range(max(x0, 0), min(x1, self.columns * ACROSS)):
                share = (x - x0) / (x1 - x0)
                yield x, round(top0 + share * (top1 - top0)), round(bottom0 + share * (bottom1 - bottom0))
        if dots and 0 <= dots[-1][0] < self.columns * ACROSS:
            yield dots[-1]


def _filled(shade: Shade, behind: Shade) -> Shade:
    """`shade` with the band `behind` over the half that it leaves free."""
    return shade._replace(upper=shade.upper or behind.upper, lower=shade.lower or behind.lower)


def _spot(dot: tuple[int, int]) -> Spot:
    return dot[0] // ACROSS, dot[1] // DOWN


def _around(curve: Curve, low: float, high: float) -> tuple[Sequence[float], Sequence[float]]:
    """The points of a curve from the last one before a range to the first one after it."""
    first = max(0, bisect_right(curve.xs, low) - 1)
    last = bisect_right(curve.xs, high) + 1
    return curve.xs[first:last], curve.ys[first:last]
