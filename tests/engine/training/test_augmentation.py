"""What is done to training images, against SciPy's resampling, and the numbers that it draws."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from engine.data.datasets import Dataset
from engine.training.augmentation import Augmentation
from engine.training.requests import Train

MIDDLE = 13.5
"""The middle of an image, in pixels."""


def test_images_are_left_alone_unless_asked(small: Dataset) -> None:
    assert Augmentation.of(Train()) is None
    still = Augmentation(shift=3, rotate=30.0, scale=0.3, elastic=2.0)
    images = small.train.images[:5]
    assert torch.allclose(still(images, torch.zeros(5, still.drawn)), images, atol=1e-5)


def test_shifts_move_whole_pixels(small: Dataset) -> None:
    """All 25 shifts of up to 2 pixels, against SciPy's."""
    augmentation = Augmentation(shift=2, rotate=0.0, scale=0.0, elastic=0.0)
    places = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
    numbers = torch.tensor([[y / 2.5, x / 2.5, 0.9, -0.9] for y, x in places])
    images = small.train.images[:1].expand(25, -1, -1, -1)
    for (y, x), moved in zip(places, augmentation(images, numbers), strict=True):
        expected = scipy.ndimage.shift(images[0, 0].numpy(), (-y, -x), order=0)
        assert np.array_equal(moved[0].numpy(), expected)


def test_each_shift_is_as_likely_as_the_others() -> None:
    augmentation = Augmentation(shift=1, rotate=0.0, scale=0.0, elastic=0.0)
    images = torch.zeros(9000, 1, 28, 28)
    images[:, :, 14, 14] = 1.0
    moved = augmentation(images, augmentation.draw(0, 1, 9000))
    counts = Counter(map(tuple, moved[:, 0].nonzero()[:, 1:].tolist()))
    assert set(counts) == {(y, x) for y in (13, 14, 15) for x in (13, 14, 15)}
    # Chi squared with 8 degrees of freedom is above 35 once in 30,000 times.
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 35


def test_the_ends_of_the_numbers_are_the_farthest_shifts() -> None:
    augmentation = Augmentation(shift=3, rotate=0.0, scale=0.0, elastic=0.0)
    images = torch.zeros(2, 1, 28, 28)
    images[:, :, 10, 10] = 1.0
    last = math.nextafter(1.0, 0.0)
    moved = augmentation(images, torch.tensor([[-1.0, -1.0, 0.0, 0.0], [last, last, 0.0, 0.0]]))
    assert moved[:, 0].nonzero()[:, 1:].tolist() == [[13, 13], [7, 7]]


@pytest.mark.parametrize(
    ("numbers", "fields"),
    [
        ((0.0, 0.0, 1.0, 0.0), {"rotate": 90.0}),
        ((0.0, 0.0, -0.7, 0.0), {"rotate": 25.0}),
        ((0.0, 0.0, 0.0, 1.0), {"scale": 0.3}),
        ((0.5, -0.25, 0.3, -0.8), {"shift": 4, "rotate": 40.0, "scale": 0.2}),
    ],
)
def test_rotation_and_scaling_are_scipys(small: Dataset, numbers: tuple[float, ...], fields: dict[str, float]) -> None:
    every = {"shift": 0, "rotate": 0.0, "scale": 0.0, "elastic": 0.0} | fields
    made = Augmentation(int(every["shift"]), every["rotate"], every["scale"], every["elastic"])
    images = small.train.images[:3]
    changed = made(images, torch.tensor([numbers] * 3))
    angle, size = math.radians(numbers[2] * made.rotate), 1 + numbers[3] * made.scale
    # Rows, then columns, as SciPy counts them: where a pixel of the result comes from.
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) / size
    offset = np.array([MIDDLE, MIDDLE]) - matrix @ [MIDDLE, MIDDLE] + np.array([numbers[1], numbers[0]]) * made.shift
    for before, after in zip(images[:, 0], changed[:, 0], strict=True):
        expected = scipy.ndimage.affine_transform(before.numpy(), matrix, offset, order=1, mode="grid-constant")
        assert np.allclose(after.numpy(), expected, atol=1e-4)


def test_a_distortion_has_the_deviation_that_was_asked_for() -> None:
    """A ramp of gray levels shows how far each of its pixels was moved, along its direction."""
    made = Augmentation(shift=0, rotate=0.0, scale=0.0, elastic=0.8)
    ramp = torch.arange(28.0).expand(28, 28)
    inner = slice(5, 23)  # what is moved in from outside is 0
    for image in (ramp, ramp.t()):
        images = image.expand(400, 1, 28, 28)
        moved = (made(images, made.draw(0, 1, 400)) - images)[..., inner, inner]
        assert moved.std().item() == pytest.approx(0.8, rel=0.15)
        assert abs(moved.mean().item()) < 0.05
        # It is smooth: neighbours go almost the same way.
        assert (moved[..., 1:, :] - moved[..., :-1, :]).std() < 0.4 * moved.std()


def test_the_numbers_depend_on_seed_and_epoch_alone() -> None:
    made = Augmentation(shift=1, rotate=5.0, scale=0.1, elastic=1.0)
    torch.manual_seed(1)
    first = made.draw(3, 2, 200)
    torch.manual_seed(2)
    assert torch.equal(made.draw(3, 2, 200), first)
    assert first.shape == (200, made.drawn)
    uniform, normal = first[:, :4], first[:, 4:]
    assert uniform.min() >= -1
    assert uniform.max() < 1
    assert normal.std().item() == pytest.approx(1, abs=0.05)
    assert not torch.equal(made.draw(3, 3, 200), first)
    assert not torch.equal(made.draw(4, 2, 200), first)
    plain = Augmentation(shift=1, rotate=5.0, scale=0.1, elastic=0.0)
    assert torch.equal(plain.draw(3, 2, 200), uniform)


def test_each_image_has_numbers_of_its_own(small: Dataset) -> None:
    """An image changes as its numbers say, whichever others share its batch."""
    made = Augmentation(shift=2, rotate=20.0, scale=0.1, elastic=1.0)
    images, numbers = small.train.images[:8], made.draw(0, 1, 8)
    together = made(images, numbers)
    alone: list[Tensor] = [made(images[n : n + 1], numbers[n : n + 1]) for n in range(8)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
