"""The corruptions beside independent implementations of their definitions, and what holds for all of them."""

from __future__ import annotations

import itertools
import math
from typing import get_args

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Generator, Tensor

from engine.corruptions import images as own
from engine.corruptions.filters import clouds, gaussian, lines
from engine.corruptions.images import corrupted
from engine.corruptions.requests import CLEAN, CORRUPTION_TITLES, CORRUPTIONS, CorruptionName
from engine.data.datasets import Dataset
from engine.network.seeds import generator

pytestmark = pytest.mark.numeric
FIXED = ("scale", "brightness", "stripe", "canny-edges")
FEW = 12


@pytest.fixture
def digits(mnist: Dataset) -> Tensor:
    """(12, 28, 28) float64."""
    return mnist.test.images[:FEW, 0].double()


def draws(seed: int = 3) -> list[Generator]:
    return [generator(seed, index) for index in range(FEW)]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_image_is_determined_by_seed_corruption_and_index(mnist: Dataset, name: CorruptionName) -> None:
    images = mnist.test.images[:8]
    before = images.clone()
    found = corrupted(name, images, range(8), 5)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert 0 <= found.min() <= found.max() <= 1
    assert torch.equal(images, before)
    assert all(not torch.equal(one, other) for one, other in zip(found, images, strict=True))
    assert torch.equal(found, corrupted(name, images, range(8), 5))
    chosen = [6, 1]
    torch.testing.assert_close(corrupted(name, images[chosen], chosen, 5), found[chosen], rtol=0, atol=1e-6)
    otherwise = corrupted(name, images, range(8), 6), corrupted(name, images, range(8, 16), 5)
    assert [torch.equal(found, other) for other in otherwise] == [name in FIXED] * 2


def test_corruptions_draw_independently_of_each_other(mnist: Dataset) -> None:
    assert not torch.equal(generator(0, 0, 7).get_state(), generator(0, 1, 7).get_state())
    images = mnist.test.images[:2]
    assert corrupted(CLEAN, images, range(2), 0) is images
    assert len(CORRUPTIONS) == 15
    assert set(CORRUPTION_TITLES) == {CLEAN, *get_args(CorruptionName)}


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("gray", [0.0, 1.0])
def test_flat_images_have_no_failure(name: CorruptionName, gray: float) -> None:
    found = corrupted(name, torch.full((2, 1, 28, 28), gray), range(2), 0)
    assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize(
    ("sigma", "repeated", "mode"), [(0.7, True, "nearest"), (1.5, True, "nearest"), (1.0, False, "constant")]
)
def test_a_blur_is_scipys(digits: Tensor, sigma: float, repeated: bool, mode: str) -> None:
    expected = ndimage.gaussian_filter1d(digits.numpy(), sigma, axis=1, mode=mode)
    assert (gaussian(sigma, repeated=repeated) @ digits).numpy() == pytest.approx(expected, abs=1e-12)


def by_scipy(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The image mapped by a matrix of (x, y) around its centre; SciPy counts rows first."""
    swapped = matrix[::-1, ::-1]
    offset = 13.5 - swapped @ np.array([13.5, 13.5])
    found: np.ndarray = ndimage.affine_transform(image, swapped, offset, order=1, mode="grid-constant")
    return found


def test_affine_maps_are_scipys(digits: Tensor) -> None:
    c, s = math.cos(0.4), math.sin(0.4)
    shrunk = own.scale(digits).numpy()
    sheared, rotated = own.shear(digits, draws()).numpy(), own.rotate(digits, draws()).numpy()
    directions = set()
    for image, small, askew, turned in zip(digits.numpy(), shrunk, sheared, rotated, strict=True):
        assert small == pytest.approx(by_scipy(image, np.eye(2) / 0.7), abs=1e-9)
        shears = [by_scipy(image, np.array([[1, -sign * s], [0, c]])) for sign in (1, -1)]
        turns = [by_scipy(image, np.array([[c, -sign * s], [sign * s, c]])) for sign in (1, -1)]
        sides = (
            [np.abs(askew - each).max() < 1e-9 for each in shears],
            [np.abs(turned - each).max() < 1e-9 for each in turns],
        )
        assert [sum(side) for side in sides] == [1, 1]
        directions |= {(kind, side.index(True)) for kind, side in enumerate(sides)}
    assert len(directions) == 4


def test_translations_are_by_three_pixels_diagonally(digits: Tensor) -> None:
    found = set()
    for image, moved in zip(digits.numpy(), own.translate(digits, draws()).numpy(), strict=True):
        shifts = [(down, across) for down in (-3, 3) for across in (-3, 3)]
        (by,) = [by for by in shifts if np.array_equal(moved, ndimage.shift(image, by, order=0, prefilter=False))]
        found.add(by)
    assert len(found) == 4


def test_shot_noise_has_the_mean_and_the_variance_of_photons() -> None:
    levels = torch.linspace(0, 1, 5, dtype=torch.float64)
    images = levels[:, None, None].expand(5, 28, 28)
    found = torch.cat([own.shot_noise(images, draws(seed)[:5]) for seed in range(20)]).view(20, 5, -1)
    assert torch.equal((3 * found).round(), 3 * found)
    sample = found.transpose(0, 1).flatten(1)  # 15,680 of each level
    assert sample.mean(dim=1).numpy() == pytest.approx(levels.numpy(), abs=0.025)
    assert sample.var(dim=1).numpy() == pytest.approx(levels.numpy() / 3, rel=0.1)


def test_impulses_are_black_or_white(digits: Tensor) -> None:
    gray = torch.full_like(digits, 0.5)
    found = own.impulse_noise(gray, draws())
    shares = [float((found == value).double().mean()) for value in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.085, 0.83, 0.085], abs=0.015)
    assert set(found.flatten().tolist()) == {0.0, 0.5, 1.0}


def test_glass_is_pixel_by_pixel(digits: Tensor) -> None:
    found = own.glass_blur(digits, draws()).numpy()
    for number, draw in enumerate(draws()):
        swap, up, left = torch.rand((3, 2, 26, 26), generator=draw, dtype=torch.float64).numpy() < 0.5
        image = np.floor(ndimage.gaussian_filter(digits[number].numpy(), (0.7, 0), mode="nearest") * 255)
        for turn in range(2):
            for row in range(27, 1, -1):
                for column in range(27, 1, -1):
                    at = turn, row - 2, column - 2
                    if swap[at]:
                        there = row - int(up[at]), column - int(left[at])
                        image[row, column], image[there] = image[there], image[row, column]
        expected = ndimage.gaussian_filter(image / 255, (0.7, 0), mode="nearest")
        # A pixel that rounding puts on either side of a whole number may differ by a byte.
        assert found[number] == pytest.approx(expected, abs=1.01 / 255)
        assert np.abs(found[number] - expected).mean() < 1e-4


def test_motion_is_along_a_line(digits: Tensor) -> None:
    found = own.motion_blur(digits, draws()).numpy()
    weights = np.exp(-(np.arange(21) ** 2) / 18)
    weights /= weights.sum()
    for number, draw in enumerate(draws()):
        angle = math.radians(90 * float(torch.rand((), generator=draw, dtype=torch.float64)) - 45)
        image, expected = digits[number].numpy(), np.zeros((28, 28))
        for row in range(28):
            for column in range(28):
                for tap, weight in enumerate(weights):
                    y, x = (math.ceil(tap * part - 0.5) for part in (math.sin(angle), math.cos(angle)))
                    expected[row, column] += weight * image[min(max(row + y, 0), 27), min(max(column + x, 0), 27)]
        assert found[number] == pytest.approx(expected, abs=1e-9)


def test_brightness_and_stripes(digits: Tensor) -> None:
    assert corrupted("brightness", digits[:, None], range(FEW), 0)[:, 0].numpy() == pytest.approx(
        np.minimum(digits.numpy() + 0.5, 1)
    )
    found = own.stripe(digits)
    assert torch.equal(found[:, :, 7:21], digits[:, :, 7:21])
    for columns in (range(7), range(21, 28)):
        assert torch.equal(found[:, :, list(columns)], 1 - digits[:, :, list(columns)])


def test_clouds_are_made_of_squares_and_diamonds() -> None:
    """Point by point, on a torus of eight times eight."""
    noise = torch.rand((1, 63), generator=generator(0, 0), dtype=torch.float64) * 2 - 1
    left = iter(noise[0].tolist())
    heights: dict[tuple[int, int], float] = {(0, 0): 0.0}
    step, share = 8, 1.0
    while step > 1:
        half = step // 2
        grid = [(row, column) for row in range(0, 8, step) for column in range(0, 8, step)]
        for down, across, near in (
            (half, half, ((-half, -half), (-half, half), (half, -half), (half, half))),
            (0, half, ((-half, 0), (half, 0), (0, -half), (0, half))),
            (half, 0, ((-half, 0), (half, 0), (0, -half), (0, half))),
        ):
            for row, column in grid:
                at = row + down, column + across
                around = [heights[(at[0] + y) % 8, (at[1] + x) % 8] for y, x in near]
                heights[at] = sum(around) / 4 + share * next(left)
        step, share = half, share / 1.4**2
    expected = np.array([[heights[row, column] for column in range(8)] for row in range(8)])
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    assert clouds(noise, 1.4)[0].numpy() == pytest.approx(expected, abs=1e-12)


def test_fog_keeps_the_brightest_value_as_its_bound(digits: Tensor) -> None:
    found = own.fog(digits / 2, draws())
    assert found.min() > -1e-9
    assert (found.amax(dim=(1, 2)) <= digits.amax(dim=(1, 2)) / 2 + 1e-9).all()
    ink = digits > 0.9
    assert (found[ink].mean() > found[~ink].mean() + 0.05).item()


def test_mud_is_where_blurred_noise_is_high(digits: Tensor) -> None:
    found = own.spatter(digits, draws()).numpy()
    for number, draw in enumerate(draws()):
        normal = torch.randn((28, 28), generator=draw, dtype=torch.float64).numpy()
        drops = ndimage.gaussian_filter(0.65 + 0.3 * normal, 1.0, mode="nearest") > 0.65
        cover = ndimage.gaussian_filter(drops.astype(np.float64), 1.5, mode="nearest")
        cover[cover < 0.8] = 0
        expected = digits[number].numpy() * (1 - cover) + 63 / 255 * cover
        assert (np.abs(found[number] - expected) < 1e-9).mean() > 0.99  # but for pixels at a threshold


def plain_line(c0: float, r0: float, c1: float, r1: float) -> np.ndarray:
    image = np.zeros((28, 28))
    for column in range(math.floor(c0), min(28, math.ceil(c1))):
        for row in range(28):
            distance = abs(row - (r0 + (r1 - r0) / (c1 - c0) * (column - c0)))
            if distance < 2.3:
                image[row, column] = max(0.0, 1 + math.log(1 - distance / 2.3))
    return image


def test_lines_are_drawn_pixel_by_pixel() -> None:
    for ends in ((0.0, 3.0, 27.0, 20.0), (4.3, 9.9, 8.1, 5.2), (2.0, 26.0, 3.9, 31.5), (1.5, 7.0, 25.5, 7.0)):
        c0, r0, c1, r1 = ends
        found = lines(torch.tensor([c0, c1]).double(), torch.tensor([r0, r1]).double())
        assert found.numpy() == pytest.approx(plain_line(c0, r0, c1, r1), abs=1e-5)


def test_a_dotted_line_crosses_the_image_in_dashes(digits: Tensor) -> None:
    black = torch.zeros_like(digits)
    for image, draw in zip(own.dotted_line(black, draws()), draws(), strict=True):
        first, last = torch.randint(0, 27, (2,), generator=draw).tolist()
        expected = plain_line(0, first, 27, last)
        expected[:, [column for column in range(28) if column // 2 % 2 == 0]] = 0
        assert image.numpy() == pytest.approx(expected, abs=1e-9)
        assert not image[:, 27].any()


def test_a_zigzag_turns_six_times(digits: Tensor) -> None:
    black = torch.zeros_like(digits)
    for image, draw in zip(own.zigzag(black, draws()), draws(), strict=True):
        begun = int(torch.randint(0, 27, (), generator=draw))
        rise = int(torch.randint(-5, 5, (), generator=draw))
        length = math.hypot(23, rise)
        points = [(0.0, 0.0), *((4.0 * i + 2, 2.0 * (-1) ** i) for i in range(6)), (length, -1 / (length - 20))]
        turned = [(2 + (23 * x - rise * y) / length, begun + (rise * x + 23 * y) / length) for x, y in points]
        expected = sum(plain_line(*one, *other) for one, other in itertools.pairwise(turned))
        assert image.numpy() == pytest.approx(expected, abs=1e-9)


def plain_canny(image: np.ndarray) -> np.ndarray:
    weight = ndimage.gaussian_filter(np.ones((28, 28)), 1.0, mode="constant")
    smooth = ndimage.gaussian_filter(image, 1.0, mode="constant") / weight
    down, across = ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)
    size = np.hypot(down, across)
    ridge = np.zeros((28, 28), bool)
    for row in range(1, 27):
        for column in range(1, 27):
            y, x, here = down[row, column], across[row, column], size[row, column]
            if not here:
                continue
            y, x = (y, x) if abs(y) >= abs(x) else (math.copysign(abs(y), y), x)
            scale = max(abs(y), abs(x))
            around = []
            for sign in (1, -1):
                # The point where the gradient's line leaves the square of neighbours.
                by, bx = sign * y / scale, sign * x / scale
                around.append(
                    ndimage.map_coordinates(size, [[row + by], [column + bx]], order=1, mode="nearest").item()
                )
            ridge[row, column] = max(around) <= here + 1e-12
    labels, _ = ndimage.label(ridge & (size >= 0.1), np.ones((3, 3)))
    kept = set(labels[ridge & (size >= 0.2)].tolist()) - {0}
    found: np.ndarray = np.isin(labels, list(kept))
    return found


def test_edges_are_cannys(digits: Tensor) -> None:
    found = own.canny_edges(digits).numpy()
    expected = np.stack([plain_canny(image) for image in digits.numpy()])
    assert set(np.unique(found)) == {0.0, 1.0}
    assert (found == expected).mean() > 0.999  # neighbours of equal gradient are a matter of rounding
