"""Pictures in the output of commands: rows of images with a label above each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.style import Style
from rich.text import Text

from engine.attacks.events import AttackFinished, RobustnessMeasured
from engine.attribution.events import AttributionsComputed, ClassOcclusionReady, OcclusionMapReady
from engine.attribution.requests import METHOD_TITLES
from engine.certification.events import DigitCertified
from engine.corruptions.events import DigitCorrupted
from engine.corruptions.requests import CORRUPTION_TITLES
from engine.figures.requests import ColourMapName
from engine.inspection.audit_events import NetworksAudited
from engine.inspection.events import ActivationsComputed, DigitsShown, FiltersShown, ImagesPredicted
from engine.inspection.learning_events import LearningShown
from engine.inspection.unit_events import UnitShown, UnitsVisualised
from engine.network.events import NetworkEvent
from tui.drawing.raster import Mode, Span, enlarge, halve, modes_of, paint, palette, quantise
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.vocabulary import answered, number_of_times

MOST_UNITS = 64
"""Units whose images are drawn: of the hidden layer's hundreds, the first."""
MARGIN = 2
"""Cells between two images."""


def mode_of(console: Console) -> Mode | None:
    """The mode to draw pictures on `console`; None if it is not a terminal."""
    return modes_of(console, no_color=console.no_color)[0] if console.is_terminal else None


def pictures(event: NetworkEvent, console: Console, layer: str = "conv1") -> Text | None:
    """The images of `event` as text; None if it has none, or if `console` is not a terminal."""
    mode, found = mode_of(console), _found(event, layer)
    if mode is None or found is None:
        return None
    return _rows(found, mode, console.width)


@dataclass(frozen=True)
class _Found:
    """The pictures of an event."""

    images: np.ndarray
    """(n, H, W)."""
    labels: Sequence[str]
    colours: ColourMapName = "gray"
    span: Span | None = None
    """Value range of all images; None for the range of `images`."""


def _found(event: NetworkEvent, layer: str) -> _Found | None:  # noqa: PLR0912 (a case for each event)
    found = None
    match event:
        case DigitsShown() if event.digits:
            labels = [f"{d.actual}{glyphs().arrow}{d.predicted}" for d in event.digits]
            found = _Found(event.images, labels)
        case ImagesPredicted():
            labels = [f"{glyphs().arrow}{answer}" for answer in event.predictions]
            found = _Found(event.images, labels, span=Span(0.0, 1.0))
        case NetworksAudited():
            labels = [f"{d.actual}{glyphs().arrow}{d.predicted}" for d in event.digits]
            found = _Found(event.images, labels, span=Span(0.0, 1.0))
        case LearningShown() if event.most_forgotten or event.last_learned or event.never_right:
            shown = (*event.most_forgotten, *event.last_learned, *event.never_right)
            places = np.searchsorted(event.indices, [digit.index for digit in shown])
            labels = [f"{digit.index}" for digit in shown]
            found = _Found(event.images[places], labels, span=Span(0.0, 1.0))
        case FiltersShown() if event.shape[1] == 1:
            found = _Found(event.weights[:, 0], _numbers(len(event.weights)), "diverging")
        case ActivationsComputed():
            maps = event.conv1 if layer == "conv1" else event.conv2
            found = _Found(maps, _numbers(len(maps)))
        case UnitsVisualised():
            labels = [f"{each.unit} {number_of_times(each.ratio)}" for each in event.units]
            found = _Found(event.images[:MOST_UNITS], labels[:MOST_UNITS], span=Span(0.0, 1.0))
        case UnitShown():
            labels = [f"start {start}" for start in range(len(event.starts))]
            labels += [str(digit.index) for digit in event.digits]
            found = _Found(np.concatenate((event.starts, event.digit_images)), labels, span=Span(0.0, 1.0))
        case OcclusionMapReady():
            found = _Found(event.probabilities[None], [f"p({event.watched})"], "viridis", Span(0.0, 1.0))
        case ClassOcclusionReady():
            found = _Found(event.mean_probabilities[None], ["mean probability"], "viridis", Span(0.0, 1.0))
        case AttributionsComputed():
            # The methods have different units, so each map is scaled by its own largest magnitude.
            maps = halve(event.maps)
            most = np.abs(maps).max(axis=(1, 2), keepdims=True)
            names = [METHOD_TITLES[method].short for method in event.methods]
            found = _Found(maps / np.where(most > 0, most, 1), names, "diverging", Span(-1.0, 1.0))
        case AttackFinished():
            labels = [
                f"{'' if made.actual < 0 else made.actual}{glyphs().arrow}{made.predicted}" for made in event.images
            ]
            found = _Found(event.adversarial, labels, span=Span(0.0, 1.0))
        case DigitCorrupted():
            named = zip(event.corruptions, event.predicted[0], strict=True)
            labels = [answered(CORRUPTION_TITLES[name], answer, event.actual) for name, answer in named]
            found = _Found(event.images, labels, span=Span(0.0, 1.0))
        case DigitCertified() if event.taken_for >= 0:
            labels = [str(event.predicted), str(event.taken_for)]
            found = _Found(np.stack((event.image, event.adversarial)), labels, span=Span(0.0, 1.0))
        case RobustnessMeasured() if event.fallen:
            labels = [f"{each.actual}{glyphs().arrow}{each.taken_for}" for each in event.fallen]
            found = _Found(event.fallen_images, labels, span=Span(0.0, 1.0))
    return found


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def _rows(found: _Found, mode: Mode, width: int) -> Text:
    """The images in one value range, as many per row as fit into `width` cells."""
    images, labels = found.images, found.labels
    span, colours = (
        found.span or Span.of(images, found.colours),
        palette(found.colours, mode, Style.null(), shades=glyphs() is UNICODE),
    )
    # Halve digits and enlarge kernels: images are then about as wide as their labels, and many fit on a line.
    side = images.shape[-1]
    levels = quantise(halve(images) if side >= 20 and len(images) > 1 else images, span, colours.count)
    levels = enlarge(levels, max(1, 6 // side))
    across = max(1, (width + MARGIN) // (levels.shape[-1] + MARGIN))
    text = Text(no_wrap=True, end="")
    for start in range(0, len(levels), across):
        tiles = [paint(tile, colours) for tile in levels[start : start + across]]
        size = levels.shape[-1] + MARGIN
        text.append(
            "".join(label[: size - 1].ljust(size) for label in labels[start : start + across]).rstrip() + "\n", "dim"
        )
        for line in zip(*tiles, strict=True):
            for row in line:
                for character, style in row:
                    text.append(character, style)
                text.append(" " * MARGIN)
            text.append("\n")
    return text
