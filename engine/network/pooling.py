"""2x2 max-pooling whose gradient does not depend on rounding: of equal maxima the first one gets all of it.

In a plain area of an image the four values under a maximum are the same number, summed in different orders. Which of
them comes out highest is decided by rounding, and so by the processor, the library, the number of threads and the size
of the batch; the gradient by the pixels then differs by as much as 0.2 between two machines, and Adam, which divides by
the gradient's own size, makes whole steps of it.

So a value must exceed an earlier one of its window (first by rows, then by columns) to be preferred to it: for each
place between them by `tolerance` times the largest value of that image's maps. Rounding stays far below that. The
maxima themselves are the exact ones: only where their gradient goes is laid down.

Beside the notebook: it leaves the choice to PyTorch, so that its own result differs from one machine to the next. Ours
is one of those results, that in which rounding spares the first; where no maxima are equal there is but one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from engine.geometry import POOL

# The overloads themselves: to look for the right one at each call takes as long as a small layer.
_max_pool = torch.ops.aten.max_pool2d_with_indices.default
_max_pool_back = torch.ops.aten.max_pool2d_with_indices_backward.default

Window = tuple[int, int]
SQUARE: Window = (POOL, POOL)


def tolerance(dtype: torch.dtype) -> float:
    """What counts as equal, as a share of the largest value: at least ten times what rounding does to it."""
    return 1e-10 if dtype == torch.float64 else 1e-5


def first_maxima(maps: Tensor, window: Window = SQUARE) -> tuple[Tensor, Tensor]:
    """The maxima of each window of maps (n, C, H, W), and where in its map (int64, of H * W) each gets its gradient.

    Windows do not overlap; rows and columns that fill none are left out.
    """
    maxima = cast(Tensor, _max_pool(maps, *_pooling(window))[0])
    largest = maxima.amax(dim=(1, 2, 3), keepdim=True).abs()  # where all are negative, the first is preferred too
    order = _order(maps.shape[1:], window, maps.dtype, maps.device)
    favoured = torch.addcmul(maps, largest, order, value=-tolerance(maps.dtype))
    return maxima, _max_pool(favoured, *_pooling(window))[1]


def back(gradient: Tensor, maps: Tensor, places: Tensor, window: Window = SQUARE) -> Tensor:
    """From the gradient by the maxima to that by the maps, of which the shape and the layout count."""
    return cast(Tensor, _max_pool_back(gradient, maps, *_pooling(window), places))


def _pooling(window: Window) -> tuple[list[int], list[int], list[int], list[int], bool]:
    return [*window], [*window], [0, 0], [1, 1], False  # kernel, stride, padding, dilation, ceil_mode


@lru_cache(maxsize=32)
def _order(shape: torch.Size, window: Window, dtype: torch.dtype, device: torch.device) -> Tensor:
    """How many values of its window come before each of one image's maps (C, H, W)."""
    rows, columns = (torch.arange(side) % part for side, part in zip(shape[1:], window, strict=True))
    order = (rows[:, None] * window[1] + columns).to(device, dtype)
    # Laid out as the maps are, channels last: otherwise to add it takes four times as long.
    return order[..., None].expand(*shape[1:], shape[0]).contiguous().permute(2, 0, 1)


class MaxPool(nn.MaxPool2d):
    """The network's own pooling: as above in evaluation mode, and PyTorch's in training, where speed counts."""

    def __init__(self) -> None:
        super().__init__(POOL, POOL)

    def forward(self, maps: Tensor) -> Tensor:
        """Maxima (n, C, H // 2, W // 2) of maps (n, C, H, W)."""
        if self.training or not (torch.is_grad_enabled() and maps.requires_grad):
            return cast(Tensor, super().forward(maps))
        return cast(Tensor, _FirstMaxima.apply(maps))


class _FirstMaxima(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        maxima, places = first_maxima(maps)
        ctx.save_for_backward(maps, places)
        return maxima

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return back(gradient, *ctx.saved_tensors)
