"""The forward pass of images of which only a square changes at a time: only what the square affects is computed again.

The square is at the same place in all images, so what it affects is a slice of each batch of maps. A square of 3x3
pixels, the usual one of a long Square attack, affects 3x3 of the 14x14 positions of the notebook network's first maps
and 3x3 of the 7x7 of its second: a query takes a fifth of the whole pass.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from engine.geometry import POOL
from engine.network.model import Standardise

Span = tuple[int, int]
"""The first row or column of a square, and the one after its last."""


class _Block:
    """A convolution, 2x2 max-pooling and ReLU on windows of maps (n, h, w, c), which are channels last."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.weight = conv.weight.contiguous(memory_format=torch.channels_last)
        self.bias = cast(Tensor, conv.bias)
        (self.side, _), (self.step, _), (self.border, _) = (
            conv.kernel_size, conv.stride, cast(tuple[int, int], conv.padding),
        )  # fmt: skip

    def padded(self, maps: Tensor) -> Tensor:
        """The maps with a border of zeros."""
        return pad(maps, (0, 0, *[self.border] * 4)).contiguous()

    def forward(self, window: Tensor) -> Tensor:
        """The pooled maps (n, h, w, C) of a window of padded maps."""
        maps = conv2d(window.permute(0, 3, 1, 2), self.weight, self.bias, self.step).permute(0, 2, 3, 1)
        high, wide = (size // POOL * POOL for size in maps.shape[1:3])
        rows = torch.maximum(maps[:, 0:high:POOL, :wide], maps[:, 1:high:POOL, :wide])
        return torch.maximum(rows[:, :, 0::POOL], rows[:, :, 1::POOL]).relu_()

    def reached(self, span: Span, most: int) -> Span:
        """Which of `most` pooled rows depend on the rows `span` of the unpadded input; at least one in any case."""
        first, last = span[0] + self.border, span[1] - 1 + self.border
        begin = min(max(0, -((self.side - 1 - first) // self.step)) // POOL, most - 1)
        return begin, max(begin + 1, min(last // self.step // POOL + 1, most))

    def needed(self, span: Span) -> Span:
        """The rows of the padded input that the pooled rows `span` depend on."""
        return POOL * span[0] * self.step, (POOL * span[1] - 1) * self.step + self.side


class Change(NamedTuple):
    """What a change of a square makes of all images."""

    logits: Tensor
    """(n, 10)."""
    hidden: Tensor
    """(n, hidden): of the first fully connected layer, before ReLU."""
    windows: list[tuple[Span, Span, Tensor]]
    """Rows, columns and values (n, h, w, c) of what changes in the pixels and in the maps of each block."""


class KeptMaps:
    """Images inside a network: pixels, the maps of both blocks and the first fully connected layer's outputs."""

    def __init__(self, layers: nn.Sequential, images: Tensor) -> None:
        """`layers` are those of `inference_network`, `images` (n, 1, 28, 28)."""
        (self._inputs,) = (layer for layer in layers if isinstance(layer, Standardise))
        self._blocks = [_Block(layer) for layer in layers if isinstance(layer, nn.Conv2d)]
        hidden, self._last = (layer for layer in layers if isinstance(layer, nn.Linear))
        self._borders = [*(block.border for block in self._blocks), 0]
        maps = self._inputs(images).permute(0, 2, 3, 1)
        self._maps: list[Tensor] = []
        """The padded input of each block, and the maps of the last one: (n, h, w, c)."""
        for block in self._blocks:
            self._maps.append(block.padded(maps))
            maps = block.forward(self._maps[-1])
        self._maps.append(maps.contiguous())
        _, high, wide, channels = maps.shape
        # (h, w, C, hidden): the weights of a window of maps are a slice of it.
        self._weight = hidden.weight.view(-1, channels, high, wide).permute(2, 3, 1, 0).contiguous()
        self._hidden = torch.addmm(hidden.bias, maps.flatten(1), self._weight.flatten(0, 2))

    @property
    def logits(self) -> Tensor:
        """(n, 10) of the images as they are."""
        return self._logits(self._hidden)

    def _logits(self, hidden: Tensor) -> Tensor:
        return torch.addmm(self._last.bias, hidden.relu(), self._last.weight.t())

    def changed(self, rows: Span, columns: Span, pixels: Tensor) -> Change:
        """The images with `pixels` (n, rows, columns) in a square; the images themselves stay as they are."""
        values, windows = self._inputs(pixels)[..., None], []
        for number, (block, maps) in enumerate(zip(self._blocks, self._maps, strict=False)):
            windows.append((rows, columns, values))
            high, wide = (size - 2 * self._borders[number + 1] for size in self._maps[number + 1].shape[1:3])
            found = block.reached(rows, high), block.reached(columns, wide)
            (top, bottom), (left, right) = block.needed(found[0]), block.needed(found[1])
            view = maps[:, top:bottom, left:right].clone()
            _put(view, (rows[0] + block.border - top, columns[0] + block.border - left), values)
            values = block.forward(view)
            rows, columns = found
        windows.append((rows, columns, values))
        moved = values - self._maps[-1][:, slice(*rows), slice(*columns)]
        weight = self._weight[slice(*rows), slice(*columns)].flatten(0, 2)
        hidden = torch.addmm(self._hidden, moved.flatten(1), weight)
        return Change(self._logits(hidden), hidden, windows)

    def accept(self, change: Change, chosen: Tensor) -> None:
        """Change the images whose indices are `chosen`."""
        for maps, edge, (rows, columns, values) in zip(self._maps, self._borders, change.windows, strict=True):
            view = maps[:, rows[0] + edge : rows[1] + edge, columns[0] + edge : columns[1] + edge]
            view[chosen] = values[chosen]
        self._hidden[chosen] = change.hidden[chosen]

    def keep(self, chosen: Tensor) -> None:
        """Go on with some of the images only, chosen by a mask (n,)."""
        self._maps, self._hidden = [maps[chosen] for maps in self._maps], self._hidden[chosen]


def _put(view: Tensor, corner: tuple[int, int], values: Tensor) -> None:
    """Write `values` (n, h, w, c) into a view of maps at `corner`, without what lies outside of it."""
    (top, left), (_, high, wide, _) = corner, values.shape
    above, before = max(0, -top), max(0, -left)
    target = view[:, top + above : top + high, left + before : left + wide]
    target.copy_(values[:, above : above + target.shape[1], before : before + target.shape[2]])
