"""Attacks that look for the smallest change, in L2, that changes the answer.

Norms are of differences of pixel values, which go from 0 to 1; no image leaves that range.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.attacks.adam import Adam
from engine.attacks.bounded import norms
from engine.attacks.network import AttackedNetwork, Goal, Iterate, Margin

BISECTIONS = 8
"""Of the way back from an image that DeepFool found towards the original: what is left of the way is 1/256 of it."""


def deepfool(
    network: AttackedNetwork, originals: Tensor, goal: Goal, steps: int, overshoot: float
) -> Iterator[Iterate]:
    """DeepFool (Moosavi-Dezfooli et al. 2016, arXiv:1511.04599) in L2, towards whichever class is nearest.

    `originals` (n, 1, 28, 28) as they are, and after each step until all are mistaken. Last, each image goes back
    towards its original as far as it stays mistaken: the linear model that a step trusts goes too far.
    """
    images = originals.clone()
    logits = network.logits(images)
    yield Iterate(images, logits)
    for _ in range(steps):
        active = (~goal.reached(logits)).nonzero()[:, 0]
        if not len(active):
            break
        logits = logits.clone()
        # Each step overshoots, not their sum: what clipping takes from one, the next makes up for.
        step = _linear_step(network, images[active], goal.actual[active])
        images[active] = (images[active] + (1 + overshoot) * step).clamp(0, 1)
        logits[active] = network.logits(images[active])
        yield Iterate(images, logits)
    images = shortened(network, originals, images, goal)
    yield Iterate(images, network.logits(images))


def _linear_step(network: AttackedNetwork, images: Tensor, actual: Tensor) -> Tensor:
    """The shortest way (n, 1, 28, 28) to the nearest of the boundaries, were the network linear."""
    logits, jacobian = network.jacobian(images)
    number = torch.arange(len(images), device=images.device)
    distances = (logits - logits[number, actual][:, None]).abs()  # (n, 10)
    normals = (jacobian - jacobian[number, actual][:, None]).flatten(2)  # (n, 10, 784)
    # A pixel at the end of its range goes no further: a way that counts on it would end before the boundary.
    flat = images.flatten(1)[:, None]
    normals = normals * ~(((flat <= 0) & (normals < 0)) | ((flat >= 1) & (normals > 0)))
    lengths = normals.norm(dim=2).clamp(min=1e-12)
    nearest = (distances / lengths).scatter(1, actual[:, None], torch.inf).argmin(dim=1)
    along = distances[number, nearest] / lengths[number, nearest] ** 2
    step: Tensor = along[:, None] * normals[number, nearest]
    return step.view_as(images)


def shortened(network: AttackedNetwork, originals: Tensor, images: Tensor, goal: Goal) -> Tensor:
    """`images` (n, 1, 28, 28), those that reach the goal drawn back towards `originals` as far as they still do."""
    low, high = images.new_zeros(len(images)), images.new_ones(len(images))
    reached = goal.reached(network.logits(images))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        there = goal.reached(network.logits(originals + middle[:, None, None, None] * (images - originals)))
        high, low = torch.where(there, middle, high), torch.where(there, low, middle)
    high = torch.where(reached, high, torch.ones_like(high))
    return torch.where(
        (high < 1)[:, None, None, None], originals + high[:, None, None, None] * (images - originals), images
    )


def carlini_wagner(  # noqa: PLR0917
    network: AttackedNetwork,
    originals: Tensor,
    goal: Goal,
    steps: int,
    step_size: float,
    searches: int,
    confidence: float,
) -> Iterator[Iterate]:
    """Carlini and Wagner's L2 attack (2017, arXiv:1608.04644), with a binary search for each image's own constant."""
    n = len(originals)
    constant = originals.new_ones(n)
    low, high = torch.zeros_like(constant), torch.full_like(constant, torch.inf)
    logits = network.logits(originals)
    best, best_logits = originals, logits
    enough = goal.reached(logits) & (goal.margin(logits) >= confidence)
    least = torch.where(enough, 0.0, torch.inf).to(originals)
    yield Iterate(best, best_logits)
    wish = Margin(goal, confidence)
    for _ in range(searches):
        images = originals.clone()
        adam = Adam(images, step_size)
        found = torch.zeros(n, dtype=torch.bool, device=images.device)
        for step in range(steps + 1):
            logits, gradient = network.ascent(images, wish)
            size = norms(images - originals, "l2")[:, 0, 0, 0]
            there = goal.reached(logits) & (goal.margin(logits) >= confidence)
            better = there & (size < least)
            found |= there
            least = torch.where(better, size, least)
            best = torch.where(better[:, None, None, None], images, best)
            best_logits = torch.where(better[:, None], logits, best_logits)
            if step == steps:
                break
            yield Iterate(best, best_logits)
            adam.climb(constant[:, None, None, None] * gradient - 2 * (images - originals))
        high = torch.where(found, torch.minimum(high, constant), high)
        low = torch.where(found, low, torch.maximum(low, constant))
        constant = torch.where(high.isinf(), constant * 10, (low + high) / 2)
    yield Iterate(best, network.logits(best))
