"""Averaged weights: an exponential moving average of a network's weights over its steps."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from engine.network.model import CNN


class Average:
    """An exponential moving average of the weights and running statistics of `model` (Polyak and Juditsky 1992).

    At step t the decay is at most (1 + t) / (10 + t), so that the initial weights are soon forgotten.
    """

    def __init__(self, model: CNN, decay: float) -> None:
        """`decay` is the share of the average that a step keeps, from 0 to 1."""
        self.model = copy.deepcopy(model).requires_grad_(False)
        """The network with averaged weights."""
        self.decay = decay
        self._pairs = (_numbers(self.model), _numbers(model))

    def add(self, step: int) -> None:
        """Take in the weights after `step` (from 1, counted over the whole run)."""
        averages, weights = self._pairs
        torch._foreach_lerp_(averages, weights, 1 - min(self.decay, (1 + step) / (10 + step)))


def _numbers(model: CNN) -> list[Tensor]:
    """The weights and running statistics, without the counter of batches."""
    return [value.detach() for value in model.state_dict().values() if value.is_floating_point()]
