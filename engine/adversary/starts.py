"""Random numbers that a training step computes on its device from (random seed, number of the step, element).

They are the same on every device and in every batch, need nothing from the host, and so no state: a run that is resumed
at any step goes on with the same numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MASK = 2**32 - 1
_ODD = 0x45D9F3B
"""Mueller's multiplier. Below 2**31, so that no product of it and 32 bits overflows 64."""
_GOLDEN = 0x9E3779B9
"""Keeps zeros away, of which the mixture would be zero."""
_BITS = 23
"""Bits of a number. With a half added, each is exact in single precision."""


def mixed(number: Tensor) -> Tensor:
    """A permutation of the whole numbers of 32 bits in which every bit depends on every other (Mueller's hash)."""
    for _ in range(2):
        number = ((number >> 16) ^ number) * _ODD & _MASK
    return (number >> 16) ^ number


class StepNumbers:
    """The random numbers of the steps of a run, one for each pixel of a batch."""

    def __init__(self, seed: int) -> None:
        self._seed = int(mixed(torch.tensor(seed + _GOLDEN & _MASK)))
        # Kept for good: a graph that a GPU has captured reads them where they are.
        self._places: dict[tuple[int, torch.device], Tensor] = {}

    def uniform(self, images: Tensor, step: int | Tensor) -> Tensor:
        """Uniform in (-1, 1), of the shape of `images`, float32. `step` may be a tensor (1,) int64 on their device."""
        place = images.numel(), images.device
        if place not in self._places:
            numbers = torch.arange(images.numel(), device=images.device)
            self._places[place] = mixed((numbers + _GOLDEN) & _MASK).view(images.shape)
        key = mixed((torch.as_tensor(step, device=images.device) + self._seed) & _MASK)
        drawn = mixed(self._places[place] ^ key) >> (32 - _BITS)
        return drawn.float().add_(0.5).mul_(2.0 ** (1 - _BITS)).sub_(1)

    def normal(self, images: Tensor, step: int | Tensor) -> Tensor:
        """Standard normal, of the shape of `images`, float32."""
        return torch.erfinv(self.uniform(images, step)).mul_(2**0.5)
