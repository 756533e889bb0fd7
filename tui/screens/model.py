"""Screen 2: the layers of the open network, and what each of them costs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from textual.widget import Widget

from engine.figures.requests import DrawFigure
from engine.inspection.events import NetworkSummarised
from engine.inspection.requests import LayerName, Summarise
from engine.network.events import NetworkEvent
from engine.request import Request
from tui.keys import bindings
from tui.screens.inspect import InspectScreen
from tui.widgets.layers import LayerTable
from tui.widgets.lines import ProgressLine

CONVOLUTIONS: tuple[LayerName, ...] = get_args(LayerName)


class ModelScreen(InspectScreen):
    """The notebook's sections 1.3 to 1.5."""

    mode = "model"
    BINDINGS = bindings("model")
    summary: NetworkSummarised | None = None

    def body(self) -> Iterable[Widget]:
        yield LayerTable(id="layers")
        yield ProgressLine(id="status")

    def wanted(self) -> list[Request]:
        return [Summarise(what=self.workspace.what)]

    def take(self, event: NetworkEvent) -> None:
        if isinstance(event, NetworkSummarised):
            self.summary = event

    def forget(self) -> None:
        self.summary = None

    def in_reach(self) -> LayerTable:
        return self.query_one(LayerTable)

    def draw_panels(self) -> None:
        self.query_one(LayerTable).show(self.summary)

    def sentence(self) -> str:
        return "BS: batch size   field: side of the receptive field, in pixels"

    # Keys

    def on_layer_table_moved(self) -> None:
        self.update()

    def on_layer_table_opened(self, message: LayerTable.Opened) -> None:
        self._open(message.layer)

    def action_open_layer(self) -> None:
        """Show the filters of the layer under the cursor, if it is a convolution."""
        if here := self.query_one(LayerTable).here:
            self._open(here.name)

    def _open(self, layer: str) -> None:
        if known := next((name for name in CONVOLUTIONS if name == layer), None):
            self.host.show_filters(known)

    def figure(self) -> DrawFigure | None:
        return self.as_drawn(self.summary)
