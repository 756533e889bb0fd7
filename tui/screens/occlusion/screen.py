"""The occlusion screen, with the list of its pages."""

from __future__ import annotations

from tui.keys import bindings
from tui.screens.occlusion.methods import MethodsPage
from tui.screens.occlusion.occlusion import OcclusionPage
from tui.screens.occlusion.patch import PatchScreen
from tui.screens.occlusion.trust import TrustPage


class OcclusionScreen(PatchScreen):
    """The notebook's section 2.4, with measurements of what it only asserts: that the network looks at the digit."""

    mode = "occlusion"
    BINDINGS = bindings("occlusion")
    colours = "viridis"
    page_types = (OcclusionPage, MethodsPage, TrustPage)
