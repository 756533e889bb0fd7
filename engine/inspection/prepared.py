"""Images of any size prepared as the images of MNIST were: light on dark, scaled to 20x20, centred by mass in 28x28.

LeCun et al. (1998), "Gradient-based learning applied to document recognition", section III.A: digits are scaled to fit
20x20 pixels with their aspect ratio, with gray levels from anti-aliasing, and placed in 28x28 so that their centre of
mass is in the centre. In MNIST's files that centre is pixel (14, 14), counted from 0, to the nearest pixel, and the
longer side of a digit is 20 pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from engine.geometry import IMAGE_SIZE

if TYPE_CHECKING:
    from engine.event import Array

BOX = 20
"""Longer side of a digit, in pixels."""
CENTRE = 14
"""Row and column of the centre of mass."""
FAINT = 0.05
"""Share of the strongest ink below which a pixel does not count as part of the digit: JPEG leaves traces around it."""
_SIGMAS = 3 * 1.4826
"""Three standard deviations, in median absolute deviations of a normal distribution."""


def centred(image: Array) -> Array:
    """`image` (H, W) in [0, 1], dark on light or light on dark, as MNIST would have it: (28, 28) float32 in [0, 1].

    Raises ValueError where it is of one colour.
    """
    return placed(ink(image))


def dark_on_light(image: Array) -> bool:
    """Whether `image` (H, W) has a border that is brighter than the middle of its range of gray levels."""
    return bool(_ground(image)[0] * 2 > float(image.min()) + float(image.max()))


def ink(image: Array) -> Array:
    """How far each pixel of `image` (H, W) in [0, 1] is from its background: (H, W) float32 from 0 to 1, the strongest.

    The background is the median of the border. What varies as much as most of the border does, such as paper in a
    photograph, is 0. Raises ValueError where the image is of one colour.
    """
    ground, deviation = _ground(image)
    away = ground - image if dark_on_light(image) else image - ground
    most = float(away.max()) if image.size else 0.0
    if most <= 0:
        raise ValueError("it is of one colour")
    floor = min(_SIGMAS * deviation, most / 2)
    return np.clip((away - floor) / (most - floor), 0, 1).astype(np.float32)


def placed(ink: Array) -> Array:
    """`ink` (H, W) in [0, 1], 0 the background, scaled to fit 20x20 and centred by mass: (28, 28) float32 in [0, 1].

    The strongest pixel of the result is 1, so that thin strokes of a large image do not fade. All zeros stay zeros.
    """
    field = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.float32)
    counts = ink > FAINT * ink.max(initial=0.0)
    if not counts.any():
        return field
    (top, bottom), (left, right) = (np.flatnonzero(counts.any(axis=axis))[[0, -1]] for axis in (1, 0))
    digit = ink[top : bottom + 1, left : right + 1]
    scale = BOX / max(digit.shape)
    rows, columns = (max(1, round(scale * side)) for side in digit.shape)
    digit = _resized(digit, rows, columns)
    digit /= digit.max()
    mass = digit.sum()
    middle = digit.sum(axis=1) @ np.arange(rows) / mass, digit.sum(axis=0) @ np.arange(columns) / mass
    y, x = (
        min(max(round(CENTRE - float(at)), 0), IMAGE_SIZE - side)  # all of it stays inside
        for at, side in zip(middle, (rows, columns), strict=True)
    )
    field[y : y + rows, x : x + columns] = digit
    return field


def resized(image: Array) -> Array:
    """`image` (H, W) in [0, 1] stretched or shrunk to (28, 28) float32 in [0, 1]; one of that size as it is."""
    return _resized(image, IMAGE_SIZE, IMAGE_SIZE)


def _ground(image: Array) -> tuple[float, float]:
    """The median of the border of an image, and the median absolute deviation from it."""
    border = np.concatenate((image[0], image[-1], image[1:-1, 0], image[1:-1, -1]))
    ground = float(np.median(border))
    return ground, float(np.median(np.abs(border - ground)))


def _resized(image: Array, rows: int, columns: int) -> Array:
    """Means of areas along an axis that shrinks, linear interpolation along one that grows."""
    levels = np.asarray(image, np.float32)
    for axis, side in ((0, rows), (1, columns)):
        height, width = levels.shape
        size = (width, side) if axis == 0 else (side, height)
        how = Image.Resampling.BOX if side < levels.shape[axis] else Image.Resampling.BILINEAR
        if side != levels.shape[axis]:
            levels = np.array(Image.fromarray(levels).resize(size, how))
    return levels.clip(0, 1)
