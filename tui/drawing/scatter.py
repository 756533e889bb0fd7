"""Points of ten classes as characters: braille in the colour of their class, or its digit where there is no colour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engine.geometry import CLASSES
from tui.drawing.axis import ACROSS, DOWN
from tui.drawing.braille import character

MISTAKE = "x"
"""The mark of a point whose predicted class is not its label."""
_ROOM = 0.02
"""The margin around all points, as a share of their range."""
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bit of each dot in Unicode's braille, by row and column."""

Ink = tuple[str, str, bool]
"""A character, the theme colour of its ink (empty for none), and whether it is bold."""


class Window(NamedTuple):
    """The part of a map in view; its upper edge is the larger of the vertical coordinates."""

    left: float
    right: float
    bottom: float
    top: float

    @classmethod
    def around(cls, points: np.ndarray, centre: np.ndarray | None = None, zoom: int = 0) -> Window:
        """All of `points` (n, 2) or, `zoom` times halved, the part of them around `centre` (2,), which stays inside."""
        low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
        room = np.maximum((high - low) * _ROOM, 1e-9)
        low, high = low - room, high + room
        if zoom and centre is not None:
            size = (high - low) / 2**zoom
            start = np.clip(centre - size / 2, low, high - size)
            low, high = start, start + size
        return cls(float(low[0]), float(high[0]), float(low[1]), float(high[1]))

    def holds(self, point: np.ndarray) -> bool:
        """Whether a point (2,) is in view."""
        return bool(self.left <= point[0] <= self.right and self.bottom <= point[1] <= self.top)

    def placed(self, points: np.ndarray, columns: int, rows: int) -> np.ndarray:
        """Column and row of `points` (n, 2) among so many boxes, from the top left: (n, 2) int64, also outside."""
        across = (points[:, 0] - self.left) / (self.right - self.left) * columns
        down = (self.top - points[:, 1]) / (self.top - self.bottom) * rows
        return np.floor(np.stack((across, down), axis=1)).astype(np.int64)


class Bins(NamedTuple):
    """What is in each cell of a drawing of `rows` by `columns` cells."""

    counts: np.ndarray
    """(rows, columns, 10) int64: points of each class."""
    bits: np.ndarray
    """(rows, columns) int64: the dots that points are at, as bits of braille."""
    wrong: np.ndarray
    """(rows, columns) bool: whether a mistake is among them."""


def binned(  # noqa: PLR0917
    points: np.ndarray, labels: np.ndarray, wrong: np.ndarray, window: Window, columns: int, rows: int, only: int = -1
) -> Bins:
    """Count points (n, 2) with `labels` (n,), some of them `wrong` (n,), in the cells of a window.

    With `only`, cells with points of that class have no dots of others, and others count as right.
    """
    dots = window.placed(points, columns * ACROSS, rows * DOWN)
    inside = ((dots >= 0) & (dots < (columns * ACROSS, rows * DOWN))).all(axis=1)
    dots, labels, wrong = dots[inside], labels[inside], wrong[inside]
    cells = dots[:, 1] // DOWN * columns + dots[:, 0] // ACROSS
    counts = np.bincount(cells * CLASSES + labels, minlength=rows * columns * CLASSES)
    bits = np.zeros(rows * columns, np.int64)
    if only >= 0:
        own = labels == only
        wrong = wrong & own
        dotted = own | (counts.reshape(-1, CLASSES)[cells, only] == 0)
        np.bitwise_or.at(bits, cells[dotted], _DOTS[dots[dotted, 1] % DOWN, dots[dotted, 0] % ACROSS])
    else:
        np.bitwise_or.at(bits, cells, _DOTS[dots[:, 1] % DOWN, dots[:, 0] % ACROSS])
    marked = np.bincount(cells[wrong], minlength=rows * columns) > 0
    return Bins(counts.reshape(rows, columns, CLASSES), bits.reshape(rows, columns), marked.reshape(rows, columns))


def drawn(bins: Bins, *, colour: bool, only: int = -1) -> Iterator[list[Ink]]:
    """The cells, row by row, each for the class with the most points in it, ties for the lowest.

    Cells with a mistake have its mark. With `only`, for which `binned` was called, cells without that class are faint.
    """
    most = bins.counts.argmax(axis=2)
    here = bins.counts.sum(axis=2) > 0
    if only >= 0:
        most = np.where(bins.counts[:, :, only] > 0, only, most)
    for row in zip(most.tolist(), here.tolist(), bins.bits.tolist(), bins.wrong.tolist(), strict=True):
        line: list[Ink] = []
        for number, some, bits, wrong in zip(*row, strict=True):
            faint = 0 <= only != number
            if not some:
                line.append((" ", "", False))
            elif wrong and not faint:
                line.append((MISTAKE, "strong", True))
            elif colour:
                line.append((character(bits), "rule" if faint else f"class-{number}", False))
            else:
                line.append(("." if faint else str(number), "quiet" if faint else "foreground", False))
        yield line
