"""The fifteen corruptions of MNIST-C (Mu and Gilmer 2019, arXiv:1906.02337), one function each.

Definitions and severities are those of the paper and of the program that its authors published with it, in which most
corruptions have five severities, one of them the default. This is a reimplementation: random numbers come from this
program's generators, and pixels are not rounded to bytes in the end. So no image is the one that MNIST-C has, and no
accuracy on them is one on MNIST-C.

Functions take images (n, 28, 28) float64 from 0 to 1 on the CPU, and, where chance plays a part, a generator for each.
They return images of the same shape, which `corrupted` clips to [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from engine.corruptions.filters import blurred, canny, clouds, gaussian, half_gaussian, lines, mapped
from engine.corruptions.requests import CLEAN, CORRUPTIONS, CleanName, CorruptionName
from engine.geometry import IMAGE_SIZE
from engine.network.seeds import generator

SHAPE = (IMAGE_SIZE, IMAGE_SIZE)
FOG_SIZE = 256
"""Side of the clouds of fog, of which images get the top left corner, in pixels."""


def shot_noise(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """Each pixel is a Poisson variable with the pixel's mean, counted in units of 1/3: noise of few photons.

    Severity 5 of 5. As published.
    """
    return torch.stack([torch.poisson(3 * image, draw) for image, draw in zip(images, draws, strict=True)]) / 3


def impulse_noise(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """A share of 0.17 of the pixels becomes black or white, each with probability 1/2.

    Severity 4 of 5. As published.
    """
    hit, white = _uniform(draws, 2, *SHAPE).unbind(1)
    return torch.where(hit < 0.17, (white < 0.5).to(images), images)


def glass_blur(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """A Gaussian blur of 0.7 pixels, pixels that change places with their neighbours, then the same blur again.

    Twice, from the bottom right to the top left, each pixel but those of the upper and left two rows and columns
    changes places, with probability 1/2, with one at most one row up and one column to the left. Before, pixels are
    rounded down to bytes. Severity 1 of 5. As published: the authors' program passes images of one channel to a blur
    that takes the columns of such an image for channels, so that it blurs along columns only, and so does this one.
    """
    matrix = gaussian(0.7, repeated=True)
    # A whole number stays whole, on whichever side of it rounding put the blur.
    flat = (matrix @ images * 255 + 1e-9).floor().flatten(1).T.contiguous()  # (784, n)
    first, last = 2, IMAGE_SIZE
    side = last - first
    moves, up, left = _uniform(draws, 3, 2, side, side).unbind(1)
    along = torch.arange(first, last)
    here = along[:, None] * IMAGE_SIZE + along
    there = here - torch.where(moves < 0.5, (up < 0.5) * IMAGE_SIZE + (left < 0.5) * 1, 0)  # (n, 2, side, side)
    # NumPy takes a tenth of the time of PyTorch for steps as small as these.
    pixels, number = flat.numpy(), torch.arange(len(images)).numpy()
    order = there.flatten(2).flip(2).permute(1, 2, 0).contiguous().numpy()  # (2, places, n)
    for turn in order:
        for place, other in zip(here.flatten().tolist()[::-1], turn, strict=True):
            swapped = pixels[other, number]
            pixels[other, number] = pixels[place]
            pixels[place] = swapped
    return matrix @ (flat.T.reshape(images.shape) / 255)


def motion_blur(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """The weighted mean of the pixels on a line of 21 from each, in a direction from -45 to 45 degrees.

    Weights fall off like one side of a Gaussian of 3 pixels. Severity 1 of 5. The authors' program calls ImageMagick;
    this one has its rule for the pixels of a line, the nearest to multiples of 1 pixel, but not its rounding to
    integers after the blur. Beyond the image are its outermost pixels.
    """
    angles = torch.deg2rad(90 * _uniform(draws) - 45)
    along = torch.arange(IMAGE_SIZE)
    number = torch.arange(len(images))[:, None, None]
    found = torch.zeros_like(images)
    for tap, weight in enumerate(half_gaussian(21, 3.0)):
        across, down = (torch.ceil(tap * part(angles) - 0.5).long()[:, None] for part in (torch.cos, torch.sin))
        rows, columns = ((along + by).clamp(0, IMAGE_SIZE - 1) for by in (down, across))
        found += weight * images[number, rows[:, :, None], columns[:, None, :]]
    return found


def shear(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """Rows are moved apart sideways by a shear of 0.4 radians, to the left or to the right, around the centre.

    Output (x, y) is input (x - y sin 0.4, y cos 0.4), as in the releases of scikit-image of that time: later ones shear
    by the tangent. Severity 2 of 5. As published.
    """
    angles = 0.4 * _signs(draws, 1)[:, 0]
    one, none = torch.ones_like(angles), torch.zeros_like(angles)
    return mapped(images, _matrices(one, -angles.sin(), none, angles.cos()))


def scale(images: Tensor) -> Tensor:
    """The digit at 0.7 of its size, around the centre. Severity 3 of 5. As published, without a blur before."""
    return mapped(images, torch.eye(2).to(images).expand(len(images), 2, 2) / 0.7)


def rotate(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """The digit turned by 0.4 radians, to the left or to the right, around the centre.

    Severity 2 of 5. As published.
    """
    angles = 0.4 * _signs(draws, 1)[:, 0]
    return mapped(images, _matrices(angles.cos(), -angles.sin(), angles.sin(), angles.cos()))


def brightness(images: Tensor) -> Tensor:
    """Each pixel 0.5 brighter, at most 1. Severity 5 of 5.

    As published: there it is the value of the colour in HSV, which for gray is the pixel.
    """
    return images + 0.5


def translate(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """The digit moved by 3 pixels up or down and 3 pixels left or right; what leaves the image is lost.

    Severity 3 of 5. As published.
    """
    number, along = torch.arange(len(images))[:, None, None], torch.arange(IMAGE_SIZE)
    down, across = (3 + 3 * by.long()[:, None] + along for by in _signs(draws, 2).unbind(1))
    return pad(images, (3, 3, 3, 3))[number, down[:, :, None], across[:, None, :]]


def stripe(images: Tensor) -> Tensor:
    """The left and the right quarter inverted. It has one severity. As published."""
    found = images.clone()
    for columns in (slice(7), slice(21, None)):
        found[:, :, columns] = 1 - images[:, :, columns]
    return found


def fog(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """The image plus 3 times a fractal from 0 to 1, scaled so that the largest possible value is the image's own.

    The fractal is made by the diamond-square algorithm on 256x256 pixels, of which the image gets the top left corner;
    its noise falls by 1.4 squared with each halving of the distance. Severity 5 of 5. As published.
    """
    # One image at a time, since a processor's cache holds no more of these fractals.
    noise = (torch.empty(1, FOG_SIZE**2 - 1).uniform_(-1, 1, generator=draw) for draw in draws)
    fractal = torch.cat([clouds(each, 1.4)[:, :IMAGE_SIZE, :IMAGE_SIZE].clone() for each in noise])
    most = images.amax(dim=(1, 2), keepdim=True)
    return (images + 3 * fractal) * most / (most + 3)


def spatter(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """Drops of mud, of gray level 63 of 255: where normal noise of mean 0.65 and deviation 0.3, blurred, exceeds 0.65.

    The noise is blurred by a Gaussian of 1 pixel, and the drops by one of 1.5 pixels, of which less than 0.8 is left
    out. Severity 4 of 5. As published.
    """
    normal = torch.stack([torch.randn(SHAPE, generator=draw, dtype=torch.float64) for draw in draws])
    drops = blurred(0.65 + 0.3 * normal, 1.0, repeated=True) > 0.65
    cover = blurred(drops.to(images), 1.5, repeated=True)
    cover = torch.where(cover < 0.8, 0.0, cover)
    return images * (1 - cover) + 63 / 255 * cover


def dotted_line(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """A straight line from the left edge to the right one, two columns on, two off, the first two off, is added.

    Its ends are in any two of the rows 0 to 26; the last column is left out. It has one severity. As published.
    """
    ends = torch.stack([torch.randint(0, 27, (2,), generator=draw) for draw in draws]).double()
    line = lines(torch.tensor([0.0, 27.0]).to(ends).expand_as(ends), ends)
    return images + line * (torch.arange(IMAGE_SIZE) // 2 % 2)


def zigzag(images: Tensor, draws: Sequence[Generator]) -> Tensor:
    """A zigzag, in steps of 4 pixels and 2 pixels to either side of a line from column 2 to column 25, is added.

    The line begins in one of the rows 0 to 26 and ends up to 5 rows above or 4 below. It has one severity. As
    published, with its last, shorter piece, which there ends at a height of 1 / (2 * length) times that of the last
    turn.
    """
    drawn = [(torch.randint(0, 27, (), generator=draw), torch.randint(-5, 5, (), generator=draw)) for draw in draws]
    begun, rise = torch.tensor(drawn, dtype=torch.float64).unbind(1)
    angles = torch.atan(rise / 23)
    length = 23 / angles.cos()  # from 23 to 23.54 pixels: six turns, at 2, 6, ..., 22, and the end
    turns = torch.arange(6, dtype=torch.float64)
    heights = 2 * (-1) ** turns
    nothing = torch.zeros_like(length)[:, None]
    along = torch.cat((nothing, (4 * turns + 2).expand(len(images), -1), length[:, None]), dim=1)
    aside = torch.cat((nothing, heights.expand(len(images), -1), heights[-1] / (2 * (length - 20))[:, None]), dim=1)
    cosines, sines = angles.cos()[:, None], angles.sin()[:, None]
    columns, rows = 2 + cosines * along - sines * aside, begun[:, None] + sines * along + cosines * aside
    pieces = lines(columns.unfold(1, 2, 1), rows.unfold(1, 2, 1))
    return images + pieces.sum(dim=1)


def canny_edges(images: Tensor) -> Tensor:
    """The edges of the digit, white on black, by Canny's detector (1986) as scikit-image has it by default.

    Gaussian blur of 1 pixel, thresholds 0.1 and 0.2 of the unnormalised Sobel gradient. It has one severity. As
    published.
    """
    return canny(images, 1.0, 0.1, 0.2).to(images)


_RANDOM: dict[CorruptionName, Callable[[Tensor, Sequence[Generator]], Tensor]] = {
    "shot-noise": shot_noise,
    "impulse-noise": impulse_noise,
    "glass-blur": glass_blur,
    "motion-blur": motion_blur,
    "shear": shear,
    "rotate": rotate,
    "translate": translate,
    "fog": fog,
    "spatter": spatter,
    "dotted-line": dotted_line,
    "zigzag": zigzag,
}
_FIXED: dict[CorruptionName, Callable[[Tensor], Tensor]] = {
    "scale": scale,
    "brightness": brightness,
    "stripe": stripe,
    "canny-edges": canny_edges,
}


def corrupted(name: CorruptionName | CleanName, images: Tensor, indices: Sequence[int], seed: int) -> Tensor:
    """Images (n, 1, 28, 28) on the CPU, from 0 to 1, under one corruption or `clean`; alike in shape and data type.

    Each is determined by `seed`, the corruption and its index in its split, whatever else is in the batch; `indices`
    has one for each image. They are the same for every device, since nothing is computed on it.
    """
    if name == CLEAN:
        return images
    plain = images[:, 0].double()
    if name in _FIXED:
        found = _FIXED[name](plain)
    else:
        found = _RANDOM[name](plain, [generator(seed, CORRUPTIONS.index(name), index) for index in indices])
    return found.clamp(0, 1).to(images)[:, None]


def _uniform(draws: Sequence[Generator], *shape: int) -> Tensor:
    """Uniform random numbers from 0 to 1, (n, *shape) float64."""
    return torch.stack([torch.rand(shape, generator=draw, dtype=torch.float64) for draw in draws])


def _signs(draws: Sequence[Generator], count: int) -> Tensor:
    """-1 or 1 with equal probability, (n, count) float64."""
    return torch.where(_uniform(draws, count) < 0.5, -1.0, 1.0).double()


def _matrices(*entries: Tensor) -> Tensor:
    """Matrices (n, 2, 2) of their four entries (n,), row by row."""
    return torch.stack(entries, dim=1).view(-1, 2, 2)
