"""A layer over the epochs of a run: ridge lines of its values, and the norms of all layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from engine.figures.drawing.page import FAINT, GREEN, SERIES, TOP, joined, page, panel, shortened
from engine.figures.drawing.training import number_epochs
from engine.request import RequestError
from engine.runs.events import InsidesShown
from engine.runs.insides import LAYERS, layer_of, ridges
from engine.training.events import KINDS, Kind
from engine.words import percent

_REACH = 2.5
"""Height of the highest ridge, in distances of baselines."""


def insides_figure(event: InsidesShown) -> Figure:
    """Ridge lines of the weights, gradients and activations of the layer; below them, by epoch, the update ratio and
    the share of dead units of all layers, and the gradient noise scale.

    Raises RequestError where the layer was not measured.
    """
    last = event.insides[-1] if event.insides else None
    if last is None or any(ridges(event, kind) is None for kind in KINDS):
        raise RequestError(f"{event.layer} was not measured in run {event.run}: choose one of {', '.join(LAYERS)}")
    probe = f"measured on {last.images:,} training images"
    figure = page(4.95, f"{event.layer}: values by epoch", joined(shortened(event.run), probe))
    for place, kind in enumerate(KINDS):
        _ridges(panel(figure, 0.45 + 2.3 * place, 0.5 - TOP, 2.05, 2.75), event, kind)
    lower = [panel(figure, 0.6 + 2.33 * place, 3.98 - TOP, 1.8, 1.0) for place in range(3)]
    _numbers(lower[0], event, "update_ratio", "update ratio")
    _numbers(lower[1], event, "dead", "dead units (%)", 100)
    _noise(lower[2], event)
    for axes in lower:
        number_epochs(axes, event.epochs[-1])
        axes.grid(True)
    handles, labels = lower[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower right", bbox_to_anchor=(0.985, 0.005), ncols=len(LAYERS))
    return figure


def _ridges(axes: Axes, event: InsidesShown, kind: Kind) -> None:
    """The ridges of a kind of values, the oldest at the top and at the back."""
    found = ridges(event, kind)
    assert found is not None, "it was asked before"
    count, most = len(event.epochs), found.most or 1.0
    colours = colormaps["viridis"]
    for number, points in enumerate(found.points):
        base = float(count - 1 - number)
        xs, ys = [x for x, _ in points], [base + _REACH * y / most for _, y in points]
        colour = colours(0.9 * number / max(1, count - 1))
        axes.fill_between(xs, base, ys, color="white", zorder=number, linewidth=0)
        axes.plot(xs, ys, color=colour, linewidth=0.9, zorder=number, gid=f"{kind}-{event.epochs[number]}")
    axes.set_title(f"{kind}", pad=3)
    axes.text(1.0, 1.0, f"zero: {percent(found.zeros[-1])}", transform=axes.transAxes, fontsize=6, color=FAINT,
              ha="right", va="bottom")  # fmt: skip
    axes.set_xlim(0, found.axis.length)
    axes.set_ylim(-0.3, count - 1 + _REACH + 0.2)
    ticks = found.axis.ticks()
    step = -(-len(ticks) // 5)
    middle = next((place for place, tick in enumerate(ticks) if tick.text == "0"), 0)
    kept = [tick for place, tick in enumerate(ticks) if (place - middle) % step == 0]
    axes.set_xticks([tick.place for tick in kept], [tick.text for tick in kept])
    named = range(0, count, -(-count // 16))
    axes.set_yticks([count - 1 - number for number in named], [str(event.epochs[number]) for number in named])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if kind == KINDS[0]:
        axes.set_ylabel("Epoch")


def _numbers(axes: Axes, event: InsidesShown, name: str, title: str, factor: float = 1.0) -> None:
    """A number of each layer by epoch."""
    for layer, colour in zip(LAYERS, SERIES, strict=False):
        found = [(epoch, layer_of(each, layer)) for epoch, each in zip(event.epochs, event.insides, strict=True)]
        values = [(epoch, value) for epoch, of in found if of and (value := getattr(of, name)) is not None]
        if values:
            xs, ys = zip(*values, strict=True)
            axes.plot(xs, [factor * y for y in ys], color=colour, label=layer, marker=_marker(xs))
    axes.set_title(title)
    if name == "update_ratio":
        _logarithmic(axes)


def _noise(axes: Axes, event: InsidesShown) -> None:
    """The gradient noise scale by epoch, where it could be told."""
    pairs = zip(event.epochs, event.insides, strict=True)
    found = [(epoch, math.nan if each.noise_scale is None else each.noise_scale) for epoch, each in pairs]
    xs, ys = zip(*found, strict=True)
    axes.plot(xs, ys, color=GREEN, marker=_marker(xs), gid="noise")
    _logarithmic(axes)
    axes.set_title("gradient noise scale (images)")


def _logarithmic(axes: Axes) -> None:
    """A logarithmic vertical axis, if it has positive values."""
    drawn = (np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines())
    values = [float(value) for each in drawn for value in each if value > 0]
    if values:
        low, high = min(values) / 1.6, max(values) * 1.6
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
        factors = (1,) if high > 100 * low else (1, 2, 5)
        ticks = [tick for power in powers for factor in factors if low <= (tick := factor * 10.0**power) <= high]
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.yaxis.set_minor_locator(NullLocator())


def _marker(xs: Sequence[float]) -> str:
    return "o" if len(xs) <= 20 else ""
