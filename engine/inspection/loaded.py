"""The network that a request names, and the images of its split."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from engine.data.datasets import Dataset, Split, load, load_drawings
from engine.data.requests import DatasetName, SplitName
from engine.event import Event
from engine.inspection.requests import InspectImages
from engine.network.checkpoints import read_weights
from engine.network.devices import choose_device
from engine.network.events import WeightsRead
from engine.network.model import CNN
from engine.network.requests import Inspect, Reading
from engine.paths import stamp
from engine.request import RequestError
from engine.runs.finding import find_network
from engine.runs.folder import RunFolder
from engine.words import shown


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network and its metadata. The same object as long as its file does not change."""

    model: CNN
    """In evaluation mode, on its device."""
    name: str
    variant: str
    epoch: int | None
    """Number of epochs trained; None where the file does not record it."""
    dataset: DatasetName
    """The data set that it was trained on; mnist if that is not known."""
    run: RunFolder | None
    """None for a weights file."""
    foreign: tuple[str, ...] | None = None
    """For a third-party weights file, which does not describe its network: how it was read, a line each; else None."""

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The data type of its weights."""
        return next(self.model.parameters()).dtype


@lru_cache(maxsize=8)  # as many as one measurement compares
def _read(
    path: Path, run: Path | None, device: torch.device, reading: Reading, _version: tuple[int, ...]
) -> LoadedNetwork:
    weights = read_weights(path, reading)
    model = weights.model.to(device)
    if run is None:
        foreign = None if weights.ours else weights.notes
        return LoadedNetwork(model, shown(path.name), model.architecture.variant, None, "mnist", None, foreign)
    folder = RunFolder(run)
    name = folder.what if folder.bundled else shown(folder.path.absolute().name)
    request, epoch = folder.read_record().request, folder.history().epoch
    return LoadedNetwork(model, name, model.architecture.variant, epoch, request.dataset, folder)


def open_network(request: Inspect, root: Path) -> Generator[Event, None, LoadedNetwork]:
    """As `load_network`, but first reports how a third-party weights file was read."""
    loaded = load_network(request, root)
    if loaded.foreign:
        yield WeightsRead(name=loaded.name, notes=loaded.foreign)
    return loaded


def load_network(request: Inspect, root: Path) -> LoadedNetwork:
    """The network of `request`; for a run, its latest weights.

    It is cached until its files change. Raises RequestError where it does not exist or is not a supported network.
    """
    found = find_network(request.what, root)
    device = choose_device(request.device)
    if isinstance(found, RunFolder):
        # A run's weights are replaced shortly before its events record their epoch, so both count as the version.
        version = stamp(found.model_file) + stamp(found.events_file)
        return _read(found.model_file, found.path, device, request.reading, version)
    return _read(found, None, device, request.reading, stamp(found))


def open_networks(
    request: Inspect, others: Sequence[str], why: str, root: Path
) -> Generator[Event, None, list[LoadedNetwork]]:
    """The network of `request`, and the networks named by `others` on the same device, read without its settings.

    Raises RequestError where one does not exist, and where two have the same name: `why` explains why not.
    """
    networks = [(yield from open_network(request, root))]
    for what in others:
        networks.append((yield from open_network(Inspect(what=what, device=request.device), root)))
    if len({loaded.name for loaded in networks}) < len(networks):
        raise RequestError(f"name each network once: {why}")
    return networks


def find_images(request: InspectImages, loaded: LoadedNetwork, root: Path) -> Generator[Event, None, tuple[str, Split]]:
    """The name of the data set and its split that `request` asks for, on the device of the network.

    A generator, since the data set may have to be downloaded. The drawings, which have one split, are in `root`, the
    folder of all runs. Raises RequestError where the data set or the split is not available.
    """
    if request.dataset == "drawings":
        if request.split != "test":
            raise RequestError(f"the drawings have no {request.split} split: all of them are in test")
        return "drawings", load_drawings(root, loaded.device)
    name = loaded.dataset if request.dataset == "auto" else request.dataset
    return name, (yield from find_split(name, request.split, loaded.device))


def find_split(dataset: DatasetName, split: SplitName, device: torch.device) -> Generator[Event, None, Split]:
    """A split of a data set on `device`; a generator, and raises RequestError, as `find_images`."""
    data: Dataset = yield from load(dataset, device)
    return {"train": data.train, "val": data.val, "test": data.test}[split]
