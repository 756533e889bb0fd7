"""What the terminal at hand can show, and the glyphs that follow from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Literal

ColourSystem = Literal["auto", "256", "truecolor"]

TRUECOLOR = {"alacritty", "contour", "direct", "foot", "ghostty", "iterm2", "kitty", "rio", "wezterm"}
"""Words in the `TERM` of terminals that have 24-bit colour: SSH hands on that name, but not `COLORTERM`."""


@dataclass(frozen=True)
class Glyphs:
    """The characters we draw with, in one look."""

    rule: str
    bar_full: str
    bar_empty: str
    dot: str
    """Between two facts on a line."""
    left: str
    right: str
    """Around a value that can be changed with the arrows."""
    best: str
    ellipsis: str
    curve: str
    """plotext's name of the marker that draws curves."""
    solid: str
    """A sample of a curve, for legends."""
    point: str
    """A single measurement on a chart."""
    arrow: str
    """From what is to what was said."""
    nothing: str
    """A zero that should not catch the eye."""
    spread: str
    """Between a mean and its standard deviation."""


PICTURES = "▀▄⣿"
"""Of pictures, and of curves where plotext draws them."""

UNICODE = Glyphs("─", "━", "╌", "·", "‹", "›", "★", "…", "braille", "⠒⠒", "•", "→", "·", "±")
ASCII = Glyphs("-", "#", "-", "|", "<", ">", "*", "...", ".", "..", "o", ">", ".", "+-")


def glyphs(environment: Mapping[str, str] = os.environ, encoding: str | None = None) -> Glyphs:
    """ASCII where the locale says that nothing else arrives (`LC_ALL=C`) or the terminal is dumb, else Unicode.

    An unset locale is no such statement: containers and SSH sessions without one show UTF-8 all the same. ASCII too
    where `encoding`, which is that of standard error if not given, lacks a character that we draw with.
    """
    locale = next((v for k in ("LC_ALL", "LC_CTYPE", "LANG") if (v := environment.get(k))), "")
    plain = locale.upper() in ("C", "POSIX") or environment.get("TERM") == "dumb"
    return ASCII if plain or not _holds(encoding or getattr(sys.__stderr__, "encoding", "utf-8")) else UNICODE


@cache
def _holds(encoding: str) -> bool:
    """Whether all that we draw with has a place in `encoding`."""
    drawn = "".join(getattr(UNICODE, field.name) for field in fields(Glyphs)) + PICTURES
    try:
        drawn.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def colour_system(environment: Mapping[str, str] = os.environ) -> ColourSystem:
    """The colours of a terminal whose `TERM` says more than Rich reads in it; `auto` is what Rich reads."""
    term = environment.get("TERM", "").lower()
    if environment.get("COLORTERM") or term in ("", "dumb", "unknown"):
        return "auto"
    if not TRUECOLOR.isdisjoint(term.split("-")):
        return "truecolor"
    colours = 0 if term.endswith("256color") else _terminfo_colours(term)
    return "truecolor" if colours >= 1 << 24 else "256" if colours >= 256 else "auto"


def _terminfo_colours(term: str) -> int:
    """How many the terminal's own description claims; 0 where there is none, or no library that reads it."""
    try:
        import curses

        curses.setupterm(term, 1)
        return max(0, curses.tigetnum("colors"))
    except (ImportError, curses.error):
        return 0


def prepare(terminal: int, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set `environment` for an app on the descriptor `terminal`; call it before Textual is imported."""
    environment.setdefault("TEXTUAL_COLOR_SYSTEM", colour_system(environment))
    if all(os.get_terminal_size(terminal)):
        # Exported by a shell, they would hold the size of that moment for good.
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
