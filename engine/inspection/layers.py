"""The notebook's sections 1.3 to 1.5: shapes, parameters and neurons of each layer, measured on the network itself."""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path

import torch
from torch import nn

from engine.event import Event
from engine.geometry import IMAGE_SIZE, POOL, Field
from engine.inspection.events import LayerSummary, NetworkSummarised
from engine.inspection.loaded import open_network
from engine.inspection.requests import Summarise
from engine.network.devices import threads_set
from engine.network.model import CNN
from engine.network.pooling import MaxPool

_NAMES: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.BatchNorm2d: "batch_norm",
    nn.BatchNorm1d: "batch_norm",
    MaxPool: "maxpool",
    nn.Linear: "fc",
}
"""The layers in the notebook's table. ReLU and flattening have nothing to count."""


def layer_summaries(model: CNN) -> tuple[LayerSummary, ...]:
    """Each layer with its input and output shapes, measured by running `model` on one image."""
    summaries, counts = [], dict.fromkeys(_NAMES.values(), 0)
    field = Field(1, 1, 0)
    with threads_set(1), torch.inference_mode():
        x = next(model.parameters()).new_zeros(1, model.architecture.in_channels, IMAGE_SIZE, IMAGE_SIZE)
        for layer in (*model.conv1, *model.conv2, *model.fc):
            before, x = x, layer(x)
            if type(layer) not in _NAMES:
                continue
            name = _NAMES[type(layer)]
            counts[name] += 1
            outputs = math.prod(x.shape[1:])
            multiply_adds = 0
            match layer:
                case nn.Conv2d():
                    multiply_adds = outputs * math.prod(layer.weight.shape[1:])
                    field = field.then(layer.kernel_size[0], layer.stride[0], int(layer.padding[0]))
                case MaxPool():
                    field = field.then(POOL, POOL)
                case nn.Linear():
                    multiply_adds = layer.weight.numel()
                    field = Field(IMAGE_SIZE, 1, 0)  # every neuron depends on the whole image
                case _:
                    multiply_adds = outputs  # batch norm: one for each output
            summaries.append(
                LayerSummary(
                    name=f"{name}{counts[name]}",
                    input_shape=tuple(before.shape[1:]),
                    output_shape=tuple(x.shape[1:]),
                    parameters=sum(p.numel() for p in layer.parameters()),
                    running_statistics=sum(b.numel() for b in layer.buffers() if b.is_floating_point()),
                    neurons=outputs if isinstance(layer, nn.Conv2d | nn.Linear) else 0,
                    multiply_adds=multiply_adds,
                    receptive_field=min(field.side, IMAGE_SIZE),
                )
            )
    return tuple(summaries)


def summarise(request: Summarise, root: Path) -> Generator[Event, None, None]:
    """The layers of a network and the notebook's totals; raises RequestError where the network does not exist."""
    loaded = yield from open_network(request, root)
    layers = layer_summaries(loaded.model)

    def total(field: str, wanted: tuple[str, ...] = ("conv", "fc", "maxpool", "batch_norm")) -> int:
        return sum(getattr(layer, field) for layer in layers if layer.name.rstrip("0123456789") in wanted)

    convolutional = sum(p.numel() for block in (loaded.model.conv1, loaded.model.conv2) for p in block.parameters())
    fully_connected = sum(p.numel() for p in loaded.model.fc.parameters())
    yield NetworkSummarised(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        layers=layers,
        conv_parameters=convolutional,
        fc_parameters=fully_connected,
        total_parameters=convolutional + fully_connected,
        running_statistics=total("running_statistics"),
        conv_neurons=total("neurons", ("conv",)),
        fc_neurons=total("neurons", ("fc",)),
        total_neurons=total("neurons"),
        multiply_adds=total("multiply_adds"),
    )
