"""The notebook's sections 2.1 and 2.2: the kernels of both convolutions, after the latest or an earlier epoch."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np

from engine.event import Event
from engine.inspection.events import FiltersShown
from engine.inspection.kept_weights import kept_convolutions
from engine.inspection.kernels import kinds_of
from engine.inspection.loaded import LoadedNetwork, open_network
from engine.inspection.requests import ShowFilters
from engine.request import RequestError


def show_filters(request: ShowFilters, root: Path) -> Generator[Event, None, None]:
    """The kernels of one convolution; raises RequestError where the network or epoch does not exist."""
    loaded = yield from open_network(request, root)
    kept = loaded.run.kept_epochs() if loaded.run else ()
    epoch = loaded.epoch if request.epoch < 0 else request.epoch
    epochs = (*kept, loaded.epoch) if loaded.epoch is not None and kept and kept[-1] < loaded.epoch else kept
    weights = _weights(request, loaded, epoch, kept)
    near_zero, one_pixel = kinds_of(weights)
    yield FiltersShown(
        name=loaded.name,
        variant=loaded.variant,
        epoch=epoch,
        layer=request.layer,
        epochs=epochs,
        shape=weights.shape,
        minimum=float(weights.min()),
        maximum=float(weights.max()),
        norms=tuple(np.sqrt((weights.astype(np.float64) ** 2).sum(axis=(1, 2, 3))).tolist()),
        mean_size=float(np.abs(weights.astype(np.float64)).mean()),
        near_zero=near_zero,
        one_pixel=one_pixel,
        weights=weights,
    )


def _weights(request: ShowFilters, loaded: LoadedNetwork, epoch: int | None, kept: tuple[int, ...]) -> np.ndarray:
    key = f"{request.layer}.0.weight"
    if request.epoch < 0 or epoch == loaded.epoch:
        latest: np.ndarray = loaded.model.state_dict()[key].cpu().numpy().copy()
        return latest
    if loaded.run is None or epoch not in kept or epoch is None:
        have = f"it has {kept[0]} to {kept[-1]}" if kept else "it has only the latest"
        raise RequestError(f"{loaded.name} has no filters of epoch {request.epoch}: {have}")
    (tensor,) = kept_convolutions(loaded, loaded.run, epoch, key)
    weights: np.ndarray = tensor.float().numpy()
    return weights
