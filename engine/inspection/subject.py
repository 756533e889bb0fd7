"""The network that a request names, and the images that it is asked about."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from engine.checkpoints import load_weights
from engine.data import Dataset, Split, load
from engine.devices import choose_device
from engine.events import Event
from engine.model import CNN
from engine.requests import DatasetName, Inspect, InspectImages
from engine.runs import RunFolder, find_network


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, and what is known of it. One object as long as its file stays the same."""

    model: CNN
    """In evaluation mode, on its device."""
    name: str
    variant: str
    epoch: int | None
    """Epochs trained; None where the file does not say."""
    dataset: DatasetName
    """What it was trained on, as far as known."""
    run: RunFolder | None
    """None for a weights file."""

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device


@lru_cache(maxsize=4)
def _read(path: Path, run: Path | None, device: torch.device, _version: tuple[int, ...]) -> Subject:
    model = load_weights(path).to(device).eval()
    if run is None:
        return Subject(model, path.name, model.architecture.variant, None, "mnist", None)
    folder = RunFolder(run)
    name = folder.what if folder.bundled else folder.name
    request, epoch = folder.read_record().request, len(folder.history().epochs)
    return Subject(model, name, model.architecture.variant, epoch, request.dataset, folder)


def find_subject(request: Inspect, root: Path) -> Subject:
    """The network of `request`; of a run the latest weights.

    It is kept in memory until its file changes. Raises RequestError where there is none or it is not one of ours.
    """
    found = find_network(request.what, root)
    version: tuple[int, ...] = ()
    path = found.model_file if isinstance(found, RunFolder) else found
    try:
        status = path.stat()
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
    except OSError:
        pass  # to read it will say why
    return _read(path, found.path if isinstance(found, RunFolder) else None, choose_device(request.device), version)


def find_images(request: InspectImages, subject: Subject) -> Generator[Event, None, tuple[str, Split]]:
    """The name of the data set and the split of it that `request` asks for, on the device of the network.

    A generator, since the data set may have to be downloaded. Raises RequestError where it cannot be had.
    """
    name = subject.dataset if request.dataset == "auto" else request.dataset
    data: Dataset = yield from load(name, subject.device)
    return name, {"train": data.train, "val": data.val, "test": data.test}[request.split]
