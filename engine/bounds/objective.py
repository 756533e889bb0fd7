"""Training objectives that minimise the loss of the worst case which bounds leave possible: IBP and CROWN-IBP."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.bounds.affine import AffineLayers
from engine.bounds.crown import crown_margins
from engine.bounds.interval import Bounds, interval_bounds, interval_margins
from engine.network.model import CNN


class IntervalObjective:
    """Interval bound propagation (Gowal et al. 2018, arXiv:1810.12715, section 3): the loss of the worst logits.

    The loss is `kappa` times the cross-entropy of the logits, plus 1 - `kappa` times that of the worst logits: 0 for
    the actual class, and for each other class the most that its logit can exceed the actual class's within epsilon.
    Over the ramp, epsilon grows linearly from 0 to `train_epsilon`, in pixel values, and the share of the clean loss
    falls from 1 to `kappa`. With a `kappa` of 0 there is no clean loss at all: at epsilon 0, where the ramp begins, the
    worst case is the clean one, and a step takes less time. `model` is a network without batch norm, whose weights are
    read anew at each step.
    """

    def __init__(self, model: CNN, train_epsilon: float, kappa: float) -> None:
        self._model, self._epsilon, self._kappa = model, train_epsilon, kappa

    def loss(
        self,
        images: Tensor,
        labels: Tensor,
        logits: Callable[[Tensor], Tensor],
        ramp: float | Tensor,
        step: int | Tensor,
    ) -> Tensor:
        """The mean loss of images (B, 1, 28, 28) in [0, 1] of classes `labels` (B,), differentiable by the weights.

        `logits` are those of the network in training. `ramp` is the finished share of the ramp, from 0 to 1. Without
        random numbers, `step` has no effect.
        """
        layers = AffineLayers.to_train(self._model)
        bounds = interval_bounds(layers, images, self._epsilon * ramp)
        worst = -self._margins(layers, bounds, labels, ramp)
        # As cross_entropy of logits whose first is that of the actual class.
        robust = cross_entropy(torch.nn.functional.pad(worst, (1, 0)), torch.zeros_like(labels))
        if self._kappa == 0:
            return robust
        share = 1 - (1 - self._kappa) * ramp
        return share * cross_entropy(logits(images), labels) + (1 - share) * robust

    def _margins(self, layers: AffineLayers, bounds: Bounds, labels: Tensor, ramp: float | Tensor) -> Tensor:
        """Lower bounds (B, 9) of the margins."""
        return interval_margins(layers, bounds, labels)


class CrownIntervalObjective(IntervalObjective):
    """CROWN-IBP (Zhang et al. 2020, arXiv:1906.06316): as IBP, with bounds that begin as CROWN's.

    The margins' bounds are a mean of both, in which the share of CROWN's, with interval bounds of the neurons before,
    falls linearly over the ramp from 1 to 0.
    """

    def _margins(self, layers: AffineLayers, bounds: Bounds, labels: Tensor, ramp: float | Tensor) -> Tensor:
        plain = interval_margins(layers, bounds, labels)
        if isinstance(ramp, float) and ramp >= 1:
            return plain
        return ramp * plain + (1 - ramp) * crown_margins(layers, bounds, labels)
