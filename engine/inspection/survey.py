"""A network on a whole split, batch by batch: its predictions, and what activates each of its channels."""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.data.datasets import Split
from engine.geometry import CLASSES, Field, block_fields
from engine.inspection.events import Excitation, LayerSurvey
from engine.inspection.loaded import LoadedNetwork
from engine.network.batches import evaluation_batch
from engine.network.model import inference_network, layer_outputs
from engine.training.events import BatchEvaluated

STRONGEST = 9
"""Number of images kept for each channel."""


class _Channels:
    """For each channel of a block, the images with the highest activations so far, and their positions on the map."""

    def __init__(self, channels: int, device: torch.device) -> None:
        self.values = torch.full((channels, STRONGEST), -1.0, device=device)
        self.images = torch.zeros((channels, STRONGEST), dtype=torch.int64, device=device)
        self.places = torch.zeros((channels, STRONGEST), dtype=torch.int64, device=device)
        self.width = 1

    def add(self, maps: Tensor, start: int) -> None:
        """Add the maps (B, C, H, W) of the images from `start` on."""
        self.width = maps.shape[3]
        values, places = maps.flatten(2).max(dim=2)  # (B, C)
        images = torch.arange(start, start + len(maps), device=maps.device).expand(maps.shape[1], -1)
        self.values, best = torch.cat((self.values, values.T), dim=1).topk(STRONGEST)  # (C, 9)
        self.images = torch.cat((self.images, images), dim=1).gather(1, best)
        self.places = torch.cat((self.places, places.T), dim=1).gather(1, best)

    def survey(self, field: Field) -> LayerSurvey:
        rows = zip(self.values.tolist(), self.images.tolist(), self.places.tolist(), strict=True)
        strongest = tuple(
            tuple(
                Excitation(index=image, value=value, row=place // self.width, column=place % self.width)
                for value, image, place in zip(*row, strict=True)
                if value > 0
            )
            for row in rows
        )
        return LayerSurvey(
            dead=tuple(channel for channel, found in enumerate(strongest) if not found),
            strongest=strongest,
            receptive_field=field.side,
            step=field.step,
            start=field.start,
        )


class Survey:
    """One pass over a split. It can be interrupted after any batch and resumed later."""

    def __init__(self, loaded: LoadedNetwork, split: Split) -> None:
        a = loaded.model.architecture
        self._network = inference_network(loaded.model)
        self._split = split
        self._size = evaluation_batch(loaded.device.type, a.channels)
        self._fields = [pooled for _, pooled in block_fields(a.kernel_size, a.stride, a.padding)]
        self._blocks = [_Channels(a.channels, loaded.device) for _ in self._fields]
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
            *maps, _hidden, logits = layer_outputs(self._network, self._split.images[start:end])
            self.logits[start:end] = logits
            for block, found in zip(self._blocks, maps, strict=True):
                block.add(found, start)
        self.done = end

    def loss(self) -> float:
        """Mean cross-entropy in nats, once finished."""
        return cross_entropy(self.logits.double(), self._split.labels).item()

    def layers(self) -> list[LayerSurvey]:
        """What activates the channels of both blocks, once finished."""
        return [block.survey(field) for block, field in zip(self._blocks, self._fields, strict=True)]


@lru_cache(maxsize=2)
def survey_of(loaded: LoadedNetwork, split: Split) -> Survey:
    """The survey of `loaded` on `split`, cached with its progress as long as both are the same objects."""
    return Survey(loaded, split)
