"""The mode of real pixels: whether the terminal shows them, which pictures it has, and how much is sent to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from textual.app import App
from textual.color import Color
from textual.strip import Strip

from tui.drawing import graphics
from tui.drawing.cells import Cell

if TYPE_CHECKING:  # importing NumPy would delay the first frame
    from tui.drawing.overlay import Part
    from tui.drawing.png import Bitmap
    from tui.drawing.raster import Levels, Palette

PATIENCE = 0.5
"""Seconds after which a terminal that has not answered counts as one that shows no pictures."""
STALLED = 0.1
"""Seconds by which a timer is late where the program is too busy to have read an answer, as while PyTorch loads."""
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
        self.draw: Callable[[tuple[int, int], tuple[int, int, int] | None], Bitmap] | None = None
        """Makes its pixels: for cells of this size, and on a background of this colour or none."""
        self.waiting = ""
        """What must still be sent, where pictures are sent once, and shown by placeholders."""
        self.sent: dict[Part, str] = {}
        """What its parts are drawn with, where pictures are drawn over the text."""


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
        self._protocol: graphics.Protocol | None = None
        self._over: dict[int, tuple[object, tuple[Part, ...]]] = {}
        """What is drawn over the text: by the numbers of the pictures, what they show and in which parts."""
        self._dirty: set[int] = set()
        """The pictures that must be drawn again, since they have changed, or text was written over them."""
        self._numbers = count(FIRST)
        self._places: WeakKeyDictionary[object, list[Picture]] = WeakKeyDictionary()
        """The pictures of each widget, in the order in which it draws them."""
        self._drawn = 0
        self._owner: object = None
        self._credit, self._since = float(BURST), time.monotonic()
        self._flushing = self._soon = False

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
        self._wait_for_answer()

    def _wait_for_answer(self) -> None:
        self._app.set_timer(PATIENCE, partial(self._time_out, time.monotonic() + PATIENCE))

    def _time_out(self, due: float) -> None:
        """There was no answer until `due`; but if this comes late, one may have arrived that was not read yet."""
        if self.state == "asked" and time.monotonic() - due > STALLED:
            self._wait_for_answer()
        else:
            self._decide()

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
        before = self._facts.cell
        error = self._facts.hear(answer)
        if self.state == "asked" and ((self._facts.complete and not self._tmux) or self._facts.placeholders):
            self._decide()
        elif self.state == "ready" and error:
            self.refuse(f"the terminal shows no pictures after all ({error})")
        elif self.state == "ready" and self._facts.cell != before:  # those that are drawn have other sizes now
            self.changed()

    def _hear_name(self, name: str) -> None:
        self._facts.name = name
        if self._facts.graphics:
            self._decide()

    def _decide(self) -> None:
        if self.state != "asked":
            return
        self._protocol = self._facts.protocol(tmux=self._tmux)
        if self._protocol is None:
            passed = ", or set -g allow-passthrough on is missing in tmux" if self._tmux else ""
            self.refuse(f"this terminal shows no real pixels: it has none of kitty's, iTerm2's and sixel{passed}")
        elif self._protocol == "sixel" and not _knows_sixels():
            self.refuse("pictures as sixels need textual-image 0.12 or later: pip install textual-image")
        elif self._protocol == "sixel" and not self._known_cell():
            self.refuse("this terminal shows sixels, but does not tell the size of its cells in pixels")
        else:
            self.state = "ready"
            self.changed()

    def refuse(self, reason: str) -> None:
        """Draw pictures as text from now on."""
        self.close()
        self.reason = reason
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
            pictures = self._places.get(owner, [])
            some = bool(pictures)
            self._remove(pictures[self._drawn :])
            del pictures[self._drawn :]
            self._owner, self._drawn = before
        if self._protocol == "kitty":
            self._flush()
        elif some and not self._soon:
            self._soon = self._app.call_after_refresh(self._draw_soon)  # once the text is out

    def _paint(self, levels: Levels, colours: Palette, finer: int) -> list[list[Cell]] | None:
        """The cells of a picture, which is sent if it is new there; None if it is too large.

        `finer` is the number of pixels along a half of a cell.
        """
        from tui.drawing.png import bitmap_of

        height, width = levels.shape
        columns, rows = -(-width // finer), -(-height // (2 * finer))
        if max(columns, rows) > len(graphics.PLACES) or not levels.size or len(colours.rgb) > 254:
            return None
        places = self._places.setdefault(self._owner, [])
        if self._drawn == len(places):
            places.append(Picture(next(self._numbers)))
        picture, self._drawn = places[self._drawn], self._drawn + 1
        cell = self._known_cell() or graphics.USUAL_CELL
        ground = None if self._protocol == "kitty" else self._ground()
        shows = (levels.tobytes(), levels.shape, finer, colours.name, colours.accent, cell, ground)
        if picture.shows != shows:
            picture.shows = shows
            picture.draw = partial(bitmap_of, levels.copy(), colours, (columns, rows), finer)
            picture.sent = {}
            if self._protocol == "kitty":
                png = picture.draw(cell, ground).png()
                picture.waiting = graphics.transmission(picture.number, png, columns, rows, tmux=self._tmux)
        return [list(row) for row in graphics.placeholders(picture.number, columns, rows)]

    def seen(self, strips: Sequence[Strip], cell: tuple[int, int]) -> Iterator[tuple[Part, Bitmap]]:
        """The parts of pictures to be seen on a screen of these strips, each for cells of this size in pixels."""
        from tui.drawing import overlay

        known = {each.number: each for pictures in list(self._places.values()) for each in pictures}
        for number, parts in overlay.parts_of(strips).items():
            if (picture := known.get(number)) and picture.draw:
                bitmap = picture.draw(cell, self._ground())
                yield from ((part, overlay.cut(bitmap, part, cell)) for part in parts)

    def _ground(self) -> tuple[int, int, int]:
        """The colour of the background."""
        return Color.parse(self._app.theme_variables["background"]).rgb

    def _known_cell(self) -> tuple[int, int] | None:
        """Width and height of a cell in pixels; None if they are not known."""
        columns, rows = self._app.size
        known = self._facts.cell_of(columns, rows)
        terminal = getattr(self._app._driver, "fileno", None)
        if known is None and terminal is not None:
            known = graphics.told_by_system(terminal, columns, rows)
        return known

    def forget(self, owner: object) -> None:
        """Remove the pictures of a widget that is gone."""
        self._remove(self._places.pop(owner, []))

    def _remove(self, pictures: list[Picture]) -> None:
        if pictures and self._protocol == "kitty":
            self._send(graphics.removal([each.number for each in pictures], tmux=self._tmux))

    def resized(self) -> None:
        """The terminal changed its size, perhaps by that of its font: ask for the size of a cell again."""
        if self.state == "ready":
            self._ask("\x1b[16t")

    def close(self) -> None:
        """Remove all pictures, and draw no more."""
        for owner in list(self._places):
            self.forget(owner)
        self.state = "refused"

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
            self._wait(len(waiting[0].waiting))

    def _wait(self, size: int) -> None:
        """Go on once so many bytes may be sent."""
        if not self._flushing:
            self._flushing = True
            self._app.set_timer(max(0.01, (min(size, BURST) - self._left()) / RATE), self._go_on)

    def _go_on(self) -> None:
        self._flushing = False
        if self._protocol == "kitty":
            self._flush()
        else:
            self.draw_over(None)

    def _draw_soon(self) -> None:
        self._soon = False
        self.draw_over(None)

    @property
    def over_text(self) -> bool:
        """Whether pictures are drawn over the text, which has blanks in their places."""
        return self.state == "ready" and self._protocol != "kitty"

    def draw_over(self, update: Any) -> None:
        """Draw pictures over the text, as far as the rate allows; the rest later.

        Those that have changed or moved, and those that `update`, which was sent just before, has written over.
        """
        from tui.drawing import overlay

        if not self.over_text or not self._app.screen_stack:
            return
        if not self._places and not self._over:
            return
        screen = self._app.screen
        parts = overlay.parts_of(screen._compositor.render_strips())
        known = {each.number: each for pictures in list(self._places.values()) for each in pictures}
        # A picture in the last row would make the terminal scroll.
        last = self._app.size.height - 1
        visible = {
            number: tuple(part for part in places if part.y + part.rows <= last)
            for number, places in parts.items()
            if number in known
        }
        touched = overlay.touched_by(update, screen.size.region)
        self._over = {number: state for number, state in self._over.items() if number in visible}
        self._dirty &= visible.keys()
        for number, places in visible.items():
            if self._over.get(number) != (known[number].shows, places) or overlay.touches(touched, places):
                self._dirty.add(number)
        for number in sorted(self._dirty):
            sent = self._drawn_over(known[number], visible[number])
            if self._left() < len(sent) and self._left() < BURST:
                self._wait(len(sent))
                return
            self._send(sent)
            self._over[number] = known[number].shows, visible[number]
            self._dirty.discard(number)

    def _drawn_over(self, picture: Picture, parts: tuple[Part, ...]) -> str:
        """The control sequences that draw these parts of a picture."""
        from tui.drawing import overlay

        assert picture.draw is not None
        if not set(parts) <= picture.sent.keys():
            encode = overlay.for_sixel if self._protocol == "sixel" else overlay.for_iterm
            cell = self._known_cell() or graphics.USUAL_CELL
            bitmap = picture.draw(cell, self._ground())
            for part in parts:
                picture.sent[part] = overlay.at(part, encode(overlay.cut(bitmap, part, cell), part))
        return "".join(picture.sent[part] for part in parts)

    def _left(self) -> float:
        now = time.monotonic()
        self._credit = min(float(BURST), self._credit + (now - self._since) * RATE)
        self._since = now
        return self._credit

    def _send(self, text: str) -> None:
        self._credit = self._left() - len(text)
        if (driver := self._app._driver) is not None:
            driver.write(text)


def _knows_sixels() -> bool:
    """Whether the library that makes them is installed."""
    from tui.drawing.overlay import sixels

    try:
        sixels()
    except ImportError:
        return False
    return True


def pixels_of(app: App[Any]) -> Pixels | None:
    """The pictures of `app`; None for one that has none."""
    found = getattr(app, "pixels", None)
    return found if isinstance(found, Pixels) else None
