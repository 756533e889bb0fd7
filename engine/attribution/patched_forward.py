"""A network on many images that differ from one image in a small square: only what the square can change is computed.

A patch of 8x8 pixels changes a square of 6x6 of the 14x14 places of the first block's maps and of 5x5 of the 7x7 of the
second's; all else is as it was without a patch. So both convolutions run on windows that are just large enough, a third
of the whole network's work for the notebook's network and that patch. The results are the network's own, to rounding.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, pad

from engine.geometry import POOL
from engine.network.model import CNN, inference_network


@dataclass(frozen=True)
class _Block:
    """A convolution with batch norm folded in; 2x2 max-pooling and ReLU follow it."""

    weight: Tensor
    bias: Tensor
    kernel_size: int
    stride: int
    padding: int


@dataclass(frozen=True)
class _Squares:
    """One square a picture on maps of one size: rows and columns (n,) of their left top places, and their side."""

    rows: Tensor
    columns: Tensor
    side: int


def _pooled(maps: Tensor) -> Tensor:
    """ReLU of the 2x2 maxima of maps (n, C, H, W): (n, H // 2, W // 2, C), contiguous for channels-last maps."""
    height, width = (side // POOL * POOL for side in maps.shape[-2:])
    maps = maps.permute(0, 2, 3, 1)
    rows = torch.maximum(maps[:, 0:height:2], maps[:, 1:height:2])
    return torch.maximum(rows[:, :, 0:width:2], rows[:, :, 1:width:2]).relu_()


class PatchedNetwork:
    """The weights of a network in the layout and the precision that windows are computed in."""

    def __init__(self, model: CNN, dtype: torch.dtype) -> None:
        # Folded in double precision: to fold in single precision moves the logits more than all that follows.
        layers = inference_network(copy.deepcopy(model).double()).to(dtype)
        self.dtype = dtype
        self.inputs = model.inputs
        self.blocks = [
            _Block(
                conv.weight.detach().contiguous(memory_format=torch.channels_last),
                conv.bias.detach(),
                conv.kernel_size[0],
                conv.stride[0],
                int(conv.padding[0]),
            )
            for conv in layers
            if isinstance(conv, nn.Conv2d) and conv.bias is not None
        ]
        first, last = (layer for layer in layers if isinstance(layer, nn.Linear))
        channels, weight = len(self.blocks[-1].bias), first.weight.detach()
        # Windows have their channels last, and so are their places in the first fully connected layer.
        self._first = weight.view(len(weight), channels, -1).transpose(1, 2).reshape(weight.shape), first.bias.detach()
        self._last = last.weight.detach(), last.bias.detach()

    def head(self, maps: Tensor) -> Tensor:
        """Probabilities (n, 10) of the second block's maps, flattened with their channels last (n, H * W * C)."""
        return torch.softmax(linear(linear(maps, *self._first).relu_(), *self._last), dim=1)


class PatchedImage:
    """A network on one image, all of its maps known."""

    def __init__(self, network: PatchedNetwork, image: Tensor) -> None:
        """`image` is (1, 28, 28), on the device of the network."""
        self._network = network
        self._maps: list[tuple[Tensor, int]] = []
        """What goes into each block, and into the head: padded (H * W, C), and its side H."""
        self._sides: list[int] = []
        """Of what comes out of each block."""
        x = network.inputs(image.to(network.dtype))[None].permute(0, 2, 3, 1)  # (1, H, W, C)
        for block in network.blocks:
            x = pad(x, (0, 0, *(block.padding,) * 4))
            self._maps.append((x.flatten(0, 2), x.shape[1]))
            x = _pooled(conv2d(x.permute(0, 3, 1, 2), block.weight, block.bias, block.stride))
            self._sides.append(x.shape[1])
        self._maps.append((x.flatten(0, 2), x.shape[1]))
        self.probabilities: Tensor = network.head(x.flatten(1))[0]
        """(10,) of the image as it is."""

    def elements(self, patch_size: int) -> int:
        """Numbers in the largest map that one patch of this side takes: what memory goes by."""
        sides = zip(self._network.blocks, self._reached(patch_size), strict=True)
        return max((POOL * side) ** 2 * len(block.bias) for block, side in sides)

    def _reached(self, patch_size: int) -> list[int]:
        """Places along one side of each block's maps that a patch of this side changes at most, wherever it is."""
        found, side = [], patch_size
        for block, whole in zip(self._network.blocks, self._sides, strict=True):
            side = min(((side + block.kernel_size - 2) // block.stride + 1) // POOL + 1, whole)
            found.append(side)
        return found

    def patched(self, patches: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Probabilities (n, 10) with `patches` (n, p, p) in place of the image's own pixels.

        Their left top pixels are at `rows` and `columns` (n,), int64, each from 0 to 28 - p. Call it in inference mode.
        """
        squares = _Squares(rows, columns, patches.shape[-1])
        values = self._network.inputs(patches.reshape(-1, 1).to(self._network.dtype))
        blocks = zip(self._network.blocks, self._sides, self._reached(squares.side), self._maps[:-1], strict=True)
        for block, side, reached, (maps, width) in blocks:
            results, step = self._changed(block, squares, side, reached), POOL * block.stride
            window = (POOL * results.side - 1) * block.stride + block.kernel_size
            inside = _Squares(squares.rows + block.padding, squares.columns + block.padding, squares.side)
            views = _Squares(results.rows * step, results.columns * step, window)
            x = _composed((maps, width), values, inside, views).permute(0, 3, 1, 2)
            values = _pooled(conv2d(x, block.weight, block.bias, block.stride)).flatten(0, 2)
            squares = results
        maps, width = self._maps[-1]
        whole = _Squares(torch.zeros_like(rows), torch.zeros_like(columns), width)
        return self._network.head(_composed((maps, width), values, squares, whole).flatten(1))

    @staticmethod
    def _changed(block: _Block, squares: _Squares, side: int, reached: int) -> _Squares:
        """The squares of the maps, `side` places wide, that come out of `block`, outside of which nothing changes.

        All are `reached` places wide.
        """

        def first(start: Tensor) -> Tensor:
            # Of the convolution, then of the pooling: output i sees inputs from i * stride on.
            of_maps = -((block.kernel_size - 1 - start - block.padding) // block.stride)
            return (of_maps.clamp(min=0) // POOL).clamp(max=side - reached)

        return _Squares(first(squares.rows), first(squares.columns), reached)


def _composed(base: tuple[Tensor, int], values: Tensor, squares: _Squares, views: _Squares) -> Tensor:
    """Windows (n, H, H, C) on maps (`base`: (width * width, C) and width) with `values` (n * s * s, C) in `squares`.

    One gather from both: an index is a place of the maps, or, where a square covers it, one of its values.
    """
    maps, width = base
    count, device = len(squares.rows), values.device
    steps = torch.arange(views.side, device=device)

    def axis(view: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        places = view[:, None] + steps  # (n, H)
        within = places - square[:, None]
        return places, within, (within >= 0) & (within < squares.side)

    y, row, row_inside = axis(views.rows, squares.rows)
    x, column, column_inside = axis(views.columns, squares.columns)
    own = torch.arange(count, device=device)[:, None] * squares.side**2 + row * squares.side + len(maps)
    index = torch.where(
        row_inside[:, :, None] & column_inside[:, None, :],
        own[:, :, None] + column[:, None, :],
        (y * width)[:, :, None] + x[:, None, :],
    )
    return torch.cat((maps, values)).index_select(0, index.flatten()).view(count, views.side, views.side, -1)
