"""The mode of real pixels: whether the terminal shows them, which pictures it has, and how much is sent to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from textual.app import App

from tui.drawing import graphics
from tui.drawing.cells import Cell

if TYPE_CHECKING:  # importing NumPy would delay the first frame
    from tui.drawing.raster import Levels, Palette

PATIENCE = 0.5
"""Seconds after which a terminal that has not answered counts as one that shows no pictures."""
RATE, BURST = 120_000, 60_000
"""Bytes of pictures a second, and at once: at most 180 kB in any second, which leaves room for the text."""
FIRST = 1 << 16
"""The number of the first picture. Pictures of other programs in the same terminal mostly have small numbers."""


class Picture:
    """A place for a picture on the screen, with what it shows."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.shows: object = None
        """What the terminal shows there, or is about to."""
        self.waiting = ""
        """What must still be sent for that."""


class Pixels:
    """The pictures of an app in its terminal, once that has said that it shows them."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self.state = "unknown"
        """unknown, asked, ready, refused."""
        self.reason = ""
        """Why it is refused."""
        self.changed: Callable[[], None] = lambda: None
        """Called when the state has changed."""
        self._facts = graphics.Facts()
        self._tmux = False
        self._numbers = count(FIRST)
        self._places: WeakKeyDictionary[object, list[Picture]] = WeakKeyDictionary()
        """The pictures of each widget, in the order in which it draws them."""
        self._drawn = 0
        self._owner: object = None
        self._credit, self._since = float(BURST), time.monotonic()
        self._flushing = False

    # Whether

    @property
    def offered(self) -> bool:
        """Whether the terminal may show pictures, as far as is known."""
        return self.state != "refused" and hasattr(self._app._driver, "ask")

    def ask(self) -> None:
        """Ask the terminal whether it shows pictures, unless it was asked already."""
        if self.state != "unknown" or not self.offered:
            return
        self.state, self._tmux = "asked", graphics.in_tmux()
        if self._tmux:
            self._app.run_worker(self._ask_tmux, thread=True, exit_on_error=False)
        self._ask(graphics.question(tmux=self._tmux))
        self._app.set_timer(PATIENCE, self._decide)

    def _ask_tmux(self) -> None:
        """Ask tmux for the terminal's name, in a thread of its own."""
        name = graphics.outside_tmux()
        self._app.call_later(self._hear_name, name)

    def _ask(self, question: str) -> None:
        ask = getattr(self._app._driver, "ask", None)
        if ask is not None:
            ask(question)

    def hear(self, answer: str) -> None:
        """Take an answer of the terminal."""
        error = self._facts.hear(answer)
        if self.state == "asked" and (self._facts.complete or self._facts.placeholders):
            self._decide()
        elif self.state == "ready" and error:
            self.refuse(f"the terminal shows no pictures after all ({error})")

    def _hear_name(self, name: str) -> None:
        self._facts.name = name
        if self._facts.graphics:
            self._decide()

    def _decide(self) -> None:
        if self.state != "asked":
            return
        if self._facts.placeholders:
            self.state = "ready"
            self.changed()
        else:
            passed = ", or set -g allow-passthrough on is missing in tmux" if self._tmux else ""
            self.refuse(f"this terminal shows no real pixels (kitty and Ghostty do){passed}")

    def refuse(self, reason: str) -> None:
        """Draw pictures as text from now on."""
        self.close()
        self.state, self.reason = "refused", reason
        self.changed()

    # Drawing

    @contextmanager
    def drawing(self, owner: object) -> Iterator[None]:
        """Within the context, pictures in this mode are those of `owner`, a widget, which draws all that it has."""
        if self.state != "ready":
            yield
            return
        from tui.drawing.raster import painting_by

        before, self._owner, self._drawn = (self._owner, self._drawn), owner, 0
        try:
            with painting_by(self._paint):
                yield
        finally:
            self._remove(self._places.get(owner, [])[self._drawn :])
            del self._places.get(owner, [])[self._drawn :]
            self._owner, self._drawn = before
        self._flush()

    def _paint(self, levels: Levels, colours: Palette, finer: int) -> list[list[Cell]] | None:
        """The cells of a picture, which is sent if it is new there; None if it is too large.

        `finer` is the number of pixels along a half of a cell.
        """
        from tui.drawing.png import picture_of

        height, width = levels.shape
        columns, rows = -(-width // finer), -(-height // (2 * finer))
        if max(columns, rows) > len(graphics.PLACES) or not levels.size or len(colours.rgb) > 254:
            return None
        places = self._places.setdefault(self._owner, [])
        if self._drawn == len(places):
            places.append(Picture(next(self._numbers)))
        picture, self._drawn = places[self._drawn], self._drawn + 1
        cell = self._cell()
        shows = (levels.tobytes(), levels.shape, finer, colours.name, colours.accent, cell)
        if picture.shows != shows:
            picture.shows = shows
            png = picture_of(levels, colours, (columns, rows), finer, cell)
            picture.waiting = graphics.transmission(picture.number, png, columns, rows, tmux=self._tmux)
        return [list(row) for row in graphics.placeholders(picture.number, columns, rows)]

    def _cell(self) -> tuple[int, int]:
        """Width and height of a cell in pixels."""
        columns, rows = self._app.size
        known = self._facts.cell_of(columns, rows)
        terminal = getattr(self._app._driver, "fileno", None)
        if known is None and terminal is not None:
            known = graphics.told_by_system(terminal, columns, rows)
        return known or graphics.USUAL_CELL

    def forget(self, owner: object) -> None:
        """Remove the pictures of a widget that is gone."""
        self._remove(self._places.pop(owner, []))

    def _remove(self, pictures: list[Picture]) -> None:
        if pictures:
            self._send(graphics.removal([each.number for each in pictures], tmux=self._tmux))

    def resized(self) -> None:
        """The terminal changed its size, perhaps by that of its font: ask for the size of a cell again."""
        if self.state == "ready":
            self._ask("\x1b[16t")

    def close(self) -> None:
        """Remove all pictures."""
        for owner in list(self._places):
            self.forget(owner)

    # Sending

    def _flush(self) -> None:
        """Send what waits, as far as the rate allows; the rest later. Of a picture, only the latest is sent."""
        waiting = [each for pictures in list(self._places.values()) for each in pictures if each.waiting]
        for number, each in enumerate(waiting):
            if self._left() < len(each.waiting) and self._left() < BURST:
                waiting = waiting[number:]
                break
            self._send(each.waiting)
            each.waiting = ""
        else:
            return
        if not self._flushing:
            self._flushing = True
            need = min(len(waiting[0].waiting), BURST) - self._left()
            self._app.set_timer(max(0.01, need / RATE), self._go_on)

    def _go_on(self) -> None:
        self._flushing = False
        self._flush()

    def _left(self) -> float:
        now = time.monotonic()
        self._credit = min(float(BURST), self._credit + (now - self._since) * RATE)
        self._since = now
        return self._credit

    def _send(self, text: str) -> None:
        self._credit = self._left() - len(text)
        if (driver := self._app._driver) is not None:
            driver.write(text)


def pixels_of(app: App[Any]) -> Pixels | None:
    """The pictures of `app`; None for one that has none."""
    found = getattr(app, "pixels", None)
    return found if isinstance(found, Pixels) else None
