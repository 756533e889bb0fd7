"""The units of a network, channels of its convolutions and neurons of its hidden layer, on a whole split."""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.geometry import CLASSES
from engine.inspection.loaded import LoadedNetwork
from engine.inspection.requests import UNIT_LAYERS, UnitLayerName
from engine.inspection.survey import STRONGEST
from engine.inspection.unit_events import Ablation, UnitDigit
from engine.network.batches import evaluation_batch
from engine.network.model import inference_network, layer_outputs
from engine.request import RequestError
from engine.training.events import BatchEvaluated


def parts(network: nn.Sequential, layer: UnitLayerName) -> tuple[nn.Sequential, nn.Sequential]:
    """`network`, as `inference_network` makes it, up to the ReLU of `layer`, and from that ReLU on.

    Where batch norm follows a layer, it is part of the first: units are what their ReLU receives.
    """
    places = [place for place, each in enumerate(network) if isinstance(each, nn.ReLU)]
    at = places[UNIT_LAYERS.index(layer)]
    return network[:at], network[at:]


def per_unit(outputs: Tensor) -> Tensor:
    """One number for each unit, (B, U): the mean over the map of a channel (B, U, H, W), or a neuron's own (B, U)."""
    return outputs.flatten(2).mean(dim=2) if outputs.dim() == 4 else outputs


def unit_weights(loaded: LoadedNetwork, layer: UnitLayerName) -> Tensor:
    """The weights of the units of a layer by input channel, (U, C, h, w); of a neuron, those of each map of conv2.

    Without the batch norm that may follow.
    """
    model = loaded.model
    if layer != "hidden":
        return model.get_parameter(f"{layer}.0.weight").detach()
    weight, channels = model.get_parameter("fc.1.weight").detach(), model.architecture.channels
    side = round((weight.shape[1] // channels) ** 0.5)
    return weight.view(len(weight), channels, side, side)


def check_units(loaded: LoadedNetwork, layer: UnitLayerName, *units: int) -> int:
    """The number of units of a layer; raises RequestError where it has none of those `units`."""
    count = len(unit_weights(loaded, layer))
    if max(units, default=0) >= count:
        raise RequestError(f"{layer} of {loaded.name} has no unit {max(units)}: its {count} units are 0 to {count - 1}")
    return count


class _Strongest:
    """For each unit of a layer, the images that excite it most so far, and its mean activation by class."""

    def __init__(self, units: int, device: torch.device) -> None:
        self.values = torch.full((units, STRONGEST), -1.0, device=device)
        self.images = torch.zeros((units, STRONGEST), dtype=torch.int64, device=device)
        self.sums = torch.zeros((CLASSES, units), dtype=torch.float64, device=device)

    def add(self, values: Tensor, labels: Tensor, start: int) -> None:
        """Add the activations (B, U) of the images from `start` on, of classes `labels` (B,)."""
        images = torch.arange(start, start + len(values), device=values.device).expand(values.shape[1], -1)
        self.values, best = torch.cat((self.values, values.T), dim=1).topk(STRONGEST)
        self.images = torch.cat((self.images, images), dim=1).gather(1, best)
        self.sums.index_add_(0, labels, values.double())


class UnitSurvey:
    """One pass over a split. It can be interrupted after any batch and resumed later."""

    def __init__(self, loaded: LoadedNetwork, split: Split) -> None:
        self._network, self._split = inference_network(loaded.model), split
        self._size = evaluation_batch(loaded.device.type, loaded.model.architecture.channels)
        self._layers = {layer: _Strongest(len(unit_weights(loaded, layer)), loaded.device) for layer in UNIT_LAYERS}
        self._counts = torch.bincount(split.labels, minlength=CLASSES).double()
        self.logits = torch.empty((len(split), CLASSES), device=loaded.device)
        self.done = 0
        """Number of images so far."""

    def finish(self, name: str) -> Generator[BatchEvaluated, None, None]:
        """Do the remaining work, with an event after each batch; `name` is the split's."""
        while self.done < len(self._split):
            self._advance()
            yield BatchEvaluated(split=name, done=self.done, total=len(self._split))

    def _advance(self) -> None:
        start, end = self.done, min(self.done + self._size, len(self._split))
        with torch.inference_mode():
            *outputs, logits = layer_outputs(self._network, self._split.images[start:end])
            for layer, found in zip(self._layers.values(), outputs, strict=True):
                layer.add(per_unit(found), self._split.labels[start:end], start)
            self.logits[start:end] = logits
        self.done = end

    def strongest(self, layer: UnitLayerName) -> tuple[Tensor, Tensor]:
        """Once finished: for each unit, the nine highest activations, descending, and their images' indices, (U, 9).

        Where fewer images excite a unit at all, the others have activation 0 or less.
        """
        found = self._layers[layer]
        return found.values, found.images

    def digits(self, layer: UnitLayerName, unit: int) -> tuple[UnitDigit, ...]:
        """Once finished: the images that excite a unit most, descending."""
        values, images = (each[unit].tolist() for each in self.strongest(layer))
        return tuple(
            UnitDigit(index=index, actual=int(self._split.labels[index]), activation=value)
            for value, index in zip(values, images, strict=True)
            if value > 0
        )

    def responses(self, layer: UnitLayerName, unit: int) -> tuple[float, ...]:
        """Once finished: the mean activation of a unit over the images of each class; NaN for a class without."""
        found: list[float] = (self._layers[layer].sums[:, unit] / self._counts).tolist()
        return tuple(found)


@lru_cache(maxsize=2)
def unit_survey_of(loaded: LoadedNetwork, split: Split) -> UnitSurvey:
    """The survey of `loaded` on `split`, cached with its progress as long as both are the same objects."""
    return UnitSurvey(loaded, split)


class _Without(NamedTuple):
    """What is summed up over a split without a unit."""

    change: Tensor
    """(10,) float64."""
    correct: int
    changed: int


def ablate(
    loaded: LoadedNetwork, split: Split, layer: UnitLayerName, unit: int, logits: Tensor
) -> Generator[Event, None, Ablation]:
    """What the network loses if a unit is zero after its ReLU, over `split`, with progress after each batch.

    `logits` (N, 10) are those of the whole network.
    """
    first, rest = parts(inference_network(loaded.model), layer)
    size, done = evaluation_batch(loaded.device.type, loaded.model.architecture.channels), 0
    total = _Without(torch.zeros(CLASSES, dtype=torch.float64, device=loaded.device), 0, 0)
    for images in torch.split(split.images, size):
        with torch.inference_mode():
            outputs = first(images)
            outputs[:, unit] = 0  # ReLU leaves it so
            found = rest(outputs)
            before, labels = logits[done : done + len(images)], split.labels[done : done + len(images)]
            answers = found.argmax(dim=1)
            total = _Without(
                total.change + (found.double() - before.double()).sum(dim=0),
                total.correct + int((answers == labels).sum()),
                total.changed + int((answers != before.argmax(dim=1)).sum()),
            )
        done += len(images)
        yield WorkAdvanced(words=f"without unit {unit} of {layer}", done=done, total=len(split))
    return Ablation(
        logits=tuple((total.change / len(split)).tolist()),
        accuracy=(logits.argmax(dim=1) == split.labels).double().mean().item(),
        accuracy_without=total.correct / len(split),
        changed=total.changed,
    )
