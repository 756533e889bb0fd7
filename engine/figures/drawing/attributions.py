"""Attribution maps of several methods, and how faithful they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.attribution.events import (
    AttributionsComputed,
    Faithfulness,
    FaithfulnessCurve,
    FaithfulnessMeasured,
    best_method,
)
from engine.attribution.requests import METHOD_TITLES
from engine.figures.drawing.mosaic import BAR, Mosaic, colour_bar, ranged
from engine.figures.drawing.page import FAINT, SMALL, WIDTH, page, panel, small_print
from engine.figures.requests import ColourMapName

METHOD_COLOURS = {
    "occlusion": "#000000",
    "saliency": "#56B4E9",
    "gradient-x-input": "#009E73",
    "integrated-gradients": "#0072B2",
    "smoothgrad": "#E69F00",
    "grad-cam-conv1": "#CC79A7",
    "grad-cam-conv2": "#882255",
    "guided-backprop": "#D55E00",
    "random": "#8C8C8C",
}
"""Colours of the curves of each method, and of random order."""
_CHART = 1.75
"""Side of the curves' panels, in inches."""
_LEFTS = (0.55, 0.55 + _CHART + 0.6)
_RIGHT = _LEFTS[1] + _CHART
_NUMBER = 0.64
"""Width of a column of numbers, in inches."""


def attributions_figure(event: AttributionsComputed, colours: ColourMapName, shared_range: bool) -> Figure:
    """The image and the map of each method, and below them the deletion and insertion curves."""
    images, span = ranged(event.maps, colours, shared_range)
    label, tile = 0.2, 1.3
    # The image is the first tile. It is drawn in gray: in the colours of the maps it would look like one of them.
    left, right = 0.15, 0.15 + tile + 0.15
    mosaic = Mosaic(images, min(4, len(images)), min(4, len(images)) * (tile + 0.12) - 0.12, label)
    charts = max(label + mosaic.height, label + tile + 0.5) + BAR + 0.35
    title = f"Attributions for class {event.watched}: actual {event.actual}, predicted {event.predicted}"
    notes = [f"image {event.index}", *(_completeness(each) for each in event.faithfulness if each.completeness)]
    figure = page(charts + _CHART + 0.5, title, small_print(event, *notes))
    image_axes = panel(figure, left, label, tile, tile)
    image_axes.imshow(event.image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    image_axes.set(xticks=[], yticks=[])
    image_axes.set_title(f"image {event.index}", fontsize=SMALL + 0.5, pad=3)
    image_axes.set_xlabel(f"p({event.watched}) = {event.unoccluded_probability:.4f}", fontsize=SMALL)
    axes, image = mosaic.draw(figure, (right, label), span, colours)
    for i, method in enumerate(event.methods):
        mosaic.write(axes, i, METHOD_TITLES[method].full, SMALL + 0.5)
    colour_bar(figure, image, charts - 0.35 - BAR, "attribution", "" if shared_range else "map")
    _curves(figure, charts, event.shares, event.faithfulness, f"p({event.watched})")
    return figure


def faithfulness_figure(event: FaithfulnessMeasured) -> Figure:
    """Deletion and insertion curves over many images, and the rank correlation of maps with randomised weights."""
    height = _CHART + 0.65 + (_CHART + 0.65 if event.randomised else 0.0)
    title = "Deletion and insertion" + (", and randomised weights" if event.randomised else "")
    notes = ["1 image"]
    if event.averaged > 1:
        notes = [
            f"the first {event.averaged:,} images",
            "±, bands (best method, random order): standard deviation over images",
        ]
    figure = page(height, title, small_print(event, *notes))
    watched = {"true": "true class", "predicted": "predicted class"}.get(event.watch, event.watch)
    _curves(figure, 0.15, event.shares, event.faithfulness, f"p({watched}), mean")
    if event.randomised:
        axes = panel(figure, _LEFTS[0], _CHART + 0.9, _RIGHT - _LEFTS[0], _CHART)
        for each in event.faithfulness:
            if each.similarities:
                axes.plot(range(len(event.stages)), each.similarities, color=METHOD_COLOURS[each.method], marker="o")
        axes.axhline(0, color="#888888", linewidth=0.6)
        axes.set_xticks(
            range(len(event.stages)), labels=[event.stages[0], *(f"+ {stage}" for stage in event.stages[1:])]
        )
        axes.set(xlabel="randomised layers, from the top down", ylabel="rank correlation with the original map")
        known = [value for each in event.faithfulness for value in each.similarities if not math.isnan(value)]
        axes.set_ylim(min(-0.1, *known) - 0.02, 1.02)
        axes.grid(True)
        axes.set_title(f"Similarity of maps with randomised weights ({event.randomised} images)")
        rows = [(t.method, (_number(t.change),)) for t in event.faithfulness if t.change is not None]
        _table(figure, _CHART + 0.9, rows, ("change",))
    return figure


def _completeness(measured: Faithfulness) -> str:
    assert measured.completeness is not None
    total, difference = measured.completeness
    return f"{METHOD_TITLES[measured.method].full}: sum {total:.3f}, difference in logit {difference:.3f}"


def _curves(figure: Figure, top: float, shares: Sequence[float], measured: Sequence[Faithfulness], what: str) -> None:
    """Deletion, insertion, and a table of their areas, which is also the legend."""
    both = [panel(figure, left, top, _CHART, _CHART) for left in _LEFTS]
    curves: tuple[Literal["deletion", "insertion"], ...] = ("deletion", "insertion")
    for axes, name in zip(both, curves, strict=True):
        # Nine bands would hide each other: those of the best method and of random order show the spread.
        best = best_method(measured, name)
        for each in measured:
            banded = each.method in (best, "random")
            _curve(axes, shares, getattr(each, name), each.method, banded=banded)
        axes.set(xlim=(0, 100), ylim=(-0.02, 1.02), ylabel=what)
        axes.grid(True)
    both[0].set(title="deletion (low is good)", xlabel="pixels deleted, the highest first (%)")
    both[1].set(title="insertion (high is good)", xlabel="pixels inserted, the highest first (%)")
    rows = [(each.method, (each.deletion.summary("±"), each.insertion.summary("±"))) for each in measured]
    _table(figure, top, rows, ("deletion", "insertion"))


def _curve(axes: Axes, shares: Sequence[float], curve: FaithfulnessCurve, method: str, *, banded: bool) -> None:
    style, colour, across = (
        "--" if method == "random" else "-",
        METHOD_COLOURS[method],
        [100 * share for share in shares],
    )
    axes.plot(across, curve.values, style, color=colour, linewidth=1)
    if curve.spread and banded:
        axes.fill_between(across, *curve.band(), color=colour, alpha=0.15, linewidth=0)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _table(figure: Figure, top: float, rows: Sequence[tuple[str, Sequence[str]]], heads: Sequence[str]) -> None:
    """A line per method at the right of the page: a sample of its curve, its name, its numbers."""
    left = _RIGHT + 0.15
    width = WIDTH - left - 0.1
    axes = panel(figure, left, top, width, _CHART)
    axes.axis("off")
    axes.set(xlim=(0, width), ylim=(len(rows) + 1.5, 0))
    ends = [width - (len(heads) - 1 - i) * _NUMBER for i in range(len(heads))]
    for head, end in zip(heads, ends, strict=True):
        axes.text(end, 0.5, f"{head}", fontsize=5.5, ha="right", va="center", color=FAINT)
    for number, (method, numbers) in enumerate(rows, start=1):
        y = number + 0.5
        style = "--" if method == "random" else "-"
        axes.plot((0, 0.14), (y, y), style, color=METHOD_COLOURS[method], linewidth=1)
        axes.text(0.19, y, METHOD_TITLES[method].full, fontsize=5.5, va="center")
        for text, end in zip(numbers, ends, strict=True):
            axes.text(end, y, text, fontsize=5.5, ha="right", va="center")
