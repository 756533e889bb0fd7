"""What leads from one screen to another: a layer to its filters, a filter to its activations.

A screen posts these messages, and the app, which alone knows the other screens, shows what they ask for.
"""

from __future__ import annotations

from textual.message import Message

from engine.inspection.requests import LayerName


class ShowLayer(Message):
    """Show the filters of a convolution."""

    def __init__(self, layer: LayerName) -> None:
        super().__init__()
        self.layer = layer


class ShowChannel(Message):
    """Show the activations of a channel."""

    def __init__(self, layer: LayerName, channel: int) -> None:
        super().__init__()
        self.layer, self.channel = layer, channel
