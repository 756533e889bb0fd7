"""The drawing of points: where each is, what each cell counts, and what it shows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tui.drawing.braille import BLANK
from tui.drawing.scatter import MISTAKE, Window, binned, drawn

COLUMNS, ROWS = 17, 9


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(400, 2)).astype(np.float32) * (3, 0.5)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(6).integers(10, size=400)


def naive(points: np.ndarray, window: Window) -> list[tuple[int, int, int]]:
    """The column, the row and the bit of braille of each point, by its definition; (-1, -1, 0) outside."""
    found = []
    for x, y in points.tolist():
        across = int(2 * COLUMNS * (x - window.left) // (window.right - window.left))
        down = int(4 * ROWS * (window.top - y) // (window.top - window.bottom))
        if not (0 <= across < 2 * COLUMNS and 0 <= down < 4 * ROWS):
            found.append((-1, -1, 0))
            continue
        dot = {(0, 0): 1, (0, 1): 2, (0, 2): 3, (1, 0): 4, (1, 1): 5, (1, 2): 6, (0, 3): 7, (1, 3): 8}
        found.append((across // 2, down // 4, 1 << (dot[across % 2, down % 4] - 1)))
    return found


@pytest.mark.parametrize("zoom", [0, 2])
def test_each_cell_counts_its_points(points: np.ndarray, labels: np.ndarray, zoom: int) -> None:
    window = Window.around(points, np.array([0.317, 0.123]), zoom)
    wrong = np.arange(400) % 9 == 0
    bins = binned(points, labels, wrong, window, COLUMNS, ROWS)
    counts: Counter[tuple[int, int, int]] = Counter()
    bits = np.zeros((ROWS, COLUMNS), int)
    marked = np.zeros((ROWS, COLUMNS), bool)
    for (x, y, bit), label, bad in zip(naive(points, window), labels.tolist(), wrong, strict=True):
        if bit:
            counts[y, x, label] += 1
            bits[y, x] |= bit
            marked[y, x] |= bad
    assert {place: int(bins.counts[place]) for place in np.ndindex(bins.counts.shape) if bins.counts[place]} == counts
    assert (bins.bits == bits).all()
    assert (bins.wrong == marked).all()
    assert bins.counts.sum() == (400 if zoom == 0 else sum(counts.values())) > 0


def test_a_window_holds_all_points_and_zooms_around_one(points: np.ndarray) -> None:
    whole = Window.around(points)
    assert all(whole.holds(point) for point in points)
    corner = points[points[:, 0].argmax()]
    half = Window.around(points, corner, 1)
    assert half.holds(corner)
    assert half.right - half.left == pytest.approx((whole.right - whole.left) / 2)
    assert half.right <= whole.right + 1e-9


def test_points_that_are_all_the_same_have_a_window() -> None:
    points = np.zeros((3, 2), np.float32)
    window = Window.around(points)
    assert window.left < 0 < window.right
    assert binned(points, np.zeros(3, int), np.zeros(3, bool), window, 5, 5).counts.sum() == 3


def test_a_cell_shows_its_most_frequent_class() -> None:
    points = np.array([[0.1, 0.9], [0.1, 0.9], [0.1, 0.6], [0.9, 0.9], [0.9, 0.1]])
    labels = np.array([3, 3, 8, 8, 5])
    wrong = np.array([False, False, False, False, True])
    bins = binned(points, labels, wrong, Window(0, 1, 0, 1), 2, 2)
    top, bottom = drawn(bins, colour=True)
    assert [ink for _, ink, _ in top] == ["class-3", "class-8"]
    assert ord(top[0][0]) - BLANK == bins.bits[0, 0] > 0
    assert bottom == [(" ", "", False), (MISTAKE, "strong", True)]
    letters = ["".join(letter for letter, _, _ in row) for row in drawn(bins, colour=False)]
    assert letters == ["38", f" {MISTAKE}"]


def test_one_class_stands_out() -> None:
    points = np.array([[0.1, 0.9], [0.1, 0.9], [0.1, 0.6], [0.9, 0.9], [0.9, 0.1]])
    labels = np.array([3, 3, 8, 6, 5])
    bins = binned(points, labels, np.array([False] * 4 + [True]), Window(0, 1, 0, 1), 2, 2, 8)
    alone = binned(points[2:3], labels[2:3], np.array([False]), Window(0, 1, 0, 1), 2, 2)
    assert bins.bits[0, 0] == alone.bits[0, 0] > 0
    assert not bins.wrong.any()
    assert binned(points, labels, np.array([True] * 5), Window(0, 1, 0, 1), 2, 2, 8).wrong.tolist() == [
        [True, False],
        [False, False],
    ]
    top, bottom = drawn(bins, colour=True, only=8)
    assert [ink for _, ink, _ in (*top, *bottom)] == ["class-8", "rule", "", "rule"]
    assert ["".join(letter for letter, _, _ in row) for row in drawn(bins, colour=False, only=8)] == ["8.", " ."]
