"""Screen 6: why the network predicts it, by occlusion and other attribution methods."""

from tui.screens.occlusion.screen import OcclusionScreen

__all__ = ["OcclusionScreen"]
