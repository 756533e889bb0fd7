"""Was a network of others trained on standardised pixels? Its own answers tell."""

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
"""Mean and standard deviation of MNIST's training pixels, by which most people standardise them."""
IMAGES = 1000
"""That are asked about."""
CLEAR = 4.0
"""Standard errors by which its loss must then be lower: no matter of some images."""


def standardised_hint(model: CNN, split: Split) -> str:
    """One line where `model`, which takes pixels as they are, does better on standardised ones; else nothing.

    By accuracy on the first images of `split`, which is where `model` is, and by their losses, pair by pair.
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
    if not clear or right[1] <= right[0]:
        return ""
    mean, std = USUAL.mean, USUAL.std
    return (
        f"of {len(labels):,} images it gets {right[0]:.1%} right as they are, and {right[1]:.1%} standardised by mean "
        f"{mean} and standard deviation {std}: say so with --mean {mean} --std {std}, also on import"
    )


def told(weights: Weights, name: str) -> Generator[Event, None, None]:
    """How the file `name` of others was read, and whether it is for standardised pixels: all that one must know."""
    if weights.ours:
        return
    data = yield from load("mnist", torch.device("cpu"))
    hint = standardised_hint(weights.model, data.test)
    if notes := (*weights.notes, *([hint] if hint else ())):
        yield WeightsRead(name=shortened(name), notes=notes)
