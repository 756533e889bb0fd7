"""Which images no perturbation within epsilon can change the answer for, by the bounds of this wing."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.bounds.affine import AffineLayers
from engine.bounds.crown import crown_margins
from engine.bounds.interval import interval_bounds, interval_margins
from engine.bounds.names import BoundName
from engine.network.batches import evaluation_batch
from engine.network.model import CNN

AT_ONCE = 25
"""Images whose bounds are computed together: those of a hundred would no longer fit into a processor's cache."""


def proved_margins(
    layers: AffineLayers, images: Tensor, labels: Tensor, epsilon: float, bound: BoundName = "best"
) -> Tensor:
    """Lower bounds (n,), in logits, of the margins of images (n, 1, 28, 28) of classes `labels` (n,), within epsilon.

    The margin is the logit of the actual class minus the largest other one. Where its bound is above 0, the network
    classifies every image within `epsilon` (L-infinity, in pixel values) as `labels` says, in the arithmetic that
    `engine.bounds.interval` names. `best` takes the better of both bounds for each margin.
    """
    found = []
    for some, actual in zip(torch.split(images, AT_ONCE), torch.split(labels, AT_ONCE), strict=True):
        bounds = interval_bounds(layers, some, epsilon)
        margins = []
        if bound != "crown":
            margins.append(interval_margins(layers, bounds, actual))
        if bound != "ibp":
            margins.append(crown_margins(layers, bounds, actual))
        found.append(torch.stack(margins).amax(dim=0).amin(dim=1))
    return torch.cat(found)


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
    kinds: tuple[BoundName, ...] = ("ibp", "crown") if bound == "best" else (bound,)
    left = found.nonzero()[:, 0]
    for kind in kinds:  # only what the quicker bound left
        left = left[proved_margins(layers, images[left], labels[left], epsilon, kind) <= 0]
        if not len(left):
            break
    found[left] = False
    return found


@torch.inference_mode()
def certified_accuracy(model: CNN, images: Tensor, labels: Tensor, epsilon: float) -> float:
    """The share of images (n, 1, 28, 28) for which interval bounds prove the class `labels` (n,) within `epsilon`.

    It is from 0 to 1, and the figure that training with bounds reports after each epoch. `model` may be in either mode,
    and is in evaluation mode afterwards.
    """
    return certified(model.eval(), images, labels, epsilon, "ibp").double().mean().item()
