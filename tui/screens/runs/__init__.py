"""Screen 8: all runs, and the queue of experiments."""

from tui.screens.runs.screen import RunsScreen

__all__ = ["RunsScreen"]
