"""Screen 3: what the network predicts, where it is wrong, and whether its confidence and the labels can be trusted."""

from tui.screens.digits.screen import DigitsScreen

__all__ = ["DigitsScreen"]
