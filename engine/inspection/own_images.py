"""Predictions for the user's image files."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import torch

from engine.event import Event
from engine.inspection.events import ImagesPredicted
from engine.inspection.image_files import read_image
from engine.inspection.loaded import LoadedNetwork, open_network
from engine.inspection.prepared import centred, dark_on_light, resized
from engine.inspection.requests import Predict
from engine.network.batches import evaluation_batch
from engine.request import RequestError

_IMAGES = (".png", ".jpg", ".jpeg", ".npy")
_USAGE = "mnist-tui predict pretrained:cnn digit.png"


def predict(request: Predict, root: Path) -> Generator[Event, None, None]:
    """The classes of image files, which are prepared as MNIST was, or only resized.

    Raises RequestError where no image is named, or one cannot be read, or the network does not exist.
    """
    if request.what.lower().endswith(_IMAGES):
        raise RequestError(f"name a network before the images: {_USAGE}")
    if not request.images:
        raise RequestError(f"name one or more images after the network: {_USAGE}")
    images, inverted = [], []
    for name in request.images:
        image = read_image(name)
        images.append(resized(image) if request.raw else centred(image))
        inverted.append(not request.raw and dark_on_light(image))
    loaded = yield from open_network(request, root)
    yield _predicted(loaded, request.images, np.stack(images), inverted, centred=not request.raw)


def _predicted(
    loaded: LoadedNetwork, files: tuple[str, ...], images: np.ndarray, inverted: list[bool], *, centred: bool
) -> ImagesPredicted:
    """What `loaded` says of images (n, 28, 28), as they are given."""
    probabilities = _probabilities(loaded, images)
    return ImagesPredicted(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        files=files,
        centred=centred,
        inverted=tuple(inverted),
        predictions=tuple(probabilities.argmax(dim=1).tolist()),
        probabilities=tuple(tuple(row) for row in probabilities.tolist()),
        images=images,
    )


def _probabilities(loaded: LoadedNetwork, images: np.ndarray) -> torch.Tensor:
    """The probabilities (n, 10) of images (n, 28, 28), in batches."""
    tensors = torch.from_numpy(images).unsqueeze(1).to(loaded.device, loaded.dtype)  # (n, 1, 28, 28)
    size = evaluation_batch(loaded.device.type, loaded.model.architecture.channels)
    with torch.inference_mode():
        return torch.cat([loaded.model.probabilities(batch) for batch in torch.split(tensors, size)])
