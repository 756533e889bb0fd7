"""Attacks within a bound: no pixel changes by more than epsilon (L-infinity), or the whole image does not (L2).

Norms are of differences of pixel values, which go from 0 to 1. No image leaves that range, and epsilon 0 leaves it as
it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from engine.attacks.network import AttackedNetwork, Goal, Iterate
from engine.attacks.requests import NormName
from engine.network.seeds import generator

_TINY = 1e-30
LOOK = 8
"""Steps on a GPU between two looks at which images are left: each look waits for all that was asked of it."""


def norms(differences: Tensor, norm: NormName) -> Tensor:
    """L-infinity or L2 norms (n, 1, 1, 1) of differences (n, 1, 28, 28)."""
    flat = differences.flatten(1)
    found = flat.abs().amax(dim=1) if norm == "linf" else flat.norm(dim=1)
    return found[:, None, None, None]


def moved(images: Tensor, gradient: Tensor, step: float, norm: NormName) -> Tensor:
    """`images` a step of norm `step` up their gradients, all (n, 1, 28, 28)."""
    if norm == "linf":
        return images + step * gradient.sign()
    gradient = gradient / norms(gradient, "linf").clamp(min=_TINY)  # the squares of tiny ones would be nothing
    return images + step * gradient / norms(gradient, "l2").clamp(min=_TINY)


def projected(images: Tensor, originals: Tensor, epsilon: float, norm: NormName) -> Tensor:
    """The nearest to `images` that is within `epsilon` of `originals`, clipped to [0, 1]; all (n, 1, 28, 28)."""
    difference = images - originals
    if norm == "linf":
        difference = difference.clamp(-epsilon, epsilon)
    else:
        difference = difference * (epsilon / norms(difference, "l2").clamp(min=_TINY)).clamp(max=1.0)
    return (originals + difference).clamp(0, 1)


def random_starts(  # noqa: PLR0917
    originals: Tensor, epsilon: float, norm: NormName, seed: int, indices: Sequence[int], restart: int = 0
) -> Tensor:
    """A random image (n, 1, 28, 28) within `epsilon` of each of `originals`, by its index in the split alone.

    L-infinity: each pixel uniform. L2: a direction drawn uniformly, and how far.
    """
    found = []
    for original, index in zip(originals, indices, strict=True):
        draw = generator(seed, index, restart)
        if norm == "linf":
            found.append((torch.rand(original.shape, generator=draw) * 2 - 1) * epsilon)
        else:
            direction = torch.randn(original.shape, generator=draw)
            found.append(direction / direction.norm() * torch.rand(1, generator=draw) * epsilon)
    return (originals + torch.stack(found).to(originals)).clamp(0, 1)


def fgsm(network: AttackedNetwork, originals: Tensor, goal: Goal, epsilon: float, norm: NormName) -> Iterator[Iterate]:
    """The fast gradient sign method (Goodfellow et al. 2015, arXiv:1412.6572), in L2 along the gradient itself.

    `originals` (n, 1, 28, 28) as they are, and after its one step.
    """
    logits, gradient = network.ascent(originals, goal)
    yield Iterate(originals, logits)
    images = moved(originals, gradient, epsilon, norm).clamp(0, 1)
    yield Iterate(images, network.logits(images))


def pgd(  # noqa: PLR0917
    network: AttackedNetwork,
    originals: Tensor,
    goal: Goal,
    epsilon: float,
    norm: NormName,
    step_size: float,
    steps: int,
    starts: Sequence[Tensor],
    *,
    stop: bool = False,
) -> Iterator[Iterate]:
    """Projected gradient descent (Madry et al. 2018, arXiv:1706.06083), once from each of `starts`.

    `originals` and each start are (n, 1, 28, 28). The images after each step; last, of each image the best of all
    starts: one that reaches the goal, or comes nearest. With `stop` an image that reaches the goal stays as it is,
    which asks the network less and changes no verdict for the worse.
    """
    best = Iterate(originals, network.logits(originals))
    won = goal.reached(best.logits) if stop else torch.zeros_like(goal.actual, dtype=torch.bool)
    every = 1 if originals.device.type == "cpu" else LOOK
    first = True
    for start in starts:
        images, logits = torch.where(won[:, None, None, None], best.images, start), best.logits.clone()
        active = torch.arange(len(images), device=images.device)
        for number in range(steps):
            if stop and number % every == 0:
                active = (~won).nonzero()[:, 0]
                if not len(active):
                    break
            among = goal.at(active)
            logits[active], gradient = network.ascent(images[active], among)
            if stop:
                won[active] |= among.reached(logits[active])
            yield Iterate(images, logits)
            step = projected(moved(images[active], gradient, step_size, norm), originals[active], epsilon, norm)
            images[active] = torch.where(won[active, None, None, None], images[active], step) if stop else step
        logits = network.logits(images)
        now = goal.reached(logits)
        won = won | now if stop else won
        if first:
            best, first = Iterate(images, logits), False
        else:
            had = goal.reached(best.logits)
            better = (now & ~had) | ((now == had) & (goal.margin(logits) > goal.margin(best.logits)))
            pick = better[:, None, None, None]
            best = Iterate(torch.where(pick, images, best.images), torch.where(better[:, None], logits, best.logits))
    yield best
