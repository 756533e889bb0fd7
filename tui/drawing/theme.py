"""The dark and the light theme: muted greys, one accent colour, and colours for curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from textual.theme import Theme

if TYPE_CHECKING:
    from textual.app import App

# The curves have the Okabe-Ito colours, which colour-blind people can tell apart, darkened for the light theme. They
# also differ clearly in 256 colours and, as far as possible, in 16 colours.
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
        "curve-train": "#56b4e9",
        "curve-val": "#e69f00",
        "curve-test": "#3fbf8f",
        "curve-4": "#e58fc0",
        "curve-5": "#f0e442",
        "curve-6": "#ff7f5e",
        "curve-7": "#a99cff",
        "curve-8": "#d4d7dd",
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
        "curve-val": "#b85f00",
        "curve-test": "#00704e",
        "curve-4": "#a0457f",
        "curve-5": "#7a6a00",
        "curve-6": "#b3261e",
        "curve-7": "#5443c9",
        "curve-8": "#22262d",
        "quiet": "#5c636e",
        "rule": "#b4b9c1",
        "strong": "#000000",
    },
)
THEMES = (DARK, LIGHT)


def ink(app: App[object], name: str, *, bold: bool = False, reverse: bool = False) -> Style:
    """The style for `name`, a colour or variable of the current theme; unknown names have the foreground colour."""
    colour = app.theme_variables.get(name) or app.theme_variables["foreground"]
    return Style(color=colour, bold=bold or None, reverse=reverse or None)
