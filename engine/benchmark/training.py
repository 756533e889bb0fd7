"""The notebook's training loop and the engine's, by phase: training steps, evaluation, the whole epoch.

The notebook's side is all its own: its network and loop, a DataLoader over torchvision's MNIST with ToTensor, plain
Adam, one `.item()` a step. It runs with the most generous limits that glibc's allocator adapts to by itself; the engine
runs with the limits that the program sets.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, random_split

from engine.benchmark import notebook
from engine.benchmark.effort import VARIANTS, Effort
from engine.benchmark.events import REACHED, Measurement
from engine.benchmark.machine import best_rate, precisions
from engine.benchmark.timing import as_others_do, synchronise
from engine.data.datasets import MNIST_SHA256, Dataset, load_mnist_file
from engine.inspection.layers import layer_summaries
from engine.network.model import seeded_cnn
from engine.network.requests import PrecisionName
from engine.paths import asset
from engine.training.events import BatchTrained
from engine.training.loop import prepared, train
from engine.training.requests import Train
from engine.training.state import TrainingState

Pair = tuple[Tensor, Tensor]
Sets = tuple[Subset[Pair], Subset[Pair], Subset[Pair]]

WHOLE, BATCH = 50_000, 64
"""The notebook's training images and batch size."""
EVALUATED = 20_000
"""Its validation and test images."""
STEP = "training step of 64 images"
PARTS = (50_000, 25_000, 10_000, 5_000, 2_500, 1_000)
"""How many training images an epoch is measured on: as many as the time allows."""


class Phases(NamedTuple):
    """Seconds of the two parts of an epoch."""

    training: float
    evaluation: float


class _Clocked:
    """A loader that notes when it is first asked, and puts each batch on a device, as the notebook does."""

    def __init__(self, loader: DataLoader[Pair], device: torch.device) -> None:
        self.began = 0.0
        self._loader, self._device = loader, device

    def __iter__(self) -> Iterator[Pair]:
        synchronise(self._device)
        self.began = perf_counter()
        for images, labels in self._loader:
            yield images.to(self._device), labels.to(self._device)


def notebooks_sets() -> Sets:
    """The notebook's data sets of 50,000, 10,000 and 10,000 images, by torchvision from the bundled files."""
    import torchvision

    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for name in MNIST_SHA256:
            load_mnist_file(name, asset("mnist"), raw)
        both = [
            torchvision.datasets.MNIST(folder, train=train, transform=torchvision.transforms.ToTensor())
            for train in (True, False)
        ]
    train_data, val_data = random_split(both[0], [WHOLE, EVALUATED // 2])
    return train_data, val_data, Subset(both[1], range(EVALUATED // 2))


def notebooks_epoch(sets: Sets, batch_norm: bool, images: int, device: torch.device) -> Phases:
    """An epoch of the notebook on the first `images` training images and as large a part of the others."""
    sizes = (images, images // 5, images // 5)
    train_loader, val_loader, test_loader = (
        _Clocked(DataLoader(Subset(data, range(size)), batch_size=BATCH, shuffle=shuffle), device)
        for data, size, shuffle in zip(sets, sizes, (True, True, False), strict=True)
    )
    with as_others_do(device):
        model = notebook.network(batch_norm).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
        notebook.train(train_loader, val_loader, test_loader, model, optimizer, nn.CrossEntropyLoss(), 1)
        synchronise(device)
        ended = perf_counter()
    return Phases(val_loader.began - train_loader.began, ended - val_loader.began)


def our_epoch(data: Dataset, batch_norm: bool, images: int, precision: PrecisionName, device: torch.device) -> Phases:
    """The same of the engine, from the first step to the event that reports the epoch."""
    # A run sets the number of threads, which must stay that of the notebook's turns.
    threads = torch.get_num_threads()
    request = Train(
        batch_norm=batch_norm,
        epochs=1,
        precision=precision,
        device=str(device),
        batch_size=BATCH,
        threads=threads,
        train_size=images,
        insides=False,  # the notebook does not look at them
    )
    sizes = {"train": images, "val": images // 5, "test": images // 5}
    part = dataclasses.replace(data, **{name: getattr(data, name).first(size) for name, size in sizes.items()})
    state = TrainingState.fresh(request, device)
    chunks = prepared(request, part, state)  # on a GPU: a warm-up and a capture, once a run
    synchronise(device)
    began = trained = perf_counter()
    for event in train(request, part, state, chunks):
        if isinstance(event, BatchTrained):
            trained = perf_counter()
    synchronise(device)
    return Phases(trained - began, perf_counter() - trained)


def step_operations() -> float:
    """Floating-point operations of a training step of 64 images: two for each multiply-add; batch norm does not count.

    The backward pass has two products for each of the forward pass, but none for the gradient of the images.
    """
    layers = layer_summaries(seeded_cnn(Train(), 0))
    weighted = {each.name: each.multiply_adds for each in layers if each.name.startswith(("conv", "fc"))}
    return 2.0 * BATCH * (3 * sum(weighted.values()) - weighted["conv1"])


def measure_training(
    variant: str, sets: Sets, data: Dataset, rates: list[Measurement], effort: Effort
) -> Generator[float, None, list[Measurement]]:
    """The rows of one variant: each phase in each precision, and the share of the machine's rate that a step reaches.

    The device is that of `data`; `rates` are the machine's.
    """
    device = data.train.labels.device
    batch_norm, names = bool(VARIANTS[variant]), list(precisions(device))

    def one_round(images: int) -> Iterator[tuple[str, Phases]]:
        yield "notebook", notebooks_epoch(sets, batch_norm, images, device)
        for name in names:
            yield name, our_epoch(data, batch_norm, images, name, device)

    began = perf_counter()
    tried = sum(sum(phases) for _, phases in one_round(PARTS[-1]))  # this also warms everything up
    images = effort.part(effort.training, tried * WHOLE / PARTS[-1], PARTS)
    found: dict[str, list[Phases]] = {name: [] for name in ("notebook", *names)}
    for number in range(effort.least):
        for done, (name, phases) in enumerate(one_round(images), 1):
            found[name].append(phases)
            yield (number + done / len(found)) / effort.least
        if effort.spent(effort.training, began):
            break
    rows: list[Measurement] = []
    for name in names:
        rows += _rows(variant, name, images, found["notebook"], found[name])
        best = best_rate(rates, name)
        reached = [step_operations() * steps(images) / 1e9 / each.training for each in found[name]]
        rows.append(
            Measurement.of(
                "machine",
                REACHED,
                "%",
                [100 * rate / best for rate in reached],
                variant=variant,
                precision=name,
                note=f"of the best rate, {best:,.0f} GFLOP/s",
            )
        )
    return rows


def steps(images: int) -> int:
    """Number of the notebook's steps of an epoch over `images` images."""
    return -(-images // BATCH)


def _rows(variant: str, precision: str, images: int, theirs: list[Phases], ours: list[Phases]) -> Iterator[Measurement]:
    whole = WHOLE / images
    scaled = "" if images == WHOLE else f"scaled up from {images:,} of {WHOLE:,} images"
    phases = (
        (
            STEP,
            "ms",
            1000 / steps(images),
            [[p.training for p in s] for s in (ours, theirs)],
            "",
        ),
        ("evaluation of 20,000 images", "s", whole, [[p.evaluation for p in s] for s in (ours, theirs)], scaled),
        ("whole epoch", "s", whole, [[sum(p) for p in s] for s in (ours, theirs)], scaled),
    )
    for name, unit, scale, (own, peers), note in phases:
        yield Measurement.of(
            "training",
            name,
            unit,  # type: ignore[arg-type]
            own,
            peers,
            scale=scale,
            variant=variant,
            precision=precision,
            peer="notebook",
            note=note,
        )
