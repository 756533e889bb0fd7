"""An audit: the reliability diagram, scores by class, and the digits whose labels are in doubt."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engine.figures.drawing.mosaic import Mosaic
from engine.figures.drawing.page import FAINT, SERIES, VERMILLION, WIDTH, page, panel, shortened, small_print
from engine.inspection.audit_events import NetworksAudited, ReliabilityBin
from engine.words import percent

MOST = 50
"""Maximum number of digits in the figure."""
_COLUMNS = 10
_DIAGRAM = 2.6
"""Height of the reliability diagram, in inches."""
_LINE = 0.13
"""Height of a line of text, in inches."""


def audit_figure(event: NetworksAudited) -> Figure:
    """The reliability diagram of each network before and after temperature scaling, F1 by class, and doubtful digits.

    Above a digit are its label, red with an asterisk if raters doubt it too, and the answer with its confidence, red if
    it is another class.
    """
    digits, images = event.digits[:MOST], event.images[:MOST]
    label = 0.34
    mosaic = Mosaic(images, min(_COLUMNS, len(digits)), (WIDTH - 0.5) * min(_COLUMNS, len(digits)) / _COLUMNS, label)
    legend = 0.1 + _LINE * 2 * len(event.audits)
    top = legend + _DIAGRAM + 0.55
    title = f"Audit on {event.count:,} {event.dataset} {event.split} images"
    notes = (f"{len(event.bins)} bins of equal mass", "bars: 95 % intervals (Wilson)")
    figure = page(top + label + mosaic.height + 0.12, title, small_print(event, *notes))
    _diagram(panel(figure, 0.6, legend, 3.9, _DIAGRAM), event)
    _by_class(panel(figure, 5.1, legend, 1.9, _DIAGRAM), event)
    axes, _ = mosaic.draw(figure, ((WIDTH - mosaic.width) / 2, top + label), (0.0, 1.0), "gray")
    for number, digit in enumerate(digits):
        wrong = digit.predicted != digit.actual
        doubted = digit.index in event.disputed
        above = f"{digit.index}: {digit.actual}" + ("*" if doubted else "")
        mosaic.write(axes, number, above, 5.5, above=0.03 + 0.1, colour=VERMILLION if doubted else "black")
        answer = f"{digit.predicted} ({percent(digit.probability)})"
        mosaic.write(axes, number, answer, 5.5, colour=VERMILLION if wrong else FAINT)
    whose = f"pooled answer of {len(event.audits)} networks" if len(event.audits) > 1 else "network's answer"
    words = f"labels in doubt; above each its index and label, and the {whose}"
    if event.known_found is not None:
        words += f"; * most raters doubt it too ({event.known_found} of {len(event.known)})"
    height = figure.get_size_inches()[1]
    figure.text(0.5, 1 - (0.45 + top - 0.05) / height, words, fontsize=6.5, color=FAINT, ha="center")
    return figure


def _diagram(axes: Axes, event: NetworksAudited) -> None:
    lowest = 1.0
    for number, each in enumerate(event.audits):
        name, colour = shortened(each.name, 24), SERIES[number % len(SERIES)]
        interval = f"{100 * each.ece_low:.2f} to {percent(each.ece_high)}"
        _curve(axes, each.bins, colour, "o-", f"{name}: ECE {percent(each.ece)} ({interval})")
        after = f"{name} at temperature {each.temperature:.2f}: ECE {percent(each.ece_calibrated)}"
        _curve(axes, each.bins_calibrated, colour, "s:", after)
        values = [value for of in (*each.bins, *each.bins_calibrated) for value in (of.confidence, of.low)]
        lowest = min([lowest, *filter(math.isfinite, values)])
    low = max(0.0, 100 * lowest - 1)
    axes.plot([low, 100], [low, 100], color="#8C8C8C", linewidth=0.7, zorder=0)
    room = 0.02 * (100 - low) or 1.0
    axes.set(xlabel="Confidence (%)", ylabel="Accuracy (%)", xlim=(low, 100 + room), ylim=(low, 100 + room))
    ticks = [tick for tick in MaxNLocator(8).tick_values(low, 100) if low <= tick <= 100]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.grid(True)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=6)


def _curve(axes: Axes, bins: tuple[ReliabilityBin, ...], colour: str, form: str, label: str) -> None:
    across, up = [100 * each.confidence for each in bins], [100 * each.accuracy for each in bins]
    bars = [
        [100 * max(0.0, each.accuracy - each.low) for each in bins],
        [100 * max(0.0, each.high - each.accuracy) for each in bins],
    ]
    axes.errorbar(
        across, up, yerr=bars, fmt=form, color=colour, capsize=1.2, elinewidth=0.5, label=label, linewidth=0.8
    )


def _by_class(axes: Axes, event: NetworksAudited) -> None:
    """F1 of each class, and its precision and recall."""
    count = len(event.audits)
    for number, each in enumerate(event.audits):
        rows = [place + (number - (count - 1) / 2) * 0.7 / count for place in range(len(each.classes))]
        colour = SERIES[number % len(SERIES)]
        for name, marker in (("precision", "|"), ("recall", "x"), ("f1", "o")):
            values = [100 * getattr(of, name) for of in each.classes]
            label = {"f1": "F1"}.get(name, name) if number == 0 else None
            axes.plot(values, rows, marker, color=colour, label=label, markersize=3.5)
    axes.set_yticks(range(len(event.classes)), labels=[str(number) for number in range(len(event.classes))])
    axes.set_ylim(len(event.classes) - 0.4, -0.6)
    shares = [getattr(of, name) for each in event.audits for of in each.classes for name in ("precision", "recall")]
    low = 100 * min(filter(math.isfinite, shares), default=0.0)
    margin = 0.05 * (100 - low) or 1.0
    axes.set(xlabel="Per cent", ylabel="Class", xlim=(low - margin, 100 + margin))
    axes.set_xticks([tick for tick in MaxNLocator(4).tick_values(low, 100) if low <= tick <= 100])
    axes.grid(True)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=6, handletextpad=0.1)
