"""Images prepared as MNIST was: its own digits, drawn large in a corner, come back."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.datasets import Dataset
from engine.inspection.prepared import centred, dark_on_light, ink, placed, resized
from tests.corners import CORNERS, accuracies, in_corner


def digits(data: Dataset, count: int) -> np.ndarray:
    return data.test.images[:count, 0].numpy()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("corner", CORNERS)
def test_a_digit_of_ten_times_the_size_in_a_corner_comes_back(
    mnist: Dataset, corner: tuple[int, int], dark: bool
) -> None:
    for digit in digits(mnist, 10):
        large = in_corner(digit.repeat(10, axis=0).repeat(10, axis=1), 500, corner)
        assert dark_on_light(1 - large if dark else large) is dark
        found = centred(1 - large if dark else large)
        assert found.shape == (28, 28)
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert found.max() == 1
        assert np.abs(found - digit).max() < 0.1
        assert np.abs(found - digit).mean() < 0.005


@pytest.mark.numeric
def test_digits_at_the_corners_are_recognised_only_if_they_are_centred(mnist: Dataset) -> None:
    raw, prepared = accuracies("pretrained:cnn", mnist.test.first(100))
    assert raw < 0.7
    assert prepared > 0.9


def test_paper_that_varies_is_background() -> None:
    random = np.random.default_rng(0)
    drawn = np.zeros((200, 200), np.float32)
    drawn[40:160, 90:110] = 1
    paper = 0.8 + random.uniform(-0.03, 0.03, drawn.shape) - 0.5 * drawn
    found = ink(paper)
    assert found[drawn == 0].max() < 0.1
    assert found[drawn == 1].min() > 0.8
    assert np.abs(centred(paper) - centred(drawn)).max() < 0.25


def test_a_background_that_is_neither_dark_nor_light() -> None:
    """Which is ink and which is paper depends on which way the rest differs from the border."""
    gray = np.full((30, 30), 0.4, np.float32)
    gray[10:20, 10:20] = 0.1
    assert dark_on_light(gray)
    assert ink(gray)[15, 15] == 1
    gray[10:20, 10:20] = 0.7
    assert not dark_on_light(gray)
    assert ink(gray)[15, 15] == 1
    assert ink(gray)[0, 0] == 0


def test_thin_strokes_do_not_fade_and_the_aspect_ratio_stays() -> None:
    line = np.zeros((1000, 1000), np.float32)
    line[100:900, 500] = 1
    found = placed(line)
    assert found.max() == 1
    rows, columns = np.nonzero(found)
    assert [rows.min(), rows.max()] == [4, 23]
    assert set(columns.tolist()) == {14}
    wide = np.zeros((50, 50), np.float32)
    wide[3:13, 0:40] = 1
    rows, columns = np.nonzero(placed(wide))
    assert [np.ptp(rows) + 1, np.ptp(columns) + 1] == [5, 20]


def test_small_drawings_grow_without_steps() -> None:
    dot = np.zeros((28, 28), np.float32)
    dot[0:5, 0:3] = np.array([[0, 0, 1], [0, 1, 0.5], [1, 0.5, 0], [1, 0, 0], [1, 1, 1]])
    found = placed(dot)
    rows, _ = np.nonzero(found)
    assert np.ptp(rows) + 1 == 20
    assert len(np.unique(found)) > 20  # interpolated, not copied


def test_all_of_a_lopsided_drawing_stays_inside() -> None:
    heavy = np.zeros((60, 60), np.float32)
    heavy[0:4, :] = 1
    heavy[:, 30] = 0.06
    found = placed(heavy)
    rows, _ = np.nonzero(found)
    assert rows.max() == 27
    assert np.ptp(rows) + 1 == 20


def test_nothing_drawn() -> None:
    assert not placed(np.zeros((40, 40), np.float32)).any()
    with pytest.raises(ValueError, match="of one colour"):
        centred(np.full((40, 40), 0.3, np.float32))


def test_the_size_of_the_network_is_left_as_it_is(mnist: Dataset) -> None:
    (digit,) = digits(mnist, 1)
    assert np.array_equal(resized(digit), digit)
    large = digit.repeat(4, axis=0).repeat(4, axis=1)
    assert np.allclose(resized(large), digit)
    assert resized(np.ones((1, 3), np.float32)).shape == (28, 28)
