"""TRADES (Zhang et al. 2019, arXiv:1901.08573): the loss of clean images, and how far an attack moves their answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from engine.adversary.objectives import Objective
from engine.adversary.starts import StepNumbers
from engine.adversary.training_pgd import Crafting
from engine.network.model import CNN

START = 0.001
"""The standard deviation of a start from its image, in pixel values: at the image itself there is no gradient."""


@dataclass(frozen=True, eq=False)
class Divergence(Objective):
    """The Kullback-Leibler divergence of the network's probabilities from those of the images before."""

    probabilities: Tensor
    """(n, 10)."""

    def gradient(self, logits: Tensor) -> Tensor:
        """Its gradient with respect to `logits` (n, 10)."""
        return torch.softmax(logits, dim=1) - self.probabilities


class TradesTraining:
    """Cross-entropy of the clean images, plus `beta` times the mean divergence of the attacked ones from them."""

    def __init__(
        self,
        model: CNN,
        epsilon: float,
        steps: int,
        step_size: float,
        beta: float,
        *,
        seed: int,
        smoothing: float,
        bf16: bool,
    ) -> None:
        """`step_size` is in pixel values, like `epsilon`; `smoothing` that of the labels in the clean loss."""
        self._crafted = Crafting(model, epsilon, steps, step_size, bf16=bf16)
        self._beta, self._numbers, self._smoothing = beta, StepNumbers(seed), smoothing

    def loss(
        self,
        images: Tensor,
        labels: Tensor,
        logits: Callable[[Tensor], Tensor],
        ramp: float | Tensor,
        step: int | Tensor,
    ) -> Tensor:
        """The mean loss, as `engine.training.objective.Objective.loss`: the start is normal around the image."""
        starts = images + START * self._numbers.normal(images, step)
        moved = self._crafted(
            images, starts, lambda network: Divergence(torch.softmax(network(images).float(), dim=1)), ramp
        )
        clean = logits(images)
        expected, found = log_softmax(clean, dim=1), log_softmax(logits(moved), dim=1)
        divergence = kl_div(found, expected, reduction="batchmean", log_target=True)
        return cross_entropy(clean, labels, label_smoothing=self._smoothing) + self._beta * divergence
