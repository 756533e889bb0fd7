"""CROWN (Zhang et al. 2018, arXiv:1811.00866): margins bounded by affine functions of the pixels.

From the last layer back to the image, each nonlinearity is replaced by an affine function below or above it, as the
sign of its coefficient asks. They are valid between bounds of its inputs: interval bounds (CROWN-IBP, Zhang et al.
2020), or tighter ones. Because signs are judged after all paths to a neuron have been added up, what cancels does not
widen the bounds, as it does in interval bounds. Neither bound is always the tighter one.

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
from torch.nn.functional import conv2d, pad, unfold

from engine.bounds.affine import Affine, AffineLayers
from engine.bounds.interval import Bounds, Interval, hidden_interval, last_layer
from engine.geometry import POOL

_TINY = 1e-30


class _Lines(NamedTuple):
    """Affine functions below and above the outputs of ReLU, or of pooling and ReLU, by what comes before.

    That is the sum of products of an affine layer, whose bias and rounding error are in the constants.
    """

    lower: Tensor
    """Slopes from 0 to 1: (n, k), or of the inputs of pooling windows (n, 4, C, H, W)."""
    upper: Tensor
    below: Tensor
    """The constants of the lower functions, (n, k) or (n, C, H, W)."""
    above: Tensor


def crown_margins(layers: AffineLayers, bounds: Bounds, labels: Tensor) -> Tensor:
    """Lower bounds (n, 9) of the margins of the classes `labels` (n,) over each other class, in the order of `others`.

    `bounds` are those of `layers`, from `interval_bounds` or tighter. Differentiable by the weights of
    `AffineLayers.to_train`.
    """
    coefficients, constant = last_layer(layers, bounds, labels)
    coefficients, constant = _replaced(coefficients, constant, _relu_lines(layers.fc1, bounds.fc1))
    return _lowest(layers, bounds, coefficients @ layers.fc1.weight, constant)


def numbers_to_tighten(layers: AffineLayers, bounds: Bounds) -> int:
    """How many numbers `tightened` holds for one image."""
    _, _, field = _sizes(layers)
    return 2 * bounds.conv2.ends[0].numel() * field**2


def _sizes(layers: AffineLayers) -> tuple[int, int, int]:
    """Of the parts of the image that outputs depend on: step and side after the first pooling, and side after conv2."""
    step, side = POOL * layers.conv1.stride, layers.conv1.weight.shape[-1] + layers.conv1.stride
    return step, side, step * (layers.conv2.weight.shape[-1] - 1) + side


def tightened(layers: AffineLayers, bounds: Bounds) -> Bounds:
    """`bounds` with those of the second convolution by CROWN where these are tighter, and what follows from them.

    Each output of the second convolution depends on a small part of the image only, so the affine functions below and
    above it are found forwards: with one nonlinearity before it, they are those that going back would find. They have
    no gradients.
    """
    conv1, conv2 = layers.conv1, layers.conv2
    lines, kernels = _pooling_lines(conv1, bounds.conv1), conv1.of_windows()
    count, channels = lines.below.shape[:2]
    kernel, rows, (step, side, field) = conv2.weight.shape[-1], bounds.conv2.ends.shape[-1], _sizes(layers)
    kernels = kernels.view(POOL * POOL, channels, side * side)
    # (n, side * side, 2 C, H, W): of each pooled output, the coefficients of its own pixels below and above it.
    pieces = torch.cat([torch.einsum("npcyx,pcq->nqcyx", each, kernels) for each in (lines.lower, lines.upper)], dim=2)
    pieces = pad(pieces, (conv2.padding,) * 4)
    rising, falling = conv2.weight.clamp(min=0), conv2.weight.clamp(max=0)
    weights = torch.cat((rising, falling), dim=1), torch.cat((falling, rising), dim=1)
    found = [pieces.new_zeros(count, field, field, len(rising), rows * rows) for _ in weights]
    for i in range(kernel):
        for j in range(kernel):
            down, across = (slice(k, k + (rows - 1) * conv2.stride + 1, conv2.stride) for k in (i, j))
            these = pieces[..., down, across].flatten(3)
            for weight, sums in zip(weights, found, strict=True):
                part = (weight[:, :, i, j] @ these).view(count, side, side, len(rising), -1)
                sums[:, step * i : step * i + side, step * j : step * j + side] += part
    centre, radius = (_fields(each, conv1, conv2, field, rows) for each in (bounds.centre, bounds.radius))
    constants, error = torch.cat((lines.below, lines.above), dim=1), bounds.conv2.error
    ends = []
    for sign, weight, sums in zip((-1, 1), weights, found, strict=True):
        flat = sums.flatten(1, 2)
        extreme = (flat * centre).sum(dim=1) + sign * flat.abs_().mul_(radius).sum(dim=1)
        constant = conv2d(constants, weight, conv2.bias, conv2.stride, conv2.padding)
        ends.append(extreme.view_as(constant) + constant + sign * (0 if error is None else error))
    lower, upper = bounds.conv2.ends.chunk(2)
    second = Interval(torch.cat((torch.maximum(lower, ends[0]), torch.minimum(upper, ends[1]))), error)
    return bounds._replace(conv2=second, fc1=hidden_interval(layers, second))


def _fields(images: Tensor, conv1: Affine, conv2: Affine, field: int, rows: int) -> Tensor:
    """The pixels (n, field * field, 1, rows * rows) that each output of the second convolution depends on."""
    step = POOL * conv1.stride
    before, step = conv1.padding + step * conv2.padding, step * conv2.stride
    after = step * (rows - 1) + field - images.shape[-1] - before
    return unfold(pad(images, (before, after, before, after)), field, stride=step)[:, :, None]


def _lowest(layers: AffineLayers, bounds: Bounds, coefficients: Tensor, constant: Tensor) -> Tensor:
    """The minima (n, m) of functions of the flattened outputs of the second block, (n, m, k) and (n, m), in the box."""
    for layer, maps, inputs in (
        (layers.conv2, bounds.conv2, bounds.conv1.ends.shape[-1] // POOL),
        (layers.conv1, bounds.conv1, bounds.centre.shape[-1]),
    ):
        n, m, lines = *coefficients.shape[:2], _pooling_lines(layer, maps)
        spread, constant = _replaced(coefficients.reshape(n, m, *lines.below.shape[1:]), constant, lines)
        coefficients = layer.back(spread.flatten(2, 3).flatten(0, 1), inputs).reshape(n, m, -1)
    return constant + _products(coefficients, bounds.centre) - _products(coefficients.abs(), bounds.radius)


def _products(coefficients: Tensor, values: Tensor) -> Tensor:
    """The sums (n, m) of coefficients (n, m, ...) times values (n, ...)."""
    return (coefficients.flatten(2) @ values.flatten(1)[..., None])[..., 0]


def _replaced(coefficients: Tensor, constant: Tensor, lines: _Lines) -> tuple[Tensor, Tensor]:
    """A function below one of the outputs of `lines`, (n, m, ...) and (n, m), by what comes before."""
    rising, falling = coefficients.clamp(min=0), coefficients.clamp(max=0)
    constant = constant + _products(rising, lines.below) + _products(falling, lines.above)
    if lines.lower.dim() > coefficients.dim() - 1:  # the four inputs of each window
        rising, falling = rising[:, :, None], falling[:, :, None]
    return torch.addcmul(rising * lines.lower[:, None], falling, lines.upper[:, None]), constant


def _relu_lines(layer: Affine, found: Interval) -> _Lines:
    lower, upper = found.ends.chunk(2)
    excess, lack = upper.relu(), (-lower).relu()
    slope = excess / (excess + lack).clamp(min=_TINY)
    flat = (lower + upper > 0).to(slope.dtype)
    error = 0 if found.error is None else found.error
    return _Lines(flat, slope, flat * (layer.bias - error), slope * (layer.bias + error + lack))


def _pooling_lines(layer: Affine, found: Interval) -> _Lines:
    lower, upper = map(_windows, found.ends.chunk(2))
    middle, place = (lower + upper).max(dim=1, keepdim=True)
    flat = torch.zeros_like(lower).scatter(1, place, (middle > 0).to(lower.dtype))
    most, first = upper.max(dim=1, keepdim=True)
    least = lower.gather(1, first)
    rival = upper.scatter(1, first, 0.0).amax(dim=1, keepdim=True).clamp(min=0)
    # The chord of max(z, rival) between `least` and `most`: z itself where it is never below, rival where never above.
    excess, lack = (most - rival).relu(), (rival - least).relu()
    chord = excess / (excess + lack).clamp(min=_TINY)
    slope = torch.zeros_like(lower).scatter(1, first, chord)
    above, bias = (rival + chord * (lack - rival))[:, 0], layer.bias[:, None, None]
    if found.error is None:
        return _Lines(flat, slope, flat.sum(dim=1) * bias, above + chord[:, 0] * bias)
    error = _windows(found.error)
    return _Lines(flat, slope, (flat * (bias - error)).sum(dim=1), above + (slope * (bias + error)).sum(dim=1))


def _windows(maps: Tensor) -> Tensor:
    """The values of each pooling window, (n, 4, C, H, W), of maps (n, C, 2 H, 2 W) or one row and column more."""
    height, width = (side // POOL * POOL for side in maps.shape[-2:])
    places = [maps[..., i:height:POOL, j:width:POOL] for i in range(POOL) for j in range(POOL)]
    return torch.stack([each.contiguous() for each in places], dim=1)
