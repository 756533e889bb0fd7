"""The norm ball around an image that an attack may not leave: norms, steps, projections and random starting points.

Pixel values are from 0 to 1, and every image stays in that range; norms are of differences of pixel values. Epsilon 0
leaves an image unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.adversary.names import NormName
from engine.network.seeds import generator

_TINY = 1e-30


def norms(differences: Tensor, norm: NormName) -> Tensor:
    """L-infinity or L2 norms (n, 1, 1, 1) of differences (n, 1, 28, 28)."""
    flat = differences.flatten(1)
    found = flat.abs().amax(dim=1) if norm == "linf" else flat.norm(dim=1)
    return found[:, None, None, None]


def moved(images: Tensor, gradient: Tensor, step: float | Tensor, norm: NormName) -> Tensor:
    """`images` after a step of norm `step`, one or (n, 1, 1, 1), along their gradients, all (n, 1, 28, 28)."""
    if norm == "linf":
        return images + step * gradient.sign()
    gradient = gradient / norms(gradient, "linf").clamp(min=_TINY)  # squares of tiny values would underflow
    return images + step * gradient / norms(gradient, "l2").clamp(min=_TINY)


def projected(images: Tensor, originals: Tensor, epsilon: float, norm: NormName) -> Tensor:
    """The projection of `images` onto the `epsilon`-ball around `originals`, clipped to [0, 1]; all (n, 1, 28, 28)."""
    difference = images - originals
    if norm == "linf":
        difference = difference.clamp(-epsilon, epsilon)
    else:
        difference = difference * (epsilon / norms(difference, "l2").clamp(min=_TINY)).clamp(max=1.0)
    return (originals + difference).clamp(0, 1)


class Ball:
    """The `epsilon`-balls around images (n, 1, 28, 28) in [0, 1], for many projections onto the same ones."""

    def __init__(self, originals: Tensor, epsilon: float, norm: NormName) -> None:
        self.originals, self.epsilon, self.norm = originals, epsilon, norm
        self.low, self.high = torch.zeros_like(originals), torch.ones_like(originals)
        """The least and the greatest value of each pixel, like the images."""
        if norm == "linf":
            self.low, self.high = (originals - epsilon).clamp(min=0), (originals + epsilon).clamp(max=1)

    def at(self, chosen: Tensor) -> Ball:
        """The balls around some of the images, given as indices or a mask."""
        return Ball(self.originals[chosen], self.epsilon, self.norm)

    def put_back(self, images: Tensor) -> Tensor:
        """`images` (n, 1, 28, 28), changed in place to `projected` of them."""
        if self.norm == "linf":
            return torch.clamp(images, self.low, self.high, out=images)
        images.copy_(projected(images, self.originals, self.epsilon, self.norm))
        return images


def random_starts(  # noqa: PLR0917
    originals: Tensor, epsilon: float, norm: NormName, seed: int, indices: Sequence[int], restart: int = 0
) -> Tensor:
    """A random image (n, 1, 28, 28) within `epsilon` of each of `originals`, determined by its index in the split.

    L-infinity: each pixel is uniform. L2: the direction and the length are uniform.
    """
    found = []
    for original, index in zip(originals, indices, strict=True):
        draw = generator(seed, index, restart)
        if norm == "linf":
            found.append((torch.rand(original.shape, generator=draw) * 2 - 1) * epsilon)
        else:
            direction = torch.randn(original.shape, generator=draw)
            found.append(direction / direction.norm() * torch.rand(1, generator=draw) * epsilon)
    return (originals + torch.stack(found).to(originals)).clamp(0, 1)
