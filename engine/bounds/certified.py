"""Which images no perturbation within epsilon can change the answer for, by the bounds of this wing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from engine.bounds.affine import AffineLayers
from engine.bounds.crown import crown_margins, numbers_to_tighten, tightened
from engine.bounds.interval import Bounds, box, interval_bounds, interval_margins, margins_of
from engine.bounds.names import BoundName
from engine.geometry import POOL
from engine.network.batches import evaluation_batch
from engine.network.model import CNN

AT_ONCE = 25
"""Images whose bounds are computed together: those of a hundred would no longer fit into a processor's cache."""
_MOST = 1 << 25
"""Numbers that tightening may hold at once; networks that need more for one image do without."""
_HOPELESS = 8.0
"""A bound that lies further below 0 than this many times the margin itself is not worth tightening."""


def proved_margins(
    layers: AffineLayers, images: Tensor, labels: Tensor, epsilon: float, bound: BoundName = "best"
) -> Tensor:
    """Lower bounds (n,), in logits, of the margins of images (n, 1, 28, 28) of classes `labels` (n,), within epsilon.

    The margin is the logit of the actual class minus the largest other one. Where its bound is above 0, the network
    classifies every image within `epsilon` (L-infinity, in pixel values) as `labels` says, in the arithmetic that
    `engine.bounds.interval` names. `ibp` are interval bounds. `crown` are CROWN's from interval bounds of the neurons
    and, where these prove nothing, from CROWN's own bounds of the second convolution, whose interval bounds are the
    loosest. `best` takes the better of both for each margin.
    """
    pairs = zip(torch.split(images, AT_ONCE), torch.split(labels, AT_ONCE), strict=True)
    return torch.cat([_proved(layers, some, actual, epsilon, bound) for some, actual in pairs])


def _proved(layers: AffineLayers, images: Tensor, labels: Tensor, epsilon: float, bound: BoundName) -> Tensor:
    bounds = interval_bounds(layers, images, epsilon)
    if bound == "ibp":
        return interval_margins(layers, bounds, labels).amin(dim=1)
    margins = _linear(layers, bounds, labels, bound)
    found, size = margins.amin(dim=1), _MOST // numbers_to_tighten(layers, bounds)
    hopeless = found < -_HOPELESS * _own_margins(layers, images, labels).clamp(min=0)
    left = ((found <= 0) & ~hopeless).nonzero()[:, 0]
    if size and len(left):
        for chosen in torch.split(left, size):
            tight = _linear(layers, tightened(layers, bounds.at(chosen)), labels[chosen], bound)
            found[chosen] = torch.maximum(margins[chosen], tight).amin(dim=1)
    return found


def _linear(layers: AffineLayers, bounds: Bounds, labels: Tensor, bound: BoundName) -> Tensor:
    crown = crown_margins(layers, bounds, labels)
    return crown if bound == "crown" else torch.maximum(crown, interval_margins(layers, bounds, labels))


def _own_margins(layers: AffineLayers, images: Tensor, labels: Tensor) -> Tensor:
    """The margins (n,) of the images themselves, without rounding."""
    maps, _ = box(layers, images, 0.0)
    for layer in (layers.conv1, layers.conv2):
        maps = max_pool2d(layer(maps), POOL, POOL).relu()
    return margins_of(layers.fc2(layers.fc1(maps.flatten(1)).relu()), labels).amin(dim=1)


def correct(model: CNN, images: Tensor, labels: Tensor) -> Tensor:
    """Whether `model`, in evaluation mode, classifies images (n, 1, 28, 28) as `labels` (n,) say: (n,) bool."""
    batches = torch.split(images, evaluation_batch(images.device.type, model.architecture.channels))
    return torch.cat([model(batch).argmax(dim=1) for batch in batches]) == labels


@torch.inference_mode()
def certified(model: CNN, images: Tensor, labels: Tensor, epsilon: float, bound: BoundName = "best") -> Tensor:
    """Whether `model` provably classifies all images within `epsilon` of each of `images` as `labels` say, (n,) bool.

    `model` is in evaluation mode, with or without batch norm; images are (n, 1, 28, 28) in [0, 1] of
    classes `labels` (n,), all on its device;
    epsilon is the L-infinity norm, in pixel values. False means only that there is no proof. Without perturbation, the
    answer of the network itself counts, and elsewhere an image that it misclassifies is never certified.
    """
    found = correct(model, images, labels)
    if epsilon == 0 or not found.any():
        return found
    layers = AffineLayers.to_prove(model)
    kinds: tuple[BoundName, ...] = ("ibp", "best") if bound == "best" else (bound,)
    left = found.nonzero()[:, 0]
    for kind in kinds:  # only what the quicker bound left
        left = left[proved_margins(layers, images[left], labels[left], epsilon, kind) <= 0]
        if not len(left):
            break
    found[left] = False
    return found
