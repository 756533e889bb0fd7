"""Which figure an event, or the history of a run, becomes, and what its file is called."""

from __future__ import annotations

import re

from matplotlib.figure import Figure

from engine.events import ActivationsComputed, DigitsShown, FiltersShown, NetworkSummarised, SplitEvaluated
from engine.figures.activations import activations_figure
from engine.figures.confusion import confusion_figure
from engine.figures.curves import curves_figure, variant_of
from engine.figures.digits import digits_figure
from engine.figures.filters import filters_figure
from engine.figures.layers import layers_figure
from engine.figures.page import look
from engine.history import RunHistory
from engine.requests import ColourMapName, LayerName, RequestError


def figure_of(
    subject: object, *, layer: LayerName = "conv1", colours: ColourMapName = "gray", shared_range: bool = False
) -> Figure:
    """The figure of an event or a run's history.

    `layer` is for events that hold both convolutions, `colours` for images, `shared_range` for maps and kernels (one
    range for all, or each its own). Raises RequestError where there is no such figure, or nothing to draw.
    """
    with look():
        match subject:
            case RunHistory():
                return curves_figure(subject)
            case NetworkSummarised():
                return layers_figure(subject)
            case SplitEvaluated():
                return confusion_figure(subject, colours)
            case DigitsShown():
                return digits_figure(subject, colours)
            case FiltersShown():
                return filters_figure(subject, colours, shared_range)
            case ActivationsComputed():
                return activations_figure(subject, layer, colours, shared_range)
    kinds = "a run, layers, an evaluation, digits, filters or activations"
    raise RequestError(f"there is no figure of {type(subject).__name__}: give {kinds}")


def stem_of(subject: object, layer: LayerName = "conv1") -> str:
    """What to call the file of the figure, without `.png`: for example `filters-conv2-epoch-15`."""
    parts: tuple[object, ...]
    match subject:
        case RunHistory():
            parts = ("training", variant_of(subject))
        case NetworkSummarised():
            parts = ("model", subject.variant)
        case SplitEvaluated():
            parts = ("confusion", subject.split)
        case DigitsShown():
            parts = ("digits", subject.split, subject.order, subject.digit if subject.digit >= 0 else "")
        case FiltersShown():
            parts = ("filters", subject.layer, f"epoch-{subject.epoch}" if subject.epoch is not None else "")
        case ActivationsComputed():
            parts = ("activations", layer, subject.split, subject.index)
        case _:
            parts = ("figure",)
    return re.sub(r"[^\w.]+", "-", "-".join(str(part) for part in parts if part != ""))
