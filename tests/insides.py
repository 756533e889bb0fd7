"""Made-up measurements of the layers: the same on every machine, and without PyTorch."""

from __future__ import annotations

import math

from engine.runs.insides import LAYERS
from engine.training.events import Histogram, Insides, LayerInsides, edge

VALUES = {"conv1": 288, "conv2": 9216, "hidden": 784_000, "output": 5000}
"""Number of weights of each layer."""


def lognormal(values: int, centre: float, width: float, zero: float = 0.0, *, signed: bool = True) -> Histogram:
    """A histogram of values whose logarithm is normal around log2 `centre`; a share `zero` of them is zero."""

    def below(x: float) -> float:
        return 0.5 * (1 + math.erf((math.log2(x / centre)) / width / math.sqrt(2)))

    low, high = (round(2 * (math.log2(centre) + way * 4 * width)) for way in (-1, 1))
    shares = [below(edge(number + 1)) - below(edge(number)) for number in range(low, high + 1)]
    share = (1 - zero) / (2 if signed else 1)
    positive = tuple(round(values * share * each) for each in shares)
    negative = positive if signed else ()
    return Histogram(first=low, negative=negative, zero=round(values * zero), positive=positive)


def insides(epoch: int) -> Insides:
    """What was measured after an epoch (from 1): weights grow, gradients and updates shrink, more units are dead."""
    layers = []
    for place, name in enumerate(LAYERS):
        output = name == "output"
        dead = (0.02 * place + 0.005 * epoch) if not output else None
        layers.append(
            LayerInsides(
                layer=name,
                weights=lognormal(VALUES[name], 0.02 * (1 + place) * (1 + 0.05 * epoch), 0.8),
                gradients=lognormal(VALUES[name], 1e-3 * 0.8**epoch, 1.6, zero=dead or 0.0),
                activations=lognormal(64 * 500, 0.5 + 0.1 * epoch, 1.2, 0.0 if output else 0.5, signed=output),
                weight_norm=2.0 + place + 0.1 * epoch,
                gradient_norm=0.3 * 0.8**epoch,
                update_norm=0.01 * 0.9**epoch,
                dead=dead,
            )
        )
    square = 0.1 * 0.7**epoch - 0.004  # the noise outweighs it in the end
    return Insides(images=448, batch=64, layers=tuple(layers), gradient_square=square, gradient_variance=40.0)
