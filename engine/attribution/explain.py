"""The request Attribute: maps of one image with their curves; then, if requested, the mean curves over many images."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from engine.attribution.events import AttributionsComputed, Faithfulness, FaithfulnessMeasured
from engine.attribution.faithfulness import SHARES, curve_of, curves, random_curves, ranks
from engine.attribution.gradients import Explained, maps_of, methods_of
from engine.attribution.occlusion import network_of, watched_class
from engine.attribution.patch_sweep import OcclusionNetwork
from engine.attribution.randomisation import STAGES, randomised, rank_correlation
from engine.attribution.requests import Attribute, MethodName
from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.inspection.loaded import LoadedNetwork, find_images, open_network
from engine.inspection.predictions import check_index
from engine.network.model import inference_network
from engine.network.seeds import generator

RANDOM = "random"
"""The name of random order, used like that of a method."""
IMAGES_AT_ONCE, NOISY_IMAGES = 4, 200
"""Batch limits, in images and in noisy images (or steps): training takes turns with this and must not wait long."""
RANDOMISED = 16
"""Maximum number of images that the randomisation is measured on."""

_Curves = tuple[Tensor, Tensor]
"""Deletion and insertion, each (n, STEPS + 1)."""


class _Bench:
    """A network prepared for maps, by `methods` or by those of the request, and their curves."""

    def __init__(self, loaded: LoadedNetwork, request: Attribute, methods: Sequence[MethodName] = ()) -> None:
        self.network, self.request = Explained(loaded.model, network_of(loaded)), request
        self.logits: nn.Sequential = inference_network(loaded.model)
        self.methods = tuple(methods) or methods_of(request)

    def targets(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The watched classes (n,) and probabilities (n, 10) of images (n, 1, 28, 28) of classes `labels` (n,)."""
        with torch.inference_mode():
            probabilities = torch.softmax(self.logits(images), dim=1)
        pairs = zip(labels.tolist(), probabilities, strict=True)
        watched = [watched_class(self.request.watch, label, row) for label, row in pairs]
        return torch.tensor(watched, device=images.device), probabilities

    def maps(self, method: MethodName, images: Tensor, targets: Tensor, network: Explained | None = None) -> Tensor:
        """Maps (n, 28, 28) of `network`, or of this one by default."""
        return maps_of(method, network or self.network, images, targets, self.request)

    def curves(self, images: Tensor, targets: Tensor, maps: Tensor | None, indices: list[int]) -> _Curves:
        """Deletion and insertion in the order of `maps` (n, 28, 28), or in random order where they are None.

        A constant map defines no order: it gets the curves of random order.
        """
        seed = self.request.seed
        if maps is None:
            return random_curves(self.logits, images, targets, seed, indices)
        places = torch.stack([ranks(each, generator(seed, i)) for each, i in zip(maps, indices, strict=True)])
        deletion, insertion = (each.clone() for each in curves(self.logits, images, targets, places))
        for number, each in enumerate(maps):
            if each.max() == each.min():
                one = slice(number, number + 1)
                deletion[one], insertion[one] = random_curves(
                    self.logits, images[one], targets[one], seed, indices[one]
                )
        return deletion, insertion

    def logit_difference(self, image: Tensor, target: Tensor) -> float:
        """The logit of `target` (1,) for `image` (1, 1, 28, 28) minus that for a black image, as completeness needs."""
        with torch.inference_mode():
            here, black = self.logits(torch.cat((image, torch.zeros_like(image)))).double()[:, int(target)].tolist()
        return float(here - black)


def attribute(request: Attribute, root: Path) -> Generator[Event, None, None]:
    """Maps of one image by one method or all; with `digits`, also their faithfulness over that many images.

    Raises RequestError where the network, data set or image does not exist.
    """
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    check_index(request.index, split, request.images_name)
    bench = _Bench(loaded, request)
    chosen = slice(request.index, request.index + 1)
    image, labels = split.images[chosen], split.labels[chosen]
    targets, probabilities = bench.targets(image, labels)
    maps, found = [], []
    for done, method in enumerate(bench.methods, start=1):
        shown = bench.maps(method, image, targets)
        completeness = None
        if method == "integrated-gradients":
            completeness = (shown.double().sum().item(), bench.logit_difference(image, targets))
        maps.append(shown[0])
        found.append(_of_one(method, bench.curves(image, targets, shown, [request.index]), completeness))
        yield WorkAdvanced(words="attributions", done=done, total=len(bench.methods))
    found.append(_of_one(RANDOM, bench.curves(image, targets, None, [request.index])))
    watched = int(targets[0])
    yield AttributionsComputed(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        dataset=dataset,
        split=request.split,
        index=request.index,
        count=len(split),
        actual=int(labels[0]),
        predicted=int(probabilities[0].argmax()),
        watched=watched,
        unoccluded_probability=probabilities[0, watched].item(),
        image=image[0, 0].cpu().numpy().copy(),
        shares=SHARES,
        faithfulness=tuple(found),
        methods=bench.methods,
        maps=torch.stack(maps).float().cpu().numpy(),
    )
    if request.digits:
        work = _measurement(loaded, split, msgspec.structs.replace(request, index=0))
        try:
            for done in work.finish():
                yield WorkAdvanced(words=work.words, done=done, total=work.total)
        except Exception:
            _measurement.cache_clear()  # it cannot be resumed after an error
            raise
        yield work.result(dataset)


def _of_one(method: str, measured: _Curves, completeness: tuple[float, float] | None = None) -> Faithfulness:
    deletion, insertion = (curve_of(_numbers(each)) for each in measured)
    return Faithfulness(method=method, deletion=deletion, insertion=insertion, completeness=completeness)


class Measurement:
    """Curves over the first images of a split, and the randomisation, by `methods` or by those of the request.

    The work can be resumed after any step.
    """

    def __init__(
        self, loaded: LoadedNetwork, split: Split, request: Attribute, methods: Sequence[MethodName] = ()
    ) -> None:
        self._bench, self._split, self._loaded = _Bench(loaded, request, methods), split, loaded
        self.images = min(request.digits, len(split))
        self.randomised = min(self.images, RANDOMISED) if request.randomise else 0
        self.words = f"{self.images:,} digit{'s' if self.images != 1 else ''}"
        self._at_once = min(IMAGES_AT_ONCE, max(1, NOISY_IMAGES // max(request.steps, request.samples)))
        kinds = len(self._bench.methods)
        batches, compared = (-(-count // self._at_once) for count in (self.images, self.randomised))
        self.total = batches * (kinds + 1) + compared * kinds * len(STAGES)
        """Number of steps."""
        self._done = 0
        self._curves: dict[str, list[_Curves]] = {method: [] for method in (*self._bench.methods, RANDOM)}
        self._maps: dict[tuple[str, int], np.ndarray] = {}
        """The maps (n, 28, 28) of a method for the batch that begins at an image, where they are compared later."""
        self._correlations: dict[str, list[list[float]]] = {name: [[] for _ in STAGES] for name in self._bench.methods}
        self._steps = self._work()

    def finish(self) -> Iterator[int]:
        """Do the remaining work; yields the number of steps done after each."""
        while self._done < self.total:
            next(self._steps)
            self._done += 1
            yield self._done

    def _work(self) -> Iterator[None]:
        bench = self._bench
        for start in range(0, self.images, self._at_once):
            images, targets, indices = self._batch(start, self.images)
            for method in bench.methods:
                maps = bench.maps(method, images, targets)
                if start < self.randomised:
                    self._maps[method, start] = _numbers(maps)
                self._curves[method].append(bench.curves(images, targets, maps, indices))
                yield
            self._curves[RANDOM].append(bench.curves(images, targets, None, indices))
            yield
        for stage, model in enumerate(randomised(bench.network.model, bench.request.seed) if self.randomised else ()):
            network = Explained(model, OcclusionNetwork(model))
            for start in range(0, self.randomised, self._at_once):
                images, targets, _ = self._batch(start, self.randomised)
                for method in bench.methods:
                    now = _numbers(bench.maps(method, images, targets, network))
                    pairs = zip(self._maps[method, start], now, strict=False)  # the last batch may be cut short
                    self._correlations[method][stage] += [rank_correlation(*pair) for pair in pairs]
                    yield

    def _batch(self, start: int, most: int) -> tuple[Tensor, Tensor, list[int]]:
        end = min(start + self._at_once, most)
        images = self._split.images[start:end]
        targets, _ = self._bench.targets(images, self._split.labels[start:end])
        return images, targets, list(range(start, end))

    def result(self, dataset: str) -> FaithfulnessMeasured:
        """What was measured on the split of `dataset`, once the work is finished."""
        loaded, request = self._loaded, self._bench.request
        return FaithfulnessMeasured(
            name=loaded.name,
            variant=loaded.variant,
            epoch=loaded.epoch,
            dataset=dataset,
            split=request.split,
            watch=request.watch,
            averaged=self.images,
            randomised=self.randomised,
            stages=STAGES,
            shares=SHARES,
            faithfulness=self.faithfulness(),
        )

    def faithfulness(self) -> tuple[Faithfulness, ...]:
        """The results, once the work is finished."""
        found = []
        for method, parts in self._curves.items():
            deletion, insertion = (
                curve_of(np.concatenate([_numbers(part) for part in each])) for each in zip(*parts, strict=True)
            )
            known = [_mean(values) for values in self._correlations.get(method, ())] if self.randomised else []
            change = 1 - _mean(known) if known else None
            found.append(
                Faithfulness(
                    method=method, deletion=deletion, insertion=insertion, similarities=tuple(known), change=change
                )
            )
        return tuple(found)


@lru_cache(maxsize=2)
def _measurement(loaded: LoadedNetwork, split: Split, request: Attribute) -> Measurement:
    return Measurement(loaded, split, request)


def _numbers(values: Tensor) -> np.ndarray:
    numbers: np.ndarray = values.double().cpu().numpy()
    return numbers


def _mean(values: list[float]) -> float:
    """The mean of the values that are not NaN; NaN where there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan
