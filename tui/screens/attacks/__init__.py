"""Screen 7: how easily the network is fooled."""

from tui.screens.attacks.screen import AttacksScreen

__all__ = ["AttacksScreen"]
