"""Gradient ascent on images that begin as noise, with the regularisers of activation maximisation.

Erhan et al. (2009) maximise an activation by the pixels. What keeps such images from being mere noise: an L2 penalty
(Simonyan et al. 2014), total variation (Mahendran and Vedaldi 2015), and jitter (Mordvintsev et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

from engine.adversary.names import OptimizerName
from engine.adversary.optimizers import OPTIMIZERS
from engine.geometry import IMAGE_SIZE

MEAN, DEVIATION = 0.5, 0.25
"""Mean and standard deviation of the notebook's normal noise, in pixel values."""


class Regularised(Protocol):
    """Settings of an ascent: the fields of a request."""

    @property
    def steps(self) -> int:
        """Number of steps."""

    @property
    def step_size(self) -> float:
        """Step size of the optimizer."""

    @property
    def total_variation(self) -> float:
        """Weight of the penalty on the sum of squared differences between neighbouring pixels."""

    @property
    def l2(self) -> float:
        """Weight of the penalty on the sum of squared pixels."""

    @property
    def jitter(self) -> int:
        """Maximum shift of the image at each step, in pixels."""


def noise_image(stream: Generator) -> Tensor:
    """A starting image (1, 28, 28) on the CPU from a generator; not clamped, as in the notebook."""
    return torch.randn((1, IMAGE_SIZE, IMAGE_SIZE), generator=stream) * DEVIATION + MEAN


def ascend(
    images: Tensor,
    ascent: Callable[[Tensor], tuple[Tensor, Tensor]],
    settings: Regularised,
    streams: Sequence[Generator],
    optimizer: OptimizerName = "adam",
) -> Iterator[Tensor]:
    """Climb from `images` (n, 1, 28, 28), in place and within [0, 1], and yield what `ascent` returns before each step.

    `ascent` takes images and returns outputs for them and the gradient to climb. With jitter it takes shifted images;
    the shifts of each image are of its own one of the `streams`, which are not used otherwise.
    """
    shifts = _shifts(streams, settings).to(images.device).unbind(1) if settings.jitter else None
    climber = OPTIMIZERS[optimizer](images, settings.step_size)
    for step in range(settings.steps):
        outputs, gradient = ascent(rolled(images, shifts[step]) if shifts else images)
        yield outputs
        if shifts:
            gradient = rolled(gradient, -shifts[step])
        if settings.l2:
            gradient = gradient - 2 * settings.l2 * images
        if settings.total_variation:
            gradient = gradient - settings.total_variation * total_variation_gradient(images)
        climber.climb(gradient)


def _shifts(streams: Sequence[Generator], settings: Regularised) -> Tensor:
    """Rows and columns to shift each image by at each step, (n, steps, 2)."""
    most, shape = settings.jitter, (settings.steps, 2)
    return torch.stack([torch.randint(-most, most + 1, shape, generator=each) for each in streams])


def rolled(images: Tensor, shift: Tensor) -> Tensor:
    """Images (n, 1, 28, 28), each shifted cyclically by its own (rows, columns), (n, 2)."""
    along = torch.arange(IMAGE_SIZE, device=images.device)
    rows, columns = ((along - by[:, None]) % IMAGE_SIZE for by in shift.unbind(1))
    number = torch.arange(len(images), device=images.device)
    return images[number[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def total_variation_gradient(images: Tensor) -> Tensor:
    """The gradient of the sum of squared differences between neighbours, like `images` (n, 1, 28, 28)."""
    gradient = torch.zeros_like(images)
    for axis in (2, 3):
        difference = 2 * images.diff(dim=axis)
        gradient.narrow(axis, 1, IMAGE_SIZE - 1).add_(difference)
        gradient.narrow(axis, 0, IMAGE_SIZE - 1).sub_(difference)
    return gradient
