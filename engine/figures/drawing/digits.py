"""Images with their actual and predicted classes (the notebook's section 1.2)."""

from __future__ import annotations

from matplotlib.figure import Figure

from engine.figures.drawing.mosaic import Mosaic
from engine.figures.drawing.page import FAINT, VERMILLION, WIDTH, page, small_print
from engine.figures.requests import ColourMapName
from engine.inspection.events import DigitsShown
from engine.request import RequestError
from engine.words import percent

MOST = 100
"""Maximum number of digits in a figure."""
_TITLES = {
    "random": "Randomly selected {} images",
    "mistakes": "Mistakes among the {} images, the most confident first",
    "least-certain": "The {} images with the least confident predictions",
    "most-certain": "The {} images with the most confident predictions",
}


def digits_figure(event: DigitsShown, colours: ColourMapName) -> Figure:
    """Digits with their classes and the probability of the predicted one, mistakes in red; at most the first 100.

    Raises RequestError where there are none.
    """
    digits = event.digits[:MOST]
    if not digits:
        raise RequestError("nothing to draw: no digits match, so choose others")
    full, size, line, label = (5, 8.0, 0.13, 0.48) if len(digits) <= 10 else (10, 6.0, 0.1, 0.38)  # points, inches
    columns = min(full, len(digits))
    mosaic = Mosaic(event.images[: len(digits)], columns, (WIDTH - 0.3) * columns / full - 0.2, label, gap=0.2)
    notes = [f"seed {event.seed}" if event.order == "random" else f"{event.matching:,} in total"]
    if len(digits) < len(event.digits):
        notes.append(f"first {len(digits)} of {len(event.digits):,}")
    title = _TITLES.get(event.order, "{} images").format(event.part)
    title += f", class {event.digit}" if event.digit >= 0 else ""
    title += f", predicted as {event.predicted}" if event.predicted >= 0 else ""
    figure = page(label + mosaic.height + 0.12, title, small_print(event, *notes))
    span = (-1.0 if colours == "diverging" else 0.0, 1.0)
    axes, _ = mosaic.draw(figure, ((WIDTH - mosaic.width) / 2, label), span, colours)
    for i, digit in enumerate(digits):
        colour = VERMILLION if digit.predicted != digit.actual else "black"
        text = f"Actual: {digit.actual}\nPredicted: {digit.predicted}"
        mosaic.write(axes, i, text, size, above=line + 0.02, colour=colour)
        mosaic.write(axes, i, percent(digit.probability), size - 1, colour=FAINT)
    return figure
