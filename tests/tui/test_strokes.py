"""The soft pen: widths, edges, and what leaves the canvas."""

from __future__ import annotations

import numpy as np
import pytest

from tui.drawing.strokes import blank, shifted, stroked


@pytest.mark.parametrize("width", [1.0, 2.0, 2.5, 6.0])
def test_a_stroke_is_as_wide_as_it_should_be(width: float) -> None:
    """Across, the brightness adds up to the width; along, it is the same."""
    across = stroked(blank(), (14.5, 4.5), (14.5, 23.5), width)
    assert across[:, 14].sum() == pytest.approx(width, abs=0.51)
    assert np.allclose(across[:, 6], across[:, 20])
    assert np.allclose(across, across[::-1][np.arange(28) - 1])  # the same above and below row 14
    assert across.max() == pytest.approx(min(1, width / 2 + 0.5))


def test_a_dot_is_round_and_soft() -> None:
    dot = stroked(blank(), (14, 14), (14, 14), 4)
    assert np.allclose(dot, dot.T)
    assert np.allclose(dot, dot[::-1, ::-1])
    assert ((dot > 0) & (dot < 1)).sum() >= 8
    assert dot.sum() == pytest.approx(np.pi * 4, rel=0.1)


def test_strokes_do_not_erase_each_other() -> None:
    one = stroked(blank(), (2, 2), (26, 26), 2)
    both = stroked(one, (2, 26), (26, 2), 2)
    assert (both >= one).all()
    assert both.max() <= 1
    assert np.array_equal(stroked(both, (2, 2), (26, 26), 2), both)


def test_what_is_off_the_canvas_is_not_drawn() -> None:
    assert not stroked(blank(), (-9, 5), (-9, 20), 3).any()
    assert stroked(blank(), (-9, 14), (9, 14), 3)[0, 13:15].min() > 0


@pytest.mark.parametrize(("across", "down"), [(1, 0), (-3, 2), (0, -28), (40, 0)])
def test_shifting_loses_what_leaves(across: int, down: int) -> None:
    full = np.arange(1, 785, dtype=np.float32).reshape(28, 28)
    moved = shifted(full, across, down)
    for row in range(28):
        for column in range(28):
            source = row - down, column - across
            inside = all(0 <= at < 28 for at in source)
            assert moved[row, column] == (full[source] if inside else 0)
