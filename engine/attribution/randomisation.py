"""The sanity check of Adebayo et al. 2018: a map that stays the same with random weights explains nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from engine.network.model import CNN

STAGES = ("fc2", "fc1", "conv2", "conv1")
"""The layers to randomise, cumulatively from the top down; batch norm together with the layer before it."""


def randomised(model: CNN, seed: int) -> Iterator[CNN]:
    """Copies of `model`, on its device, with more and more layers randomised, one copy for each of STAGES.

    The same `seed` gives the same layers on every device.
    """
    device = next(model.parameters()).device
    model = copy.deepcopy(model).cpu()
    for number, stage in enumerate(STAGES):
        # A network that was trained with `seed` had these very initial weights, so the plain seed is not used here.
        own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
        last = max(place for place, layer in enumerate(model.fc) if isinstance(layer, nn.Linear))
        layers = {"fc2": model.fc[last:], "fc1": model.fc[:last], "conv2": model.conv2, "conv1": model.conv1}[stage]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(own)
            for layer in layers:
                if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm1d | nn.BatchNorm2d):
                    layer.reset_parameters()
        yield copy.deepcopy(model).to(device).eval()


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of the same shape, ties at their mean rank.

    NaN where one of them is constant or has values that are not finite.
    """
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return np.nan
    ranks = []
    for values in (one, other):
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[place.ravel()])
    first, second = (each - each.mean() for each in ranks)
    length = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / length) if length > 0 else np.nan
