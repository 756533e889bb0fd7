"""The forward pass for images that differ from one image in a small square: only what the square affects is computed.

A patch of 8x8 pixels affects 6x6 of the 14x14 positions of the first block's maps and 5x5 of the 7x7 of the second's;
everything else is the same as without a patch. So both convolutions run on windows that are just large enough: for the
notebook's network and that patch, a third of the work. The results equal the network's own up to rounding.
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
    """A convolution with batch norm folded in, followed by 2x2 max-pooling and ReLU."""

    weight: Tensor
    bias: Tensor
    kernel_size: int
    stride: int
    padding: int


@dataclass(frozen=True)
class _Squares:
    """One square per image on maps of the same size: rows and columns (n,) of the top left positions, and the side."""

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
    """The weights of a network in the layout and precision used for windows."""

    def __init__(self, model: CNN, dtype: torch.dtype) -> None:
        # Folded in double precision: folding in single precision changes the logits more than everything that follows.
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
        # Windows are channels last, so the inputs of the first fully connected layer are reordered to match.
        self._first = weight.view(len(weight), channels, -1).transpose(1, 2).reshape(weight.shape), first.bias.detach()
        self._last = last.weight.detach(), last.bias.detach()

    def head(self, maps: Tensor) -> Tensor:
        """Probabilities (n, 10) of the second block's maps, flattened channels last (n, H * W * C)."""
        return torch.softmax(linear(linear(maps, *self._first).relu_(), *self._last), dim=1)


class PatchedImage:
    """A network applied to one image, with all intermediate maps kept."""

    def __init__(self, network: PatchedNetwork, image: Tensor) -> None:
        """`image` is (1, 28, 28), on the network's device."""
        self._network = network
        self._maps: list[tuple[Tensor, int]] = []
        """The padded input (H * W, C) of each block and of the head, and its side H."""
        self._sides: list[int] = []
        """The side of each block's output."""
        x = network.inputs(image.to(network.dtype))[None].permute(0, 2, 3, 1)  # (1, H, W, C)
        for block in network.blocks:
            x = pad(x, (0, 0, *(block.padding,) * 4))
            self._maps.append((x.flatten(0, 2), x.shape[1]))
            x = _pooled(conv2d(x.permute(0, 3, 1, 2), block.weight, block.bias, block.stride))
            self._sides.append(x.shape[1])
        self._maps.append((x.flatten(0, 2), x.shape[1]))
        self.probabilities: Tensor = network.head(x.flatten(1))[0]
        """(10,) for the unoccluded image."""

    def maps(self) -> list[Tensor]:
        """The maps (C, side, side) of each block for the unoccluded image, after pooling and ReLU."""
        found = []
        for side, (padded, width) in zip(self._sides, self._maps[1:], strict=True):
            edge = (width - side) // 2
            inside = slice(edge, edge + side)
            found.append(padded.view(width, width, -1)[inside, inside].permute(2, 0, 1))
        return found

    def elements(self, patch_size: int) -> int:
        """Number of elements in the largest map for one patch of this side, which determines the memory needed."""
        sides = zip(self._network.blocks, self._reached(patch_size), strict=True)
        return max((POOL * side) ** 2 * len(block.bias) for block, side in sides)

    def _reached(self, patch_size: int) -> list[int]:
        """Maximum number of positions along one side of each block's maps that a patch of this side affects."""
        found, side = [], patch_size
        for block, whole in zip(self._network.blocks, self._sides, strict=True):
            side = min(((side + block.kernel_size - 2) // block.stride + 1) // POOL + 1, whole)
            found.append(side)
        return found

    def patched(self, patches: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Probabilities (n, 10) of the image with `patches` (n, p, p) in place of its own pixels.

        Their top left pixels are at `rows` and `columns` (n,), int64, each from 0 to 28 - p. Call it in inference mode.
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
        """The squares of the output maps of `block`, outside of which nothing changes.

        The maps are `side` positions wide, the squares `reached`.
        """

        def first(start: Tensor) -> Tensor:
            # First for the convolution, then for the pooling: output i depends on inputs from i * stride on.
            of_maps = -((block.kernel_size - 1 - start - block.padding) // block.stride)
            return (of_maps.clamp(min=0) // POOL).clamp(max=side - reached)

        return _Squares(first(squares.rows), first(squares.columns), reached)


def _composed(base: tuple[Tensor, int], values: Tensor, squares: _Squares, views: _Squares) -> Tensor:
    """Windows (n, H, H, C) on maps (`base`: (width * width, C) and width) with `values` (n * s * s, C) in `squares`.

    A single gather from both: an index refers to a position of the maps or, where a square covers it, to its value.
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
