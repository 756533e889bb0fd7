"""The notebook's section 3: both of its attacks climb a logit with Adam, from noise or from a digit.

Beside Adam stands plain gradient ascent, whose steps are as long as the gradient says.

Neither bounds what it changes. All images of a call are one batch, and none has a say in what becomes of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from engine.attacks.adam import Adam
from engine.attacks.network import AttackedNetwork, Iterate, Logit
from engine.attacks.plain import PlainAscent
from engine.attacks.requests import AttackNoise, AttackTargeted, OptimizerName
from engine.geometry import IMAGE_SIZE
from engine.network.seeds import generator

MEAN, DEVIATION = 0.5, 0.25
"""Of the notebook's normal noise, in pixel values."""


_OPTIMIZERS: dict[OptimizerName, type[Adam] | type[PlainAscent]] = {"adam": Adam, "plain": PlainAscent}


def noise(numbers: Sequence[int], seed: int) -> Tensor:
    """A start for each class or index, (n, 1, 28, 28), on the CPU: not clamped, as in the notebook."""
    shape = (1, IMAGE_SIZE, IMAGE_SIZE)
    return torch.stack([torch.randn(shape, generator=generator(seed, number)) * DEVIATION + MEAN for number in numbers])


@torch.inference_mode()
def from_noise(
    network: AttackedNetwork, starts: Tensor, classes: list[int], settings: AttackNoise
) -> Iterator[Iterate]:
    """`non_targeted_attack` of the notebook's section 3.1: activation maximisation (Erhan et al. 2009).

    From `starts` (n, 1, 28, 28) one image for each of `classes`, before the first step and after each of the others.
    The options are Simonyan et al.'s (2014) L2 penalty, Mahendran and Vedaldi's (2015) total variation and jitter
    (Mordvintsev et al. 2015), all off in the notebook. With jitter, logits on the way are those of shifted images.
    """
    images = starts.to(network.device, copy=True)
    wish = Logit(torch.tensor(classes, device=network.device))
    shifts = _shifts(classes, settings).to(network.device).unbind(1) if settings.jitter else None
    optimizer = _OPTIMIZERS[settings.optimizer](images, settings.step_size)
    for step in range(settings.steps):
        logits, gradient = network.ascent(rolled(images, shifts[step]) if shifts else images, wish)
        yield Iterate(images, logits)
        if shifts:
            gradient = rolled(gradient, -shifts[step])
        if settings.l2:
            gradient = gradient - 2 * settings.l2 * images
        if settings.total_variation:
            gradient = gradient - settings.total_variation * total_variation_gradient(images)
        optimizer.climb(gradient)
    yield Iterate(images, network.logits(images))


@torch.inference_mode()
def from_digits(
    network: AttackedNetwork, originals: Tensor, settings: AttackTargeted, starts: Tensor | None = None
) -> Iterator[Iterate]:
    """`targeted_attack` of the notebook's section 3.2: logit ascent with a squared-error penalty.

    `originals` (n, 1, 28, 28) as they are, and after each step; with `starts`, like them, these are where it begins.
    The penalty is on the difference from the originals; the mean of the squared error is each image's own.
    """
    images = (originals if starts is None else starts).to(originals, copy=True)
    wish = Logit(torch.full((len(images),), settings.target, device=images.device))
    optimizer = _OPTIMIZERS[settings.optimizer](images, settings.step_size)
    pull = 2 * settings.beta / IMAGE_SIZE**2
    for _ in range(settings.steps):
        logits, gradient = network.ascent(images, wish)
        yield Iterate(images, logits)
        optimizer.climb(gradient.sub_(images - originals, alpha=pull) if pull else gradient)
    yield Iterate(images, network.logits(images))


def _shifts(classes: list[int], settings: AttackNoise) -> Tensor:
    """Rows and columns to shift the image of each class by at each step, (n, steps, 2)."""
    most, shape = settings.jitter, (settings.steps, 2)
    streams = (generator(settings.seed, number, 1) for number in classes)
    return torch.stack([torch.randint(-most, most + 1, shape, generator=each) for each in streams])


def rolled(images: Tensor, shift: Tensor) -> Tensor:
    """Images (n, 1, 28, 28), each shifted by its own (rows, columns), (n, 2); what leaves comes in at the other end."""
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
