"""The notebook's section 2.4, `occlusion_fixed`: the probability of a class with a patch at each position on an image.

The numbers are the notebook's; `patch_sweep.py` computes them. In addition: whether the drops are at the strokes, and
the mean map of a class.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
from torch import Tensor

from engine.attribution.events import ClassOcclusionReady, OcclusionMapAdvanced, OcclusionMapReady, StrokeShare
from engine.attribution.patch_sweep import OcclusionNetwork, OcclusionSweep, cover
from engine.attribution.requests import Occlude, WatchedClass
from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.geometry import IMAGE_SIZE
from engine.inspection.loaded import LoadedNetwork, find_images, open_network
from engine.inspection.predictions import check_index

STROKE = 0.5
"""Pixels brighter than this are part of a stroke."""

NO_DROP = 1e-6
"""A smaller drop in probability is considered rounding."""


@lru_cache(maxsize=2)
def network_of(loaded: LoadedNetwork) -> OcclusionNetwork:
    """The network of `loaded` prepared for occlusion; cached."""
    return OcclusionNetwork(loaded.model)


def over_strokes(image: np.ndarray, patch_size: int, stride: int) -> np.ndarray:
    """Where a patch covers a stroke of `image` (28, 28): (rows, columns) bool."""
    windows = np.lib.stride_tricks.sliding_window_view(image > STROKE, (patch_size, patch_size))
    return np.asarray(windows[::stride, ::stride].any(axis=(2, 3)))


def drop_sums(drops: np.ndarray, over: np.ndarray) -> tuple[float, float]:
    """The sum of `drops` (rows, columns) where `over` (rows, columns) is true, and of all drops.

    Rises and rounding errors do not count.
    """
    falls = np.where(drops > NO_DROP, drops, 0.0)
    return float(falls[over].sum()), float(falls.sum())


def share(part: float, whole: float) -> float:
    """`part` / `whole`, from 0 to 1; NaN where `whole` is 0."""
    return part / whole if whole > 0 else np.nan


def watched_class(watch: WatchedClass, actual: int, unoccluded: Tensor) -> int:
    """The class that `watch` refers to, for an image of class `actual` with probabilities `unoccluded` (10,)."""
    if watch == "true":
        return actual
    return int(unoccluded.argmax()) if watch == "predicted" else int(watch)


def occlude(request: Occlude, root: Path) -> Generator[Event, None, None]:
    """The occlusion map of one image as it grows; with `average`, then the mean map of its class.

    Raises RequestError where the network, data set or image does not exist.
    """
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    check_index(request.index, split, request.images_name)
    network, began = network_of(loaded), perf_counter()
    image, actual = split.images[request.index], int(split.labels[request.index])
    covers = cover(image, request.baseline, request.seed)
    sweep = OcclusionSweep(network, image, covers, request.patch_size, request.stride, exact=request.exact)
    watched = watched_class(request.watch, actual, sweep.unoccluded)
    pixels = image[0].cpu().numpy().copy()  # otherwise it shares the data set's memory
    known: dict[str, Any] = {
        "name": loaded.name,
        "variant": loaded.variant,
        "epoch": loaded.epoch,
        "dataset": dataset,
        "split": request.split,
        "index": request.index,
        "count": len(split),
        "actual": actual,
        "predicted": int(sweep.unoccluded.argmax()),
        "watched": watched,
        "unoccluded_probability": sweep.unoccluded[watched].item(),
        "image": pixels,
        "patch_size": request.patch_size,
        "stride": request.stride,
        "baseline": request.baseline,
        "covers": covers.cpu().numpy().copy(),
        "unoccluded": sweep.unoccluded.float().cpu().numpy(),
    }
    seconds = 0.0
    for _ in sweep.finish():
        seconds += perf_counter() - began
        yield OcclusionMapAdvanced(**known, **_maps(sweep, watched))
        began = perf_counter()
    maps = _maps(sweep, watched)
    seconds += perf_counter() - began
    probabilities = maps["probabilities"]
    least = int(np.where(np.isnan(probabilities), np.inf, probabilities).argmin())
    most = int(np.where(np.isnan(probabilities), -np.inf, probabilities).argmax())
    over = over_strokes(pixels, request.patch_size, request.stride)
    drops = (sweep.unoccluded[watched] - sweep.map()[..., watched]).cpu().numpy()
    yield OcclusionMapReady(
        **known,
        **maps,
        minimum=float(probabilities.flat[least]),
        minimum_at=(least // sweep.side * request.stride, least % sweep.side * request.stride),
        maximum=float(probabilities.flat[most]),
        maximum_at=(most // sweep.side * request.stride, most % sweep.side * request.stride),
        strokes=StrokeShare(positions=float(over.mean()), drop=share(*drop_sums(drops, over))),
        computed=sweep.computed,
        seconds=seconds,
    )
    if request.average:
        yield from _average(request, loaded, dataset, split, actual)


def _maps(sweep: OcclusionSweep, watched: int) -> dict[str, Any]:
    """The arrays of an OcclusionMap, as far as `sweep` has computed them."""
    maps = sweep.map().cpu().numpy()  # (rows, columns, 10)
    winners = np.where(np.isnan(maps[..., 0]), -1, maps.argmax(axis=-1))
    return {
        "probabilities": maps[..., watched].astype(np.float32),
        "winners": winners,
        "all_probabilities": maps.astype(np.float32),
    }


class ClassOcclusion:
    """The sum of the maps of the first images of one class. The work can be resumed after any image."""

    def __init__(self, network: OcclusionNetwork, split: Split, digit: int, settings: Occlude) -> None:
        indices = (split.labels == digit).nonzero()[:, 0].tolist()
        self.matching = len(indices)
        self.indices = indices[: settings.average]
        self.done = 0
        """Number of images so far."""
        self._network, self._split, self._digit, self._settings = network, split, digit, settings
        side = (IMAGE_SIZE - settings.patch_size) // settings.stride + 1
        self._sum, self._squares, self._changed = (np.zeros((side, side)) for _ in range(3))
        self._image, self._unoccluded = np.zeros((IMAGE_SIZE, IMAGE_SIZE)), 0.0
        self._over, self._drops = 0.0, np.zeros(2)

    def finish(self) -> Iterator[int]:
        """Do the remaining work; yields the number of images done after each."""
        while self.done < len(self.indices):
            self._add(self._split.images[self.indices[self.done]])
            self.done += 1
            yield self.done

    def _add(self, image: Tensor) -> None:
        s = self._settings
        covers = cover(image, s.baseline, s.seed)
        sweep = OcclusionSweep(self._network, image, covers, s.patch_size, s.stride, exact=s.exact)
        for _ in sweep.finish():
            pass
        watched = watched_class(s.watch, self._digit, sweep.unoccluded)
        maps, pixels = sweep.map().cpu().numpy(), image[0].cpu().numpy()
        probabilities, unoccluded = maps[..., watched], sweep.unoccluded[watched].item()
        self._sum += probabilities
        self._squares += probabilities**2
        self._changed += maps.argmax(axis=-1) != int(sweep.unoccluded.argmax())
        self._image += pixels
        self._unoccluded += unoccluded
        over = over_strokes(pixels, s.patch_size, s.stride)
        self._over += float(over.mean())
        self._drops += drop_sums(unoccluded - probabilities, over)

    def means(self) -> dict[str, Any]:
        """The averages over the images done so far, at least one, as fields of a ClassOcclusionReady."""
        n, mean = self.done, self._sum / self.done
        deviation = np.sqrt(np.maximum(self._squares / n - mean**2, 0) * (n / max(1, n - 1)))
        return {
            "averaged": n,
            "matching": self.matching,
            "unoccluded_probability": self._unoccluded / n,
            "strokes": StrokeShare(positions=self._over / n, drop=share(*self._drops.tolist())),
            "mean_image": (self._image / n).astype(np.float32),
            "mean_probabilities": mean.astype(np.float32),
            "deviation": deviation.astype(np.float32),
            "changed": (self._changed / n).astype(np.float32),
        }


@lru_cache(maxsize=2)
def _class_occlusion(network: OcclusionNetwork, split: Split, digit: int, settings: Occlude) -> ClassOcclusion:
    return ClassOcclusion(network, split, digit, settings)


def _average(
    request: Occlude, loaded: LoadedNetwork, dataset: str, split: Split, digit: int
) -> Generator[Event, None, None]:
    # The sum is the same for all images of the class, and is resumed where an earlier request left it.
    work = _class_occlusion(network_of(loaded), split, digit, msgspec.structs.replace(request, index=0))
    for done in work.finish():
        yield WorkAdvanced(words=f"mean map of {digit}", done=done, total=len(work.indices))
    yield ClassOcclusionReady(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        dataset=dataset,
        split=request.split,
        digit=digit,
        watch=request.watch,
        patch_size=request.patch_size,
        stride=request.stride,
        baseline=request.baseline,
        **work.means(),
    )
