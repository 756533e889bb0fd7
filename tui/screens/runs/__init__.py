"""Screen 8: the runs there are, and what waits to become one."""

from tui.screens.runs.screen import RunsScreen

__all__ = ["RunsScreen"]
