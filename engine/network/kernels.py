"""The network's forward and backward pass in training on a CPU: equal to its modules, with fewer passes over memory.

A step on a CPU spends its time on the first block's map (B, 32, 28, 28) and on one 3 MB matrix, which is what is
optimised here; the modules themselves stay as they are for inspection and for CUDA. Each function is tested against
the gradients of the modules in float64.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import batch_norm, conv2d, max_pool2d, relu

from engine.geometry import POOL
from engine.network.model import CNN
from engine.network.products import product
from engine.network.requests import PrecisionName

_aten = torch.ops.aten
_POOLING = ([POOL, POOL], [POOL, POOL], [0, 0], [1, 1], False)  # kernel, stride, padding, dilation, ceil_mode


def training_logits(model: CNN, images: Tensor, precision: PrecisionName = "fp32") -> Tensor:
    """Logits (B, 10) of images (B, 1, 28, 28) on a CPU, as `model` in training mode; updates its running means.

    In bf16 the modules themselves are faster (autocast: weights, statistics and sums stay in single precision).

    Biases of convolutions that batch norm cancels get no gradient (`bias.grad` stays None): it would be zero up to
    rounding.
    """
    if precision == "bf16":
        with torch.autocast("cpu", torch.bfloat16):
            return cast(Tensor, model(images)).float()
    maps = _block(model.conv2, _block(model.conv1, model.inputs(images)))
    hidden = _Linear.apply(maps.flatten(1), model.fc[1].weight, model.fc[1].bias)
    for layer in model.fc[2:]:
        hidden = layer(hidden)
    return cast(Tensor, hidden)


def _block(block: nn.Sequential, images: Tensor) -> Tensor:
    conv = cast(nn.Conv2d, block[0])
    stride, padding = conv.stride[0], cast(tuple[int, int], conv.padding)[0]
    bias = cast(Tensor, conv.bias)
    if isinstance(norm := block[1], nn.BatchNorm2d):
        maps = _batch_norm(norm, conv2d(images, conv.weight, None, stride, padding), bias)
        return relu(max_pool2d(maps, POOL, POOL))
    return cast(Tensor, _ConvPoolReLU.apply(images, conv.weight, bias, (stride, padding)))


def _batch_norm(norm: nn.BatchNorm2d, maps: Tensor, bias: Tensor) -> Tensor:
    """Batch norm of `maps` plus `bias`: the bias affects only the running mean."""
    momentum = cast(float, norm.momentum)
    with torch.no_grad():
        # Added before, scaled so that its share is right after batch norm multiplies the old mean by 1 - momentum. The
        # backward pass of an earlier batch has saved the mean, which it does not use: by `data` it is not missed.
        cast(Tensor, norm.running_mean).data.add_(bias, alpha=momentum / (1 - momentum))
        cast(Tensor, norm.num_batches_tracked).add_(1)
    return batch_norm(maps, norm.running_mean, norm.running_var, norm.weight, norm.bias, True, momentum, norm.eps)


class _ConvPoolReLU(torch.autograd.Function):
    """A convolution, 2x2 max-pooling and ReLU.

    A maximum passes its gradient to one position, so the bias's gradient is a sum over the pooled map, a quarter of
    the size of the convolution's.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, geometry: tuple[int, int]) -> Tensor:
        stride, padding = geometry
        maps = conv2d(images, weight, bias, stride, padding)
        pooled, indices = _aten.max_pool2d_with_indices(maps, *_POOLING)
        output = cast(Tensor, pooled.relu_())
        ctx.save_for_backward(images, weight, maps, indices, output)
        ctx.geometry = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight, maps, indices, output = ctx.saved_tensors
        gradient = _aten.threshold_backward(gradient, output, 0)
        of_maps = _aten.max_pool2d_with_indices_backward(gradient, maps, *_POOLING, indices)
        needed = [ctx.needs_input_grad[0], True, False]
        of_images, of_weight, _ = _aten.convolution_backward(of_maps, images, weight, None, *ctx.geometry, needed)
        return of_images, of_weight, gradient.sum((0, 2, 3)), None


class _Linear(torch.autograd.Function):
    """A fully connected layer through oneDNN."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return product(inputs, weight.t(), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs, weight = ctx.saved_tensors
        return product(gradient, weight), product(gradient.t(), inputs), gradient.sum(0)
