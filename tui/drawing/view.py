"""How pictures are drawn: the mode of the whole app, and the colour map and value range of a screen."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from rich.color import ColorSystem
from textual.app import App

from engine.figures.requests import ColourMapName
from tui.drawing.raster import COLOUR_MAPS, Mode, Palette, modes_of, palette
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.theme import ink


def modes(app: App[object]) -> tuple[Mode, ...]:
    """The modes to choose from on this terminal, starting with the best that it is known to support."""
    return modes_of(app.console, no_color=app.no_color)


_known: WeakKeyDictionary[App[object], ColorSystem | None] = WeakKeyDictionary()
"""The colour system that was detected for the terminal of each app."""


def draw_in(app: App[object], mode: Mode) -> None:
    """Send as many colours as `mode` needs, even if the terminal reports fewer."""
    known = _known.setdefault(app, app.console._color_system)
    needed = {"24-bit": ColorSystem.TRUECOLOR, "256 colours": ColorSystem.EIGHT_BIT}.get(mode)
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

    def palette(self, app: App[object]) -> Palette:
        """The palette to draw with."""
        return palette(self.colours, self.mode, ink(app, "primary"), shades=glyphs() is UNICODE)

    def next_colours(self) -> ColourMapName:
        """The next colour map, cyclically."""
        return COLOUR_MAPS[(COLOUR_MAPS.index(self.colours) + 1) % len(COLOUR_MAPS)]
