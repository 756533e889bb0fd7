"""Loss and accuracy of a run by epoch (the notebook's sections 1.1 and 1.6)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from engine.figures.drawing.page import ROLES, TOP, joined, page, panel, shortened
from engine.request import RequestError
from engine.runs.history import ROBUST_FIELDS, RunHistory
from engine.training.events import BatchTrained, EpochFinished
from engine.training.recipes import recipe_words

_FEW = 50
"""Up to so many epochs, their markers, and the losses within epochs, are distinguishable."""


def curves_figure(history: RunHistory, *, logarithmic: bool = True) -> Figure:
    """Losses, on a logarithmic axis or a linear one, and accuracies by epoch, also for a running run.

    Raises RequestError before its first epoch is done.
    """
    epochs, progress = list(history.epochs), history.progress  # a snapshot, since the run may continue meanwhile
    if not epochs:
        raise RequestError("nothing to draw yet: wait until the first epoch is done")
    asked, state = epochs[-1].epochs, [] if history.state == "finished" else [history.state]
    done = f"epoch {epochs[-1].epoch}" + (f" of {asked}" if epochs[-1].epoch < asked else "")
    asked_for = history.request
    note = [f"training loss: {asked_for.loss_note}"] if asked_for and asked_for.loss_note else []
    figure = page(2.64, "", joined(shortened(history.name), done, *state, *note))
    variant = {"cnn": " without batch_norm", "cnn-bn": " with batch_norm"}.get(history.variant, "")
    size = None
    if asked_for and asked_for.recipe != "notebook":
        variant, size = f"{variant}, {recipe_words(asked_for)}", 7.5  # smaller, as there is no room for more

    losses, accuracies = (panel(figure, left, 0.46 - TOP, 2.75, 2.2) for left in (0.65, 4.2))
    if len(epochs) <= _FEW:
        x, y = _running(epochs, progress)
        losses.plot(x, y, color=ROLES["running"], alpha=0.6, linewidth=0.6, label="within epochs")
    _plot(losses, epochs, "train_loss", "o")
    _plot(losses, epochs, "val_loss", "s")
    scale_losses(losses, [loss for e in epochs for loss in (e.train_loss, e.val_loss)], logarithmic=logarithmic)
    losses.set_title(f"loss vs epoch{variant}", pad=15, fontsize=size)
    losses.set_ylabel("Loss (cross-entropy, nats)")
    _plot(accuracies, epochs, "test_accuracy", "^", 100)
    _plot(accuracies, epochs, "val_accuracy", "s", 100)
    for field, marker in zip(ROBUST_FIELDS, "vD", strict=True):
        if field in history.fields:
            _plot(accuracies, epochs, field, marker, 100)
    accuracies.set_title(f"Acc vs epoch{variant}", pad=15, fontsize=size)
    accuracies.set_ylabel("Accuracy (%)")
    for axes in (losses, accuracies):
        number_epochs(axes, epochs[-1].epoch if progress is None else progress.epoch)
        axes.grid(True)
        # Above the axes, where there are no curves; of four, the names are shorter.
        handles, labels = axes.get_legend_handles_labels()
        names = [label.removesuffix(" accuracy") for label in labels] if len(labels) > 3 else labels
        axes.legend(handles, names, loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=4 if len(names) > 3 else 3)
    return figure


def _running(epochs: Sequence[EpochFinished], progress: BatchTrained | None) -> tuple[list[float], list[float]]:
    """The ends, in epochs, of the parts of epochs with a running loss, and these losses."""
    parts = [(e.epoch, 1.0, e.running_loss) for e in epochs]
    if progress is not None:
        parts.append((progress.epoch, progress.step / progress.steps, progress.running_loss))
    points = [
        (epoch - 1 + (i + 1) * share / len(losses), loss)
        for epoch, share, losses in parts
        for i, loss in enumerate(losses)
    ]
    return [x for x, _ in points], [loss for _, loss in points]


def _plot(axes: Axes, epochs: Sequence[EpochFinished], field: str, marker: str, factor: float = 1.0) -> None:
    values = [factor * getattr(epoch, field) for epoch in epochs]
    colour = ROLES[field.partition("_")[0]]
    marker = marker if len(epochs) <= _FEW else ""
    axes.plot([e.epoch for e in epochs], values, color=colour, marker=marker, label=field.replace("_", " "))


def scale_losses(axes: Axes, losses: list[float], *, logarithmic: bool = True) -> None:
    """A logarithmic scale over the epochs' losses, or a linear one from 0: those of the first steps are much higher."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    if not finite:
        return
    if not logarithmic:
        axes.set_ylim(0.0, max(finite) * 1.1 or 1.0)
        return
    if min(finite) <= 0:
        return
    axes.set_yscale("log")
    axes.set_ylim(min(finite) / 1.6, max(finite) * 1.6)  # wide enough to contain a tick at 1, 2 or 5
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def number_epochs(axes: Axes, last: int) -> None:
    """A horizontal axis of whole epochs up to `last`."""
    axes.set_xlim(0, last + max(0.3, 0.01 * last))
    axes.set_xlabel("Epochs")
    if last <= 20:
        axes.set_xticks(range(1, last + 1, 1 if last <= 10 else 2))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
