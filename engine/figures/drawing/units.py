"""What units look for: the images from noise of a whole layer, and all that is known of one unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.figures.drawing.mosaic import Mosaic, span_of
from engine.figures.drawing.page import BLUE, SMALL, VERMILLION, WIDTH, page, panel, small_print
from engine.inspection.unit_events import UnitShown, UnitsVisualised
from engine.words import percent

if TYPE_CHECKING:
    from engine.event import Array

_PIXELS = (0.0, 1.0)


def units_figure(event: UnitsVisualised) -> Figure:
    """The image from noise that excites each unit most, numbered, with how many times a digit's activation it reaches.

    A unit that no digit excites has only its number.
    """
    count = len(event.units)
    columns = min(count, 8 if count <= 64 else 16 if count <= 256 else 25)
    size, label = (SMALL, 0.17) if columns <= 8 else (4.5, 0.1)
    mosaic = Mosaic(event.images, columns, min(WIDTH - 0.5, 1.1 * columns), label)
    notes = [f"{event.settings['steps']} steps", "above each: unit, times the activation of the best digit"]
    title = f"What {count} Units of {event.layer} Look for" if count > 1 else f"What a Unit of {event.layer} Looks for"
    figure = page(label + mosaic.height + 0.1, title, small_print(event, *notes))
    axes, _ = mosaic.draw(figure, ((WIDTH - mosaic.width) / 2, label), _PIXELS, "gray")
    for place, each in enumerate(event.units):
        times = "" if math.isnan(each.ratio) else f": {each.ratio:.1f}×"
        mosaic.write(axes, place, f"{each.unit}{times}", size)
    return figure


_LEFT, _LABEL, _HIGH = 0.25, 0.17, 1.15
"""Left margin, room for a line of words above images, and height of the images from noise, in inches."""
_ACROSS = 9
"""Digits in a row."""


def unit_figure(event: UnitShown) -> Figure:
    """A unit: its images from noise, its weights, the digits that excite it most, its responses, and its ablation."""
    noun = "neuron" if event.layer == "hidden" else "unit"
    figure = page(4.4, f"{event.layer}: {noun} {event.unit}", small_print(event, f"{noun} {event.unit} of {event.of}"))
    count = len(event.starts)
    width = min(_HIGH * (count + 0.12 * (count - 1)), WIDTH / 2)
    _row(figure, event.starts, [f"{value:.3f}" for value in event.activations], "from noise: activation", 0.0, width)
    _weights(figure, event, 2 * _LEFT + width)
    count = len(event.digits)
    width = (WIDTH - 2 * _LEFT) * (count + 0.12 * (count - 1)) / (_ACROSS + 0.12 * (_ACROSS - 1))
    words = [f"{digit.actual} ({digit.index})" for digit in event.digits]
    title = "digits that excite it most: class (index)" if count else "no digit excites it"
    _row(figure, event.digit_images, words, title, 1.62, width)
    lost = event.ablation
    accuracy = f": accuracy {percent(lost.accuracy_without)}, not {percent(lost.accuracy)}" if lost else ""
    for left, values, label, title in (
        (0.65, event.responses, "Mean activation", "response by class"),
        (4.1, lost.logits if lost else (), "Change of the logit", f"without it{accuracy}"),
    ):
        chart = panel(figure, left, 3.0, 2.75, 1.05)
        _bars(chart, values, label)
        chart.set_title(title)
    return figure


def _title(figure: Figure, words: str, left: float, top: float) -> None:
    """Words above a row of images, `top` inches below the title of the page."""
    axes = panel(figure, left, top, 1.0, _LABEL)
    axes.axis("off")
    axes.text(0, 0, words, fontsize=8.5, ha="left", va="bottom")


def _row(  # noqa: PLR0917
    figure: Figure, images: Array, words: list[str], title: str, top: float, width: float
) -> None:
    """Images in one row with words above each, below a title."""
    _title(figure, title, _LEFT, top)
    if not len(images):
        return
    mosaic = Mosaic(images, len(images), width)
    axes, _ = mosaic.draw(figure, (_LEFT, top + 2.2 * _LABEL), _PIXELS, "gray")
    for place, each in enumerate(words):
        mosaic.write(axes, place, each, SMALL)


def _weights(figure: Figure, event: UnitShown, left: float) -> None:
    """The weights of a unit by input channel, at most 64, right of its images."""
    kernels = event.kernels[:64]
    columns = math.ceil(len(kernels) / min(4, len(kernels)))
    inch = Mosaic(kernels, columns, 1.0)  # its height for a width of an inch
    width = min(WIDTH - left - _LEFT, _HIGH / inch.height)
    by = "kernel" if len(kernels) == 1 else f"weights by channel, 0 to {len(kernels) - 1}"
    _title(figure, by, left, 0.0)
    Mosaic(kernels, columns, width).draw(figure, (left, 2.2 * _LABEL), span_of(kernels, "diverging"), "diverging")


def _bars(axes: Axes, values: tuple[float, ...], label: str) -> None:
    shades = [BLUE if value >= 0 else VERMILLION for value in values]
    axes.bar(range(len(values)), values, color=shades, width=0.8)
    axes.axhline(0, color="#333333", linewidth=0.6)
    axes.set_xticks(range(len(values)), labels=[str(each) for each in range(len(values))])
    axes.set(xlabel="Class", ylabel=label)
    if not any(values):
        axes.set_ylim(-1, 1)
    axes.grid(True, axis="y")
    axes.set_axisbelow(True)
