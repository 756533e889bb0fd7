"""Gradients of the logits with respect to the pixels only: no weight gradients and no autograd graph.

The results match PyTorch's autograd, against which they are tested; a batch of ten digits takes two thirds of its time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from engine.geometry import POOL
from engine.network import pooling
from engine.network.model import Standardise
from engine.network.pooling import SQUARE, Window, any_maxima, first_maxima
from engine.network.products import product

# The overloads themselves: resolving them at each call takes as long as a small layer.
_convolution_back = torch.ops.aten.convolution_backward.default
_threshold_back = torch.ops.aten.threshold_backward.default

_ROW: Window = (1, POOL**2)  # a pooling window whose four values are adjacent

Backward = Callable[[Tensor], Tensor]
"""The backward pass of a layer: from the gradient with respect to its output to that with respect to its input."""


class Block:
    """A convolution, 2x2 max-pooling and ReLU; channels last."""

    first = True
    """Whether the first of equal maxima gets the gradient; if not, any of them, in less time."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.weight, self.bias = conv.weight, cast(Tensor, conv.bias)
        (self.step, _), (self.border, _) = conv.stride, cast(tuple[int, int], conv.padding)

    def forward(self, images: Tensor) -> tuple[Tensor, Backward]:
        """Maps (n, C, H, W) of `images` (n, c, h, w), and its backward pass."""
        maps = self.convolution(images)
        maxima, places = self.maxima(maps)
        positive = maxima.relu_()
        geometry = ([self.step] * 2, [self.border] * 2, [1, 1], False, [0, 0], 1, [True, False, False])

        def backward(gradient: Tensor) -> Tensor:
            gradient = _threshold_back(gradient, positive, 0)
            gradient = pooling.back(gradient, maps, places)
            return cast(Tensor, _convolution_back(gradient, images, self.weight, None, *geometry)[0])

        return positive, backward

    def maxima(self, maps: Tensor, window: Window = SQUARE) -> tuple[Tensor, Tensor]:
        """The maxima of each window of `maps` (n, C, H, W), and their positions."""
        return first_maxima(maps, window) if self.first else any_maxima(maps, window)

    def convolution(self, images: Tensor) -> Tensor:
        """Maps (n, C, H, W) of `images` (n, c, h, w)."""
        return torch.nn.functional.conv2d(images, self.weight, self.bias, self.step, self.border)


class ProductBlock(Block):
    """The convolution as one matrix product: on a CPU in double precision, PyTorch's own takes twice as long."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(conv)
        self.matrix = self.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()  # (k * k * c, C)

    def convolution(self, images: Tensor) -> Tensor:
        """Maps (n, C, H, W) of `images` (n, c, h, w)."""
        # One extra column, so that rows are not 4096 bytes apart, which would cause cache conflicts.
        border = self.border
        padded = pad(images.permute(0, 2, 3, 1), (0, 0, border, border + 1, border, border)).contiguous()
        found = windows(padded, self.weight.shape[-1], self.step, columns=padded.shape[2] - 1)
        maps = torch.addmm(self.bias, found.flatten(0, 2).flatten(1), self.matrix)
        return maps.view(*found.shape[:3], -1).permute(0, 3, 1, 2)


class TransposedBlock(Block):
    """The convolution, of stride 1, as the input gradient of the convolution with its kernels turned by half a circle.

    On a CPU in double precision, PyTorch computes an input gradient image by image on all cores, without a copy of all
    windows; a whole step of an attack takes two thirds of the time of that with `ProductBlock`.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(conv)
        turned = self.weight.flip(2, 3).transpose(0, 1)  # (c, C, k, k)
        self.turned = turned.contiguous(memory_format=torch.channels_last)
        self.added = self.bias[:, None, None]

    @staticmethod
    def serves(conv: nn.Conv2d) -> bool:
        """Whether the convolution is one: its stride is 1 and its border at most what the kernel covers."""
        (step, _), (border, _) = conv.stride, cast(tuple[int, int], conv.padding)
        return step == 1 and border < conv.kernel_size[0]

    def convolution(self, images: Tensor) -> Tensor:
        """Maps (n, C, H, W) of `images` (n, c, h, w)."""
        count, _, height, width = images.shape
        maps, kernel, _ = self.turned.shape[1:]
        grown = 2 * self.border - kernel + 1
        # Of this only the shape and the layout matter.
        like = images.new_empty((count, height + grown, width + grown, maps)).permute(0, 3, 1, 2)
        geometry = ([1, 1], [kernel - 1 - self.border] * 2, [1, 1], False, [0, 0], 1, [True, False, False])
        return cast(Tensor, _convolution_back(images, like, self.turned, None, *geometry)[0]).add_(self.added)


class PatchBlock(Block):
    """One matrix product for all four map pixels of a pooling window, from the image patch that they depend on.

    For an image of one channel, this copies half as much as a window for each pixel, forward and backward.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(conv)
        maps, _, kernel, _ = self.weight.shape
        self.side = kernel + self.step * (POOL - 1)
        matrix = self.weight.new_zeros((self.side, self.side, POOL, POOL, maps))
        for row in range(POOL):
            for column in range(POOL):
                top, left = row * self.step, column * self.step
                matrix[top : top + kernel, left : left + kernel, row, column] = self.weight[:, 0].permute(1, 2, 0)
        self.matrix, self.biases = matrix.view(self.side**2, POOL**2 * maps), self.bias.repeat(POOL**2)

    def forward(self, images: Tensor) -> tuple[Tensor, Backward]:
        """Maps (n, C, H, W) of `images` (n, 1, h, w), and its backward pass."""
        border, step = self.border, self.step * POOL
        patches = windows(pad(images, [border] * 4).permute(0, 2, 3, 1), self.side, step)
        count, high, wide = patches.shape[:3]
        four = torch.addmm(self.biases, patches.flatten(0, 2).flatten(1), self.matrix)
        four = four.view(count, high * wide, POOL**2, -1).permute(0, 3, 1, 2)
        # The four values are in the same order as in the pooling window, so ties are resolved in the same way.
        maxima, places = self.maxima(four, _ROW)
        positive = maxima.relu_()

        def backward(gradient: Tensor) -> Tensor:
            gradient = _threshold_back(gradient.flatten(2)[..., None], positive, 0)
            gradient = pooling.back(gradient, four, places, _ROW)
            patches = self.matrix @ gradient.permute(0, 3, 1, 2).flatten(1, 2)  # (n, side * side, H * W)
            return torch.nn.functional.fold(patches, images.shape[2:], self.side, padding=border, stride=step)

        return positive.view(count, -1, high, wide), backward


def windows(maps: Tensor, side: int, step: int, columns: int | None = None) -> Tensor:
    """Square windows (n, H, W, side, side * c) of the first `columns` of contiguous `maps` (n, h, w, c); a view."""
    count, rows, stored, channels = maps.shape
    across = stored * channels
    high, wide = (rows - side) // step + 1, ((columns or stored) - side) // step + 1
    strides = (rows * across, step * across, step * channels, across, 1)
    return maps.as_strided((count, high, wide, side, side * channels), strides)


def block(conv: nn.Conv2d) -> Block:
    """The fastest implementation of `conv` and its gradient."""
    if conv.weight.device.type != "cpu":
        return Block(conv)
    if conv.in_channels == 1:
        return PatchBlock(conv)
    if conv.weight.dtype != torch.float64:
        return Block(conv)
    return TransposedBlock(conv) if TransposedBlock.serves(conv) else ProductBlock(conv)


class Connected:
    """A fully connected layer of the features of maps, for many batches: its weights are copied into better order."""

    def __init__(self, layer: nn.Linear, channels: int) -> None:
        """`layer` is of the flattened maps of so many `channels`."""
        # Features in the order of channels-last maps, so that nothing needs to be copied.
        in_maps = layer.weight.view(len(layer.weight), channels, -1).transpose(1, 2)
        self.matrix, self.bias = in_maps.flatten(1).contiguous(), layer.bias  # (500, h * w * C)
        self.transposed = self.matrix.t().contiguous()

    def forward(self, maps: Tensor) -> Tensor:
        """(n, outputs) of maps (n, C, h, w)."""
        return product(maps.permute(0, 2, 3, 1).flatten(1), self.matrix.t(), self.bias)

    def back(self, gradient: Tensor, maps: Tensor) -> Tensor:
        """The gradient by the maps, from one (n, outputs); only the shape of `maps` matters."""
        gradient = product(gradient, self.transposed.t())
        return gradient.view(len(maps), *maps.shape[2:], -1).permute(0, 3, 1, 2)


class ConnectedOnce(Connected):
    """The same for a single batch: a map is copied, which is less than the weights."""

    def __init__(self, layer: nn.Linear, channels: int) -> None:
        self.matrix, self.bias = layer.weight, layer.bias

    def forward(self, maps: Tensor) -> Tensor:
        """(n, outputs) of maps (n, C, h, w)."""
        return product(maps.flatten(1), self.matrix.t(), self.bias)

    def back(self, gradient: Tensor, maps: Tensor) -> Tensor:
        """The gradient by the maps, from one (n, outputs); only the shape of `maps` matters."""
        return product(gradient, self.matrix).view(maps.shape)


class InputGradients:
    """The notebook's network in evaluation mode with batch norm folded: two blocks and two fully connected layers."""

    def __init__(self, layers: nn.Sequential, *, once: bool = False) -> None:
        """`layers` are those of `inference_network`.

        With `once` they are prepared for a few passes, until their weights change, and of equal maxima any gets the
        gradient.
        """
        with torch.no_grad():
            (self.inputs,) = (layer for layer in layers if isinstance(layer, Standardise))
            self.blocks = [block(layer) for layer in layers if isinstance(layer, nn.Conv2d)]
            hidden, self.last = (layer for layer in layers if isinstance(layer, nn.Linear))
            self.hidden = (ConnectedOnce if once else Connected)(hidden, len(self.blocks[-1].weight))
        for each in self.blocks:
            each.first = not once

    def forward(self, images: Tensor) -> tuple[Tensor, Backward]:
        """Logits (n, 10) of images (n, 1, 28, 28), and the backward pass from logit gradients to image gradients."""
        with torch.no_grad():
            maps, steps_back = self.inputs(images), []
            for block in self.blocks:
                maps, step_back = block.forward(maps)
                steps_back.append(step_back)
            hidden = self.hidden.forward(maps).relu_()  # (n, 500)
            logits = torch.addmm(self.last.bias, hidden, self.last.weight.t())

        def backward(gradient: Tensor) -> Tensor:
            with torch.no_grad():
                gradient = self.hidden.back(_threshold_back(gradient @ self.last.weight, hidden, 0), maps)
                for step_back in reversed(steps_back):
                    gradient = step_back(gradient.contiguous(memory_format=torch.channels_last))
            return gradient if self.inputs.std == 1 else gradient / self.inputs.std

        return logits, backward
