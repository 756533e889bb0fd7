"""How pictures are drawn: the mode of the whole app, and the colour map and value range of a screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from rich.color import ColorSystem
from textual.app import App

from engine.figures.requests import ColourMapName
from tui.drawing.pixels import pixels_of
from tui.drawing.raster import COLOUR_MAPS, TEXT_MODES, Mode, Palette, modes_of, palette
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.theme import ink


def modes(app: App[Any]) -> tuple[Mode, ...]:
    """The modes to choose from on this terminal, starting with the best of text that it is known to support.

    Real pixels come last, where there is colour, until the terminal has said that it shows none.
    """
    text, pixels = modes_of(app.console, no_color=app.no_color), pixels_of(app)
    return (*text, "pixels") if len(text) > 1 and pixels and pixels.offered else text


def mode_now(app: App[Any], wanted: str) -> Mode:
    """The mode to draw in where the user wants `wanted`, or nothing in particular, if it is empty or not possible.

    If that is real pixels, the terminal is asked whether it shows them, and text is drawn until it has answered.
    """
    if wanted == "pixels" and (pixels := pixels_of(app)):
        pixels.ask()
        return "pixels" if pixels.state == "ready" else modes(app)[0]
    return next((known for known in TEXT_MODES if known == wanted), modes(app)[0])


_known: WeakKeyDictionary[App[Any], ColorSystem | None] = WeakKeyDictionary()
"""The colour system that was detected for the terminal of each app."""


_NEEDED = {
    "24-bit": ColorSystem.TRUECOLOR,
    "256 colours": ColorSystem.EIGHT_BIT,
    "pixels": ColorSystem.TRUECOLOR,  # the number of a picture is a colour
}


def draw_in(app: App[Any], mode: Mode) -> None:
    """Send as many colours as `mode` needs, even if the terminal reports fewer."""
    known = _known.setdefault(app, app.console._color_system)
    needed = _NEEDED.get(mode)
    if needed and known:
        needed = max(needed, known)
    app.console._color_system = needed or known
    app.screen.query("*").refresh()


@dataclass(frozen=True)
class View:
    """The settings that the keys `v`, `c` and `n` change."""

    mode: Mode
    colours: ColourMapName
    shared: bool
    """Whether all pictures share one value range; if not, each has its own."""

    def palette(self, app: App[Any]) -> Palette:
        """The palette to draw with."""
        return palette(self.colours, self.mode, ink(app, "primary"), shades=glyphs() is UNICODE)

    def next_colours(self) -> ColourMapName:
        """The next colour map, cyclically."""
        return COLOUR_MAPS[(COLOUR_MAPS.index(self.colours) + 1) % len(COLOUR_MAPS)]
