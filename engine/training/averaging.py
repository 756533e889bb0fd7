"""Averaged weights: an exponential moving average of a network's weights over its steps."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from engine.network.model import CNN


class Average:
    """An exponential moving average of the weights and running statistics of `model` (Polyak and Juditsky 1992)."""

    def __init__(self, model: CNN, decay: float) -> None:
        """`decay` is the share of the average that a step keeps, from 0 to 1."""
        self.model = copy.deepcopy(model).requires_grad_(False)
        """The network with averaged weights."""
        self.decay = decay
        self._pairs = (_numbers(self.model), _numbers(model))

    def share(self, step: int) -> float:
        """The share of the weights after `step` (from 1, counted over the whole run) in the new average, 0 to 1.

        The decay is at most (1 + step) / (10 + step), so that the initial weights are soon forgotten.
        """
        return 1 - min(self.decay, (1 + step) / (10 + step))

    def add(self, share: float | Tensor) -> None:
        """Take in the weights with their `share`, which may be a tensor (1,) on their device: the same numbers."""
        averages, weights = self._pairs
        if isinstance(share, Tensor):
            for average, weight in zip(averages, weights, strict=True):
                average.lerp_(weight, share)
        else:
            torch._foreach_lerp_(averages, weights, share)


def _numbers(model: CNN) -> list[Tensor]:
    """The weights and running statistics, without the counter of batches."""
    return [value.detach() for value in model.state_dict().values() if value.is_floating_point()]
