"""A drawing explained, fast enough to follow each stroke: all from one pass for the drawing and one for the patches."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from engine.attribution.events import DrawingExplained
from engine.attribution.occlusion import network_of
from engine.attribution.patch_sweep import OcclusionNetwork, cover, drop_by_pixel
from engine.attribution.patched_forward import PatchedImage
from engine.attribution.requests import ExplainDrawing
from engine.event import Event
from engine.geometry import IMAGE_SIZE
from engine.inspection.loaded import LoadedNetwork, open_network
from engine.inspection.prepared import placed
from engine.network.devices import threads_set
from engine.request import RequestError

PATCH_SIZE, STRIDE = 7, 3
"""Of the patch, in pixels: its 8x8 positions cover all pixels, and are one batch."""
STRONGEST = 8
"""Number of channels of each block that are reported."""


def explain_drawing(request: ExplainDrawing, root: Path) -> Generator[Event, None, None]:
    """The class of a drawing, the strongest channels of both blocks (section 2.3), and its occlusion map (section 2.4).

    The drawing is prepared as MNIST was, or left as it is. Single precision throughout: unlike `occlude`, nothing is
    computed again in double precision, so probabilities are the network's own up to rounding.

    Raises RequestError where nothing is drawn, or the network does not exist.
    """
    levels = np.frombuffer(request.pixels, np.uint8).reshape(IMAGE_SIZE, IMAGE_SIZE)
    if not levels.any():
        raise RequestError("nothing is drawn: draw a digit first")
    loaded = yield from open_network(request, root)
    if not request.raw:  # as bytes, like MNIST's digits: a drawing that is kept is the same for the network
        levels = np.rint(255 * placed(levels.astype(np.float32) / 255)).astype(np.uint8)
    with threads_set(1):
        explained = _explained(request, loaded, network_of(loaded), levels.astype(np.float32) / 255)
    yield explained


@torch.inference_mode()
def _explained(
    request: ExplainDrawing, loaded: LoadedNetwork, network: OcclusionNetwork, image: np.ndarray
) -> DrawingExplained:
    """`image` (28, 28) in [0, 1], as the network receives it, explained."""
    pixels = torch.from_numpy(image).to(loaded.device, loaded.dtype)[None]  # (1, 28, 28)
    whole = PatchedImage(network.quick or network.exact, pixels)
    answer = int(whole.probabilities.argmax())
    occluded = _occluded(whole, pixels, request.baseline)[:, answer].view(_SIDE, _SIDE)
    drops = whole.probabilities[answer] - occluded
    conv1, conv2 = whole.maps()
    return DrawingExplained(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        files=("drawing",),
        centred=not request.raw,
        inverted=(False,),
        predictions=(answer,),
        probabilities=(tuple(whole.probabilities.tolist()),),
        images=image[None],
        **_strongest("conv1", conv1),
        **_strongest("conv2", conv2),
        baseline=request.baseline,
        patch_size=PATCH_SIZE,
        stride=STRIDE,
        occluded=occluded.float().cpu().numpy(),
        drop=drop_by_pixel(drops[None], PATCH_SIZE, STRIDE)[0].float().cpu().numpy(),
    )


_SIDE = (IMAGE_SIZE - PATCH_SIZE) // STRIDE + 1
"""Positions of the patch along one side."""


def _occluded(whole: PatchedImage, image: Tensor, baseline: str) -> Tensor:
    """Probabilities (positions, 10) of `image` (1, 28, 28) with a patch of `baseline` at each position."""
    covers = cover(image, baseline, 0)
    changes = max_pool2d((image != covers).to(image.dtype)[None], PATCH_SIZE, STRIDE).flatten()
    places = changes.nonzero()[:, 0]
    found = whole.probabilities.repeat(_SIDE**2, 1)
    if len(places):
        patches = covers[:PATCH_SIZE, :PATCH_SIZE].expand(len(places), -1, -1)
        found[places] = whole.patched(patches, places // _SIDE * STRIDE, places % _SIDE * STRIDE)
    return found


def _strongest(block: str, maps: Tensor) -> dict[str, Any]:
    """The strongest of the `maps` (C, H, W) of a block, as fields of the event."""
    means = maps.float().mean(dim=(1, 2)).cpu()
    order = means.argsort(descending=True, stable=True)[:STRONGEST]
    return {
        f"{block}_channels": tuple(order.tolist()),
        f"{block}_strengths": tuple(means[order].tolist()),
        block: maps[order.to(maps.device)].float().cpu().numpy(),
    }
