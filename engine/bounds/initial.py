"""Initial weights for training against interval bounds: thresholds of pixels, and bounds that keep their widths."""

from __future__ import annotations

import math

import torch
from torch import nn

from engine.network.model import CNN
from engine.network.seeds import generator

MARGIN = 0.05
"""How far beyond epsilon the thresholds lie, in pixel values."""
_NOISE = 0.1
"""What remains of the random kernels of the first layer, beside a threshold's weight of 1."""
_STREAM = 3
"""What the numbers of the generator are for."""


def tighten(model: CNN, seed: int, epsilon: float) -> None:
    """Replace the weights of `model`, in place, by ones whose bounds are tight for pixels that move by `epsilon`.

    Each weight is normal with a standard deviation of sqrt(2 pi) / fan-in, so that the mean width of the bounds stays
    the same through a layer and its ReLU, and biases are 0 (Shi et al. 2021, arXiv:2103.17268, section 3.1). With
    PyTorch's own, the widths grow by a factor of several in each layer.

    The kernels of the first layer begin as thresholds of single pixels, which networks that are robust on digits learn
    by themselves (Madry et al. 2018, arXiv:1706.06083, appendix C): half of the channels are 0 on black and rise with a
    pixel beyond `epsilon` + MARGIN, the other half are 0 on white. So the bounds of most channels have no width at all,
    and a short training certifies more. The numbers depend only on `seed` and `epsilon`.
    """
    layers = [each for each in model.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for number, layer in enumerate(layers):
            weight = layer.weight
            drawn = torch.randn(weight.shape, generator=generator(seed, number, _STREAM))
            weight.copy_(drawn * (math.sqrt(2 * math.pi) / weight[0].numel()))
            if layer.bias is not None:
                layer.bias.zero_()
        _begin_with_thresholds(model, min(0.5, epsilon + MARGIN))


def _begin_with_thresholds(model: CNN, threshold: float) -> None:
    first, inputs = model.conv1[0], model.inputs
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    first.weight *= _NOISE
    black, white = ((each - inputs.mean) / inputs.std for each in (threshold, 1 - threshold))
    pixels = first.weight[:, 0].flatten(1)  # (C, k * k)
    for channel, kernel in enumerate(pixels):
        place, rises = channel // 2 % len(kernel), channel % 2 == 0
        kernel[place] += 1 if rises else -1
        first.bias[channel] = -black if rises else white
    first.weight[:, 0] = pixels.view_as(first.weight[:, 0])
