"""DeepFool: the smallest L2 perturbation, towards the nearest decision boundary of the linearised network.

Pixel values are from 0 to 1, and every image stays in that range; norms are of differences of pixel values.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.objectives import Misclassification

BISECTIONS = 8
"""Bisection steps between the adversarial image and its original: they find the boundary to 1/256 of the distance."""


def deepfool(
    network: AttackedNetwork, originals: Tensor, objective: Misclassification, steps: int, overshoot: float
) -> Iterator[Iterate]:
    """DeepFool (Moosavi-Dezfooli et al. 2016, arXiv:1511.04599) in L2, towards whichever class is nearest.

    Yields `originals` (n, 1, 28, 28) unchanged, then the images after each step until all are misclassified. Last, each
    image is moved back towards its original as far as it stays misclassified: the linear approximation goes too far.
    """
    images = originals.clone()
    logits = network.logits(images)
    yield Iterate(images, logits)
    for _ in range(steps):
        active = (~objective.reached(logits)).nonzero()[:, 0]
        if not len(active):
            break
        logits = logits.clone()
        # Each step overshoots, rather than their sum: a step makes up for what clipping took from the previous one.
        step = _linear_step(network, images[active], objective.actual[active])
        images[active] = (images[active] + (1 + overshoot) * step).clamp(0, 1)
        logits[active] = network.logits(images[active])
        yield Iterate(images, logits)
    images = shortened(network, originals, images, objective)
    yield Iterate(images, network.logits(images))


def _linear_step(network: AttackedNetwork, images: Tensor, actual: Tensor) -> Tensor:
    """The shortest step (n, 1, 28, 28) to the nearest decision boundary of the linearised network."""
    logits, jacobian = network.jacobian(images)
    number = torch.arange(len(images), device=images.device)
    distances = (logits - logits[number, actual][:, None]).abs()  # (n, 10)
    normals = (jacobian - jacobian[number, actual][:, None]).flatten(2)  # (n, 10, 784)
    # A pixel at a limit of its range cannot move further: a step that relied on it would stop short of the boundary.
    flat = images.flatten(1)[:, None]
    normals = normals * ~(((flat <= 0) & (normals < 0)) | ((flat >= 1) & (normals > 0)))
    lengths = normals.norm(dim=2).clamp(min=1e-12)
    nearest = (distances / lengths).scatter(1, actual[:, None], torch.inf).argmin(dim=1)
    along = distances[number, nearest] / lengths[number, nearest] ** 2
    step: Tensor = along[:, None] * normals[number, nearest]
    return step.view_as(images)


def shortened(network: AttackedNetwork, originals: Tensor, images: Tensor, objective: Misclassification) -> Tensor:
    """`images` (n, 1, 28, 28), where they reach the objective moved towards `originals` as far as they still do."""
    low, high = images.new_zeros(len(images)), images.new_ones(len(images))
    reached = objective.reached(network.logits(images))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        there = objective.reached(network.logits(originals + middle[:, None, None, None] * (images - originals)))
        high, low = torch.where(there, middle, high), torch.where(there, low, middle)
    high = torch.where(reached, high, torch.ones_like(high))
    return torch.where(
        (high < 1)[:, None, None, None], originals + high[:, None, None, None] * (images - originals), images
    )
