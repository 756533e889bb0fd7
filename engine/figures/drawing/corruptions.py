"""A digit under each corruption, and the accuracy under each."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from engine.corruptions.events import CorruptionsMeasured, DigitCorrupted
from engine.corruptions.requests import CORRUPTION_TITLES
from engine.figures.drawing.mosaic import Mosaic
from engine.figures.drawing.page import FAINT, SERIES, VERMILLION, WIDTH, page, panel, shortened, small_print

_COLUMNS = 8
_LINE = 0.105
"""Height of a line of text above an image, in inches."""
_ROW = 0.09
"""Height of the interval of one network in the chart, in inches."""
_SOURCE = "reimplemented after Mu and Gilmer (2019)"


def corruptions_figure(event: DigitCorrupted) -> Figure:
    """The digit under each corruption with each network's answer, wrong ones in red.

    If accuracies were measured, they are below, with their 95 % intervals.
    """
    label = _LINE * (1 + len(event.networks)) + 0.06
    columns = min(_COLUMNS, len(event.images))
    width = (WIDTH - 0.4) * columns / _COLUMNS
    mosaic = Mosaic(event.images, columns, width, label, gap=0.14)
    top = label + 0.12
    title, notes = f"The same image under {len(event.corruptions) - 1} corruptions", [f"seed {event.seed}", _SOURCE]
    height = chart = top + mosaic.height + 0.1
    if isinstance(event, CorruptionsMeasured):
        title = "Accuracy on corrupted images"
        notes.insert(0, f"{event.points[0].count:,} images")
        chart += 0.2 + math.ceil(len(event.networks) / 2) * 0.14
        bands = len(event.corruptions) * (_ROW * len(event.networks) + 0.1)
        height = chart + bands + 0.4
    figure = page(height, title, small_print(event, *notes))
    axes, _ = mosaic.draw(figure, ((WIDTH - width) / 2, top), (0.0, 1.0), "gray")
    rows = len(event.networks)
    for number, name in enumerate(event.corruptions):
        mosaic.write(axes, number, CORRUPTION_TITLES[name], 6, above=0.03 + rows * _LINE)
        for row, answers in enumerate(event.predicted):
            answer, share = answers[number], float(event.probabilities[row, number, answers[number]])
            colour = VERMILLION if answer != event.actual else FAINT
            text = f"{answer} ({100 * share:.1f} %)" if math.isfinite(share) else f"{answer}"
            mosaic.write(axes, number, text, 5.5, above=0.03 + (rows - 1 - row) * _LINE, colour=colour)
    names = [shortened(network, 24) for network in event.networks]
    whose = f"answer of {', then of '.join(names)}" if len(names) < 3 else f"answers of {len(names)} networks, in order"
    words = f"{event.part} image {event.index}, actual {event.actual}; above each picture the {whose}"
    figure.text(0.5, 1 - (0.45 + 0.02) / (height + 0.75), words, fontsize=6, color=FAINT, ha="center")
    if isinstance(event, CorruptionsMeasured):
        _accuracies(figure, event, chart, bands)
    return figure


def _accuracies(figure: Figure, event: CorruptionsMeasured, top: float, height: float) -> None:
    axes = panel(figure, 1.0, top, WIDTH - 1.3, height)
    count = len(event.networks)
    for number, network in enumerate(event.networks):
        points = [event.of(network)[name] for name in event.corruptions]
        places = [place + (number - (count - 1) / 2) * 0.7 / count for place in range(len(points))]
        values = [100 * point.accuracy for point in points]
        bars = [
            [100 * max(0.0, point.accuracy - point.low) for point in points],
            [100 * max(0.0, point.high - point.accuracy) for point in points],
        ]
        words = f"{shortened(network, 24)}: mean over the corruptions {100 * event.mean(network):.2f} %"
        axes.errorbar(
            values, places, xerr=bars, fmt="o", color=SERIES[number], capsize=1.5, elinewidth=0.7, label=words
        )
        axes.axvline(values[0], color=SERIES[number], linewidth=0.5, alpha=0.5, zorder=0)
    axes.set_yticks(range(len(event.corruptions)), labels=[CORRUPTION_TITLES[name] for name in event.corruptions])
    axes.set_ylim(len(event.corruptions) - 0.4, -0.6)
    axes.set(xlabel="Accuracy (%), with 95 % intervals (Wilson)", xlim=(-1, 101))
    axes.set_xticks(range(0, 101, 10))
    axes.grid(True)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=6)
