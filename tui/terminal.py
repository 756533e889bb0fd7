"""What the terminal at hand can show, and the glyphs that follow from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


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


UNICODE = Glyphs("─", "━", "╌", "·", "‹", "›", "★", "…", "braille", "⠒⠒", "•", "→", "·", "±")
ASCII = Glyphs("-", "#", "-", "|", "<", ">", "*", "...", ".", "..", "o", ">", ".", "+-")


def glyphs(environment: Mapping[str, str] = os.environ) -> Glyphs:
    """ASCII where the locale says that nothing else arrives (`LC_ALL=C`) or the terminal is dumb, else Unicode.

    An unset locale is no such statement: containers and SSH sessions without one show UTF-8 all the same.
    """
    locale = next((v for k in ("LC_ALL", "LC_CTYPE", "LANG") if (v := environment.get(k))), "")
    plain = locale.upper() in ("C", "POSIX") or environment.get("TERM") == "dumb"
    return ASCII if plain else UNICODE
