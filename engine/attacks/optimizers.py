"""Optimizers for the pixels of one batch."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.attacks.requests import OptimizerName

_DECAYS = (0.9, 0.999)  # of the gradient's mean and of its square's, as Kingma and Ba propose
_TINY = 1e-8


class Adam:
    """Ascent by Adam (Kingma and Ba 2015, algorithm 1), in place and within [0, 1].

    To the last digits what `torch.optim.Adam` does with `maximize`, whose bookkeeping for many parameters takes as
    long as a tenth of a small attack.
    """

    def __init__(self, images: Tensor, step_size: float) -> None:
        self._images, self._step_size = images, step_size
        self._mean, self._square = torch.zeros_like(images), torch.zeros_like(images)
        self._steps = 0

    def climb(self, gradient: Tensor) -> None:
        """One step along `gradient`, which is like the images; then what has left [0, 1] is put back to its border."""
        self._steps += 1
        kept, kept_square = _DECAYS
        self._mean.lerp_(gradient, 1 - kept)
        self._square.mul_(kept_square).addcmul_(gradient, gradient, value=1 - kept_square)
        correction, correction_square = (1 - decay**self._steps for decay in _DECAYS)
        scale = correction_square**0.5
        deviation = self._square.sqrt().add_(_TINY * scale)
        self._images.addcdiv_(self._mean, deviation, value=self._step_size * scale / correction).clamp_(0, 1)


class PlainAscent:
    """Each step goes `step_size` times the gradient, in place and within [0, 1]: `torch.optim.SGD` with `maximize`."""

    def __init__(self, images: Tensor, step_size: float) -> None:
        self._images, self._step_size = images, step_size

    def climb(self, gradient: Tensor) -> None:
        """One step along `gradient`, which is like the images; then what has left [0, 1] is put back to its border."""
        self._images.add_(gradient, alpha=self._step_size).clamp_(0, 1)


OPTIMIZERS: dict[OptimizerName, type[Adam] | type[PlainAscent]] = {"adam": Adam, "plain": PlainAscent}
"""By the names that a request knows them by."""
