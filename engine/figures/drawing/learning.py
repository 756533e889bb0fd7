"""What a training run says of learning: a range test of learning rates, and when digits were learned and forgotten."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from engine.figures.drawing.mosaic import Mosaic
from engine.figures.drawing.page import (
    BLUE,
    FAINT,
    GREEN,
    ORANGE,
    ROLES,
    VERMILLION,
    WIDTH,
    joined,
    page,
    panel,
    small_print,
)
from engine.figures.drawing.training import number_epochs
from engine.inspection.learning_events import LearnedDigit, LearningShown
from engine.request import RequestError
from engine.training.events import LearningRateFound

MOST = 16
"""Maximum number of digits in each row of the figure of learning."""
_FEW = 50
"""Up to so many epochs, their markers are distinguishable."""


def rates_figure(event: LearningRateFound) -> Figure:
    """Loss against learning rate, raw and smoothed, with the steepest fall, the lowest loss and the suggestion.

    Raises RequestError where no step has a finite loss.
    """
    if not event.losses:
        raise RequestError(f"nothing to draw: {event.words}")
    objective = [] if event.objective == "clean" else [f"objective {event.objective}"]
    asked = f"{len(event.rates)} of {event.steps} steps from {event.lowest:g} to {event.highest:g}"
    note = joined(
        event.variant, event.dataset, *objective, f"batch size {event.batch_size}", f"seed {event.seed}", asked
    )
    figure = page(2.95, "Loss by learning rate", note)
    figure.text(0.5, 1 - 0.42 / figure.get_size_inches()[1], event.words, fontsize=7, color=FAINT, ha="center")
    axes = panel(figure, 0.65, 0.28, WIDTH - 0.95, 2.25)
    axes.plot(event.rates, event.losses, color=ROLES["running"], alpha=0.6, linewidth=0.6, label="each batch")
    axes.plot(event.rates, event.smoothed, color=BLUE, label="smoothed")
    for rate, colour, name in (
        (event.steepest, ORANGE, "steepest fall"),
        (event.rises_from, VERMILLION, "rises from here"),
        (event.suggested, GREEN, "suggested"),
    ):
        if rate is not None:
            axes.axvline(rate, color=colour, linewidth=0.9, linestyle="--", label=f"{name}: {rate:.1e}")
    axes.set_xscale("log")
    axes.set_xlim(event.lowest, event.highest)
    powers = range(math.ceil(math.log10(event.lowest) - 1e-9), math.floor(math.log10(event.highest) + 1e-9) + 1)
    decades = [10.0**power for power in powers]
    axes.set_xticks(decades if len(decades) > 1 else [event.lowest, event.highest])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    # Single batches at the end are so high that nothing else would be visible.
    shown = [*event.smoothed, *(loss for loss in event.losses if loss <= 1.3 * max(event.smoothed))]
    room = 0.05 * (max(shown) - min(shown)) or 0.1
    axes.set_ylim(min(shown) - room, max(shown) + room)
    axes.set(xlabel="Learning rate", ylabel="Loss (nats)")
    axes.grid(True)
    if event.ending:
        axes.set_title(event.ending, fontsize=7, color=VERMILLION, loc="right")
    axes.legend(loc="lower left", fontsize=6.5)
    return figure


def learning_figure(event: LearningShown) -> Figure:
    """Digits wrong, learned and forgotten by epoch, how often digits were forgotten, and the digits at the ends.

    Above a digit are its index and its label, and the number of times that it was forgotten, or the epoch from which on
    it was always recognised.
    """
    rows = [
        (
            "most forgotten; above each its index, label and how often it was forgotten",
            event.most_forgotten[:MOST],
            _forgotten,
        ),
        (
            "last learned for good; above each its index, label and the epoch from which on it was right",
            event.last_learned[:MOST],
            _learned,
        ),
        ("never recognised; above each its index and label", event.never_right[:MOST], _plain),
    ]
    rows = [row for row in rows if row[1]]
    chart, label = 1.9, 0.24
    places = [np.searchsorted(event.indices, [digit.index for digit in digits]) for _, digits, _ in rows]
    mosaics = [Mosaic(event.images[place], len(place), (WIDTH - 0.4) * len(place) / MOST, label) for place in places]
    below = chart + 0.7
    height = below + sum(mosaic.height + label + 0.22 for mosaic in mosaics)
    span = f"epochs {event.epochs[0]} to {event.epochs[-1]}"
    notes = [span, *([f"{event.missing} epochs without a record"] if event.missing else [])]
    figure = page(
        height, f"Learning of {event.count:,} {event.dataset} {event.split} digits", small_print(event, *notes)
    )
    _by_epoch(panel(figure, 0.65, 0.16, 3.6, chart), event)
    _by_times(panel(figure, 5.0, 0.16, 2.0, chart), event)
    for (title, digits, words), mosaic in zip(rows, mosaics, strict=True):
        total = figure.get_size_inches()[1]
        figure.text(0.2 / WIDTH, 1 - (0.45 + below + 0.05) / total, title, fontsize=6.5, color=FAINT)
        axes, _ = mosaic.draw(figure, (0.2, below + 0.12 + label), (0.0, 1.0), "gray")
        for number, digit in enumerate(digits):
            mosaic.write(axes, number, str(digit.index), 5.5, above=0.03 + 0.1)
            mosaic.write(axes, number, words(digit), 5.5, colour=FAINT)
        below += mosaic.height + label + 0.22
    return figure


def _forgotten(digit: LearnedDigit) -> str:
    return f"{digit.label}, {digit.forgotten}x"


def _learned(digit: LearnedDigit) -> str:
    return f"{digit.label}, e{digit.learned}"


def _plain(digit: LearnedDigit) -> str:
    return str(digit.label)


def _by_epoch(axes: Axes, event: LearningShown) -> None:
    wrong = [event.count - right for right in event.right]
    marker = "o" if len(event.epochs) <= _FEW else ""
    axes.plot(event.epochs, wrong, color=VERMILLION, marker=marker, label="wrong")
    axes.plot(event.epochs[1:], event.learned[1:], color=BLUE, marker=marker, label="learned")
    axes.plot(event.epochs[1:], event.forgotten[1:], color=ORANGE, marker=marker, label="forgotten")
    number_epochs(axes, event.epochs[-1])
    axes.set_ylim(bottom=0)
    axes.set_ylabel("Digits")
    axes.grid(True)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=3)


def _by_times(axes: Axes, event: LearningShown) -> None:
    """Digits by how often they were forgotten, from once on: most never are."""
    counts = event.by_forgetting[1:]
    axes.bar(range(1, len(counts) + 1), counts, color=ORANGE, width=0.7)
    most = max(2, len(counts))
    axes.set_xticks(range(1, most + 1, -(-most // 10)))
    axes.set(xlabel="Times forgotten", ylabel="Digits", xlim=(0.4, most + 0.6))
    if not counts:
        axes.set(ylim=(0, 1), yticks=[0, 1])
    axes.grid(True, axis="y")
    axes.set_axisbelow(True)
    axes.set_title(f"never forgotten: {event.by_forgetting[0]:,}; never right: {event.never:,}", fontsize=6.5)
