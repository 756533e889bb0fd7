"""Comparison of groups of runs: their curves with bands over seeds, and the result of each run."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.figures.drawing.page import SERIES, SMALL, TOP, joined, page, panel, shortened
from engine.figures.drawing.training import number_epochs, scale_losses
from engine.runs.comparison import sentence
from engine.runs.events import RunGroup, RunsCompared

DASHES: tuple[object, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
MOST = len(SERIES)
"""Maximum number of groups, which colours can distinguish; further ones are left out."""


def comparison_figure(event: RunsCompared, *, logarithmic: bool = True) -> Figure:
    """Validation loss and test accuracy by epoch, and the test accuracy of each run; at most MOST groups.

    The axis of the losses is logarithmic or linear.
    """
    groups = event.groups[:MOST]
    told = ["test accuracy", "seconds per epoch", *["joules per epoch"] * (len(groups) == 2)]
    shown = [each for each in event.contrasts if each.measure in told][:4]
    legend = 0.17 * math.ceil(len(groups) / 2)
    words = 0.16 * len(shown) + 0.1
    left_out = len(event.groups) - len(groups)
    notes = ["mean and standard deviation over seeds"] if max(len(g.runs) for g in groups) > 1 else []
    notes += [f"{left_out} more groups are left out"] if left_out else []
    figure = page(2.55 + legend + words, "", joined(f"{sum(len(g.runs) for g in event.groups)} runs", *notes))
    losses, accuracies, results = (
        panel(figure, left, 0.3 + legend - TOP, width, 2.1) for left, width in ((0.6, 2.3), (3.5, 1.9), (6.0, 1.1))
    )
    for number, group in enumerate(groups):
        _draw(losses, group, number, "val_loss", 1.0)
        _draw(accuracies, group, number, "test_accuracy", 100.0)
        values = [100 * value for value in group.values["test accuracy"]]
        results.plot([number] * len(values), values, "o", color=SERIES[number], alpha=0.6)
        spread = group.results["test accuracy"]
        if not math.isnan(spread.low):
            half = 50 * (spread.high - spread.low)
            results.errorbar(
                [number + 0.25], [100 * spread.mean], yerr=[half], fmt="_", color=SERIES[number], capsize=2
            )
    means = [each.mean for group in groups for each in group.curves["val_loss"]]
    scale_losses(losses, means, logarithmic=logarithmic)
    low, high = losses.get_ylim()
    losses.set_yticks([tick for tick in losses.get_yticks() if low <= tick <= high])
    last = max(group.epochs[-1] for group in groups)
    for axes, name in ((losses, "validation loss (nats)"), (accuracies, "test accuracy (%)")):
        number_epochs(axes, last)
        axes.set_title(name)
        axes.grid(True)
    results.set_title("of each run (%)")
    results.set_xlim(-0.5, len(groups) - 0.25)
    results.set_xticks([])
    results.grid(True, axis="y")
    handles, labels = losses.get_legend_handles_labels()
    total = float(figure.get_size_inches()[1])
    figure.legend(
        handles, labels, loc="upper center", bbox_to_anchor=(0.5, 1 - 0.05 / total), ncols=min(2, len(groups))
    )
    for number, contrast in enumerate(shown):
        height = (0.32 + 0.16 * (len(shown) - 1 - number)) / total
        figure.text(0.15 / 7.2, height, sentence(contrast), fontsize=SMALL, va="bottom")
    return figure


def _draw(axes: Axes, group: RunGroup, number: int, field: str, factor: float) -> None:
    curve = group.curves[field]
    means = [factor * each.mean for each in curve]
    label = f"{shortened(group.label)} ({len(group.runs)})"
    axes.plot(group.epochs, means, color=SERIES[number], linestyle=DASHES[number % len(DASHES)], label=label)
    if len(group.runs) > 1:
        halves = [0.0 if math.isnan(each.deviation) else factor * each.deviation for each in curve]
        low, high = ([m + sign * h for m, h in zip(means, halves, strict=True)] for sign in (-1, 1))
        axes.fill_between(group.epochs, low, high, color=SERIES[number], alpha=0.18, linewidth=0)
