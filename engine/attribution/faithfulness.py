"""Deletion and insertion: does the probability depend on the pixels that a map marks? (Petsiuk et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from engine.attribution.events import FaithfulnessCurve
from engine.geometry import IMAGE_SIZE
from engine.network.batches import EVALUATION_BATCH
from engine.network.seeds import generator

PIXELS = IMAGE_SIZE**2
STEPS = IMAGE_SIZE
"""Number of steps in which pixels are deleted or inserted, 28 pixels each."""
SHARES = tuple(step / STEPS for step in range(STEPS + 1))
"""Share of the pixels that are deleted, or inserted, at each point of a curve."""
RANDOM_ORDERS = 5
"""Number of random orders for each image, whose curves are averaged."""


def ranks(values: Tensor, shuffle: torch.Generator) -> Tensor:
    """The rank (784,) of each pixel of a map (28, 28), 0 for the highest; ties are in random order.

    Most pixels of a digit are tied, and breaking ties from the top left would favour some strokes.
    """
    order = random_ranks(shuffle).to(values.device)
    order = order[values.flatten()[order].argsort(descending=True, stable=True)]
    return torch.empty_like(order).scatter_(0, order, torch.arange(PIXELS, device=values.device))


def random_ranks(shuffle: torch.Generator) -> Tensor:
    """A random order of the pixels, (784,)."""
    return torch.randperm(PIXELS, generator=shuffle)


def curves(network: nn.Module, images: Tensor, targets: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Deletion and insertion curves (n, STEPS + 1) of images (n, 1, 28, 28), for their classes `targets` (n,).

    The values are probabilities. `places` (n, 784) are the ranks in which pixels are deleted or inserted. `network`
    returns logits.
    """
    at = torch.arange(STEPS + 1, device=images.device) * (PIXELS // STEPS)
    chosen = places[:, None, :] < at[:, None]  # (n, STEPS + 1, 784)
    pixels = images.flatten(1)[:, None, :]
    both = torch.cat((pixels * ~chosen, pixels * chosen), dim=1).view(-1, *images.shape[1:])
    with torch.inference_mode():
        logits = torch.cat([network(batch) for batch in torch.split(both, EVALUATION_BATCH)])
        found = torch.softmax(logits.view(len(images), -1, logits.shape[1]), dim=2)
        watched = found[torch.arange(len(images), device=images.device), :, targets]
    return watched[:, : STEPS + 1], watched[:, STEPS + 1 :]


def areas(values: np.ndarray) -> np.ndarray:
    """The areas (n,), 0 to 1, under curves (n, STEPS + 1), by the trapezoidal rule."""
    found: np.ndarray = (values.sum(axis=1) - (values[:, 0] + values[:, -1]) / 2) / STEPS
    return found


def curve_of(values: np.ndarray) -> FaithfulnessCurve:
    """The mean of curves (n, STEPS + 1), n at least 1, with their standard deviation if there is more than one."""
    each, mean = areas(values), _floats(values.mean(axis=0))
    if len(values) == 1:
        return FaithfulnessCurve(values=mean, area=float(each[0]))
    spread = _floats(values.std(axis=0, ddof=1))
    return FaithfulnessCurve(values=mean, area=float(each.mean()), spread=spread, area_spread=float(each.std(ddof=1)))


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.tolist())


def random_curves(
    network: nn.Module, images: Tensor, targets: Tensor, seed: int, indices: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Curves as from `curves` for pixels in random order, averaged over RANDOM_ORDERS orders."""
    orders = [
        [random_ranks(shuffle) for _ in range(RANDOM_ORDERS)] for shuffle in (generator(seed, i) for i in indices)
    ]
    places = torch.stack([order for each in orders for order in each]).to(images.device)
    deletion, insertion = curves(
        network, images.repeat_interleave(RANDOM_ORDERS, dim=0), targets.repeat_interleave(RANDOM_ORDERS), places
    )
    shape = (len(images), RANDOM_ORDERS, STEPS + 1)
    return deletion.reshape(shape).mean(dim=1), insertion.reshape(shape).mean(dim=1)
