"""Screen 6: why the network says so."""

from tui.screens.occlusion.screen import OcclusionScreen

__all__ = ["OcclusionScreen"]
