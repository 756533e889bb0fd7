"""What one may ask of figures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from engine.inspection.requests import LayerName
from engine.request import Request

ColourMapName = Literal["gray", "viridis", "diverging"]


class DrawFigure(Request, frozen=True, tag="draw-figure"):
    """Draw what an event holds as a PNG."""

    subject: Annotated[Any, Meta(description="the event, a run, or its history")] = None
    path: Annotated[str, Meta(description="the file to write; an existing one is replaced")] = ""
    folder: Annotated[str, Meta(description="without a path: the folder for a file of a new name")] = "figures"
    layer: Annotated[LayerName, Meta(description="which convolution, where the event holds both")] = "conv1"
    colours: Annotated[ColourMapName, Meta(description="colour map")] = "gray"
    shared_range: Annotated[bool, Meta(description="one value range for all images of the figure")] = True
