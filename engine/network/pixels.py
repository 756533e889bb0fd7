"""Whether a third-party network was trained on standardised pixels, judged by its predictions."""

from __future__ import annotations

import math
from collections.abc import Generator

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from engine.data.datasets import Split, load
from engine.event import Event
from engine.network.batches import EVALUATION_BATCH
from engine.network.checkpoints import Weights
from engine.network.events import WeightsRead
from engine.network.model import CNN, Standardise, inference_network
from engine.words import shortened

USUAL = Standardise(0.1307, 0.3081)
"""Standardisation by the mean and standard deviation of MNIST's training pixels, the usual choice."""
IMAGES = 1000
"""Number of images that are evaluated."""
CLEAR = 4.0
"""Number of standard errors by which the loss must be lower with standardisation."""
TRAINED = 0.5
"""The least accuracy with standardisation. One that knows none of the digits, because it is untrained or was trained on
other images, may come out better by any change of its input, which says nothing of how it was trained."""


def standardised_hint(model: CNN, split: Split) -> str:
    """One line if `model`, read without standardisation, is better on standardised pixels; else empty.

    Judged by the accuracy and the paired losses on the first images of `split`, which is on the device of `model`; of a
    network that gets less than half of them right nothing is said.
    """
    if (model.inputs.mean, model.inputs.std) != (0.0, 1.0):
        return ""
    plain = inference_network(model)
    labels, losses, right = split.labels[:IMAGES], [], []
    with torch.inference_mode():
        for network in (plain, nn.Sequential(USUAL, *plain)):
            batches = torch.split(split.images[:IMAGES], EVALUATION_BATCH)
            logits = torch.cat([network(batch) for batch in batches]).double()
            losses.append(cross_entropy(logits, labels, reduction="none"))
            right.append((logits.argmax(dim=1) == labels).double().mean().item())
    gain = losses[0] - losses[1]
    clear = bool(gain.mean() > CLEAR * gain.std() / math.sqrt(len(gain)))
    if not clear or right[1] <= right[0] or right[1] < TRAINED:
        return ""
    mean, std = USUAL.mean, USUAL.std
    return (
        f"accuracy on {len(labels):,} images is {right[0]:.1%}, but {right[1]:.1%} with pixels standardised by mean "
        f"{mean} and standard deviation {std}: give --mean {mean} --std {std}, also on import"
    )


def told(weights: Weights, name: str) -> Generator[Event, None, None]:
    """Reports how the third-party file `name` was read, and whether it seems to expect standardised pixels."""
    if weights.ours:
        return
    data = yield from load("mnist", torch.device("cpu"))
    hint = standardised_hint(weights.model, data.test)
    if notes := (*weights.notes, *([hint] if hint else ())):
        yield WeightsRead(name=shortened(name), notes=notes)
