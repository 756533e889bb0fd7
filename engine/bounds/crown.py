"""CROWN (Zhang et al. 2018, arXiv:1811.00866): margins bounded by affine functions of the pixels.

From the last layer back to the image, each nonlinearity is replaced by an affine function below or above it, as the
sign of its coefficient asks. They are valid between the interval bounds of its inputs (CROWN-IBP, Zhang et al. 2020).
Because signs are judged after all paths to a neuron have been added up, what cancels does not widen the bounds, as it
does in interval bounds. Neither bound is always the tighter one.

A pooling window and the ReLU after it are one function, max(0, z1, z2, z3, z4):

- Below it lies each z, and 0. The lower function is the z whose interval has the largest middle, or 0 if that is
  negative: the one of these that leaves the least area (as CROWN's adaptive slope does for a ReLU).
- Let z1 be the input with the largest upper bound u1, and v the largest value that 0 and the other inputs can have. The
  function is at most max(z1, v), which is convex in z1: the upper function is its chord between l1 and u1. For
  a ReLU alone this is CROWN's, and it is z1 itself where z1 exceeds the other inputs everywhere.

Rounding: with the layers of `AffineLayers.to_prove`, the bounds hold for the network in single precision too, under the
conditions of `engine.bounds.interval`. A network that rounds is one to which each layer adds an error within
`Interval.error`, so the product of these errors with the absolute values of the coefficients is subtracted. Since each
error bound has room for 2**29 operations of double precision, it also covers the rounding of the coefficients.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from engine.bounds.affine import Affine, AffineLayers
from engine.bounds.interval import Bounds, Interval, last_layer
from engine.geometry import POOL

_TINY = 1e-30


def crown_margins(layers: AffineLayers, bounds: Bounds, labels: Tensor) -> Tensor:
    """Lower bounds (n, 9) of the margins of the classes `labels` (n,) over each other class, in the order of `others`.

    `bounds` are those of `layers`, from `interval_bounds` or tighter. Differentiable by the weights of
    `AffineLayers.to_train`.
    """
    coefficients, constant = last_layer(layers, bounds, labels)
    coefficients, constant = _before_relu(coefficients, constant, bounds.fc1)
    return _lowest(layers, bounds, *_before_affine(layers.fc1, coefficients, constant, bounds.fc1.error, 1))


def _lowest(layers: AffineLayers, bounds: Bounds, coefficients: Tensor, constant: Tensor) -> Tensor:
    """The minima (n, m) of functions of the flattened maps of the second block, (n, m, k) and (n, m), over the box."""
    for layer, maps, inputs in (
        (layers.conv2, bounds.conv2, bounds.conv1.lower.shape[-1] // POOL),
        (layers.conv1, bounds.conv1, bounds.centre.shape[-1]),
    ):
        side = maps.lower.shape[-1] // POOL
        coefficients = coefficients.reshape(*coefficients.shape[:2], -1, side, side)
        coefficients, constant = _before_pooling(coefficients, constant, maps)
        coefficients, constant = _before_affine(layer, coefficients, constant, maps.error, inputs)
    return constant + _products(coefficients, bounds.centre) - _products(coefficients.abs(), bounds.radius)


def _products(coefficients: Tensor, values: Tensor) -> Tensor:
    """The sums (n, m) of coefficients (n, m, ...) times values (n, ...)."""
    return (coefficients.flatten(2) @ values.flatten(1)[..., None])[..., 0]


def _before_affine(
    layer: Affine, coefficients: Tensor, constant: Tensor, error: Tensor | None, side: int
) -> tuple[Tensor, Tensor]:
    """From a function of a layer's outputs, (n, m, ...), one of its inputs (whose maps have `side` pixels a side)."""
    sums = coefficients.flatten(3).sum(3) if coefficients.dim() > 3 else coefficients
    constant = constant + sums @ layer.bias
    if error is not None:
        constant = constant - _products(coefficients.abs(), error)
    before = layer.back(coefficients.flatten(0, 1), side)
    return before.view(*coefficients.shape[:2], *before.shape[1:]), constant


class _Lines(NamedTuple):
    """Affine functions below and above max(0, z), or max(0, z1, z2, z3, z4), for inputs within bounds."""

    lower: Tensor
    """Slopes by the inputs. Of a pooling window, (n, C, H, 2, W, 2)."""
    upper: Tensor
    constant: Tensor
    """Of the upper function, as the outputs. That of the lower one is 0."""


def _before_relu(coefficients: Tensor, constant: Tensor, inputs: Interval) -> tuple[Tensor, Tensor]:
    """From a function of the outputs of ReLU, (n, m, k), one below it of the inputs."""
    lower, upper = inputs.lower, inputs.upper
    excess, lack = upper.relu(), (-lower).relu()
    slope = excess / (excess + lack).clamp(min=_TINY)
    lines = _Lines((lower + upper > 0).to(slope.dtype), slope, slope * lack)
    constant = constant + _products(coefficients.clamp(max=0), lines.constant)
    return coefficients * torch.where(coefficients > 0, lines.lower[:, None], lines.upper[:, None]), constant


def _before_pooling(coefficients: Tensor, constant: Tensor, inputs: Interval) -> tuple[Tensor, Tensor]:
    """From a function of the outputs of pooling and ReLU, (n, m, C, H, W), one below it of the maps before."""
    lines = _pooling_lines(inputs)
    constant = constant + _products(coefficients.clamp(max=0), lines.constant)
    spread = coefficients[..., None, :, None]
    before = spread * torch.where(spread > 0, lines.lower[:, None], lines.upper[:, None])
    before = before.flatten(-4, -3).flatten(-2)
    height, width = (mine - ours for mine, ours in zip(inputs.lower.shape[-2:], before.shape[-2:], strict=True))
    return (pad(before, (0, width, 0, height)) if height or width else before), constant


def _pooling_lines(inputs: Interval) -> _Lines:
    lower, upper = _windows(inputs.lower), _windows(inputs.upper)
    middle, place = (lower + upper).max(dim=0, keepdim=True)
    below = torch.zeros_like(lower).scatter(0, place, (middle > 0).to(lower.dtype))
    most, first = upper.max(dim=0, keepdim=True)
    least = lower.gather(0, first)
    rival = upper.scatter(0, first, 0.0).amax(dim=0, keepdim=True).clamp(min=0)
    # The chord of max(z, rival) between `least` and `most`: z itself where it is never below, rival where never above.
    excess, lack = (most - rival).relu(), (rival - least).relu()
    slope = excess / (excess + lack).clamp(min=_TINY)
    constant = rival + slope * (lack - rival)
    return _Lines(_maps(below), _maps(torch.zeros_like(lower).scatter(0, first, slope)), constant[0])


def _windows(maps: Tensor) -> Tensor:
    """The values of each pooling window, (4, n, C, H, W), of maps (n, C, 2 H, 2 W) or one row and column more."""
    height, width = (side // POOL * POOL for side in maps.shape[-2:])
    return torch.stack([maps[..., i:height:POOL, j:width:POOL] for i in range(POOL) for j in range(POOL)])


def _maps(windows: Tensor) -> Tensor:
    """The values of windows (4, n, C, H, W) where they are in maps, (n, C, H, 2, W, 2)."""
    return windows.view(POOL, POOL, *windows.shape[1:]).permute(2, 3, 4, 0, 5, 1).contiguous()
