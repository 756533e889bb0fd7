"""Screen 1: set up an experiment, train it, and follow its progress."""

from tui.screens.train.screen import TrainScreen

__all__ = ["TrainScreen"]
