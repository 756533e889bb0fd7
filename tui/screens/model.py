"""Screen 2: the layers of the open network, and what each of them costs."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from engine.figures.requests import DrawFigure
from engine.inspection.events import NetworkSummarised
from engine.inspection.requests import Summarise
from engine.network.events import NetworkEvent
from engine.request import Request
from tui.keys import bindings
from tui.screens.inspect import InspectScreen
from tui.widgets.layers import LayerTable
from tui.widgets.lines import ProgressLine


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

    def draw_panels(self) -> None:
        self.query_one(LayerTable).show(self.summary)

    def sentence(self) -> str:
        return "BS: batch size   field: side of the receptive field, in pixels"

    def figure(self) -> DrawFigure | None:
        return self.as_drawn(self.summary)
