"""Plain gradient ascent for the pixels of one batch."""

from __future__ import annotations

from torch import Tensor


class PlainAscent:
    """Each step goes `step_size` times the gradient, in place and within [0, 1]: `torch.optim.SGD` with `maximize`."""

    def __init__(self, images: Tensor, step_size: float) -> None:
        self._images, self._step_size = images, step_size

    def climb(self, gradient: Tensor) -> None:
        """One step along `gradient`, which is like the images; then what has left [0, 1] is put back to its border."""
        self._images.add_(gradient, alpha=self._step_size).clamp_(0, 1)
