"""Screen 4: the kernels of both convolutions, what units look for, and all that is known of one unit."""

from tui.screens.filters.screen import FiltersScreen

__all__ = ["FiltersScreen"]
