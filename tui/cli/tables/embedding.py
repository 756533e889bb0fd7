"""The table of a map of images."""

from __future__ import annotations

from rich.console import RenderableType

from engine.inspection.map_events import ImagesEmbedded
from engine.inspection.requests import LAYER_WORDS, METHOD_NAMES
from engine.words import percent
from tui.cli.tables.layout import table_of
from tui.drawing.words import counted


def embedding(event: ImagesEmbedded) -> list[RenderableType]:
    """How far a map keeps classes together, class by class: the labels of the nearest neighbours of each image."""
    made = f"{METHOD_NAMES[event.method]} of the {LAYER_WORDS[event.layer]}"
    of = f"{counted(event.dimensions, 'value')}, of whose variance {counted(event.components, 'principal component')}"
    has = "has" if event.components == 1 else "have"
    lines: list[RenderableType] = [f"{made}: {of} {has} {percent(event.kept)}"]
    if event.explained:
        lines.append(f"variance along the axes: {' and '.join(map(percent, event.explained))}")
    if event.divergence is not None:
        lines.append(f"perplexity {event.perplexity:g}, Kullback-Leibler divergence {event.divergence:.4f} nats")
    if event.neighbours is not None:
        lines.append(f"made of the {event.neighbours} nearest neighbours of each image, itself among them")
    table = table_of("class", "images", "mistakes", "same class")
    wrong = event.predictions != event.labels
    for number, share in enumerate(event.same_class_by_class):
        own = event.labels == number
        table.add_row(str(number), f"{own.sum():,}", f"{(own & wrong).sum():,}", percent(share))
    mean = "-" if event.same_class is None else percent(event.same_class)
    before = "-" if event.same_class_before is None else percent(event.same_class_before)
    table.add_row("all", f"{event.count:,}", f"{event.mistakes:,}", mean)
    near = f"of the {event.nearest} nearest neighbours of an image in the map, those with its label:"
    return [*lines, "", near, "", table, "", f"of its {event.nearest} nearest in the principal components: {before}"]
