"""The dark and the light theme: muted greys, one accent colour, and colours for curves."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.style import Style
from textual.theme import Theme

from engine.words import shortened

if TYPE_CHECKING:
    from textual.app import App

# The curves have the colours of Okabe and Ito, which colour-blind people can tell apart, each in its role in figures,
# but lighter in the dark theme and darker in the light one. They also differ clearly in 256 colours and, as far as
# possible, in 16 colours. The ten classes have hues of their own, as far apart as ten can be.
DARK = Theme(
    name="mnist-dark",
    primary="#56b4e9",
    secondary="#e69f00",
    accent="#56b4e9",
    warning="#e69f00",
    error="#ff6b5e",
    success="#3fbf8f",
    foreground="#d4d7dd",
    background="#14161a",
    surface="#1a1d22",
    panel="#23272e",
    dark=True,
    variables={
        "curve-running": "#6b7280",
        "curve-train": "#3a9ff0",
        "curve-val": "#f5793a",
        "curve-test": "#2fbf8f",
        "curve-4": "#e58fc0",
        "curve-5": "#f2bc1d",
        "curve-6": "#9bdcff",
        "curve-7": "#e8eaee",
        "curve-8": "#8c8f96",
        "curve-9": "#c2557f",
        "class-0": "#4e9bff",
        "class-1": "#ff9f2e",
        "class-2": "#3ecf6b",
        "class-3": "#ff5d6c",
        "class-4": "#b98cff",
        "class-5": "#b98a5c",
        "class-6": "#ff8ad8",
        "class-7": "#a8b0bd",
        "class-8": "#d9d62e",
        "class-9": "#2fd6d6",
        "quiet": "#8a919e",
        "rule": "#4b5361",
        "strong": "#ffffff",
    },
)
LIGHT = Theme(
    name="mnist-light",
    primary="#0069a6",
    secondary="#a85800",
    accent="#0069a6",
    warning="#a85800",
    error="#b3261e",
    success="#00704e",
    foreground="#22262d",
    background="#fbfbf9",
    surface="#f3f3ef",
    panel="#e7e8e4",
    dark=False,
    variables={
        "curve-running": "#9aa0a9",
        "curve-train": "#0069a6",
        "curve-val": "#c24e00",
        "curve-test": "#00795a",
        "curve-4": "#b0588f",
        "curve-5": "#a67400",
        "curve-6": "#3f97c9",
        "curve-7": "#16181c",
        "curve-8": "#7f848c",
        "curve-9": "#822255",
        "class-0": "#1f5fd0",
        "class-1": "#d96b00",
        "class-2": "#1a8a3c",
        "class-3": "#d0232f",
        "class-4": "#7a3fd1",
        "class-5": "#7a4a24",
        "class-6": "#c8329b",
        "class-7": "#6b7280",
        "class-8": "#8f8a00",
        "class-9": "#00899a",
        "quiet": "#5c636e",
        "rule": "#b4b9c1",
        "strong": "#000000",
    },
)
THEMES = (DARK, LIGHT)
CURVE_INKS = {"robust": "curve-5", "certified": "curve-4"}
"""Colours of curves that are not named after them."""
SERIES = ("curve-train", "curve-val", "curve-test", "curve-4", "curve-5", "curve-6", "curve-7", "curve-8")
"""The colours of curves that have no role, in order: in figures, these are the same colours of Okabe and Ito."""


def no_theme(name: str, known: Iterable[str]) -> str:
    """What to say of a theme that does not exist."""
    return f"there is no theme {shortened(name)!r}: choose one of {', '.join(sorted(known))}"


def ink(app: App[object], name: str, *, bold: bool = False, reverse: bool = False) -> Style:
    """The style for `name`, a colour or variable of the current theme; unknown names have the foreground colour."""
    colour = app.theme_variables.get(name) or app.theme_variables["foreground"]
    colour = colour.removeprefix("ansi_")  # what Textual calls the terminal's own colours, of which two themes are made
    return _style(colour, bold, reverse)


@lru_cache(1024)
def _style(colour: str, bold: bool, reverse: bool) -> Style:
    """One object for equal styles: cells of two frames are then equal at once, without a comparison by values."""
    return Style(color=colour, bold=bold or None, reverse=reverse or None)


def solid(app: App[object], name: str) -> str:
    """The colour `name` of the current theme, also where it is the terminal's own: then that of our own theme."""
    colour = app.theme_variables[name]
    ours = DARK if app.current_theme.dark else LIGHT
    return str(getattr(ours, name)) if colour.startswith("ansi_") else colour
