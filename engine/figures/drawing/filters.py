"""The kernels of a convolution (the notebook's sections 2.1 and 2.2)."""

from __future__ import annotations

from matplotlib.figure import Figure

from engine.figures.drawing.mosaic import BAR, Mosaic, colour_bar, ranged
from engine.figures.drawing.page import SMALL, WIDTH, page, small_print
from engine.figures.requests import ColourMapName
from engine.inspection.events import FiltersShown

MOST = 64
"""Maximum number of output channels, and of input channels, in a figure of kernels with several input channels."""


def filters_figure(event: FiltersShown, colours: ColourMapName, shared_range: bool) -> Figure:
    """All kernels, numbered; with several input channels, as a matrix of output by input channels (at most 64x64)."""
    return (_numbered if event.shape[1] == 1 else _matrix)(event, colours, shared_range)


def _numbered(event: FiltersShown, colours: ColourMapName, shared_range: bool) -> Figure:
    count = event.shape[0]
    columns = min(count, 8 if count <= 64 else 16 if count <= 256 else 32)
    images, span = ranged(event.weights[:, 0], colours, shared_range)
    text, size, label = ("filter number: {}", SMALL, 0.2) if columns <= 8 else ("{}", 5.0, 0.12)
    mosaic = Mosaic(images, columns, min(WIDTH - 0.5, 1.1 * columns), label)
    bottom = label + mosaic.height
    figure = page(bottom + BAR, f"All {count} Filters of {event.layer} Layer", small_print(event))
    axes, image = mosaic.draw(figure, ((WIDTH - mosaic.width) / 2, label), span, colours)
    for i in range(count):
        mosaic.write(axes, i, text.format(i), size)
    colour_bar(figure, image, bottom, "weight", "" if shared_range else "kernel")
    return figure


def _matrix(event: FiltersShown, colours: ColourMapName, shared_range: bool) -> Figure:
    shown = event.weights[:MOST, :MOST]
    outputs, inputs, *kernel = shown.shape
    images, span = ranged(shown.reshape(outputs * inputs, *kernel), colours, shared_range)
    mosaic = Mosaic(images, inputs, min(WIDTH - 1.0, 0.6 * inputs), gap=0.15)
    total, top = event.shape[0] * event.shape[1], 0.35
    title, notes = f"All {total} Channel-Filters of {event.layer} Layer", []
    if len(images) < total:
        title = f"{len(images)} of {total} Channel-Filters of {event.layer} Layer"
        notes = [f"the first {outputs} output and {inputs} input channels"]
    figure = page(top + mosaic.height + BAR, title, small_print(event, *notes))
    axes, image = mosaic.draw(figure, ((WIDTH - mosaic.width) / 2 + 0.1, top), span, colours)
    across, down = (range(0, n, 1 if n <= 16 else 2 if n <= 32 else 4) for n in (inputs, outputs))
    half = mosaic.tile_width / 2
    axes.set_xticks([mosaic.corners[i][0] + half for i in across], labels=[str(i) for i in across])
    axes.set_yticks([mosaic.corners[i * inputs][1] + half for i in down], labels=[str(i) for i in down])
    axes.tick_params(length=0, pad=2, labelsize=SMALL, labeltop=True, labelbottom=False)
    axes.xaxis.set_label_position("top")
    axes.set(xlabel="input channel", ylabel="output channel")
    colour_bar(figure, image, top + mosaic.height, "weight", "" if shared_range else "kernel")
    return figure
