"""A map of images: a point for each in the colour of its class, with a cursor on one of them, and zoom."""

from __future__ import annotations

import numpy as np
from textual.events import Click
from textual.message import Message

from engine.geometry import CLASSES
from engine.inspection.map_events import ImagesEmbedded
from tui.drawing.cells import Cell, cells
from tui.drawing.scatter import MISTAKE, Window, binned, drawn
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget, title_row

DEEPEST = 6
"""How often the map can be halved."""
TALL = 2
"""A cell is about so many times as high as it is wide."""


class Scatter(CellWidget):
    """The points of a map; the arrow keys move to the next cell with points in their direction."""

    DEFAULT_CSS = "Scatter { height: 1fr; }"

    class Moved(Message):
        """The cursor moved to another point."""

    class Opened(Message):
        """The user asked for the digit under the cursor."""

    def __init__(self, *, empty: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = empty
        """The text shown while there is nothing to draw."""
        self.titles: tuple[str, ...] = ("",)
        """The title, and shorter ones for less room."""
        self.event: ImagesEmbedded | None = None
        self.cursor = 0
        """The index of the image under the cursor."""
        self.zoom = 0
        """How often the map is halved around its centre."""
        self.only = -1
        """The only class that is not faint; -1 for all."""
        self._centre: np.ndarray | None = None

    def show(self, titles: tuple[str, ...], event: ImagesEmbedded | None, only: int = -1) -> None:
        """Show a map under the first of `titles` that fits; None while there is none.

        `only` is the one class that is not faint, -1 for all.
        """
        self.titles, self.event, self.only = titles, event, only
        if event:
            self.cursor = min(self.cursor, event.count - 1)
        self.redraw()

    @property
    def wrong(self) -> np.ndarray:
        """Which images are mistakes, (n,) bool, of the class in view; none without a map."""
        if self.event is None:
            return np.zeros(0, bool)
        wrong: np.ndarray = self.event.predictions != self.event.labels
        return wrong & (self.event.labels == self.only) if self.only >= 0 else wrong

    # Moving the cursor

    def _window(self) -> Window:
        assert self.event is not None
        window = Window.around(self.event.points, self._centre, self.zoom)
        here = self.event.points[self.cursor]
        if self.zoom and not window.holds(here):  # the map or the cursor has moved out of view
            self._centre = here
            window = Window.around(self.event.points, here, self.zoom)
        return window

    def _places(self) -> np.ndarray | None:
        """The cells of all points, (n, 2); None while nothing is drawn."""
        columns, rows = self.size.width, self.size.height - 1
        if self.event is None or columns < 1 or rows < 1:
            return None
        return self._window().placed(self.event.points, columns, rows)

    def move(self, across: int, down: int) -> None:
        """Move the cursor to the nearest point of another cell in a direction: within 45 degrees, or else beyond."""
        places = self._places()
        if places is None:
            return
        steps = places - places[self.cursor]
        ahead = steps[:, 0] * across + steps[:, 1] * down  # in cells, and in units of their width:
        along, aside = (ahead, TALL * abs(steps[:, 1])) if across else (TALL * ahead, abs(steps[:, 0]))
        cost = along**2 + 2.0 * aside**2 + np.where(aside > along, 1e6, 0.0)
        cost[ahead <= 0] = np.inf
        self._to_cell(places, cost)

    def page(self, pages: int) -> None:
        """Move the cursor up (negative `pages`) or down by half the height of the map."""
        places = self._places()
        if places is not None:
            half = max(1, (self.size.height - 1) // 2)
            self._to(places, places[self.cursor] + np.array([0, pages * half]))

    def jump(self, index: int) -> None:
        """Move the cursor to the first image of the split (0), or the last one of the map (-1)."""
        if self.event:
            self.go_to(index % self.event.count)

    def go_to(self, index: int) -> None:
        """Move the cursor to an image."""
        if self.event and 0 <= index < self.event.count and index != self.cursor:
            self.cursor = index
            self.redraw()
            self.post_message(self.Moved())

    def next_mistake(self) -> None:
        """Move the cursor to the next mistake by its index, of the class in view."""
        found = np.flatnonzero(self.wrong)
        if len(found):
            later = found[found > self.cursor]
            self.go_to(int(later[0] if len(later) else found[0]))

    def on_click(self, event: Click) -> None:
        """Move the cursor to the point nearest to the click; a click on the cell of the cursor opens it."""
        places = self._places()
        if places is None or event.y < 1:
            return
        target = np.array([event.x, event.y - 1])
        if (places[self.cursor] == target).all():
            self.post_message(self.Opened())
        else:
            self._to(places, target)

    def _to(self, places: np.ndarray, target: np.ndarray) -> None:
        away = (places - target) * (1, TALL)
        self._to_cell(places, (away.astype(float) ** 2).sum(axis=1))

    def _to_cell(self, places: np.ndarray, cost: np.ndarray) -> None:
        """Move the cursor to the point that stands for the cell of least cost: a mistake, or one of its class."""
        if self.event is None or not np.isfinite(best := cost.min()):
            return
        at = places[int(np.flatnonzero(cost == best)[0])]
        inside = np.flatnonzero((places == at).all(axis=1))
        labels = self.event.labels[inside]
        most = int(np.bincount(labels, minlength=CLASSES).argmax())
        if self.only >= 0 and (labels == self.only).any():
            most = self.only
        order = np.lexsort((inside, labels != most, ~self.wrong[inside]))
        self.go_to(int(inside[order[0]]))

    # Zoom

    def zoom_in(self) -> None:
        """Halve the part in view, around the cursor."""
        self._zoom_to(min(self.zoom + 1, DEEPEST))

    def zoom_out(self) -> None:
        """Show twice as much of both axes."""
        self._zoom_to(max(self.zoom - 1, 0))

    def zoom_reset(self) -> None:
        """Show all points."""
        self._zoom_to(0)

    def _zoom_to(self, zoom: int) -> None:
        if self.event:
            self.zoom, self._centre = zoom, self.event.points[self.cursor]
            self.redraw()

    # Drawing

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title with the legend, then the points."""
        colour = not self.app.no_color and glyphs() is UNICODE
        event, quiet = self.event, ink(self.app, "quiet")
        if event is None:
            blank: list[list[Cell]] = [[] for _ in range(max(0, (height - 2) // 2))]
            return [title_row(self, self.titles[0], [], width), *blank, cells((self.empty.center(width), quiet))]
        legend = self._legend()
        title = next((each for each in self.titles if len(each) + len(legend) + 5 <= width), self.titles[-1])
        rows = [title_row(self, title, legend, width)]
        if height < 2:
            return rows
        window = self._window()
        bins = binned(event.points, event.labels, self.wrong, window, width, height - 1, self.only)
        for line in drawn(bins, colour=colour, only=self.only):
            rows.append([(letter, ink(self.app, name, bold=bold)) for letter, name, bold in line])
        ((x, y),) = window.placed(event.points[self.cursor : self.cursor + 1], width, height - 1).tolist()
        if 0 <= x < width and 0 <= y < height - 1:
            label = int(event.labels[self.cursor])
            name = f"class-{label}" if colour else "foreground"
            rows[1 + y][x] = (str(label), ink(self.app, name, bold=True, reverse=True))
        return rows

    def _legend(self) -> list[Cell]:
        colour = not self.app.no_color and glyphs() is UNICODE
        quiet = ink(self.app, "quiet")
        zoom = [(f"{2**self.zoom}x ", quiet)] if self.zoom else []
        names = [
            (f"{number} ", ink(self.app, f"class-{number}" if colour else "foreground", bold=True))
            for number in range(CLASSES)
            if self.only in (-1, number)
        ]
        return cells(
            (" ", quiet),
            *zoom,
            *names,
            (MISTAKE, ink(self.app, "strong", bold=True)),
            (f" {self.wrong.sum():,} ", quiet),
        )
