"""The confusion matrix on a whole split."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from engine.figures.drawing.page import FAINT, WIDTH, page, panel, small_print
from engine.figures.requests import ColourMapName
from engine.inspection.events import SplitEvaluated
from engine.words import percent

_ONE_SIDED: dict[ColourMapName, str] = {"gray": "Greys", "viridis": "viridis_r", "diverging": "Reds"}
"""Colour maps that start light, since most cells are almost or entirely empty."""


def confusion_figure(event: SplitEvaluated, colours: ColourMapName) -> Figure:
    """The confusion matrix with its counts, colours on a logarithmic scale, and the accuracy of each class."""
    counts = np.array(event.confusion)
    classes = len(counts)
    side = 5.2  # inches
    images = f"the {event.part}" if event.part == event.dataset else f"the {event.split} split"
    title = f"Accuracy {percent(event.accuracy)}, loss {event.loss:.4f} on {images}"
    notes = (f"{event.count:,} images", "loss: cross-entropy in nats", "colour: logarithm of the count")
    figure = page(side + 0.62, title, small_print(event, *notes))
    axes = panel(figure, (WIDTH - side) / 2 - 0.2, 0.22, side, side)
    norm, colour_map = LogNorm(1, max(2, counts.max())), colormaps[_ONE_SIDED[colours]]
    axes.imshow(np.where(counts > 0, counts, np.nan), cmap=colour_map, norm=norm)
    for (actual, predicted), count in np.ndenumerate(counts):
        red, green, blue, _ = colour_map(norm(count)) if count else (1.0, 1.0, 1.0, 1.0)
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.55
        colour = "white" if dark else "black" if count else "#BBBBBB"
        weight = "bold" if actual == predicted else "normal"
        axes.text(
            predicted, actual, f"{count:,}", ha="center", va="center", color=colour, fontweight=weight, fontsize=8
        )
    axes.set(xticks=range(classes), yticks=range(classes), xlabel="predicted", ylabel="actual")
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#DDDDDD", linewidth=0.4)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set(visible=True)
    for actual, accuracy in enumerate((float("nan"), *event.class_accuracy), start=-1):
        text, colour = ("accuracy", FAINT) if actual < 0 else (percent(accuracy), "black")
        axes.text(
            classes + 0.55, actual + 0.2 * (actual < 0), text, ha="right", va="center", fontsize=7.5, color=colour
        )
    return figure
