"""2x2 max-pooling whose gradient does not depend on rounding: among equal maxima, the first one gets all of it.

In a uniform area of an image, the four values of a pooling window are the same number, summed in different orders.
Which of them is the largest is decided by rounding, and so by the processor, the library, the number of threads and the
batch size. The pixel gradient then differs by as much as 0.2 between two machines, and Adam, which normalises by the
gradient's magnitude, turns that into full steps.

So a value is preferred to an earlier one of its window (in row-major order) only if it exceeds it by `tolerance` times
the largest value of that image's maps, for each position between them. Rounding errors are far smaller. The maxima
themselves are exact: only the position that receives the gradient is fixed.

The notebook leaves the choice to PyTorch, so that its own result differs between machines. The result here is one of
these, that in which rounding favours the first; where no maxima are equal, there is only one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from engine.geometry import POOL

# The overloads themselves: resolving them at each call takes as long as a small layer.
_max_pool = torch.ops.aten.max_pool2d_with_indices.default
_max_pool_back = torch.ops.aten.max_pool2d_with_indices_backward.default

Window = tuple[int, int]
SQUARE: Window = (POOL, POOL)


def tolerance(dtype: torch.dtype) -> float:
    """The difference that counts as equal, relative to the largest value: at least ten times the rounding error."""
    return 1e-10 if dtype == torch.float64 else 1e-5


def first_maxima(maps: Tensor, window: Window = SQUARE) -> tuple[Tensor, Tensor]:
    """The maxima of each window of maps (n, C, H, W), and the positions (int64, of H * W) that get their gradients.

    Windows do not overlap; incomplete windows at the edges are left out.
    """
    maxima = cast(Tensor, _max_pool(maps, *_pooling(window))[0])
    largest = maxima.amax(
        dim=(1, 2, 3), keepdim=True
    ).abs()  # the absolute value, so that the first is preferred among negative values too
    order = _order(maps.shape[1:], window, maps.dtype, maps.device)
    favoured = torch.addcmul(maps, largest, order, value=-tolerance(maps.dtype))
    return maxima, _max_pool(favoured, *_pooling(window))[1]


def any_maxima(maps: Tensor, window: Window = SQUARE) -> tuple[Tensor, Tensor]:
    """The same in less time, with the positions that rounding and PyTorch choose among equal maxima."""
    return cast(tuple[Tensor, Tensor], _max_pool(maps, *_pooling(window)))


def back(gradient: Tensor, maps: Tensor, places: Tensor, window: Window = SQUARE) -> Tensor:
    """The backward pass from maxima to maps; only the shape and layout of `maps` matter."""
    return cast(Tensor, _max_pool_back(gradient, maps, *_pooling(window), places))


def _pooling(window: Window) -> tuple[list[int], list[int], list[int], list[int], bool]:
    return [*window], [*window], [0, 0], [1, 1], False  # kernel, stride, padding, dilation, ceil_mode


@lru_cache(maxsize=32)
def _order(shape: torch.Size, window: Window, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The index within its window of each position of one image's maps (C, H, W)."""
    rows, columns = (torch.arange(side) % part for side, part in zip(shape[1:], window, strict=True))
    order = (rows[:, None] * window[1] + columns).to(device, dtype)
    # In the layout of the maps, channels last: otherwise adding it takes four times as long.
    return order[..., None].expand(*shape[1:], shape[0]).contiguous().permute(2, 0, 1)


class MaxPool(nn.MaxPool2d):
    """The network's max-pooling: as above in evaluation mode, and PyTorch's own in training, for speed."""

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
