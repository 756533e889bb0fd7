"""Optimizers of the pixels of a batch of images."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.adversary.names import OptimizerName

_DECAYS = (0.9, 0.999)  # of the gradient's mean and of its square's, as Kingma and Ba propose
_TINY = 1e-8


class Adam:
    """Gradient ascent by Adam (Kingma and Ba 2015, algorithm 1), in place and within [0, 1].

    Equal to `torch.optim.Adam` with `maximize` to the last digits, without its bookkeeping for many parameters, which
    takes a tenth of the time of a small attack.
    """

    def __init__(self, images: Tensor, step_size: float) -> None:
        self._images, self._step_size = images, step_size
        self._mean, self._square = torch.zeros_like(images), torch.zeros_like(images)
        self._steps = 0

    def climb(self, gradient: Tensor) -> None:
        """One step along `gradient`, which is like the images; the result is clamped to [0, 1]."""
        self._steps += 1
        kept, kept_square = _DECAYS
        self._mean.lerp_(gradient, 1 - kept)
        self._square.mul_(kept_square).addcmul_(gradient, gradient, value=1 - kept_square)
        correction, correction_square = (1 - decay**self._steps for decay in _DECAYS)
        scale = correction_square**0.5
        deviation = self._square.sqrt().add_(_TINY * scale)
        self._images.addcdiv_(self._mean, deviation, value=self._step_size * scale / correction).clamp_(0, 1)


class PlainAscent:
    """Each step adds `step_size` times the gradient, in place and within [0, 1]: `torch.optim.SGD` with `maximize`."""

    def __init__(self, images: Tensor, step_size: float) -> None:
        self._images, self._step_size = images, step_size

    def climb(self, gradient: Tensor) -> None:
        """One step along `gradient`, which is like the images; the result is clamped to [0, 1]."""
        self._images.add_(gradient, alpha=self._step_size).clamp_(0, 1)


OPTIMIZERS: dict[OptimizerName, type[Adam] | type[PlainAscent]] = {"adam": Adam, "plain": PlainAscent}
"""The optimizers by their names in requests."""
