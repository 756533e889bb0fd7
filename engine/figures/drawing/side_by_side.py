"""The same of several networks, side by side and on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.attacks.events import AttackFinished
from engine.attribution.events import ClassOcclusionReady, FaithfulnessMeasured, best_method
from engine.attribution.requests import METHOD_TITLES
from engine.figures.drawing.attributions import METHOD_COLOURS
from engine.figures.drawing.mosaic import BAR, Mosaic, colour_bar, show, span_of
from engine.figures.drawing.occlusion import patch_words
from engine.figures.drawing.page import FAINT, SMALL, WIDTH, joined, page, panel, shortened
from engine.figures.requests import ColourMapName
from engine.inspection.events import FiltersShown
from engine.network.events import NetworkEvent
from engine.request import RequestError
from engine.words import percent

_EDGE, _GAP = 0.15, 0.25
"""Inches at the left and the right of the page, and between two networks."""
_LINE = 0.13
"""Height of a line of a network's name, in inches."""
_LETTERS = 13
"""Number of letters of a name in an inch."""


def figure_beside(events: tuple[Any, ...], colours: ColourMapName) -> Figure:
    """The figure of `events`, at least one, all of the same kind and each of another network.

    Raises RequestError where there is none of their kind.
    """
    match events[0]:
        case FiltersShown():
            return filters_beside(events, colours)
        case ClassOcclusionReady():
            return occlusions_beside(events, colours)
        case FaithfulnessMeasured():
            return faithfulness_beside(events)
        case AttackFinished():
            return noise_beside(events)
    kinds = "filters, mean occlusion maps, deletion and insertion, or images from noise"
    raise RequestError(f"there is no figure of several {type(events[0]).__name__}: choose {kinds}")


def _widths(count: int, most: float, left: float = _EDGE, gap: float = _GAP) -> tuple[float, list[float]]:
    """The width of `count` columns, at most `most`, and the left edge of each, in inches: centred from `left` on."""
    room = WIDTH - left - _EDGE
    width = min(most, (room - (count - 1) * gap) / count)
    start = left + (room - count * width - (count - 1) * gap) / 2
    return width, [start + number * (width + gap) for number in range(count)]


def _lines(event: NetworkEvent, width: float) -> str:
    """The name of the network, in lines of at most `width` inches; a name of a kind breaks after its colon."""
    most = int(_LETTERS * width)
    name = shortened(event.name, 3 * most)
    first, colon, rest = name.partition(":")
    parts = [name] if len(name) <= most or not colon else [first + colon, rest]
    return "\n".join(line for part in parts for line in wrap(part, most))


def _names(events: Sequence[NetworkEvent], width: float) -> tuple[list[str], float]:
    """The names of the networks above columns of `width` inches, and their height in inches."""
    names = [_lines(event, width) for event in events]
    return names, 0.09 + _LINE * (1 + max(name.count("\n") for name in names))


def _write(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Write `text` `left` inches from the left edge and `top` inches below the title."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - (0.45 + top) / height, text, **style)


def filters_beside(events: Sequence[FiltersShown], colours: ColourMapName) -> Figure:
    """The kernels of the same convolution of several networks, in one range of values; those of the first input."""
    kernels = [event.weights[:, 0] for event in events]
    across = 8 if len(events) <= 2 else 4
    width, lefts = _widths(len(events), 3.2)
    mosaics = [Mosaic(each, min(across, len(each)), width * min(1.0, len(each) / across), gap=0.15) for each in kernels]
    names, top = _names(events, width)
    under = 0.42
    bottom = top + max(mosaic.height for mosaic in mosaics) + under
    span = span_of(np.concatenate([each.ravel() for each in kernels]), colours)
    title = f"Filters of {events[0].layer}, in one range of values"
    figure = page(bottom + BAR, title, joined(f"{len(events)} network{'s' * (len(events) > 1)}"))
    for event, name, mosaic, left in zip(events, names, mosaics, lefts, strict=True):
        axes, image = mosaic.draw(figure, (left, top), span, colours)
        axes.set_title(name, fontsize=8)
        words = f"{event.near_zero} near zero, {event.one_pixel} single-pixel\nmean size {event.mean_size:.3f}"
        axes.set_xlabel(words, fontsize=SMALL - 0.5, color=FAINT)
    colour_bar(figure, image, bottom, "weight")
    return figure


def occlusions_beside(events: Sequence[ClassOcclusionReady], colours: ColourMapName) -> Figure:
    """The mean image of a class, and beside it the mean occlusion map of each network, in one range of values."""
    first = events[0]
    side, lefts = _widths(len(events) + 1, 1.75)
    patch = patch_words(first.patch_size, first.stride, first.baseline)
    notes = (
        first.source,
        f"{first.averaged} of the {first.matching:,} images of {first.digit}",
        patch,
    )
    names, top = _names(events, side)
    under = 0.42
    title = f"Mean probability of {first.digit} with a patch at each position"
    figure = page(top + side + under + BAR, title, joined(*notes))
    axes = panel(figure, lefts[0], top, side, side)
    show(axes, first.mean_image, (0.0, 1.0), "gray")
    axes.set_title("mean of the images", fontsize=8)
    span = span_of(np.concatenate([event.mean_probabilities.ravel() for event in events]), colours)
    for name, event, left in zip(names, events, lefts[1:], strict=True):
        axes = panel(figure, left, top, side, side)
        image = show(axes, event.mean_probabilities, span, colours)
        axes.set_title(name, fontsize=8)
        words = f"drop over strokes: {percent(event.strokes.drop)}\nunoccluded: {event.unoccluded_probability:.4f}"
        axes.set_xlabel(words, fontsize=SMALL - 0.5, color=FAINT)
    colour_bar(figure, image, top + side + under, "mean probability")
    return figure


def faithfulness_beside(events: Sequence[FaithfulnessMeasured]) -> Figure:
    """Deletion and insertion curves of several networks: a column for each network.

    Bands of one standard deviation show the spread of the best method and of random order.
    """
    first, side_left = events[0], 0.6
    width, lefts = _widths(len(events), 1.9, side_left, 0.18)
    names, top = _names(events, width)
    high, between, legend = min(1.5, width), 0.22, 0.75
    notes = (
        first.source,
        f"the first {first.averaged:,} images",
        "bands (best method, random order): standard deviation over images",
    )
    figure = page(top + 2 * high + between + legend, "Deletion and insertion", joined(*notes))
    curves: tuple[Literal["deletion", "insertion"], ...] = ("deletion", "insertion")
    for column, (event, left) in enumerate(zip(events, lefts, strict=True)):
        for row, curve in enumerate(curves):
            axes = panel(figure, left, top + row * (high + between), width, high)
            _curves(axes, event, curve)
            axes.set_yticks([0, 0.5, 1], labels=["0", "0.5", "1"] if column == 0 else [])
            axes.set_xticks([0, 50, 100], labels=["0", "50", "100"] if row else [])
            if column == 0:
                good = "low" if curve == "deletion" else "high"
                axes.set_ylabel(f"{curve} ({good} is good)\nmean probability")
            if row == 0:
                axes.set_title(names[column], fontsize=8)
            else:
                axes.set_xlabel("pixels (%)")
    handles = [
        axes.plot([], [], "--" if each.method == "random" else "-", color=METHOD_COLOURS[each.method])[0]
        for each in first.faithfulness
    ]
    methods = [METHOD_TITLES[each.method].full for each in first.faithfulness]
    _, total = figure.get_size_inches()
    figure.legend(handles, methods, loc="lower center", bbox_to_anchor=(0.5, 0.28 / total), ncols=len(methods))
    return figure


def _curves(axes: Axes, event: FaithfulnessMeasured, curve: Literal["deletion", "insertion"]) -> None:
    across = [100 * share for share in event.shares]
    best = best_method(event.faithfulness, curve)
    for each in event.faithfulness:
        measured, colour = getattr(each, curve), METHOD_COLOURS[each.method]
        axes.plot(across, measured.values, "--" if each.method == "random" else "-", color=colour, linewidth=1)
        if measured.spread and each.method in (best, "random"):
            axes.fill_between(across, *measured.band(), color=colour, alpha=0.15, linewidth=0)
    axes.set(xlim=(0, 100), ylim=(-0.02, 1.02))
    axes.grid(True)


def noise_beside(events: Sequence[AttackFinished]) -> Figure:
    """The images that each network makes from noise: a row for each network, a column for each class."""
    left, label, gap = 1.15, 0.2, 0.06
    count = max(len(event.images) for event in events)
    room = left - _EDGE - 0.05
    width, _ = _widths(1, 6.0, left)
    tile = width / count
    figure = page(label + len(events) * tile, "Images from noise, by target class", joined("gray from 0 to 1"))
    for row, event in enumerate(events):
        top = label + row * tile
        mosaic = Mosaic(event.adversarial, len(event.images), len(event.images) * tile - gap * tile, gap=gap)
        axes, _ = mosaic.draw(figure, (left, top), (0.0, 1.0), "gray")
        if row == 0:
            for number, target in enumerate(event.targets):
                mosaic.write(axes, number, str(target), 8, above=0.03)
        _write(
            figure,
            _EDGE,
            top + mosaic.height / 2,
            _lines(event, room),
            fontsize=7,
            va="center",
        )
    return figure
