"""The histograms of a layer over the epochs of a run as ridge lines on one axis, for the screen and for figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from engine.runs.events import InsidesShown
from engine.runs.history import RunHistory
from engine.training.events import EpochFinished, Histogram, Insides, Kind, LayerInsides, edge

LAYERS = ("conv1", "conv2", "hidden", "output")
"""The layers, from the first to the last."""
TAIL = 0.01
"""The share of the values of all epochs, those nearest to zero, that the axis leaves out."""
RARE = 1e-4
"""A bin with less than this share of an epoch's values does not widen the axis at its end."""
_NARROWEST = 6
"""Fewest bins of a sign."""


class Tick(NamedTuple):
    """A number on the axis."""

    place: float
    """In halves of octaves from the left end of the axis."""
    text: str


class Axis(NamedTuple):
    """A logarithmic axis of magnitudes in halves of octaves; with both signs, zero is in a gap of one in the middle."""

    low: int
    """The lowest bin of `Histogram` on it."""
    high: int
    """The highest bin."""
    signed: bool
    """Whether there are negative values: then they are to the left of zero, the largest magnitudes first."""

    @property
    def side(self) -> float:
        """The length of the part of a sign."""
        return _along(self.high + 1) - _along(self.low)

    @property
    def length(self) -> float:
        """The length of the axis."""
        return 2 * self.side + 1 if self.signed else self.side

    def points(self, found: Histogram) -> tuple[tuple[float, float], ...]:
        """A ridge as points from left to right: places on the axis, and the share of all values for each half octave
        there. They are the middles of the bins, and a point of height 0 at each end and, where zero is, in the gap."""
        total = max(1, found.total)

        def side(counts: Sequence[int]) -> Iterator[tuple[float, float]]:
            for number in range(self.low, self.high + 1):
                start, end = _along(number), _along(number + 1)  # the two bins of an octave differ in width
                at = number - found.first
                share = counts[at] / total if 0 <= at < len(counts) else 0.0
                yield (start + end) / 2 - _along(self.low), share / (end - start)

        positive = [*side(found.positive)]
        if not self.signed:
            return ((0.0, 0.0), *positive, (self.length, 0.0))
        negative = [(self.side - place, height) for place, height in reversed([*side(found.negative)])]
        above = [(self.side + 1 + place, height) for place, height in positive]
        return ((0.0, 0.0), *negative, (self.length / 2, 0.0), *above, (self.length, 0.0))

    def place(self, value: float) -> float:
        """Where a value is; zero is in the middle of the gap."""
        if not value:
            return self.side + 0.5
        along = 2 * math.log2(abs(value)) - _along(self.low)
        if value < 0:
            return self.side - along
        return self.side + 1 + along if self.signed else along

    def ticks(self) -> list[Tick]:
        """The powers of ten on the axis, and zero, from left to right."""
        first = math.ceil(math.log10(edge(self.low)) - 1e-9)
        last = math.floor(math.log10(edge(self.high + 1)) + 1e-9)
        found = [(self.place(10.0**power), _power(power)) for power in range(first, last + 1)]
        start = self.side + 1 if self.signed else 0.0
        ticks = [Tick(place, text) for place, text in found if start <= place <= self.length]
        if self.signed:
            mirrored = [Tick(self.length - place, f"-{text}") for place, text in reversed(ticks)]
            return [*mirrored, Tick(self.side + 0.5, "0"), *ticks]
        return ticks


class Ridges(NamedTuple):
    """The distribution after each of several epochs."""

    axis: Axis
    points: tuple[tuple[tuple[float, float], ...], ...]
    """For each epoch, those of `Axis.points`."""
    zeros: tuple[float, ...]
    """For each epoch, the share of the values that are zero, or below 2^-32, 0 to 1."""

    @property
    def most(self) -> float:
        """The largest height."""
        return max((height for points in self.points for _, height in points), default=0.0)


def looked_into(history: RunHistory) -> list[EpochFinished]:
    """The epochs of a run in which its layers were looked into."""
    return [epoch for epoch in history.epochs if epoch.insides]


def shown(history: RunHistory, layer: str, most: int, at: int | None = None) -> InsidesShown | None:
    """A layer over the epochs of a run; of more than `most`, some at equal intervals, the last, and epoch `at`.

    None where no epoch has been looked into.
    """
    found = looked_into(history)
    if len(found) > most:
        last = len(found) - 1
        places = {round(number * last / (most - 1)) for number in range(most - 1)} | {last}
        chosen = next((place for place, epoch in enumerate(found) if epoch.epoch == at), last)
        if chosen not in places:  # instead of the nearest one, but of the last only where there is no other
            places.remove(min(places - {last} or places, key=lambda place: abs(place - chosen)))
            places.add(chosen)
        found = [found[place] for place in sorted(places)]
    if not found:
        return None
    insides = [epoch.insides for epoch in found if epoch.insides]
    return InsidesShown(
        run=history.name,
        layer=layer,
        epochs=tuple(epoch.epoch for epoch in found),
        total=max(epoch.epochs for epoch in found),
        insides=tuple(insides),
    )


def layer_of(insides: Insides, name: str) -> LayerInsides | None:
    """A layer by its name; None where it was not measured."""
    return next((layer for layer in insides.layers if layer.layer == name), None)


def ridges(event: InsidesShown, kind: Kind) -> Ridges | None:
    """The distributions of a kind of values of the layer, on one axis; None where an epoch lacks the layer."""
    layers = [layer_of(each, event.layer) for each in event.insides]
    found = [layer.histogram(kind) for layer in layers if layer]
    if not found or len(found) < len(layers):
        return None
    axis = _axis(found)
    zeros = tuple(each.zero / max(1, each.total) for each in found)
    return Ridges(axis, tuple(map(axis.points, found)), zeros)


def _axis(found: Sequence[Histogram]) -> Axis:
    """The axis of several histograms."""
    together: dict[int, float] = {}
    highest = []
    for each in found:
        total = max(1, each.total)
        own = {number: count / total for number, count in _magnitudes(each)}
        common = [number for number, share in own.items() if share >= RARE] or list(own)
        highest += [max(common)] if common else []
        for number, share in own.items():
            together[number] = together.get(number, 0.0) + share
    high = max(highest, default=0)
    left, low = TAIL * sum(together.values()), high
    for number in sorted(together):
        left -= together[number]
        low = number
        if left < 0:
            break
    return Axis(min(low, high - _NARROWEST + 1), high, any(any(each.negative) for each in found))


def _magnitudes(found: Histogram) -> Iterator[tuple[int, int]]:
    """The bins with values and the number of these, of both signs one after the other."""
    most = max(len(found.negative), len(found.positive))
    for place in range(most):
        count = sum(side[place] for side in (found.negative, found.positive) if place < len(side))
        if count:
            yield found.first + place, count


def _power(power: int) -> str:
    """A power of ten as text: 0.001, 1, 100, 1e-4."""
    return f"{10.0**power:g}" if -3 <= power <= 3 else f"1e{power}"


def _along(number: int) -> float:
    """The lower edge of a bin as halves of octaves above 1."""
    return 2 * math.log2(edge(number))


def at_columns(points: Sequence[tuple[float, float]], length: float, columns: int) -> list[float]:
    """The height of a ridge in the middle of each of `columns` columns of equal width over an axis of that length."""
    found, parts, here = [], list(pairwise(points)), 0
    for column in range(columns):
        x = (column + 0.5) / columns * length
        while x > parts[here][1][0] and here < len(parts) - 1:
            here += 1
        (x0, y0), (x1, y1) = parts[here]
        found.append(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
    return found
