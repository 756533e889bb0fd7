"""A drawing as the network received it, its prediction, where a patch lowers it, and the strongest channels."""

from __future__ import annotations

from matplotlib.figure import Figure

from engine.attribution.events import DrawingExplained
from engine.figures.drawing.mosaic import Mosaic, ranged, show, span_of
from engine.figures.drawing.page import BLUE, SMALL, WIDTH, page, panel, small_print
from engine.figures.requests import ColourMapName
from engine.geometry import CLASSES
from engine.words import percent

_SIDE = 1.5
"""Side of the drawing and of the map, in inches."""
_TOP = 0.2
_LABEL = 0.42
"""Height of the heading of a block and of the numbers of its channels, in inches."""


def drawing_figure(event: DrawingExplained, colours: ColourMapName, shared_range: bool) -> Figure:
    """The drawing, the mean drop in probability over the patches that cover each pixel, the ten probabilities.

    Below, the strongest channels of both blocks, each with its number and its mean activation.
    """
    answer, probabilities = event.predictions[0], event.probabilities[0]
    fill = "black" if event.baseline == "zero" else "white"
    how = "scaled to 20x20 and centred by mass" if event.centred else "as drawn"
    patch = f"{fill} patch of {event.patch_size}x{event.patch_size}, stride {event.stride}"
    blocks = [
        ("conv1", event.conv1, event.conv1_channels, event.conv1_strengths),
        ("conv2", event.conv2, event.conv2_channels, event.conv2_strengths),
    ]
    mosaics, top = [], _TOP + _SIDE + 0.4
    for name, maps, channels, strengths in blocks:
        images, span = ranged(maps, colours, shared_range)
        width = (WIDTH - 0.6) * len(maps) / 8 - 0.05
        mosaic = Mosaic(images, len(maps), width)
        mosaics.append((name, mosaic, span, channels, strengths, top + _LABEL))
        top += _LABEL + mosaic.height
    figure = page(top + 0.1, "Prediction for a drawing", small_print(event, how, patch))

    received = panel(figure, 0.3, _TOP, _SIDE, _SIDE)
    show(received, event.images[0], (-1.0 if colours == "diverging" else 0.0, 1.0), colours)
    received.set_title("received by the network")
    drop = panel(figure, 2.1, _TOP, _SIDE, _SIDE)
    image = show(drop, event.drop, span_of(event.drop, colours), colours)
    drop.set_title(f"drop of p({answer}), {fill} patch")
    bar = figure.colorbar(image, cax=panel(figure, 2.1 + _SIDE + 0.06, _TOP, 0.08, _SIDE))
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=6)
    chart = panel(figure, 4.75, _TOP, WIDTH - 4.75 - 0.3, _SIDE)
    shades = [BLUE if each == answer else "#8C8C8C" for each in range(CLASSES)]
    chart.bar(range(CLASSES), [100 * share for share in probabilities], color=shades, width=0.8)
    chart.set_title(f"predicted {answer} ({percent(probabilities[answer])})")
    chart.set_xticks(range(CLASSES), labels=[str(each) for each in range(CLASSES)])
    chart.set(ylim=(0, 100), yticks=(0, 50, 100), ylabel="probability (%)")

    for name, mosaic, span, channels, strengths, at in mosaics:
        axes, _ = mosaic.draw(figure, (0.3, at), span, colours)
        axes.text(0, -0.18 * mosaic.inch, f"{name}, its strongest channels and their means", fontsize=8, va="bottom")
        for number, (channel, mean) in enumerate(zip(channels, strengths, strict=True)):
            mosaic.write(axes, number, f"{channel}: {mean:.3f}", SMALL)
    return figure
