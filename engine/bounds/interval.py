"""Interval bounds (Gowal et al. 2018, arXiv:1810.12715): what each neuron can be, from what the layer before can be.

An interval is carried through an affine layer as its centre and its radius: the centre as a value, the radius by the
absolute values of the weights. Pooling and ReLU are monotonic, so they map its ends.

Rounding. With the layers of `AffineLayers.to_prove`, each interval holds the neuron's exact value and also the one that
the network computes in single precision, whatever the batch, for every image in the box: the error of each layer, at
most `Affine.rounding` times the sum of the absolute values of its terms, is added to its radius, and so spreads through
the following layers as any other uncertainty. Each product has to be computed and summed once, in IEEE single or double
precision and in any order. That holds for PyTorch's convolutions and products, and for batch norm folded or not; not
for TF32, bfloat16 or Winograd's algorithm. The bounds' own rounding, in double precision, is covered by `SPARE`. The
box is `PIXEL` wider than epsilon, so that images that were rounded to single precision are in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import max_pool2d

from engine.bounds.affine import UNIT, Affine, AffineLayers
from engine.geometry import CLASSES, POOL

PIXEL = 2.0**-22
"""How much further than epsilon a pixel may be from its own value where bounds are proved: attacks round it."""


class Interval(NamedTuple):
    """Bounds of the outputs of an affine layer, before pooling and ReLU."""

    ends: Tensor
    """(2 n, C, H, W) or (2 n, k): first all lower bounds, then all upper ones."""
    error: Tensor | None
    """The part of half of the distance between these that is due to rounding in this layer; None if not counted."""

    @property
    def lower(self) -> Tensor:
        """(n, C, H, W) or (n, k)."""
        return self.ends.chunk(2)[0]

    @property
    def upper(self) -> Tensor:
        """(n, C, H, W) or (n, k)."""
        return self.ends.chunk(2)[1]


class Bounds(NamedTuple):
    """Bounds of everything that comes before the last layer, for each of n boxes of images."""

    centre: Tensor
    """(n, 1, 28, 28): of the box of standardised images."""
    radius: Tensor
    conv1: Interval
    conv2: Interval
    fc1: Interval

    @property
    def hidden(self) -> tuple[Tensor, Tensor]:
        """The centre and radius (n, k) of the hidden neurons after ReLU."""
        return _middle(self.fc1.ends.relu())

    def at(self, chosen: Tensor) -> Bounds:
        """The bounds of the boxes `chosen` (m,)."""
        parts = [
            Interval(
                torch.cat([end[chosen] for end in each.ends.chunk(2)]),
                None if each.error is None else each.error[chosen],
            )
            for each in (self.conv1, self.conv2, self.fc1)
        ]
        return Bounds(self.centre[chosen], self.radius[chosen], *parts)


def box(layers: AffineLayers, images: Tensor, epsilon: float | Tensor) -> tuple[Tensor, Tensor]:
    """The centre and radius of the standardised images within `epsilon` of `images` (n, 1, 28, 28) and in [0, 1].

    `epsilon` is in pixel values: a number, or a tensor that broadcasts.
    """
    images = images.to(layers.dtype)
    proof = layers.fc2.terms is not None
    reach = epsilon + PIXEL if proof else epsilon
    centre, radius = _middle(torch.cat(((images - reach).clamp(min=0), (images + reach).clamp(max=1))))
    if (layers.mean, layers.std) != (0.0, 1.0):
        error = 8 * UNIT * (1 + abs(layers.mean)) / layers.std if proof else 0.0  # of at most five operations
        centre, radius = (centre - layers.mean) / layers.std, radius / layers.std + error
    return centre, radius


def interval_bounds(layers: AffineLayers, images: Tensor, epsilon: float | Tensor) -> Bounds:
    """Bounds of all neurons before the last layer for images (n, 1, 28, 28) in [0, 1], each perturbed by `epsilon`.

    They are differentiable by the weights of `AffineLayers.to_train`.
    """
    first = box(layers, images, epsilon)
    conv1 = _outputs(layers.conv1, *map(_channels_last, first))
    conv2 = _outputs(layers.conv2, *pooled(conv1))
    return Bounds(*first, conv1, conv2, hidden_interval(layers, conv2))


def hidden_interval(layers: AffineLayers, conv2: Interval) -> Interval:
    """Bounds of the hidden neurons before ReLU, from those of the second convolution."""
    return _outputs(layers.fc1, *(each.flatten(1) for each in pooled(conv2)))


def _channels_last(images: Tensor) -> Tensor:
    """`images` (n, 1, H, W) as if in the layout that keeps a pixel's channels together, in which pooling is faster.

    With one channel, both layouts are the same numbers in the same order, so a convolution follows the strides.
    """
    height, width = images.shape[2:]
    return images.contiguous().as_strided(images.shape, (height * width, 1, width, 1))


def _outputs(layer: Affine, centre: Tensor, radius: Tensor) -> Interval:
    middle, reach, error = layer(centre), layer.sizes(radius), None
    if layer.terms is not None:
        error = layer.rounding * layer.sizes(centre.abs() + radius, layer.terms)
        reach = reach + error
    return Interval(cast(Tensor, _Ends.apply(middle, reach)), error)


class _Ends(torch.autograd.Function):
    """A centre minus its radius, and plus it, one after the other: in one pass over memory, not two."""

    @staticmethod
    def forward(_: Any, centre: Tensor, radius: Tensor) -> Tensor:
        count = len(centre)
        ends = centre.new_empty_strided((2 * count, *centre.shape[1:]), centre.stride())
        torch.sub(centre, radius, out=ends[:count])
        torch.add(centre, radius, out=ends[count:])
        return ends

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = gradient.chunk(2)
        return upper + lower, upper - lower


def pooled(maps: Interval) -> tuple[Tensor, Tensor]:
    """The centre and radius of the outputs of 2x2 max-pooling and ReLU."""
    return _middle(max_pool2d(maps.ends, POOL, POOL).relu())


def _middle(ends: Tensor) -> tuple[Tensor, Tensor]:
    lower, upper = ends.chunk(2)
    radius = (upper - lower) / 2
    return lower + radius, radius


def interval_logits(layers: AffineLayers, bounds: Bounds) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds (n, 10) of the logits."""
    found = _outputs(layers.fc2, *bounds.hidden)
    return found.lower, found.upper


def others(labels: Tensor) -> Tensor:
    """The classes (n, 9) other than `labels` (n,), in order."""
    order = torch.arange(CLASSES - 1, device=labels.device)
    return order + (order >= labels[:, None])


def margins_of(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits (n, 10) of the classes `labels` (n,) minus those of each other class, (n, 9)."""
    return logits.gather(1, labels[:, None]) - logits.gather(1, others(labels))


def last_layer(layers: AffineLayers, bounds: Bounds, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The margins as an affine function of the hidden neurons: coefficients (n, 9, k) and constants (n, 9).

    A margin is the logit of the class in `labels` (n,) minus that of another class, in the order of `others`. The
    constants are lower bounds: the rounding errors of both logits are subtracted.
    """
    fc2, rest = layers.fc2, others(labels)
    weight = fc2.weight[labels][:, None] - fc2.weight[rest]
    constant = fc2.bias[labels][:, None] - fc2.bias[rest]
    if fc2.terms is not None:
        centre, radius = bounds.hidden
        error = fc2.rounding * fc2.sizes(centre + radius, fc2.terms)
        constant = constant - error.gather(1, labels[:, None]) - error.gather(1, rest)
    return weight, constant


def interval_margins(layers: AffineLayers, bounds: Bounds, labels: Tensor) -> Tensor:
    """Lower bounds (n, 9) of the margins of the classes `labels` (n,) over each other class, the last layer elided.

    A margin is the difference of two logits as one affine function of the hidden neurons, which is tighter than the
    difference of their bounds. Where all are above 0, the network classifies every image of the box as `labels` says.
    """
    weight, constant = last_layer(layers, bounds, labels)
    centre, radius = bounds.hidden
    least = torch.einsum("nck,nk->nc", weight, centre) - torch.einsum("nck,nk->nc", weight.abs(), radius)
    return least + constant
