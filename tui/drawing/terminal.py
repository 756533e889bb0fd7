"""The capabilities of the terminal, and the glyphs to use on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from functools import cache
from typing import Literal

import msgspec

ColourSystem = Literal["auto", "256", "truecolor"]

PictureName = Literal["auto", "24-bit", "256", "none", "pixels"]
"""How pictures are drawn, as the settings name it: the best that the terminal reports, or always one of the modes."""
MODES_BY_NAME: dict[str, str] = {"24-bit": "24-bit", "256": "256 colours", "none": "glyphs", "pixels": "pixels"}
"""The picture modes by these names."""

TRUECOLOR = {"alacritty", "contour", "direct", "foot", "ghostty", "iterm2", "kitty", "rio", "wezterm"}
"""Words in the `TERM` of terminals with 24-bit colour. SSH forwards `TERM`, but not `COLORTERM`."""


ESCAPE_DELAY = 25
"""Milliseconds to wait after an escape character for the rest of a sequence: without one, it is the key `esc`."""


class Glyphs(msgspec.Struct, frozen=True):
    """The characters to draw with."""

    rule: str
    bar_full: str
    bar_empty: str
    dot: str
    """Separates two facts on a line."""
    left: str
    right: str
    """Around a value that the arrow keys change."""
    best: str
    true: str
    """Marks the actual class."""
    block: str
    """A piece of a thick bar."""
    ellipsis: str
    curve: str
    """A curve, in legends and where there is no braille."""
    point: str
    """A single measurement on a chart."""
    arrow: str
    """From the actual to the predicted class."""
    nothing: str
    """An inconspicuous zero."""
    spread: str
    """Between a mean and its standard deviation."""
    faint: str
    """A curve in the background, where there is no braille."""
    thin: str
    """A dotted curve, in legends and where there is no braille."""
    band: str
    """The area between two curves, where there is no colour."""
    behind: str
    """Such an area behind others."""
    upper: str
    lower: str
    """A cell whose upper or lower half such an area covers, in colour."""
    wall: str
    tick: str
    corner: str
    floor: str
    foot: str
    """The axes of a chart: the vertical one with a tick, the corner, the horizontal one with a tick."""
    marked: str
    """In front of a line that is marked."""
    opened: str
    """In front of the line of what is open."""
    ascending: str
    descending: str
    """At the head of the column that lines are sorted by."""
    degrees: str
    """The unit of temperatures."""


PICTURES = "▀▄█░▒▓≡═─╌╬⣿▁▂▃▅▆▇"
"""Characters of pictures and of curves."""

UNICODE = Glyphs(
    *("─", "━", "╌", "·", "‹", "›", "★", "◂", "█", "…", "⠒", "⠶", "→", "·", "±"),
    *("⠒", "⠂", "░", "·", "▀", "▄", "│", "┤", "└", "─", "┬", "✓", "▸", "▲", "▼", "°C"),
)
ASCII = Glyphs(
    *("-", "#", "-", "|", "<", ">", "*", "<", "#", "...", "*", "o", ">", ".", "+-"),
    *(".", ".", ".", ":", " ", " ", "|", "|", "+", "-", "+", "x", ">", "^", "v", "C"),
)


def glyphs(environment: Mapping[str, str] = os.environ, encoding: str | None = None) -> Glyphs:
    """ASCII if the locale is C or POSIX, if the terminal is dumb, or if `encoding` lacks a character; else Unicode.

    An unset locale does not mean ASCII: containers and SSH sessions without one usually show UTF-8. `encoding` defaults
    to that of standard error.
    """
    locale = next((v for k in ("LC_ALL", "LC_CTYPE", "LANG") if (v := environment.get(k))), "")
    plain = locale.upper() in ("C", "POSIX") or environment.get("TERM") == "dumb"
    return ASCII if plain or not _holds(encoding or getattr(sys.__stderr__, "encoding", "utf-8")) else UNICODE


@cache
def _holds(encoding: str) -> bool:
    """Whether `encoding` has all characters of UNICODE and PICTURES."""
    drawn = "".join(getattr(UNICODE, name) for name in Glyphs.__struct_fields__) + PICTURES
    try:
        drawn.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def colour_system(environment: Mapping[str, str] = os.environ) -> ColourSystem:
    """The colour system for Rich: from `TERM` if it implies more colours than Rich detects, or else `auto`."""
    term = environment.get("TERM", "").lower()
    if environment.get("COLORTERM") or term in ("", "dumb", "unknown"):
        return "auto"
    if not TRUECOLOR.isdisjoint(term.split("-")):
        return "truecolor"
    colours = 0 if term.endswith("256color") else _terminfo_colours(term)
    return "truecolor" if colours >= 1 << 24 else "256" if colours >= 256 else "auto"


def _terminfo_colours(term: str) -> int:
    """Number of colours in the terminal's terminfo entry; 0 without an entry, or without curses."""
    try:
        import curses

        curses.setupterm(term, 1)
        return max(0, curses.tigetnum("colors"))
    except (ImportError, curses.error):
        return 0


def escape_delay(environment: Mapping[str, str] = os.environ) -> int:
    """How long to wait after an escape character, in milliseconds: as `ESCDELAY` says, as for other programs.

    ESCAPE_DELAY where that is not a whole number from 0 to a minute.
    """
    wanted = environment.get("ESCDELAY", "").strip()
    known = wanted.isascii() and wanted.isdecimal() and len(wanted) <= 5 and int(wanted) <= 60_000
    return int(wanted) if known else ESCAPE_DELAY


def prepare(terminal: int, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set up `environment` for an app on the file descriptor `terminal`; call this before Textual is imported."""
    environment.setdefault("TEXTUAL_COLOR_SYSTEM", colour_system(environment))
    environment["ESCDELAY"] = str(escape_delay(environment))
    # Textual waits for the next frame after each change: at its 60 a second, for longer than a network takes to answer.
    environment.setdefault("TEXTUAL_FPS", "120")
    if all(os.get_terminal_size(terminal)):
        # If a shell exported them, the app would not notice when the terminal is resized.
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
