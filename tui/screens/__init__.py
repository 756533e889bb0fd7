"""The numbered screens: one file each, or a folder with one file per page."""

from __future__ import annotations

import importlib

from textual.screen import Screen


def screen_of(mode: str) -> Screen[None]:
    """Create the screen of `mode`. Its module is imported only now, so that the first frame does not wait for NumPy."""
    module = importlib.import_module(f"tui.screens.{mode}")
    screen: Screen[None] = getattr(module, f"{mode.title()}Screen")()
    return screen
