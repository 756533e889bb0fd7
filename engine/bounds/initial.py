"""Initial weights with which interval bounds neither grow nor vanish from layer to layer (Shi et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import nn

from engine.network.model import CNN
from engine.network.seeds import generator

_STREAM = 3
"""What the numbers of the generator are for."""


def tighten(model: CNN, seed: int) -> None:
    """Replace the weights of `model`, in place, by those of Shi et al. (2021, arXiv:2103.17268, section 3.1).

    Each weight is normal with a standard deviation of sqrt(2 pi) / fan-in, so that the mean width of the bounds stays
    the same through a layer and its ReLU; biases are 0. With PyTorch's own, the widths grow by a factor of several in
    each layer, and the first steps train only against the bounds. The numbers depend on `seed` alone.
    """
    layers = [each for each in model.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for number, layer in enumerate(layers):
            weight = layer.weight
            drawn = torch.randn(weight.shape, generator=generator(seed, number, _STREAM))
            weight.copy_(drawn * (math.sqrt(2 * math.pi) / weight[0].numel()))
            if layer.bias is not None:
                layer.bias.zero_()
