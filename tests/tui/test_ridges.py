"""Ridge lines as dots: where each ridge is, and what it hides."""

from __future__ import annotations

from collections import Counter

import pytest

from tui.drawing.axis import ACROSS, DOWN
from tui.drawing.braille import BLANK
from tui.drawing.ridges import LEAST_APART, capacity, drawing, stacked

BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def dots(rows: list[list[tuple[str, int]]]) -> dict[tuple[int, int], int]:
    """Column and row of each dot, and the ridge that its cell belongs to."""
    found = {}
    for row, cells in enumerate(rows):
        for column, (text, owner) in enumerate(cells):
            bits = 0 if text == " " else ord(text) - BLANK
            for y, pair in enumerate(BITS):
                for x, bit in enumerate(pair):
                    if bits & bit:
                        found[column * ACROSS + x, row * DOWN + y] = owner
    return found


@pytest.mark.parametrize("rows", [2, 5, 10, 28, 60])
@pytest.mark.parametrize("count", [1, 2, 3, 12, 50])
def test_ridges_fit_and_the_last_one_is_at_the_bottom(rows: int, count: int) -> None:
    count = min(count, capacity(rows))
    stack = stacked(count, rows)
    assert len(stack.baselines) == count
    assert list(stack.baselines) == sorted(stack.baselines)
    assert stack.baselines[-1] == rows * DOWN - 1
    assert stack.baselines[0] - stack.tall >= 0  # the highest one is not cut off
    assert all(b - a >= LEAST_APART for a, b in zip(stack.baselines, stack.baselines[1:], strict=False))


def test_one_ridge_is_its_curve() -> None:
    columns, rows = 10, 6
    stack = stacked(1, rows)
    heights = [x / 19 for x in range(20)]
    found = dots(drawing([heights], 1.0, stack, columns, rows))
    tops = {x: min(y for at, y in found if at == x) for x, _ in found}
    for x, height in enumerate(heights):
        if round(stack.tall * height):
            assert tops[x] == stack.baselines[0] - round(stack.tall * height)
    assert set(found.values()) == {0}


def test_a_ridge_hides_what_is_behind_it() -> None:
    columns, rows = 8, 8
    stack = stacked(2, rows)
    flat, high = [0.4] * 16, [1.0] * 8 + [0.0] * 8
    found = dots(drawing([flat, high], 1.0, stack, columns, rows))
    behind = stack.baselines[0] - round(0.4 * stack.tall)
    front = stack.baselines[1] - stack.tall
    assert behind > front  # the one in front is higher
    assert all((x, behind) not in found for x in range(7))
    assert all((x, behind) in found for x in range(8, 16))
    assert all((x, front) in found for x in range(8))


def test_what_is_too_low_is_not_drawn() -> None:
    stack = stacked(1, 4)
    assert dots(drawing([[0.0] * 8], 1.0, stack, 4, 4)) == {}
    assert dots(drawing([[0.0] * 8], 0.0, stack, 4, 4)) == {}
    spike = dots(drawing([[0, 0, 0, 1.0, 0, 0, 0, 0]], 1.0, stack, 4, 4))
    assert {x for x, _ in spike} <= {3, 4}
    assert Counter(x for x, _ in spike)[3] == stack.tall


def test_where_there_is_no_braille_each_cell_has_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    rows = drawing([[0.2, 0.5, 1.0, 0.5, 0.2, 0.0, 0.0, 0.0]], 1.0, stacked(1, 3), 4, 3)
    assert {text for row in rows for text, _ in row} <= set(" .'|")
    assert any(text != " " for row in rows for text, _ in row)
