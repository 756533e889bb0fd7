"""The filters screen, with the list of its pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from textual.widget import Widget

from engine.inspection.requests import LayerName
from tui.keys import CONVOLUTIONS, PAGES, bindings
from tui.screens.filters.kernels import KernelsPage
from tui.screens.filters.pictures import PicturesPage
from tui.screens.filters.unit import UnitPage
from tui.screens.inspect import InspectScreen
from tui.screens.inspect_pages import InspectPage, InspectPages
from tui.widgets.pictures import RasterGrid


class FiltersScreen(InspectPages):
    """The notebook's sections 2.1 and 2.2, and what the units that these kernels belong to look for."""

    mode = "filters"
    BINDINGS = bindings("filters")
    colours = "diverging"
    page_types = (KernelsPage, PicturesPage, UnitPage)

    def __init__(self) -> None:
        super().__init__()
        self.kernels = cast(KernelsPage, self.pages["conv1"])
        self.pictures = cast(PicturesPage, self.pages["pictures"])
        self.unit = cast(UnitPage, self.pages["unit"])

    def body(self) -> Iterable[Widget]:
        """All pages, since other screens lead to them at once."""
        yield from self.pages.values()
        yield from self.below()

    # The convolutions, each of which is in front as if it were a page

    def page_titles(self) -> dict[str, str]:
        return {name: name for name in PAGES[self.mode]}

    def page_named(self, name: str) -> InspectPage:
        return cast(InspectPage, super().page_named(self.first if name in CONVOLUTIONS else name))

    @property
    def front(self) -> str:
        return self.kernels.convolution if self.page is self.kernels else super().front

    async def turn_to(self, name: str) -> None:
        self.unit.before = ""
        if name in CONVOLUTIONS:
            self.show_layer("conv2" if name == "conv2" else "conv1")
        else:
            self.zoomed, self.at = False, name

    def show_layer(self, layer: LayerName) -> None:
        """Show the kernels of a convolution."""
        for grid in self.query(RasterGrid):  # before the first visit there is none
            grid.cursor = 0
        self.kernels.convolution, self.at = layer, self.first

    # Keys

    def action_zoom(self) -> None:
        """Do as the page does, also where a picture is clicked."""
        cast("KernelsPage | PicturesPage | UnitPage", self.page).action_zoom()

    async def action_back(self) -> None:
        """Go back from a unit to where it was opened, here or on another screen; to the kernels; and on from there."""
        before = self.unit.before
        if self.page is self.kernels or (self.page is self.unit and not before and self.host.led_to(self.mode)):
            await InspectScreen.action_back(self)
        else:
            self.unit.before, self.at = "", before or self.first
