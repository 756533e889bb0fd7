"""A network forth and back for the sake of the pixels alone: no weight gets a gradient, and no graph is kept.

The mathematics is that of PyTorch's autograd, against which it is tested; on a batch of ten digits it takes two thirds
of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from engine.geometry import POOL

_aten = torch.ops.aten
_POOLING = ([POOL, POOL], [POOL, POOL], [0, 0], [1, 1], False)  # kernel, stride, padding, dilation, ceil_mode

Way = Callable[[Tensor], Tensor]
"""Back through a layer: from the gradient by what it gave to the gradient by what it was given."""


class Block:
    """A convolution, the maxima of 2x2 of its map, and ReLU; channels last."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.weight, self.bias = conv.weight, cast(Tensor, conv.bias)
        (self.step, _), (self.border, _) = conv.stride, cast(tuple[int, int], conv.padding)
        # On a CPU, PyTorch's own convolution in double precision takes twice the time of one matrix product.
        self.as_product = self.weight.dtype == torch.float64 and self.weight.device.type == "cpu"
        self.matrix = self.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()  # (k * k * c, C)

    def forth(self, images: Tensor) -> tuple[Tensor, Way]:
        """Maps (n, C, H, W) of `images` (n, c, h, w), and the way back."""
        maps = self._product(images) if self.as_product else self._convolution(images)
        pooled, indices = _aten.max_pool2d_with_indices(maps, *_POOLING)
        positive = pooled.add_(self.bias[:, None, None]).relu_()  # the bias commutes with the maxima
        geometry = ([self.step] * 2, [self.border] * 2, [1, 1], False, [0, 0], 1, [True, False, False])

        def back(gradient: Tensor) -> Tensor:
            gradient = _aten.threshold_backward(gradient, positive, 0)
            gradient = _aten.max_pool2d_with_indices_backward(gradient, maps, *_POOLING, indices)
            return cast(Tensor, _aten.convolution_backward(gradient, images, self.weight, None, *geometry)[0])

        return positive, back

    def _convolution(self, images: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(images, self.weight, None, self.step, self.border)

    def _product(self, images: Tensor) -> Tensor:
        border, step, kernel = self.border, self.step, self.weight.shape[-1]
        # A column more, lest rows lie 4096 bytes apart, which caches take for one place.
        padded = pad(images.permute(0, 2, 3, 1), (0, 0, border, border + 1, border, border)).contiguous()
        count, rows, columns, channels = padded.shape
        across = columns * channels
        high, wide = (rows - kernel) // step + 1, (columns - 1 - kernel) // step + 1
        windows = padded.as_strided(
            (count, high, wide, kernel, kernel * channels), (rows * across, step * across, step * channels, across, 1)
        ).reshape(count * high * wide, -1)
        return (windows @ self.matrix).view(count, high, wide, -1).permute(0, 3, 1, 2)


class Passes:
    """The notebook's network in evaluation mode, its batch norm folded: two blocks and two fully connected layers."""

    def __init__(self, layers: nn.Sequential) -> None:
        self.blocks = [Block(layer) for layer in layers if isinstance(layer, nn.Conv2d)]
        self.hidden, self.last = (layer for layer in layers if isinstance(layer, nn.Linear))

    def forth(self, images: Tensor) -> tuple[Tensor, Way]:
        """Logits (n, 10) of images (n, 1, 28, 28), and the way back from a gradient by them to one by the images."""
        with torch.no_grad():
            maps, ways = images, []
            for block in self.blocks:
                maps, way = block.forth(maps)
                ways.append(way)
            # Features first, as the matrix library likes it where they are more than the images.
            hidden = (self.hidden.weight @ maps.flatten(1).t()).add_(self.hidden.bias[:, None]).relu_()  # (500, n)
            logits = hidden.t() @ self.last.weight.t() + self.last.bias

        def back(gradient: Tensor) -> Tensor:
            with torch.no_grad():
                gradient = _aten.threshold_backward(self.last.weight.t() @ gradient.t(), hidden, 0)
                gradient = (gradient.t() @ self.hidden.weight).view(maps.shape)
                for way in reversed(ways):
                    gradient = way(gradient.contiguous(memory_format=torch.channels_last))
            return gradient

        return logits, back
