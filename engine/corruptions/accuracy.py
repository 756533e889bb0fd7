"""What networks recognise of corrupted images: one digit under each corruption, and accuracy over many."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.corruptions.events import CorruptionMeasured, CorruptionsAdvanced, CorruptionsMeasured, DigitCorrupted
from engine.corruptions.images import corrupted
from engine.corruptions.requests import CLEAN, CORRUPTIONS, MeasureCorruptions, ShowCorruptions
from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.inspection.intervals import wilson
from engine.inspection.loaded import LoadedNetwork, find_images, open_networks
from engine.inspection.predictions import check_index
from engine.network.batches import EVALUATION_BATCH
from engine.network.model import inference_network

UNCLEAR = "accuracies with the same name cannot be told apart"


def show_corruptions(request: ShowCorruptions, root: Path) -> Generator[Event, None, None]:
    """One digit under each corruption, and what the network and the others take it for.

    Raises RequestError where a network, the data set or the digit does not exist.
    """
    networks = yield from open_networks(request, request.others, UNCLEAR, root)
    dataset, split = yield from find_images(request, networks[0], root)
    check_index(request.index, split, request.images_name)
    yield DigitCorrupted(**_digit(request, networks, dataset, split))


def measure_corruptions(request: MeasureCorruptions, root: Path) -> Generator[Event, None, None]:
    """The accuracy of the network and the others under each corruption, updated batch by batch.

    At the end each accuracy, then all together with one digit as an example. Raises RequestError where a network, the
    data set or the digit does not exist.
    """
    networks = yield from open_networks(request, request.others, UNCLEAR, root)
    dataset, split = yield from find_images(request, networks[0], root)
    check_index(request.index, split, request.images_name)
    work = _Measurement(request, networks, split)
    digit = _digit(request, networks, dataset, split)
    words = f"{work.asked:,} digits, {len(request.names)} of {len(CORRUPTIONS)} corruptions"
    for done, total in work.finish():
        if done % len(work.names) == 0 and done < total:
            yield CorruptionsAdvanced(**digit, asked=work.asked, points=work.points())
        yield WorkAdvanced(words=words, done=done, total=total)
    points = work.points()
    yield from points
    yield CorruptionsMeasured(**digit, asked=work.asked, points=points)


class _Measurement:
    """The numbers of images that each network classifies correctly, batch by batch."""

    def __init__(self, request: MeasureCorruptions, networks: list[LoadedNetwork], split: Split) -> None:
        self._networks, self._split, self._seed = networks, split, request.seed
        self._models = [inference_network(loaded.model) for loaded in networks]
        self.names = (CLEAN, *request.names)
        self.asked = min(request.count, len(split))
        self._done = 0
        """Number of images that all corruptions cover."""
        self._correct = [[0] * len(self.names) for _ in networks]

    def finish(self) -> Iterator[tuple[int, int]]:
        """Do the work; yields (done, total) after each corruption of a batch."""
        batches = range(0, self.asked, EVALUATION_BATCH)
        total = len(batches) * len(self.names)
        for number, first in enumerate(batches):
            indices = range(first, min(first + EVALUATION_BATCH, self.asked))
            labels = self._split.labels[first : indices.stop]
            images = self._split.images[first : indices.stop].cpu()
            right: list[Tensor] = []
            for place, name in enumerate(self.names, start=1):
                shown = corrupted(name, images, indices, self._seed).to(labels.device)
                with torch.inference_mode():
                    answers = torch.stack([model(shown).argmax(dim=1) for model in self._models])
                right.append((answers == labels).sum(dim=1))
                if place == len(self.names):
                    self._add(torch.stack(right, dim=1), indices.stop)
                yield number * len(self.names) + place, total

    def _add(self, right: Tensor, done: int) -> None:
        """Count a batch, of which all corruptions count together, so that accuracies always cover the same images."""
        batch = right.tolist()  # (networks, corruptions)
        self._correct = [list(map(sum, zip(*both, strict=True))) for both in zip(self._correct, batch, strict=True)]
        self._done = done

    def points(self) -> tuple[CorruptionMeasured, ...]:
        """The accuracies over the images so far."""
        return tuple(
            self._point(loaded.name, name, correct)
            for loaded, row in zip(self._networks, self._correct, strict=True)
            for name, correct in zip(self.names, row, strict=True)
        )

    def _point(self, network: str, name: str, correct: int) -> CorruptionMeasured:
        low, high = wilson(correct, self._done)
        return CorruptionMeasured(
            name=name,
            network=network,
            count=self._done,
            correct=correct,
            accuracy=correct / self._done,
            low=low,
            high=high,
        )


def _digit(
    request: ShowCorruptions | MeasureCorruptions, networks: list[LoadedNetwork], dataset: str, split: Split
) -> dict[str, Any]:
    """The fields of a DigitCorrupted."""
    main, index = networks[0], request.index
    names = (CLEAN, *request.names)
    image = split.images[index : index + 1].cpu()
    images = torch.cat([corrupted(name, image, (index,), request.seed) for name in names])
    shown = images.to(split.images.device)
    with torch.inference_mode():
        probabilities = torch.stack([loaded.model.probabilities(shown) for loaded in networks])
    return {
        "name": main.name,
        "variant": main.variant,
        "epoch": main.epoch,
        "dataset": dataset,
        "split": request.split,
        "index": index,
        "count": len(split),
        "actual": int(split.labels[index]),
        "seed": request.seed,
        "networks": tuple(loaded.name for loaded in networks),
        "corruptions": names,
        "predicted": tuple(map(tuple, probabilities.argmax(dim=2).tolist())),
        "probabilities": probabilities.float().cpu().numpy(),
        "images": images[:, 0].numpy(),
    }
