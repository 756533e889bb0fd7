"""Occlusion maps: the predictions with a patch at each position on an image (the notebook's section 2.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from engine.attribution.events import ClassOcclusionReady, OcclusionMap, OcclusionMapReady
from engine.figures.drawing.mosaic import show, span_of
from engine.figures.drawing.page import FAINT, SMALL, TOP, VERMILLION, page, panel, small_print
from engine.figures.requests import ColourMapName
from engine.inspection.events import ImagesEvent
from engine.request import RequestError
from engine.words import percent

if TYPE_CHECKING:
    from engine.event import Array

_SIDE = 1.75
"""Side of each of the three panels, in inches."""
_LEFTS = (0.15, 2.35, 4.9)
_TITLES = 0.42
"""Height of a panel's title, in inches, at the place of other pages' titles."""
_LABELS = 0.38
_BASELINES = {"zero": "0", "mean": "the image's mean", "one": "1", "noise": "noise"}


def occlusion_figure(event: OcclusionMap, colours: ColourMapName, shared_range: bool) -> Figure:
    """The notebook's figure, image and map, and beside them the predicted class at each position.

    With `shared_range`, the range is 0 to 1, as in the notebook. Raises RequestError for an incomplete map.
    """
    if not isinstance(event, OcclusionMapReady):
        raise RequestError("nothing to draw yet: wait until the map is complete")
    size, stride = event.patch_size, event.stride
    figure = _page(event, f"image {event.index}", patch_words(size, stride, event.baseline))
    image_axes, map_axes, winner_axes = _panels(figure)

    show(image_axes, event.image, (0.0, 1.0), "gray")
    row, column = event.minimum_at
    where = Rectangle((column - 0.5, row - 0.5), size, size, fill=False, edgecolor=VERMILLION, linewidth=0.9)
    image_axes.add_patch(where)
    image_axes.set_title(f"Original Image\nTrue Label: {event.actual}")
    image_axes.set_xlabel(f"frame: the patch of the minimum\n{_strokes(event)}", color=FAINT, fontsize=SMALL)

    watched = "True Class" if event.watched == event.actual else "Class"
    span = _span(event.probabilities, colours, shared_range)
    _map(figure, map_axes, event.probabilities, stride, span, colours, f"Probability of {watched}")
    extremes = f"Min: {event.minimum:.4f}, Max: {event.maximum:.4f}"
    map_axes.set_title(f"Probability of {watched} ({event.watched})\n{extremes}")

    _winners(winner_axes, event)
    return figure


def class_occlusion_figure(event: ClassOcclusionReady, colours: ColourMapName, shared_range: bool) -> Figure:
    """The mean image of a class, its mean map, and how often the patch changes the prediction."""
    figure = _page(
        event,
        f"{event.averaged} of the {event.matching:,} images of class {event.digit}",
        patch_words(event.patch_size, event.stride, event.baseline),
    )
    image_axes, map_axes, changed_axes = _panels(figure)
    show(image_axes, event.mean_image, (0.0, 1.0), "gray")
    count = f"{event.averaged} image{'s' if event.averaged > 1 else ''}"
    image_axes.set_title(f"Mean of {count}\nTrue Label: {event.digit}")
    image_axes.set_xlabel(_strokes(event), color=FAINT, fontsize=SMALL)
    watched = {"true": f"True Class ({event.digit})", "predicted": "Predicted Class"}.get(
        event.watch, f"Class ({event.watch})"
    )
    maps = event.mean_probabilities
    span = _span(maps, colours, shared_range)
    _map(figure, map_axes, maps, event.stride, span, colours, "Mean probability")
    map_axes.set_title(f"Mean Probability of {watched}\nMin: {maps.min():.4f}, Max: {maps.max():.4f}")
    _map(figure, changed_axes, event.changed, event.stride, (0.0, 1.0), "gray", "Share of the images")
    changed_axes.set_title("Images whose prediction\nthe patch changes")
    changed_axes.set_ylabel("")
    return figure


def patch_words(size: int, stride: int, baseline: str) -> str:
    """The patch as the small print describes it."""
    return f"patch {size}x{size} of {_BASELINES.get(baseline, baseline)}, stride {stride}"


def _strokes(event: OcclusionMapReady | ClassOcclusionReady) -> str:
    positions, drop = percent(event.strokes.positions), percent(event.strokes.drop)
    return f"over strokes: {positions} of the positions,\n{drop} of the drop"


def _span(probabilities: Array, colours: ColourMapName, shared_range: bool) -> tuple[float, float]:
    """The range 0 to 1 as in the notebook, symmetric for the diverging colour map; or that of the values."""
    whole = (-1.0 if colours == "diverging" else 0.0, 1.0)
    return whole if shared_range else span_of(probabilities, colours)


def _page(event: ImagesEvent, *notes: str) -> Figure:
    return page(_TITLES - TOP + _SIDE + _LABELS, "", small_print(event, *notes))


def _panels(figure: Figure) -> list[Axes]:
    return [panel(figure, left, _TITLES - TOP, _SIDE, _SIDE) for left in _LEFTS]


def _map(  # noqa: PLR0917
    figure: Figure,
    axes: Axes,
    values: Array,
    stride: int,
    span: tuple[float, float],
    colours: ColourMapName,
    label: str,
) -> None:
    """A map with a colour bar; its axes are the position of the patch's top left corner, in pixels."""
    image = show(axes, values, span, colours)
    _number(axes, len(values), stride)
    width, _ = figure.get_size_inches()
    left = axes.get_position().x1 * width + 0.08
    bar = figure.colorbar(image, cax=panel(figure, left, _TITLES - TOP, 0.09, _SIDE))
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=6, length=2, pad=1.5)
    bar.set_label(label, rotation=270, labelpad=9, fontsize=6.5)


def _number(axes: Axes, count: int, stride: int) -> None:
    step = -(-count // 6)
    places = range(0, count, step)
    axes.set_xticks(places, labels=[str(place * stride) for place in places])
    axes.set_yticks(places, labels=[str(place * stride) for place in places])
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.set_xlabel("Patch X-position (pixels)")
    axes.set_ylabel("Patch Y-position (pixels)", labelpad=2)


def _winners(axes: Axes, event: OcclusionMapReady) -> None:
    count = len(event.winners)
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5))
    axes.spines[:].set(visible=True, linewidth=0.3, color="#888888")
    _number(axes, count, event.stride)
    axes.set_ylabel("")
    size = min(9.0, 0.62 * 72 * _SIDE / count)
    for (row, column), winner in np.ndenumerate(event.winners):
        same = winner == event.predicted
        colour, weight = ("#BBBBBB", "normal") if same else (VERMILLION, "bold")
        axes.text(column, row, str(winner), fontsize=size, color=colour, weight=weight, ha="center", va="center")
    changed = int((event.winners != event.predicted).sum())
    axes.set_title(f"Predicted class\nnot {event.predicted} at {changed:,} of {count**2:,} positions")
