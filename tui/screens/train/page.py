"""A page of the train screen."""

from __future__ import annotations

from tui.screens.pages import Page


class TrainPage(Page):
    """A page about the open run, below which its progress is shown."""

    def move(self, by: int) -> None:
        """Move its cursor up or down by this many rows."""

    def read(self, by: int) -> None:
        """Go to another epoch, this many further."""

    def entered(self) -> None:
        """Called when it comes to the front; the keys are the screen's then."""

    def left(self) -> None:
        """Called when another page comes to the front."""
