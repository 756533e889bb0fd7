"""Pictures between the lines of a command's output: rows of images with a label over each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.style import Style
from rich.text import Text

from engine.events import ActivationsComputed, DigitsShown, FiltersShown, NetworkEvent
from engine.requests import ColourMapName
from tui.raster import Mode, Span, enlarge, halve, modes_of, paint, palette, quantise
from tui.terminal import glyphs

MARGIN = 2
"""Cells between two images."""


def mode_of(console: Console) -> Mode | None:
    """How pictures can be drawn on `console`; None where nobody looks at it."""
    return modes_of(console, no_color=console.no_color)[0] if console.is_terminal else None


def pictures(event: NetworkEvent, console: Console, layer: str = "conv1") -> Text | None:
    """The images that `event` holds; None where it holds none, or they do not belong into this output."""
    mode = mode_of(console)
    if mode is None:
        return None
    match event:
        case DigitsShown() if event.digits:
            labels = [f"{d.actual}{glyphs().arrow}{d.predicted}" for d in event.digits]
            return _rows(event.images, labels, "gray", mode, console.width)
        case FiltersShown() if event.shape[1] == 1:
            return _rows(event.weights[:, 0], _numbers(len(event.weights)), "diverging", mode, console.width)
        case ActivationsComputed():
            maps = event.conv1 if layer == "conv1" else event.conv2
            return _rows(maps, _numbers(len(maps)), "gray", mode, console.width)
        case _:
            return None


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def _rows(images: np.ndarray, labels: Sequence[str], name: ColourMapName, mode: Mode, width: int) -> Text:
    """`images` (n, H, W) in one value range, as many beside one another as fit into `width` cells."""
    span, colours = Span.of(images, name), palette(name, mode, Style.null())
    # Digits at half their size, kernels at twice theirs: about as large as a label is long, and many to a line.
    side = images.shape[-1]
    levels = quantise(halve(images) if side >= 20 else images, span, colours.count)
    levels = enlarge(levels, max(1, 6 // side))
    across = max(1, (width + MARGIN) // (levels.shape[-1] + MARGIN))
    text = Text(no_wrap=True, end="")
    for start in range(0, len(levels), across):
        tiles = [paint(tile, colours) for tile in levels[start : start + across]]
        size = levels.shape[-1] + MARGIN
        text.append("".join(label.ljust(size) for label in labels[start : start + across]).rstrip() + "\n", "dim")
        for line in zip(*tiles, strict=True):
            for row in line:
                for character, style in row:
                    text.append(character, style)
                text.append(" " * MARGIN)
            text.append("\n")
    return text
