"""Small jobs that prepare the engine: import PyTorch, choose the device, load the data, open weights."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch

from engine.data.datasets import load
from engine.event import Event
from engine.network.checkpoints import damaged, read_weights
from engine.network.devices import choose_device, device_name
from engine.network.events import EngineLoaded, WeightsOpened
from engine.network.model import count_parameters
from engine.network.pixels import told
from engine.network.requests import OpenWeights, WarmUp


def warm_up(request: WarmUp, _root: Path) -> Generator[Event, None, None]:
    """Load in advance what the first training run needs. Importing this module imports PyTorch."""
    device = choose_device(request.device)
    yield EngineLoaded(device=str(device), device_name=device_name(device), torch=str(torch.__version__))
    yield from load(request.dataset, device)


def open_weights(request: OpenWeights, _root: Path) -> Generator[Event, None, None]:
    """Read a weights file and report what it holds; raises RequestError where it holds no supported network."""
    path = Path(request.path)
    weights = read_weights(path)
    model = weights.model
    yield from told(weights, path.name)
    yield WeightsOpened(
        name=path.name,
        variant=model.architecture.variant,
        parameters=count_parameters(model),
        damaged=damaged(model),
    )
