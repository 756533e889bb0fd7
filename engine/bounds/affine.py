"""The affine layers of a network, and how far rounding in the network's own precision may move what they compute."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, fold, linear, pad

from engine.geometry import POOL
from engine.network.model import CNN, inference_network

UNIT = 2.0**-24
"""Unit roundoff of single precision: the largest relative error of one operation."""
SPARE = 32
"""Operations of single precision beside a layer's products that the bound of its error allows for: batch norm, bias,
and everything that the bounds themselves compute in double precision, 2**29 operations to one."""


@dataclass(frozen=True, eq=False)
class Affine:
    """A convolution, or a fully connected layer, with what follows it folded into its weights."""

    weight: Tensor
    """(o, i, k, k) of a convolution, (o, i) of a fully connected layer."""
    bias: Tensor
    """(o,)."""
    terms: Tensor | None = None
    """(o,): the sum of the absolute values of all terms that make up the bias. None: rounding is not counted."""
    stride: int = 1
    padding: int = 0

    @property
    def rounding(self) -> float:
        """The maximum error of an output in single precision, relative to the sum of the absolute values of its terms.

        A sum of n products has an error of at most n u / (1 - n u) times that sum, in any order and with or without
        fused multiply-adds (Higham 2002, section 3.1), where u is `UNIT`. n here is `SPARE` larger.
        """
        error = (self.weight[0].numel() + SPARE) * UNIT
        return error / (1 - error)

    def __call__(self, values: Tensor) -> Tensor:
        """The layer's outputs."""
        return self._applied(values, self.weight, self.bias)

    def sizes(self, values: Tensor, terms: Tensor | None = None) -> Tensor:
        """The product of the absolute values of the weights with `values`, plus `terms` (o,)."""
        return self._applied(values, self.weight.abs(), terms)

    def _applied(self, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if weight.dim() == 2:
            return linear(values, weight, bias)
        return conv2d(values, weight, bias, self.stride, self.padding)

    def of_windows(self) -> Tensor:
        """The kernels (4 o, i, k + stride, k + stride) of a convolution whose outputs are those of pooling windows.

        The four outputs of a window are one output of four times as many channels: in row-major order of their places,
        then by channel. The step from one window to the next is twice the stride.
        """
        places = [(i * self.stride, j * self.stride) for i in range(POOL) for j in range(POOL)]
        return torch.cat([pad(self.weight, (j, self.stride - j, i, self.stride - i)) for i, j in places])

    def back(self, coefficients: Tensor, side: int) -> Tensor:
        """Coefficients (m, i, side, side) of a convolution's inputs from those of its outputs, (m, 4 o, H, W).

        The outputs are in the order of `of_windows`. Those that are in no window, at the lower and right edges, have no
        coefficients.
        """
        weight, step = self.of_windows(), POOL * self.stride
        kernel = weight.shape[-1]
        if weight.shape[1] == 1:  # with one channel, a product and its sums take a tenth of the time
            patches = weight.flatten(1).t() @ coefficients.flatten(2)
            return fold(patches, (side, side), kernel, padding=self.padding, stride=step)
        inner = (coefficients.shape[-1] - 1) * step - 2 * self.padding + kernel
        return conv_transpose2d(coefficients, weight, None, step, self.padding, side - inner)


class AffineLayers:
    """The four affine layers of a CNN, with the standardisation of its pixels. Valid until the weights change."""

    def __init__(self, mean: float, std: float, layers: list[Affine]) -> None:
        self.mean, self.std = mean, std
        self.conv1, self.conv2, self.fc1, self.fc2 = layers

    @classmethod
    def to_prove(cls, model: CNN) -> AffineLayers:
        """The layers of `model` in evaluation mode, in double precision, with rounding counted.

        Batch norm is folded into them. `model` itself is left as it is.
        """
        doubled = copy.deepcopy(model).double().requires_grad_(False)
        blocks = [*doubled.conv1, *doubled.conv2, *doubled.fc]
        terms: list[Tensor] = []
        for layer in blocks:
            match layer:
                case nn.Conv2d() | nn.Linear():
                    terms.append(cast(Tensor, layer.bias).abs())
                case nn.BatchNorm1d() | nn.BatchNorm2d():
                    mean, var = cast(Tensor, layer.running_mean), cast(Tensor, layer.running_var)
                    scale = layer.weight.abs() / (var + layer.eps).sqrt()
                    terms[-1] = scale * (terms[-1] + mean.abs()) + layer.bias.abs()
        folded = [layer for layer in inference_network(doubled) if isinstance(layer, nn.Conv2d | nn.Linear)]
        layers = [_affine(layer, each) for layer, each in zip(folded, terms, strict=True)]
        return cls(model.inputs.mean, model.inputs.std, layers)

    @classmethod
    def to_train(cls, model: CNN) -> AffineLayers:
        """The layers of `model`, which has no batch norm, with its own weights, so that gradients reach them."""
        layers = [
            layer for layer in (*model.conv1, *model.conv2, *model.fc) if isinstance(layer, nn.Conv2d | nn.Linear)
        ]
        return cls(model.inputs.mean, model.inputs.std, [_affine(layer) for layer in layers])

    @property
    def dtype(self) -> torch.dtype:
        """The data type of the weights, in which bounds are computed."""
        return self.fc2.weight.dtype


def _affine(layer: nn.Conv2d | nn.Linear, terms: Tensor | None = None) -> Affine:
    bias = cast(Tensor, layer.bias)
    if isinstance(layer, nn.Linear):
        return Affine(layer.weight, bias, terms)
    return Affine(layer.weight, bias, terms, layer.stride[0], cast(tuple[int, int], layer.padding)[0])
