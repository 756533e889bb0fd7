"""Projected gradient descent: many steps within the norm ball, from one or several starting points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import moved, projected
from engine.adversary.objectives import Loss, Misclassification

LOOK = 8
"""Steps on a GPU between two checks of which images remain: each check waits for all queued work."""


def pgd(  # noqa: PLR0917
    network: AttackedNetwork,
    originals: Tensor,
    objective: Misclassification,
    epsilon: float,
    norm: NormName,
    step_size: float,
    steps: int,
    starts: Sequence[Tensor],
    loss: Loss | None = None,
    *,
    stop: bool = False,
) -> Iterator[Iterate]:
    """Projected gradient descent (Madry et al. 2018, arXiv:1706.06083), once from each of `starts`.

    `originals` and each start are (n, 1, 28, 28). The steps climb `loss`, by default the cross-entropy. Yields the
    images after each step and, last, the best result of each image: one that reaches the objective, or comes nearest to
    it. With `stop`, an image that reaches the objective is not changed any more, which saves work and never makes a
    result worse.
    """
    loss = loss or objective
    best = Iterate(originals, network.logits(originals))
    won = objective.reached(best.logits) if stop else torch.zeros_like(objective.actual, dtype=torch.bool)
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
            among = objective.at(active)
            logits[active], gradient = network.ascent(images[active], loss.at(active))
            if stop:
                won[active] |= among.reached(logits[active])
            yield Iterate(images, logits)
            step = projected(moved(images[active], gradient, step_size, norm), originals[active], epsilon, norm)
            images[active] = torch.where(won[active, None, None, None], images[active], step) if stop else step
        logits = network.logits(images)
        now = objective.reached(logits)
        won = won | now if stop else won
        if first:
            best, first = Iterate(images, logits), False
        else:
            had = objective.reached(best.logits)
            better = (now & ~had) | ((now == had) & (objective.margin(logits) > objective.margin(best.logits)))
            pick = better[:, None, None, None]
            best = Iterate(torch.where(pick, images, best.images), torch.where(better[:, None], logits, best.logits))
    yield best
