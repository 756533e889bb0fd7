"""A line chart. plotext draws the canvas; this module adds the title and the axes, and sends only what changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import plotext
from rich.color import ColorParseError
from rich.style import Style
from rich.text import Text

from tui.drawing.cells import Cell, cells, spread
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget

MIN_WIDTH, MIN_HEIGHT = 24, 4
"""Size in cells below which a chart shows only its title and the latest values."""


LABEL_WIDTH = 6
"""Minimum width of the vertical axis's labels, in cells, so that the axes of stacked charts are aligned."""


@dataclass(frozen=True)
class Curve:
    """One curve."""

    name: str
    ink: str
    """Name of a theme variable."""
    xs: Sequence[float]
    ys: Sequence[float]
    latest: str = ""
    """Its most recent value, for the legend."""
    points: bool = False
    """Draw single points instead of a line where there is no colour to tell the curves apart."""
    marker: str = ""
    """Character to draw it with where there is no colour."""

    def finite(self) -> Curve:
        """The curve without points whose value is not finite."""
        if all(map(math.isfinite, self.ys)):
            return self
        kept = [(x, y) for x, y in zip(self.xs, self.ys, strict=True) if math.isfinite(y)]
        return replace(self, xs=[x for x, _ in kept], ys=[y for _, y in kept])


def decimate(xs: Sequence[float], ys: Sequence[float], columns: int) -> tuple[list[float], list[float]]:
    """At most two points per column, the lowest and the highest, in their order. The drawing stays the same."""
    if len(xs) <= 2 * columns:
        return list(xs), list(ys)
    kept: list[int] = []
    size = len(xs) / columns
    for column in range(columns):
        block = range(int(column * size), min(len(xs), int((column + 1) * size)))
        kept += sorted({min(block, key=ys.__getitem__), max(block, key=ys.__getitem__)})
    return [xs[i] for i in kept], [ys[i] for i in kept]


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers from `low` to `high`, in steps of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or count < 1:
        return [low]
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` numbers from `low` to `high` that are 1, 2 or 5 times a power of ten; `low` must be positive."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        values = [f * 10.0**e for e in exponents for f in factors if low * 0.999 <= f * 10.0**e <= high * 1.001]
        if len(values) <= count + 1:
            return values or [low, high]
    return values[:: max(1, len(values) // max(1, count))]


def labels(values: Sequence[float]) -> list[str]:
    """The numbers as text, with enough decimals to tell them apart, aligned at the decimal point."""
    if not values:
        return []
    decimals = max(_decimals(value) for value in values)
    texts = [f"{value:.{decimals}f}" for value in values]
    width = max(LABEL_WIDTH, *map(len, texts))
    return [text.rjust(width) for text in texts]


def _decimals(value: float) -> int:
    return next((d for d in range(7) if abs(round(value, d) - value) < 1e-9 + abs(value) * 1e-6), 7)


class Chart(CellWidget):
    """Curves under a title line with a legend and the latest values."""

    DEFAULT_CSS = "Chart { height: 1fr; }"

    def __init__(self, title: str, *, empty: str, whole: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self.whole = whole
        """Whether the horizontal axis shows only whole numbers, because it counts something."""
        self.x_names: Sequence[str] = ()
        """Names that replace the numbers 0, 1, 2 and so on."""
        self.title = title
        self.empty = empty
        """Text shown while there is nothing to draw."""
        self.curves: list[Curve] = []
        self.x_range = (0.0, 1.0)
        self.y_range: tuple[float, float] | None = None
        """None for the range of the curves."""
        self.logarithmic = False

    def show(
        self,
        curves: list[Curve],
        x_range: tuple[float, float],
        y_range: tuple[float, float] | None = None,
        *,
        logarithmic: bool = False,
    ) -> None:
        """Show these curves. Values that are not finite are left out."""
        curves = [curve.finite() for curve in curves]
        if y_range and not y_range[0] < y_range[1] < math.inf:
            y_range = None
        state = (curves, x_range, y_range, logarithmic)
        if state != (self.curves, self.x_range, self.y_range, self.logarithmic):
            self.curves, self.x_range, self.y_range, self.logarithmic = state
            self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title line, then plotext's canvas."""
        rows = [self._title_row(width)]
        if not any(len(curve.xs) for curve in self.curves):
            quiet = ink(self.app, "quiet")
            return rows + [[]] * max(0, (height - 2) // 2) + [cells((self.empty.center(width), quiet))]
        if width < MIN_WIDTH or height - 1 < MIN_HEIGHT:
            return rows
        return rows + self._canvas(width, height - 1)

    def _title_row(self, width: int) -> list[Cell]:
        g, rule = glyphs(), ink(self.app, "rule")
        left = cells((g.rule + " ", rule), (self.title, ink(self.app, "foreground", bold=True)))
        left += cells((f" log {g.rule}" if self.logarithmic else " ", ink(self.app, "quiet")))
        right: list[Cell] = []
        for curve in self.curves:
            if curve.latest:
                sample = g.point if curve.points and self._colourless() else g.solid
                right += cells((f" {sample} ", ink(self.app, curve.ink)), (f"{curve.name} ", ink(self.app, "quiet")))
                right += cells((f"{curve.latest} ", ink(self.app, "foreground")))
        return spread(left, right + cells((g.rule, rule)) if right else [], width, (g.rule, rule))

    def _colourless(self) -> bool:
        return self.app.no_color or glyphs() is not UNICODE

    def _canvas(self, width: int, height: int) -> list[list[Cell]]:
        low, high = self.y_range or self._span()
        scale = math.log10 if self.logarithmic else float
        floor = 1e-9
        if self.logarithmic:
            low = max(low, min((y for curve in self.curves for y in curve.ys if y > floor), default=0.01))
            high = max(high, low * 1.5)
            y_ticks = log_ticks(low, high, max(2, height // 3))
        else:
            y_ticks = self._ticks(low, high, max(2, height // 3))
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.limit_size(False, False)  # or plotext would use its own idea of the terminal's size
        plotext.plotsize(width, height)
        plotext.xaxes(True, False)
        plotext.yaxes(True, False)
        plotext.xlim(*self.x_range)
        plotext.ylim(scale(low), scale(high))
        plotext.yticks([scale(y) for y in y_ticks], labels(y_ticks))
        x_ticks = ticks(*self.x_range, max(1, min(15, width // 8)))
        if self.whole:
            x_ticks = [x for x in x_ticks if x == int(x)]
        names = [f"{x:g}" for x in x_ticks]
        if self.x_names:
            every = -(-len(self.x_names) * 7 // max(1, width - LABEL_WIDTH))
            x_ticks, names = [*range(len(self.x_names))][::every], list(self.x_names)[::every]
        plotext.xticks(x_ticks, names)
        inks = {}
        for number, curve in enumerate(self.curves):
            if not len(curve.xs):
                continue
            xs, ys = decimate(curve.xs, curve.ys, width)
            clipped = [scale(min(max(y, low, floor), high)) if self.logarithmic else min(max(y, low), high) for y in ys]
            # plotext gets a number per curve, replaced by a theme colour afterwards: this also works with 16 colours.
            colour = number + 1
            inks[colour] = curve.ink
            alone = curve.points and self._colourless()
            draw = plotext.scatter if alone else plotext.plot
            marker = glyphs().point if alone or len(xs) == 1 else glyphs().curve
            if curve.marker and self._colourless():
                marker = curve.marker
            draw(xs, clipped, marker=marker, color=colour)
        styles = {number: ink(self.app, name) for number, name in inks.items()}
        axis = ink(self.app, "quiet")
        return [_restyled(line, styles, axis) for line in plotext.build().rstrip("\n").split("\n")]

    @staticmethod
    def _ticks(low: float, high: float, count: int) -> list[float]:
        # An axis needs two numbers to show its scale.
        return next(
            (values for n in (count, count + 1, count + 2) if len(values := ticks(low, high, n)) > 1), [low, high]
        )

    def _span(self) -> tuple[float, float]:
        ys = [y for curve in self.curves for y in curve.ys]
        low, high = min(ys), max(ys)
        room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        return low - room, high + room


def _restyled(line: str, styles: dict[int, Style], axis: Style) -> list[Cell]:
    """A line of plotext's, with its colour numbers replaced by our styles."""
    text = Text.from_ansi(line)
    row = cells((text.plain, axis))
    if glyphs() is not UNICODE:
        row = [(_PLAIN.get(character, character), style) for character, style in row]
    for span in text.spans:
        style = span.style if isinstance(span.style, Style) else Style.parse(span.style)
        try:
            number = style.color.number if style.color else None
        except ColorParseError:
            number = None
        if number in styles:
            for x in range(span.start, span.end):
                row[x] = (row[x][0], styles[number])
    return row


_PLAIN = {"─": "-", "│": "|", "┤": "|", "┬": "+", "└": "+", "┴": "+", "┌": "+", "┐": "+", "┘": "+", "├": "|", "┼": "+"}
