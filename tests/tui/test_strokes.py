"""The soft pen: widths, edges, and what leaves the canvas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from tui.drawing.strokes import blank, shifted, stroked, transformed


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


def test_a_rotation_by_a_right_angle_moves_each_pixel() -> None:
    block = np.zeros((29, 29), np.float32)
    block[10:15, 12:17] = np.random.default_rng(0).random((5, 5))
    block[12, 14] = 0
    block[10:15, 12:17] += block[10:15, 12:17][::-1, ::-1]  # so that its centre of mass is its middle
    for degrees, turns in ((90, -1), (180, 2), (-90, 1)):
        turned = transformed(block, degrees, 1.0)
        expected = np.zeros_like(block)
        expected[10:15, 12:17] = np.rot90(block[10:15, 12:17], turns)
        assert np.allclose(turned, expected, atol=1e-5)


@pytest.mark.parametrize(("degrees", "factor"), [(15.0, 1.0), (-70.0, 0.7), (0.0, 1.5), (200.0, 1.21)])
def test_rotation_and_scale_are_those_of_scipy(degrees: float, factor: float) -> None:
    image = stroked(stroked(blank(), (8, 9), (14, 17), 3), (14, 17), (19, 12), 2)
    rows, columns = np.mgrid[:28, :28]
    middle = np.array([(image * rows).sum(), (image * columns).sum()]) / image.sum()
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / factor
    expected = affine_transform(image, matrix, middle - matrix @ middle, order=1, mode="grid-constant")
    made = transformed(image, degrees, factor)
    assert np.allclose(made, expected, atol=1e-5)
    assert made.dtype == np.float32
    assert made.sum() == pytest.approx(image.sum() * factor**2, rel=0.03)


def test_rotating_clockwise_turns_the_top_to_the_right() -> None:
    line = stroked(blank(), (4, 14), (24, 14), 2)
    line[4:7] = np.maximum(line[4:7], stroked(blank(), (5, 14), (5, 14), 4)[4:7])  # its head is at the top
    rows, columns = np.nonzero(transformed(line, 45, 1.0) > 0.5)
    top, bottom = columns[rows == rows.min()].mean(), columns[rows == rows.max()].mean()
    assert top > 18
    assert bottom < 10


def test_an_empty_canvas_stays_empty() -> None:
    assert not transformed(blank(), 30, 2.0).any()
