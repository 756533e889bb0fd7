"""The numbered screens: a file each, or a folder with a file a page."""

from __future__ import annotations

import importlib

from textual.screen import Screen


def screen_of(mode: str) -> Screen[None]:
    """A new screen of a mode. Its module is imported when somebody goes there: the first frame does without NumPy."""
    module = importlib.import_module(f"tui.screens.{mode}")
    screen: Screen[None] = getattr(module, f"{mode.title()}Screen")()
    return screen
