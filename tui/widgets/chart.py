"""A line chart with a legend, a cursor that reads off its curves, and zoom. It sends only what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.style import Style
from textual.color import Color

from tui.drawing.axis import power
from tui.drawing.cells import Cell, cells, clipped, spread
from tui.drawing.plot import Curve, Plot, drawing
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.theme import ink, solid
from tui.widgets.cells import CellWidget

MIN_WIDTH, MIN_HEIGHT = 24, 4
"""Size in cells, without title and legend, below which a chart shows only these."""
_TINT = 0.28
"""The share of a curve's colour in that of its band; the rest is background."""


class Chart(CellWidget):
    """Curves under a title and a legend with their latest values or, with a cursor, their values there."""

    DEFAULT_CSS = "Chart { height: 1fr; }"

    def __init__(self, title: str, *, empty: str, legend: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.empty = empty
        """Text shown while there is nothing to draw."""
        self.legend = legend
        """Whether it has a legend; without one, something beside it names the curves."""
        self.plot = Plot()
        """What it shows, without what is not finite."""
        self.cursor: float | None = None
        """A place on the horizontal axis; None for the latest values."""
        self.zoom = 0
        """How often the horizontal axis is halved around the cursor."""
        self._given = self.plot
        self._drawn: object = None

    @property
    def curves(self) -> Sequence[Curve]:
        """The curves that it shows, without values that are not finite."""
        return self.plot.curves

    def show(self, plot: Plot, title: str = "") -> None:
        """Show `plot`, under `title` if that is given, at the present cursor and zoom; leave out what is not finite."""
        self.title = title or self.title
        if plot != self._given:
            self._given, self.plot = plot, plot.cleaned()
        state = (self._given, self.title, self.cursor, self.zoom)
        if state != self._drawn:
            self._drawn = state
            self.redraw()

    # The cursor

    def move_cursor(self, by: int) -> None:
        """Move the cursor by this many points; after the last one there is none, and the latest values are shown."""
        self.look(self.beside(by), self.zoom)

    def beside(self, by: int) -> float | None:
        """The place of the point that is so many points from the cursor; None after the last one."""
        places = self.plot.places
        now = len(places)
        if self.cursor is not None:
            now = next((number for number, place in enumerate(places) if place >= (self.cursor or 0.0)), now)
        at = max(0, now + by)
        return places[at] if at < len(places) else None

    def zoom_in(self) -> None:
        """Halve the horizontal axis, around the cursor."""
        self.look(self.cursor, min(self.zoom + 1, self.plot.deepest))

    def zoom_out(self) -> None:
        """Undo one `zoom_in`."""
        self.look(self.cursor, max(0, min(self.zoom, self.plot.deepest) - 1))

    def zoom_reset(self) -> None:
        """Show the whole horizontal axis."""
        self.look(self.cursor, 0)

    def look(self, cursor: float | None, zoom: int) -> None:
        """Set the cursor and the zoom, for example to those of another chart."""
        self.cursor, self.zoom = cursor, zoom
        self.show(self._given)

    # Drawing

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title and the legend, then the curves between their axes."""
        if self.plot.empty:
            blank: list[list[Cell]] = [[] for _ in range(max(0, (height - 2) // 2))]
            rule = (glyphs().rule, ink(self.app, "rule"))
            title = spread(self._title(), [], width, rule)
            return [title, *blank, cells((self.empty.center(width), ink(self.app, "quiet")))]
        rows = list(self._head(width))
        if width < MIN_WIDTH or height - len(rows) < MIN_HEIGHT:
            return rows
        colour = not self.app.no_color and glyphs() is UNICODE
        # With 16 colours, a mixture of two would become one of them.
        tints = colour and self.app.console.color_system in ("truecolor", "256")
        motes = drawing(
            self.plot, width, height - len(rows), cursor=self.cursor, zoom=self.zoom, colour=colour, tints=tints
        )
        styles: dict[tuple[str, str], Style] = {}
        for row in motes:
            rows.append([])
            for character, name, ground in row:
                style = styles.get((name, ground))
                if style is None:
                    style = styles[name, ground] = self._style(name, ground)
                rows[-1].append((character, style))
        return rows

    def _style(self, name: str, ground: str) -> Style:
        """The style of ink over a band, either of which may be missing; without ink, it is that of the bands."""
        if not ground:
            return ink(self.app, name) if name else Style.null()
        paper, *colours = (Color.parse(solid(self.app, each)) for each in ("background", *ground.split()))
        tints = [paper.blend(colour, _TINT).rich_color for colour in colours]
        return (
            ink(self.app, name) + Style(bgcolor=tints[0]) if name else Style(color=tints[0], bgcolor=(*tints, None)[1])
        )

    def _title(self) -> list[Cell]:
        g, quiet = glyphs(), ink(self.app, "quiet")
        facts = ["log"] if self.plot.logarithmic else []
        facts += [f"zoom {2 ** min(self.zoom, self.plot.deepest)}x"] if self.zoom else []
        row = cells((g.rule + " ", ink(self.app, "rule")), (self.title, ink(self.app, "foreground", bold=True)))
        return row + cells(*((f" {fact}", quiet) for fact in facts), (" ", quiet))

    def _head(self, width: int) -> Iterator[list[Cell]]:
        """The title with the legend beside it or, where there is no room for it, below it."""
        rule = glyphs().rule, ink(self.app, "rule")
        title, entries = self._title(), list(self._entries()) if self.legend else []
        beside = [cell for entry in entries for cell in entry]
        if len(title) + len(beside) + 2 <= width:
            yield spread(title, [*beside, rule] if beside else [], width, rule)
            return
        yield spread(title, [], width, rule)
        row: list[Cell] = []
        for entry in entries:
            if row and len(row) + len(entry) > width:
                yield row
                row = []
            row = row + clipped(entry, width, ink(self.app, "quiet"))
        yield row

    def _entries(self) -> Iterator[list[Cell]]:
        """The entries of the legend: where the cursor is, then each curve, in the order of their names."""
        colour = not self.app.no_color and glyphs() is UNICODE
        text, quiet = ink(self.app, "foreground"), ink(self.app, "quiet")
        if self.cursor is not None:
            place = power(self.cursor) if self.plot.powers else f"{self.cursor:.4g}"
            yield cells((f" {self.plot.unit.format(place)} ", ink(self.app, "primary", bold=True)))
        told = set()
        for curve in self.plot.curves:
            if curve.name not in told:
                told.add(curve.name)
                value = curve.reading(self.cursor)
                yield cells(
                    (f" {curve.sample(colour=colour)} ", ink(self.app, curve.ink)),
                    (f"{curve.name} ", quiet),
                    (f"{value} " if value else "", text),
                )
        for band in self.plot.bands:
            if band.name and band.name not in told:
                told.add(band.name)
                sample = (f" {band.sample(colour=colour)} ", ink(self.app, band.ink if colour else "rule"))
                yield cells(sample, (f"{band.name} ", quiet))
