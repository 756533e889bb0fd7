"""The occlusion screen, with the list of its pages."""

from __future__ import annotations

from textual.events import Resize

from tui.keys import bindings
from tui.screens.occlusion.methods import MethodsPage
from tui.screens.occlusion.occlusion import OcclusionPage
from tui.screens.occlusion.patch import PatchScreen
from tui.screens.occlusion.trust import TrustPage

ROOMY = (176, 48)
"""Columns and rows from which the digit can be twice as large without shrinking the maps."""


class OcclusionScreen(PatchScreen):
    """The notebook's section 2.4, with measurements of what it only asserts: that the network looks at the digit."""

    mode = "occlusion"
    BINDINGS = bindings("occlusion")
    colours = "viridis"
    page_types = (OcclusionPage, MethodsPage, TrustPage)

    def on_resize(self, event: Resize) -> None:
        """Draw the digit twice as large where there is room."""
        self.set_class(event.size.width >= ROOMY[0] and event.size.height >= ROOMY[1], "-roomy")
