"""Growing curves: adding an epoch and drawing take constant time, however many epochs there are."""

from __future__ import annotations

import math

from engine.runs.history import FIELDS, ROBUST_FIELDS, RunHistory
from engine.training.events import EpochFinished

MOST = 2000
"""Maximum number of stretches of a curve: several per column of the widest terminal."""
AT_ONCE = 2500
"""Maximum number of epochs added in one go, so that a key press waits a few hundredths of a second at most."""
WITHIN = 64
"""Number of epochs with all running losses; of later epochs, only the lowest and the highest loss is kept."""
Point = tuple[float, float]


class Trace:
    """Points in order of x. Beyond MOST points, only the lowest and the highest of each stretch are kept.

    All stretches have the same number of points, except the last one.
    """

    def __init__(self) -> None:
        self._stretches: list[tuple[Point, Point]] = []
        """The lowest and the highest point of each stretch."""
        self._length = 1
        """Number of points in a full stretch."""
        self._room = 0
        """Number of points that the last stretch can still take."""
        self._last: Point | None = None

    def add(self, x: float, y: float) -> None:
        """Add the next point, unless `y` is not finite."""
        if not math.isfinite(y):
            return
        self._last = point = (x, y)
        stretches = self._stretches
        if self._room:
            low, high = stretches[-1]
            stretches[-1] = (point if y < low[1] else low, point if y > high[1] else high)
            self._room -= 1
            return
        if len(stretches) == MOST:
            pairs = zip(stretches[::2], stretches[1::2], strict=True)
            self._stretches = stretches = [
                (min(a[0], b[0], key=_height), max(a[1], b[1], key=_height)) for a, b in pairs
            ]
            self._length *= 2
        stretches.append((point, point))
        self._room = self._length - 1

    def points(self) -> tuple[list[float], list[float]]:
        """The x and y of all points up to MOST of them, or else of at most two per stretch and of the last point."""
        found = [point for stretch in self._stretches for point in sorted(set(stretch))]
        if self._last and found[-1] != self._last:
            found.append(self._last)
        return [x for x, _ in found], [y for _, y in found]


def _height(point: Point) -> float:
    return point[1]


class RunTraces:
    """The curves of a run; they start again when the run changes."""

    def __init__(self) -> None:
        self._begin(RunHistory())

    def _begin(self, history: RunHistory) -> None:
        self._history = history
        self._last: EpochFinished | None = None
        """The last epoch that was added."""
        self.count = 0
        """Number of epochs that were added."""
        self.fields = {name: Trace() for name in (*FIELDS, *ROBUST_FIELDS)}
        self.running = Trace()

    def follow(self, history: RunHistory) -> bool:
        """Add the new epochs of `history`, at most AT_ONCE of them. Returns whether all are added."""
        epochs, n = history.epochs, self.count
        if history is not self._history or n > len(epochs) or (n and epochs[n - 1] is not self._last):
            self._begin(history)
        new = epochs[self.count : self.count + AT_ONCE]
        for epoch in new:
            self._add(epoch)
        self.count += len(new)
        self._last = epochs[self.count - 1] if epochs else None
        return self.count == len(epochs)

    def _add(self, epoch: EpochFinished) -> None:
        n, losses = epoch.epoch, epoch.running_loss
        for name, trace in self.fields.items():
            if (value := getattr(epoch, name)) is not None:
                trace.add(n, value)
        if n <= WITHIN:
            for i, loss in enumerate(losses):
                self.running.add(n - 1 + (i + 1) / len(losses), loss)
        elif losses:
            self.running.add(n - 0.5, min(losses))
            self.running.add(n - 0.5, max(losses))
