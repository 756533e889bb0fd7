"""Certified accuracy by epsilon over many images, and the largest epsilon that is proved for one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.adversary.network import AttackedNetwork
from engine.adversary.norm_ball import random_starts
from engine.adversary.objectives import ANY, Misclassification
from engine.adversary.pgd import pgd
from engine.bounds.affine import AffineLayers
from engine.bounds.certified import AT_ONCE, proved_margins
from engine.bounds.interval import margins_of
from engine.bounds.names import BoundName
from engine.certification.events import (
    CertificationAdvanced,
    CertificationMeasured,
    CertifiedPointMeasured,
    DigitCertificationAdvanced,
    DigitCertified,
)
from engine.certification.requests import Certify, CertifyDigit
from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.inspection.intervals import wilson
from engine.inspection.loaded import LoadedNetwork, find_images, open_network
from engine.inspection.predictions import answers, check_index

PROVED_TO, BROKEN_TO = 1e-4, 1e-3
"""How close the bisections come to the largest epsilon that is proved and to the smallest that PGD breaks."""
_LINE = 64
"""Points between a digit and an adversarial image at which the network is asked, to find one that is closer."""


@lru_cache(maxsize=8)
def _layers(loaded: LoadedNetwork) -> AffineLayers:
    return AffineLayers.to_prove(loaded.model)


def certify(request: Certify, root: Path) -> Generator[Event, None, None]:
    """Certified accuracy within each epsilon, updated batch by batch; at the end each point, then all together.

    With a digit, only how far that one is safe. Raises RequestError where the network, the data set or the digit does
    not exist.
    """
    if request.digit >= 0:
        given = {name: getattr(request, name) for name in CertifyDigit.__struct_fields__ if hasattr(request, name)}
        yield from certify_digit(CertifyDigit(**given, index=request.digit), root)
        return
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    work = _Measurement(request, loaded, dataset, split)
    words = f"{work.asked:,} digits, {len(request.sizes)} epsilons"
    for done, total, more in work.finish():
        if more:
            yield CertificationAdvanced(**work.results())
        yield WorkAdvanced(words=words, done=done, total=total)
    found = CertificationMeasured(**work.results())
    yield from found.points
    yield found


class _Measurement:
    """The proved margins of the first images of a split, batch by batch."""

    def __init__(self, request: Certify, loaded: LoadedNetwork, dataset: str, split: Split) -> None:
        self._request, self._loaded, self._split = request, loaded, split
        self.asked = min(request.count, len(split))
        self._about = {**_about(loaded), "dataset": dataset, "split": request.split, "bound": request.bound}
        self._margins: list[Tensor] = []
        self._certified: list[Tensor] = []

    def finish(self) -> Iterator[tuple[int, int, bool]]:
        """Do the work; yields (done, total, whether there are new results to show) after each epsilon of a batch."""
        sizes, layers = self._request.sizes, _layers(self._loaded)
        total = self.asked * len(sizes)
        for first in range(0, self.asked, AT_ONCE):
            last = min(first + AT_ONCE, self.asked)
            images, labels = self._split.images[first:last], self._split.labels[first:last]
            margins = torch.zeros(len(sizes), last - first, dtype=torch.float64, device=images.device)
            certified = torch.zeros(margins.shape, dtype=torch.bool, device=images.device)
            for place in reversed(range(len(sizes))):
                with torch.inference_mode():
                    if sizes[place] == 0:
                        logits = self._loaded.model(images)
                        margins[place] = margins_of(logits.double(), labels).amin(dim=1)
                        certified[place] = logits.argmax(dim=1) == labels
                    else:
                        bound = self._request.bound
                        margins[place] = proved_margins(layers, images, labels, sizes[place], bound)
                        if place + 1 < len(sizes):  # what is proved within an epsilon is proved within a smaller one
                            margins[place] = torch.maximum(margins[place], margins[place + 1])
                        certified[place] = margins[place] > 0
                if place:
                    yield first * len(sizes) + (last - first) * (len(sizes) - place), total, False
            self._margins.append(margins.cpu())
            self._certified.append(certified.cpu())
            yield last * len(sizes), total, last < self.asked

    def results(self) -> dict[str, Any]:
        """The results so far as fields of a CertificationMeasured."""
        certified = torch.cat(self._certified, dim=1)
        count, points = certified.shape[1], []
        for epsilon, number in zip(self._request.sizes, certified.sum(dim=1).tolist(), strict=True):
            low, high = wilson(number, count)
            point = CertifiedPointMeasured(
                **self._about,
                epsilon=epsilon,
                count=count,
                certified=number,
                certified_accuracy=number / count,
                low=low,
                high=high,
            )
            points.append(point)
        return {
            **self._about,
            "asked": self.asked,
            "points": tuple(points),
            "epsilons": np.array(self._request.sizes),
            "certified": certified.numpy(),
            "margin": torch.cat(self._margins, dim=1).numpy(),
        }


def _about(loaded: LoadedNetwork) -> dict[str, Any]:
    return {"name": loaded.name, "variant": loaded.variant, "epoch": loaded.epoch}


def certify_digit(request: CertifyDigit, root: Path) -> Generator[Event, None, None]:
    """The largest epsilon proved for one digit, and the smallest at which PGD finds an adversarial image, by bisection.

    Both are updated as they are found, the proof first. Raises RequestError where the network, the data set or the
    image does not exist.
    """
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    check_index(request.index, split, request.images_name)
    image, label = split.images[request.index : request.index + 1], split.labels[request.index : request.index + 1]
    began, actual = perf_counter(), int(label)
    predicted = int(answers(loaded, image))
    known = {
        **_about(loaded),
        "dataset": dataset,
        "split": request.split,
        "index": request.index,
        "count": len(split),
        "actual": actual,
        "predicted": predicted,
        "bound": request.bound,
        "image": image[0, 0].cpu().numpy(),
    }
    proved = 0.0
    found: _Broken | None = None
    if predicted != actual:
        found = _Broken(0.0, predicted, image)
    else:
        for proved in largest_proved(loaded, image, label, request.bound):
            yield DigitCertificationAdvanced(
                **known, proved=proved, **_told(found, image), seconds=perf_counter() - began
            )
        for found in _smallest_broken(loaded, image, label, proved, request):
            yield DigitCertificationAdvanced(
                **known, proved=proved, **_told(found, image), seconds=perf_counter() - began
            )
    yield DigitCertified(**known, proved=proved, **_told(found, image), seconds=perf_counter() - began)


def largest_proved(loaded: LoadedNetwork, image: Tensor, label: Tensor, bound: BoundName) -> Iterator[float]:
    """Ever larger epsilons within which `loaded` provably classifies an image (1, 1, 28, 28) as `label` (1,) says.

    They come from a bisection of the epsilons from 0, which counts as proved, to 1, down to PROVED_TO.
    """
    low, high = 0.0, 1.0
    while high - low > PROVED_TO:
        middle = (low + high) / 2
        with torch.inference_mode():
            margin = proved_margins(_layers(loaded), image, label, middle, bound)
        low, high = (middle, high) if margin.item() > 0 else (low, middle)
        yield low


@dataclass(frozen=True, eq=False)
class _Broken:
    """An adversarial image (1, 1, 28, 28), the L-infinity norm of its change, and its predicted class."""

    norm: float
    taken_for: int
    image: Tensor


def _told(found: _Broken | None, image: Tensor) -> dict[str, Any]:
    shown = (image if found is None else found.image)[0, 0].cpu().numpy()
    norm, taken_for = (None, -1) if found is None else (found.norm, found.taken_for)
    return {"broken_from": norm, "taken_for": taken_for, "adversarial": shown}


def _smallest_broken(
    loaded: LoadedNetwork, image: Tensor, label: Tensor, proved: float, request: CertifyDigit
) -> Iterator[_Broken]:
    """The best adversarial image after each attack of a bisection of the epsilons from `proved` to 1."""
    network = AttackedNetwork(loaded.model, loaded.dtype)
    copies = image.expand(request.restarts, -1, -1, -1).contiguous()
    labels = label.expand(request.restarts)
    objective = Misclassification(labels, torch.full_like(labels, ANY))
    low, high = proved, 1.0
    best: _Broken | None = None
    while high - low > BROKEN_TO:
        epsilon = 1.0 if best is None else (low + high) / 2  # first, where anything can be broken
        start = random_starts(copies, epsilon, "linf", request.seed, range(request.restarts))
        last = copies
        for iterate in pgd(
            network,
            copies,
            objective,
            epsilon,
            "linf",
            2.5 * epsilon / request.steps,
            request.steps,
            [start],
            stop=True,
        ):
            last = iterate.images
            if bool((iterate.logits.argmax(dim=1) != label).any()):
                break
        found = _nearest(loaded, image, last, int(label))
        if found is not None and (best is None or found.norm < best.norm):
            best = found
        if best is None:
            return
        low, high = (epsilon, high) if found is None else (low, min(epsilon, best.norm))
        yield best


def _nearest(loaded: LoadedNetwork, image: Tensor, adversarial: Tensor, label: int) -> _Broken | None:
    """The nearest misclassified image on the lines from `image` (1, 1, 28, 28) to images (n, 1, 28, 28); None if none.

    The network itself decides, in its own precision.
    """
    shares = torch.linspace(1 / _LINE, 1, _LINE, device=image.device)[:, None, None, None, None]
    images = (image + shares * (adversarial - image)).clamp(0, 1).flatten(0, 1)
    taken = answers(loaded, images)
    wrong = (taken != label).nonzero()[:, 0]
    if not len(wrong):
        return None
    norms = (images[wrong] - image).abs().amax(dim=(1, 2, 3))
    chosen = wrong[norms.argmin()]
    return _Broken(norms.min().item(), int(taken[chosen]), images[chosen][None])
