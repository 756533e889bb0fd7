"""A universal perturbation: one for all digits (Moosavi-Dezfooli et al. 2017, arXiv:1610.08401).

It is fitted to training digits by projected gradient ascent (Shafahi et al. 2020, arXiv:1811.11304) and tested on
others.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.adversary.network import AT_ONCE, AttackedNetwork
from engine.adversary.objectives import ANY, Objective
from engine.attacks.attack import attacked
from engine.attacks.events import UniversalMade
from engine.attacks.requests import AttackUniversal
from engine.event import Event, WorkAdvanced
from engine.geometry import CLASSES
from engine.inspection.intervals import wilson
from engine.inspection.loaded import find_images, open_network
from engine.inspection.predictions import answers
from engine.inspection.requests import InspectImages
from engine.network.seeds import generator
from engine.request import RequestError

CAP = 9.0
"""Cross-entropy, in nats, beyond which an image no longer counts: otherwise a few fooled images would dominate."""
SHOWN = 10
"""Number of images that an event shows, unchanged and perturbed."""


class CappedCrossEntropy(Objective):
    """The cross-entropy of each image's class, capped at CAP; with a target, minus that of the target."""

    def __init__(self, labels: Tensor, target: int = ANY) -> None:
        """`labels` (n,) int64 are the classes of the images."""
        self._pivot = labels if target == ANY else torch.full_like(labels, target)
        self._away = target == ANY

    def gradient(self, logits: Tensor) -> Tensor:
        """The gradient with respect to `logits` (n, 10), of the same shape."""
        logs = logits.log_softmax(dim=1)
        pivot = self._pivot[:, None]
        gradient = logs.exp().scatter_add(1, pivot, -torch.ones_like(logs[:, :1]))
        if not self._away:
            return -gradient
        return gradient * (-logs.gather(1, pivot) <= CAP)


class Perturbation(NamedTuple):
    """The state of the ascent."""

    pixels: Tensor
    """(1, 28, 28), at most epsilon in absolute value."""
    fooled: float
    """Share of the images it is fitted to that it fools, 0 to 1."""


def shown_with(images: Tensor, perturbation: Tensor) -> Tensor:
    """`images` (n, 1, 28, 28) with `perturbation` (1, 28, 28) added to each, clipped to [0, 1]."""
    return (images + perturbation).clamp(0, 1)


def ascend(
    network: AttackedNetwork, images: Tensor, labels: Tensor, settings: AttackUniversal
) -> Iterator[Perturbation]:
    """Yields the perturbation v, at first zero, before and after each step: v <- clip(v + step * sign(gradient)).

    The gradient is of the mean over all of `images` (n, 1, 28, 28) of classes `labels` (n,), to which v is added and
    the sum clipped to [0, 1]. It is taken with respect to the clipped pixels: through the clipping, a pixel of v below
    zero would have no gradient on the black background, and so could never rise again.
    """
    found = torch.zeros_like(images[0])
    for step in range(settings.steps + 1):
        gradient, fooled = torch.zeros_like(found), 0
        for batch, classes in zip(torch.split(images, AT_ONCE), torch.split(labels, AT_ONCE), strict=True):
            logits, each = network.ascent(shown_with(batch, found), CappedCrossEntropy(classes, settings.target))
            gradient += each.sum(dim=0)
            answer = logits.argmax(dim=1)
            fooled += int((answer != classes if settings.target == ANY else answer == settings.target).sum())
        yield Perturbation(found, fooled / len(images))
        if step < settings.steps:
            found = (found + settings.step * gradient.sign()).clamp(-settings.epsilon, settings.epsilon)


def attack_universal(request: AttackUniversal, root: Path) -> Generator[Event, None, None]:
    """Fit one perturbation to training images, and report how many others it fools.

    Raises RequestError where the network or data set does not exist, or all images are of the target class.
    """
    loaded = yield from open_network(request, root)
    training = InspectImages(what=request.what, split="train", dataset=request.dataset)
    _, made_of = yield from find_images(training, loaded, root)
    dataset, split = yield from find_images(request, loaded, root)
    images, labels = _others(made_of.images, made_of.labels, request.target, request.made_of)
    held_out, actual = _others(split.images, split.labels, request.target, request.count)
    if not len(images) or not len(held_out):
        raise RequestError(f"there is nothing to attack: all of these images are of class {request.target} already")
    history, began = [], perf_counter()
    with torch.inference_mode():
        for step, now in enumerate(ascend(attacked(loaded, loaded.dtype), images, labels, request)):
            history.append(now.fooled)
            yield WorkAdvanced(words=f"perturbation of {len(images):,} digits", done=step, total=request.steps)
    noise = request.epsilon * (2 * torch.randint(0, 2, now.pixels.shape, generator=generator(request.seed)) - 1)
    shown = shown_with(held_out, now.pixels)
    before, after = answers(loaded, held_out), answers(loaded, shown)
    by_chance = answers(loaded, shown_with(held_out, noise.to(now.pixels)))
    changed = after != before if request.target == ANY else after == request.target
    low, high = wilson(int(changed.sum()), len(changed))
    yield UniversalMade(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        dataset=dataset,
        split=request.split,
        epsilon=request.epsilon,
        target=request.target,
        steps=request.steps,
        step_size=request.step,
        made_of=len(images),
        averaged=len(held_out),
        fooling_rate=int(changed.sum()) / len(changed),
        low=low,
        high=high,
        by_chance=_share(by_chance != before if request.target == ANY else by_chance == request.target),
        accuracy_before=_share(before == actual),
        accuracy=_share(after == actual),
        taken_for=tuple(torch.bincount(after, minlength=CLASSES).tolist()),
        history=tuple(history),
        seconds=perf_counter() - began,
        perturbation=now.pixels[0].cpu().numpy().copy(),
        fooled=changed.cpu().numpy().copy(),
        actual=actual.cpu().numpy().copy(),
        before=before.cpu().numpy().copy(),
        predicted=after.cpu().numpy().copy(),
        originals=np.array(held_out[:SHOWN, 0].cpu().numpy(), copy=True),
        adversarial=np.array(shown[:SHOWN, 0].cpu().numpy(), copy=True),
    )


def _others(images: Tensor, labels: Tensor, target: int, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` images that are not of the target class, and their labels."""
    chosen = (labels != target).nonzero()[:count, 0]
    return images[chosen], labels[chosen]


def _share(chosen: Tensor) -> float:
    return chosen.double().mean().item()
