"""A map of images: a point for each in the colour of its class, mistakes marked."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from engine.figures.drawing.page import BOTTOM, CLASS_COLOURS, FAINT, SMALL, TOP, WIDTH, page, panel, small_print
from engine.inspection.map_events import ImagesEmbedded
from engine.inspection.requests import LAYER_WORDS, METHOD_NAMES
from engine.words import percent

_WIDTH, _HEIGHT = WIDTH - 1.6, 5.6
"""Of the map, in inches."""
_MARGIN = 1.06
"""The range in view, as a multiple of that of the points."""
_LINE = 0.2
"""Height of what is said above it, in inches."""
_LARGE, _SMALL = 12.0, 1.2
"""Area of the points of few images and of thousands, in square points."""


def embedding_figure(event: ImagesEmbedded) -> Figure:
    """The map in equal units along both axes, with a legend of the classes; mistakes are crosses."""
    method, layer = METHOD_NAMES[event.method], LAYER_WORDS[event.layer]
    title = f"{method} of the {layer}, {event.count:,} images of {event.source}"
    notes = [f"{event.components} of {event.dimensions:,} dimensions"] if event.method != "pca" else []
    if event.perplexity is not None:
        notes.append(f"perplexity {event.perplexity:g}")
    if event.neighbours is not None:
        notes.append(f"{event.neighbours} neighbours")
    if event.method != "pca":
        notes.append(f"seed {event.seed}")
    height = _HEIGHT + _LINE + 0.45
    figure = page(height, title, small_print(event, *notes))
    if event.same_class is not None:
        share = percent(event.same_class)
        words = f"{share} of the {event.nearest} nearest neighbours of an image have its label, on average"
        figure.text(0.5, 1 - (TOP + 0.08) / (height + TOP + BOTTOM), words, fontsize=SMALL, color=FAINT, ha="center")
    axes = panel(figure, 0.6, _LINE, _WIDTH, _HEIGHT)
    size = max(_SMALL, min(_LARGE, 6000 / event.count))
    wrong = event.predictions != event.labels
    for number, colour in enumerate(CLASS_COLOURS):
        own = event.points[(event.labels == number) & ~wrong]
        axes.scatter(own[:, 0], own[:, 1], s=size, color=colour, linewidths=0, label=str(number), rasterized=True)
    for number, colour in enumerate(CLASS_COLOURS):
        own = event.points[(event.labels == number) & wrong]
        axes.scatter(own[:, 0], own[:, 1], s=22, marker="x", color="black", linewidths=1.5, zorder=3)
        axes.scatter(own[:, 0], own[:, 1], s=16, marker="x", color=colour, linewidths=0.8, zorder=4)
    low, high = event.points.min(axis=0), event.points.max(axis=0)
    inches = (_WIDTH, _HEIGHT)
    unit = _MARGIN * max((*((high - low) / inches).tolist(), 1e-9))  # per inch, the same along both axes
    limits = [
        (middle - unit * side / 2, middle + unit * side / 2)
        for middle, side in zip(((low + high) / 2).tolist(), inches, strict=True)
    ]
    axes.set(xlim=limits[0], ylim=limits[1])
    if event.explained:
        first, second = (percent(share) for share in event.explained)
        ticks = [[at for at in MaxNLocator(8).tick_values(*ends) if ends[0] <= at <= ends[1]] for ends in limits]
        axes.set(xticks=ticks[0], yticks=ticks[1])
        axes.set(xlabel=f"Component 1 ({first} of the variance)", ylabel=f"Component 2 ({second})")
    else:
        axes.set(xticks=[], yticks=[], xlabel=f"{method} 1", ylabel=f"{method} 2")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, markersize=5, label=str(number))
        for number, colour in enumerate(CLASS_COLOURS)
    ]
    cross = Line2D([], [], marker="x", linestyle="", color="black", markersize=5, label=f"wrong ({event.mistakes:,})")
    axes.legend(handles=[*handles, cross], loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.1)
    return figure
