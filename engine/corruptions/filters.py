"""Filters of small images: Gaussian blur, affine maps, Canny's edges, lines, and clouds.

Images are (n, 28, 28) float64 tensors on the CPU, with the origin at the centre of the top left pixel.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, max_pool2d, pad

from engine.geometry import IMAGE_SIZE

TRUNCATED = 4.0
"""Standard deviations after which a Gaussian is cut off, as in SciPy and scikit-image."""
FADING = 2.3
"""Vertical distance from a drawn line, in pixels, at which nothing is left of it."""


@cache
def gaussian(sigma: float, *, repeated: bool) -> Tensor:
    """The matrix (28, 28) that blurs a column of pixels by a Gaussian of standard deviation `sigma`, in pixels.

    Beyond the image are its outermost pixels if `repeated`, and otherwise zeros.
    """
    radius = int(TRUNCATED * sigma + 0.5)
    along = torch.arange(-radius, radius + 1)
    weights = torch.exp(-(along.double() ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    matrix = torch.zeros(IMAGE_SIZE, IMAGE_SIZE + 2 * radius, dtype=torch.float64)
    for row in range(IMAGE_SIZE):
        matrix[row, row : row + len(weights)] = weights
    inside = matrix[:, radius : radius + IMAGE_SIZE].clone()
    if repeated:
        inside[:, 0] += matrix[:, :radius].sum(dim=1)
        inside[:, -1] += matrix[:, radius + IMAGE_SIZE :].sum(dim=1)
    return inside


def blurred(images: Tensor, sigma: float, *, repeated: bool) -> Tensor:
    """`images` blurred along both axes; for `sigma` and `repeated` see `gaussian`."""
    matrix = gaussian(sigma, repeated=repeated)
    return matrix @ images @ matrix.T


def mapped(images: Tensor, matrices: Tensor) -> Tensor:
    """Images whose pixel at (x, y) is that of `images` at `matrices` (n, 2, 2) times (x, y), seen from the centre.

    Interpolation is bilinear, with zeros beyond the image. The centre, at (13.5, 13.5), stays where it is.
    """
    theta = pad(matrices.to(images), (0, 1))
    grid = affine_grid(theta, [len(images), 1, IMAGE_SIZE, IMAGE_SIZE], align_corners=True)
    return grid_sample(images[:, None], grid, padding_mode="zeros", align_corners=True)[:, 0]


def canny(images: Tensor, sigma: float, low: float, high: float) -> Tensor:
    """The edges of `images`, bool (Canny 1986): thin ridges of the gradient above `low` that reach `high` somewhere.

    The gradient is Sobel's, not normalised, of the image after a Gaussian blur by `sigma`, in which pixels beyond the
    image do not count. The outermost pixels are never edges.
    """
    weight = blurred(torch.ones_like(images[:1]), sigma, repeated=False)
    smooth = pad(blurred(images, sigma, repeated=False) / weight, (1, 1, 1, 1), mode="replicate")
    down = smooth[:, 2:] - smooth[:, :-2]
    across = smooth[:, :, 2:] - smooth[:, :, :-2]
    down = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    across = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
    size = torch.hypot(down, across)
    ridges = _ridges(size, down, across)
    weak = ridges & (size >= low)
    grown = ridges & (size >= high)
    while True:  # grow the strong edges along the weak ones, also diagonally
        wider = weak & (max_pool2d(grown.float(), 3, 1, 1) > 0)
        if torch.equal(wider, grown):
            return grown
        grown = wider


def _ridges(size: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Where the gradient is largest along its own direction, between whose two nearest pixels it is interpolated.

    `size`, `down` and `across` (n, 28, 28) are the gradient's size and its components.
    """
    around = pad(size, (1, 1, 1, 1))
    steep = down.abs() >= across.abs()
    falling = down * across >= 0
    nearer, farther = torch.minimum(down.abs(), across.abs()), torch.maximum(down.abs(), across.abs())
    share = nearer / farther.clamp(min=torch.finfo(size.dtype).tiny)  # of the diagonal neighbour
    found = size > 0
    for sign in (1, -1):
        diagonal = torch.where(falling, _neighbour(around, sign, sign), _neighbour(around, -sign, sign))
        vertical = torch.where(falling, _neighbour(around, sign, 0), _neighbour(around, -sign, 0))
        straight = torch.where(steep, vertical, _neighbour(around, 0, sign))
        found &= diagonal * share + straight * (1 - share) <= size
    inside = torch.zeros_like(found)
    inside[:, 1:-1, 1:-1] = True
    return found & inside


def _neighbour(around: Tensor, rows: int, columns: int) -> Tensor:
    """The neighbour of each pixel so many `rows` and `columns` further, of images with one more pixel on each side."""
    return around[:, 1 + rows : 1 + rows + IMAGE_SIZE, 1 + columns : 1 + columns + IMAGE_SIZE]


def lines(columns: Tensor, rows: Tensor) -> Tensor:
    """Images (..., 28, 28) of a line each, from (columns, rows) [..., 0] to [..., 1], in pixels; both (..., 2).

    It has the value 1 + log(1 - d / 2.3), and at least 0, at a vertical distance of d pixels, in the columns from the
    one it begins in to before the one at or right of its end.
    """
    along = torch.arange(IMAGE_SIZE, dtype=torch.float64)
    (left, right), (first, last) = columns[..., None, None].unbind(-3), rows[..., None, None].unbind(-3)
    height = first + (last - first) / (right - left) * (along - left)
    distance = (along[:, None] - height).abs().clamp(max=FADING)
    value = (1 + torch.log(1 - distance / FADING)).clamp(min=0)
    return torch.where((along >= left.floor()) & (along < right.ceil()), value, 0.0)


def clouds(noise: Tensor, decay: float) -> Tensor:
    """Fractal heights (n, s, s) from 0 to 1, by the diamond-square algorithm on a torus (Fournier et al. 1982).

    `noise` (n, s * s - 1), with s a power of 2, is from -1 to 1. It counts `decay` squared times less with each halving
    of the distance between the points.
    """
    heights, share = noise.new_zeros(len(noise), 1, 1), 1.0
    while noise.shape[1]:
        side = heights.shape[1]
        own, noise = noise[:, : 3 * side**2] * share, noise[:, 3 * side**2 :]
        middle, above, beside = own.view(-1, 3, side, side).unbind(1)
        # A square's middle is near its four corners; then the middle of an edge, near its ends and the middles of the
        # squares that share it.
        top, left = heights + heights.roll(-1, 2), heights + heights.roll(-1, 1)
        middle = middle + (top + top.roll(-1, 1)) / 4
        above = above + (top + middle + middle.roll(1, 1)) / 4
        beside = beside + (left + middle + middle.roll(1, 2)) / 4
        even, odd = (torch.stack(pair, dim=3).flatten(2) for pair in ((heights, above), (beside, middle)))
        heights = torch.stack((even, odd), dim=2).flatten(1, 2)
        share /= decay**2
    low, high = heights.amin(dim=(1, 2), keepdim=True), heights.amax(dim=(1, 2), keepdim=True)
    return (heights - low) / (high - low)


def half_gaussian(taps: int, sigma: float) -> list[float]:
    """Weights of the distances 0 to `taps` - 1, in pixels, of a Gaussian on one side; their sum is 1."""
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(taps)]
    return [weight / sum(weights) for weight in weights]
