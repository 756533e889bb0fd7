"""Carlini and Wagner's L2 attack: the smallest perturbation, with a binary search for the constant in the objective.

Pixel values are from 0 to 1, and every image stays in that range; norms are of differences of pixel values.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import norms
from engine.adversary.objectives import MarginObjective, Misclassification
from engine.adversary.optimizers import Adam


def carlini_wagner(  # noqa: PLR0917
    network: AttackedNetwork,
    originals: Tensor,
    objective: Misclassification,
    steps: int,
    step_size: float,
    binary_search_steps: int,
    confidence: float,
) -> Iterator[Iterate]:
    """Carlini and Wagner's L2 attack (2017, arXiv:1608.04644), with a binary search for the constant of each image."""
    n = len(originals)
    constant = originals.new_ones(n)
    low, high = torch.zeros_like(constant), torch.full_like(constant, torch.inf)
    logits = network.logits(originals)
    best, best_logits = originals, logits
    enough = objective.reached(logits) & (objective.margin(logits) >= confidence)
    least = torch.where(enough, 0.0, torch.inf).to(originals)
    yield Iterate(best, best_logits)
    margin = MarginObjective(objective, confidence)
    for _ in range(binary_search_steps):
        images = originals.clone()
        adam = Adam(images, step_size)
        found = torch.zeros(n, dtype=torch.bool, device=images.device)
        for step in range(steps + 1):
            logits, gradient = network.ascent(images, margin)
            size = norms(images - originals, "l2")[:, 0, 0, 0]
            there = objective.reached(logits) & (objective.margin(logits) >= confidence)
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
