"""Tables of occlusion, attributions and their faithfulness."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table

from engine.attribution.events import (
    AttributionsComputed,
    ClassOcclusionReady,
    Faithfulness,
    FaithfulnessMeasured,
    OcclusionMapReady,
    StrokeShare,
)
from engine.words import percent
from tui.cli.tables.layout import number, table_of
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import NO_NUMBERS


def occlusion(event: OcclusionMapReady) -> list[RenderableType]:
    """The occlusion of one image."""
    p, others = f"p({event.watched})", event.other_answers
    if math.isnan(event.minimum):
        return [f"image {event.index}: actual {event.actual}; {NO_NUMBERS}"]
    changed = f": {', '.join(f'{winner} ({count:,})' for winner, count in others)}" if others else ""
    return [
        f"image {event.index}: actual {event.actual}, predicted {event.predicted}, "
        f"{p} {percent(event.unoccluded_probability)} without a patch",
        f"{_patch(event)}: {event.winners.size:,} positions, {event.computed:,} computed, "
        f"{event.seconds * 1000:.0f} ms",
        f"{p} from {event.minimum:.4f} at {event.minimum_at} to {event.maximum:.4f} at {event.maximum_at}",
        f"the prediction changes at {sum(count for _, count in others):,} positions{changed}",
        _strokes(event.strokes),
    ]


def _patch(event: OcclusionMapReady | ClassOcclusionReady) -> str:
    return f"patch {event.patch_size}x{event.patch_size} ({event.baseline}), stride {event.stride}"


def _strokes(strokes: StrokeShare) -> str:
    return f"over strokes: {percent(strokes.positions)} of the positions, {percent(strokes.drop)} of the drop"


def class_occlusion(event: ClassOcclusionReady) -> list[RenderableType]:
    """The mean occlusion over images of a class."""
    over = f"mean over {event.averaged:,} of the {event.matching:,} images of class {event.digit}, {_patch(event)}"
    if math.isnan(event.unoccluded_probability):
        return [f"{over}: {NO_NUMBERS}"]
    least, most = float(event.mean_probabilities.min()), percent(float(event.changed.max()))
    p = percent(event.unoccluded_probability)
    return [
        f"{over}:",
        f"probability {p} without a patch, lowest {least:.4f} at {event.minimum_at}",
        f"the prediction changes for {most} of the images at {event.most_changed_at}",
        _strokes(event.strokes),
    ]


def attributions(event: AttributionsComputed) -> list[RenderableType]:
    """How faithful each method is on one image."""
    p = f"p({event.watched})"
    lines: list[RenderableType] = [
        f"image {event.index}: actual {event.actual}, predicted {event.predicted}, "
        f"{p} {percent(event.unoccluded_probability)}",
        "",
        _faithfulness_table(event.faithfulness),
    ]
    for each in event.faithfulness:
        if each.completeness:
            total, difference = each.completeness
            error = f"map sums to {total:.4f}, logit difference {difference:.4f}, error {abs(total - difference):.4f}"
            lines += ["", f"{each.method}, completeness: {error}"]
    return lines


def faithfulness(event: FaithfulnessMeasured) -> list[RenderableType]:
    """How faithful each method is over many images."""
    many = f"mean and standard deviation over the first {event.averaged:,} images"
    over = many if event.averaged > 1 else "on the first image"
    lines: list[RenderableType] = [f"{over}:", "", _faithfulness_table(event.faithfulness)]
    if event.randomised:
        count = f"{event.randomised} image{'s' if event.randomised > 1 else ''}"
        lines += ["", f"change: 1 - rank correlation with random weights, over {count}"]
    return lines


def _faithfulness_table(measured: Sequence[Faithfulness]) -> Table:
    columns = ["method", "deletion", "insertion"]
    changes = any(each.change is not None for each in measured)
    table = table_of(*columns, *(["change"] if changes else []), left=1)
    for each in measured:
        change = [number(each.change)] if changes else []
        areas = (area.summary(glyphs().spread) for area in (each.deletion, each.insertion))
        table.add_row(each.method, *areas, *change)
    return table
