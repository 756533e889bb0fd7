"""Training against projected gradient descent (Madry et al. 2018), of one step also by name of fgsm (Wong et al. 2020).

A new objective is a file like this one: a class with `loss`, as `engine.training.objective` describes it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.adversary.live import LiveNetwork
from engine.adversary.objectives import ANY, Misclassification, Objective
from engine.adversary.starts import StepNumbers
from engine.network.model import CNN

FGSM_STEP = 1.25
"""The step size of a single step, in epsilons (Wong et al. 2020)."""
PGD_STEP = 2.5
"""The step size times the number of steps, in epsilons (Madry et al. 2018): enough to cross the ball."""


class Crafting:
    """Projected gradient descent of the images of training steps, in the L-infinity ball around each.

    At each step of the ramp, epsilon and the step size are the same share of their final values.
    """

    def __init__(self, model: CNN, epsilon: float, steps: int, step_size: float, *, bf16: bool) -> None:
        """`epsilon` and `step_size` are in pixel values."""
        self._live = LiveNetwork(model, bf16=bf16)
        self._epsilon, self._steps, self._step_size = epsilon, steps, step_size

    def __call__(
        self,
        originals: Tensor,
        starts: Tensor,
        objective: Callable[[Callable[[Tensor], Tensor]], Objective],
        ramp: float | Tensor,
    ) -> Tensor:
        """The images (B, 1, 28, 28) after all steps up along `objective`, which is made of the network's logits.

        They begin at `starts`, and end within `ramp` times epsilon of `originals`, in [0, 1].
        """
        with torch.no_grad():
            epsilon, step_size = self._epsilon * ramp, self._step_size * ramp
            lowest, highest = (originals - epsilon).clamp_(min=0), (originals + epsilon).clamp_(max=1)
            images = starts.clamp(lowest, highest)
            with self._live.frozen() as network:
                to_climb = objective(network.logits)
                for _ in range(self._steps):
                    gradient = network.gradient(images, to_climb)
                    images = (images + gradient.sign() * step_size).clamp_(lowest, highest)
        return images


class PGDTraining:
    """The mean cross-entropy of images that were moved against the network, by their labels."""

    def __init__(
        self, model: CNN, epsilon: float, steps: int, step_size: float, *, seed: int, smoothing: float, bf16: bool
    ) -> None:
        """`step_size` is in pixel values, like `epsilon`; `smoothing` that of the labels in the loss."""
        self._crafted = Crafting(model, epsilon, steps, step_size, bf16=bf16)
        self._epsilon, self._numbers, self._smoothing = epsilon, StepNumbers(seed), smoothing

    def loss(
        self,
        images: Tensor,
        labels: Tensor,
        logits: Callable[[Tensor], Tensor],
        ramp: float | Tensor,
        step: int | Tensor,
    ) -> Tensor:
        """The mean loss, as `engine.training.objective.Objective.loss`: the start is uniform in the ball."""
        starts = images + self._numbers.uniform(images, step) * (self._epsilon * ramp)
        objective = Misclassification(labels, torch.full_like(labels, ANY))
        moved = self._crafted(images, starts, lambda _: objective, ramp)
        return cross_entropy(logits(moved), labels, label_smoothing=self._smoothing)
