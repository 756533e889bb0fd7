"""The digits screen, with the list of its pages."""

from __future__ import annotations

from typing import cast

from tui.keys import bindings
from tui.screens.digits.audit import AuditPage
from tui.screens.digits.digits import DigitsPage
from tui.screens.digits.map import MapPage
from tui.screens.inspect_pages import InspectPages

MATRIX = "matrix"
"""The name of the confusion matrix, which belongs to the page of the digits, in the registry of commands."""


class DigitsScreen(InspectPages):
    """What the network predicts, where it is wrong, and whether its confidence and the labels can be trusted."""

    mode = "digits"
    BINDINGS = bindings("digits")
    page_types = (DigitsPage, AuditPage, MapPage)

    @property
    def digits(self) -> DigitsPage:
        """The page of single digits, with the confusion matrix."""
        return cast(DigitsPage, self.pages["digits"])

    @property
    def audit(self) -> AuditPage:
        """The page of the audit."""
        return cast(AuditPage, self.pages["audit"])

    @property
    def map(self) -> MapPage:
        """The page of the map."""
        return cast(MapPage, self.pages["map"])

    def on_screen_resume(self) -> None:
        """Move the cursors to the current digit, which may have changed on another screen, where it is listed."""
        self.digits.find_digit()
        self.map.find_digit()

    # The matrix, which is in front as if it were a page

    def page_titles(self) -> dict[str, str]:
        digits, *others = super().page_titles().items()
        return dict([digits, (MATRIX, "confusion matrix"), *others])

    @property
    def front(self) -> str:
        return MATRIX if self.page is self.digits and self.digits.matrix else super().front

    async def turn_to(self, name: str) -> None:
        own = name in (MATRIX, self.first)
        await super().turn_to(self.first if own else name)
        self.zoomed, self.digits.matrix = False, name == MATRIX

    # Keys

    def action_export_second(self) -> None:
        """Export the confusion matrix."""
        self.workspace.export(self.as_drawn(self.digits.evaluated))
