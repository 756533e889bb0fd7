"""The request for a figure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from engine.inspection.requests import LayerName
from engine.request import Request

ColourMapName = Literal["gray", "viridis", "diverging"]


class DrawFigure(Request, frozen=True, tag="draw-figure"):
    """Draw the contents of an event as a PNG file."""

    subject: Annotated[Any, Meta(description="event, run or run history to draw")] = None
    path: Annotated[str, Meta(description="file to write; an existing file is replaced")] = ""
    folder: Annotated[str, Meta(description="folder for a new file, where no path is given; empty for no file")] = (
        "figures"
    )
    layer: Annotated[LayerName, Meta(description="convolution to draw, where the event holds both")] = "conv1"
    colours: Annotated[ColourMapName, Meta(description="colour map")] = "gray"
    shared_range: Annotated[bool, Meta(description="the same value range for all images of the figure")] = True
    logarithmic: Annotated[bool, Meta(description="a logarithmic axis for losses, rather than a linear one")] = True
