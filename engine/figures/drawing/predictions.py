"""The user's own images, or a drawing, as the network received them, each beside its ten probabilities."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.figure import Figure

from engine.figures.drawing.mosaic import show
from engine.figures.drawing.page import BLUE, WIDTH, page, panel, shortened, small_print
from engine.figures.requests import ColourMapName
from engine.geometry import CLASSES
from engine.inspection.events import ImagesPredicted
from engine.words import percent

MOST = 40
"""Maximum number of images in a figure."""
_COLUMNS = 2
_IMAGE, _CHART, _GAP = 1.0, 1.75, 0.38
"""Width of an image, of its chart, and of the gap between them, in inches."""
_ROW = 1.5
"""Height of a row, in inches: an image, the words above it, and the classes below its chart."""


def predictions_figure(event: ImagesPredicted, colours: ColourMapName) -> Figure:
    """Each image as the network received it, with its predicted class, beside its ten probabilities.

    At most the first 40 images.
    """
    count = min(len(event.files), MOST)
    columns = min(_COLUMNS, count)
    notes = ["scaled to 20x20 and centred by mass" if event.centred else "only resized to 28x28"]
    if count < len(event.files):
        notes.append(f"first {count} of {len(event.files):,}")
    title = f"Predictions for {len(event.files):,} images" if len(event.files) > 1 else "Prediction for an image"
    figure = page(math.ceil(count / columns) * _ROW, title, small_print(event, *notes))
    cell = WIDTH / _COLUMNS
    margin = (WIDTH - columns * cell) / 2
    for number in range(count):
        left = margin + number % columns * cell + 0.2
        top = number // columns * _ROW + 0.2
        answer, probabilities = event.predictions[number], event.probabilities[number]
        axes = panel(figure, left, top, _IMAGE, _IMAGE)
        show(axes, event.images[number], (-1.0 if colours == "diverging" else 0.0, 1.0), colours)
        axes.set_title(shortened(Path(event.files[number]).name, 18), fontsize=7)
        chart = panel(figure, left + _IMAGE + _GAP, top, _CHART, _IMAGE)
        shades = [BLUE if each == answer else "#8C8C8C" for each in range(CLASSES)]
        chart.bar(range(CLASSES), [100 * share for share in probabilities], color=shades, width=0.8)
        chart.set_title(f"{answer} ({percent(probabilities[answer])})", fontsize=7)
        chart.set_xticks(range(CLASSES), labels=[str(each) for each in range(CLASSES)])
        chart.set(ylim=(0, 100), yticks=(0, 50, 100))
        chart.set_ylabel("Probability (%)", fontsize=6, labelpad=1)
        chart.tick_params(labelsize=6)
    return figure
