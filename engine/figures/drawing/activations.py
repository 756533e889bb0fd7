"""The activations of a convolution block for one image (the notebook's section 2.3)."""

from __future__ import annotations

from matplotlib.figure import Figure

from engine.figures.drawing.mosaic import BAR, Mosaic, colour_bar, ranged, show, span_of
from engine.figures.drawing.page import SMALL, WIDTH, page, panel, small_print
from engine.figures.requests import ColourMapName
from engine.inspection.events import ActivationsComputed
from engine.inspection.requests import LayerName
from engine.words import percent

_SIDE = 1.1
"""Side of the image and of the mean map, in inches."""


def activations_figure(
    event: ActivationsComputed, layer: LayerName, colours: ColourMapName, shared_range: bool
) -> Figure:
    """The image, the mean of the block's maps, and all of its maps, numbered."""
    maps, mean = (event.conv1, event.conv1_mean) if layer == "conv1" else (event.conv2, event.conv2_mean)
    count, left = len(maps), _SIDE + 0.6
    columns = 4 if count <= 16 else 8 if count <= 64 else 16 if count <= 256 else 32
    images, span = ranged(maps, colours, shared_range)
    size, label = (SMALL, 0.15) if columns <= 8 else (4.0, 0.1)
    mosaic = Mosaic(images, columns, WIDTH - left - 0.3, label)
    bottom = max(label + mosaic.height, 2 * _SIDE + 0.85)
    figure = page(bottom + BAR, f"All {count} activation of {layer} Layer", small_print(event, f"image {event.index}"))

    image_axes, mean_axes = (panel(figure, 0.3, top, _SIDE, _SIDE) for top in (0.15, 0.15 + _SIDE + 0.5))
    show(image_axes, event.image, (0.0, 1.0), "gray")
    image_axes.set_title(f"actual image: {event.actual}")
    image_axes.set_xlabel(f"predicted: {event.predicted} ({percent(event.probability)})")
    show(mean_axes, mean, span if shared_range else span_of(mean, colours), colours)
    mean_axes.set_title("activation map")
    mean_axes.set_xlabel(f"mean of the {count} maps")

    axes, image = mosaic.draw(figure, (left, label), span, colours)
    for i in range(count):
        mosaic.write(axes, i, str(i), size)
    colour_bar(figure, image, bottom, "activation (after ReLU)", "" if shared_range else "map")
    return figure
