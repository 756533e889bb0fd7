"""The notebook's section 3.1: noise that is optimised until the network classifies it as a given class.

The perturbation is unbounded. The images of a call form one batch, and each is independent of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.objectives import LogitObjective
from engine.adversary.optimizers import OPTIMIZERS
from engine.attacks.requests import AttackNoise
from engine.geometry import IMAGE_SIZE
from engine.network.seeds import generator

MEAN, DEVIATION = 0.5, 0.25
"""Mean and standard deviation of the notebook's normal noise, in pixel values."""


def noise(numbers: Sequence[int], seed: int) -> Tensor:
    """A starting image (n, 1, 28, 28) for each class or index, on the CPU; not clamped, as in the notebook."""
    shape = (1, IMAGE_SIZE, IMAGE_SIZE)
    return torch.stack([torch.randn(shape, generator=generator(seed, number)) * DEVIATION + MEAN for number in numbers])


@torch.inference_mode()
def from_noise(
    network: AttackedNetwork, starts: Tensor, classes: list[int], settings: AttackNoise
) -> Iterator[Iterate]:
    """`non_targeted_attack` of the notebook's section 3.1: activation maximisation (Erhan et al. 2009).

    Yields the images before the first step and after each, from `starts` (n, 1, 28, 28), one for each of `classes`.
    The options are Simonyan et al.'s (2014) L2 penalty, Mahendran and Vedaldi's (2015) total variation and jitter
    (Mordvintsev et al. 2015), all off in the notebook. With jitter, intermediate logits are those of shifted images.
    """
    images = starts.to(network.device, copy=True)
    objective = LogitObjective(torch.tensor(classes, device=network.device))
    shifts = _shifts(classes, settings).to(network.device).unbind(1) if settings.jitter else None
    optimizer = OPTIMIZERS[settings.optimizer](images, settings.step_size)
    for step in range(settings.steps):
        logits, gradient = network.ascent(rolled(images, shifts[step]) if shifts else images, objective)
        yield Iterate(images, logits)
        if shifts:
            gradient = rolled(gradient, -shifts[step])
        if settings.l2:
            gradient = gradient - 2 * settings.l2 * images
        if settings.total_variation:
            gradient = gradient - settings.total_variation * total_variation_gradient(images)
        optimizer.climb(gradient)
    yield Iterate(images, network.logits(images))


def _shifts(classes: list[int], settings: AttackNoise) -> Tensor:
    """Rows and columns to shift the image of each class by at each step, (n, steps, 2)."""
    most, shape = settings.jitter, (settings.steps, 2)
    streams = (generator(settings.seed, number, 1) for number in classes)
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
