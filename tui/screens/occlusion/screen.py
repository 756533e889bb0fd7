"""The occlusion screen: the registry of its pages."""

from __future__ import annotations

from textual.events import Resize

from tui.commands import bindings
from tui.screens.occlusion.maps import MapsPage
from tui.screens.occlusion.methods import MethodsPage
from tui.screens.occlusion.patch import PatchScreen
from tui.screens.occlusion.trust import TrustPage

ROOMY = (176, 48)
"""Columns and rows of a terminal in which a digit twice as large leaves the maps their size."""


class OcclusionScreen(PatchScreen):
    """The notebook's section 2.4, and what it only asserts: that the network looks at the digit."""

    mode = "occlusion"
    BINDINGS = bindings("occlusion", paged=True)
    colours = "viridis"
    page_types = (MapsPage, MethodsPage, TrustPage)

    def on_resize(self, event: Resize) -> None:
        """Where there is plenty of room, the digit is twice as large."""
        self.set_class(event.size.width >= ROOMY[0] and event.size.height >= ROOMY[1], "-roomy")
