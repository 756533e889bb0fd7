"""The base of the screens whose pages are the two convolutions."""

from __future__ import annotations

from engine.inspection.requests import LayerName
from tui.screens.inspect import InspectScreen
from tui.screens.state import State


class LayerScreen(InspectScreen):
    """The base of screens 4 and 5: one of the convolutions is in front."""

    layer: State[LayerName] = State("conv1")

    def page_titles(self) -> dict[str, str]:
        return {"conv1": "conv1", "conv2": "conv2"}

    @property
    def front(self) -> str:
        return self.layer

    async def turn_to(self, name: str) -> None:
        self.show_layer("conv2" if name == "conv2" else "conv1")

    def show_layer(self, layer: LayerName) -> None:
        """Bring a convolution to the front."""
        self.layer = layer
