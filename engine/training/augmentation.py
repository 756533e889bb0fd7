"""Random shifts, rotations, scalings and elastic distortions of the training images, on their device.

What happens to an image in an epoch depends only on (seed, epoch, position in the epoch), so a run can be resumed at
any step. The numbers are drawn once an epoch, on the CPU, and uploaded together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from engine.geometry import IMAGE_SIZE
from engine.network.seeds import generator
from engine.training.requests import Train

CONTROL = 7
"""Control points along a side of the grid from which an elastic distortion is interpolated."""
_DRAWN = 4
"""Numbers per image of a shift (2), a rotation and a scaling; the control points' displacements come after them."""
_STREAM = 2
"""What the numbers of the generator are for; the order of the images has a generator of its own."""


@dataclass(frozen=True)
class Augmentation:
    """The changes of an image: the largest, drawn uniformly from its negative to itself, and a deviation."""

    shift: int
    """Pixels, along each side."""
    rotate: float
    """Degrees."""
    scale: float
    """Share of the size."""
    elastic: float
    """Standard deviation of a control point's displacement, in pixels."""

    @classmethod
    def of(cls, request: Train) -> Augmentation | None:
        """The augmentation of `request`; None where images are left as they are."""
        made = cls(request.shift, request.rotate, request.scale, request.elastic)
        return None if made == cls(0, 0.0, 0.0, 0.0) else made

    @property
    def samples(self) -> bool:
        """Whether images are sampled between pixels, rather than moved by whole ones."""
        return bool(self.rotate or self.scale or self.elastic)

    @property
    def drawn(self) -> int:
        """Numbers that an image needs."""
        return _DRAWN + 2 * CONTROL**2 * (self.elastic > 0)

    def draw(self, seed: int, epoch: int, size: int) -> Tensor:
        """The numbers for an epoch of `size` images, (size, drawn) float32 on the CPU: uniform in [-1, 1), then
        normal."""
        stream = generator(seed, epoch, _STREAM)
        numbers = torch.rand((size, _DRAWN), generator=stream) * 2 - 1
        if not self.elastic:
            return numbers
        return torch.cat((numbers, torch.randn((size, self.drawn - _DRAWN), generator=stream)), dim=1)

    def __call__(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Images (n, 1, 28, 28) changed by their `numbers` (n, drawn); what comes in from outside is 0.

        Shifts alone move whole pixels, so that gray levels stay as they are. Everything else is one bilinear sampling:
        rotation and scaling about the centre, then the shift, with the elastic displacement (Simard et al. 2003, here
        interpolated by cubic B-splines between control points, as of Ronneberger et al. 2015) added.
        """
        if self.samples:
            return grid_sample(images, self._grid(images, numbers), align_corners=False)
        return self._shifted(images, numbers)

    def _shifted(self, images: Tensor, numbers: Tensor) -> Tensor:
        most, count, device = self.shift, len(images), images.device
        # Each of the 2 * shift + 1 whole shifts is as likely as the others.
        start = ((numbers[:, :2] + 1) * (most + 0.5)).long().clamp(max=2 * most)  # (n, 2)
        along = torch.arange(IMAGE_SIZE, device=device)
        wide = IMAGE_SIZE + 2 * most
        rows = start[:, :1] + along  # (n, 28)
        places = rows[:, :, None] * wide + (start[:, 1:] + along)[:, None, :]
        return pad(images, [most] * 4).view(count, -1).gather(1, places.view(count, -1)).view(images.shape)

    def _grid(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Where each pixel is sampled, (n, 28, 28, 2), in [-1, 1] from edge to edge."""
        angle = numbers[:, 2] * math.radians(self.rotate)
        size = 1 / (1 + numbers[:, 3] * self.scale)
        cosine, sine = torch.cos(angle) * size, torch.sin(angle) * size
        moved = numbers[:, :2] * (2 * self.shift / IMAGE_SIZE)
        rows = (cosine, -sine, moved[:, 0]), (sine, cosine, moved[:, 1])
        matrices = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)  # (n, 2, 3)
        grid = affine_grid(matrices, list(images.shape), align_corners=False)
        if self.elastic:
            points = numbers[:, _DRAWN:].view(-1, 2, CONTROL, CONTROL) * (2 * self.elastic / IMAGE_SIZE)
            weights = _splines(images.device)
            grid = grid + (weights @ points @ weights.t()).permute(0, 2, 3, 1)
        return grid


@lru_cache(maxsize=8)
def _splines(device: torch.device) -> Tensor:
    """The weights of the control points at each pixel along a side, (28, CONTROL): uniform cubic B-splines.

    Their squares are scaled to a mean sum of 1, so that a displacement has the deviation of its control points.
    """
    # The control points span the image; the outer ones lie one spacing outside.
    at = torch.linspace(1, CONTROL - 2, IMAGE_SIZE, dtype=torch.float64)
    distance = (at[:, None] - torch.arange(CONTROL)).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    weights = torch.where(distance < 1, near, far)
    return (weights / weights.square().sum(dim=1).mean().sqrt()).float().to(device)
