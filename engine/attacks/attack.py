"""A single attack on a few images, from the request to its events, step by step."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from engine.adversary.apgd import apgd
from engine.adversary.autoattack import targeted_ratios
from engine.adversary.carlini_wagner import carlini_wagner
from engine.adversary.deepfool import deepfool
from engine.adversary.fab import TARGETS, fab
from engine.adversary.fgsm import fgsm
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import random_starts
from engine.adversary.objectives import ANY, Misclassification, loss_of
from engine.adversary.pgd import pgd
from engine.adversary.square import square
from engine.attacks.events import AttackAdvanced, AttackedImage, AttackFinished, AttackStepped
from engine.attacks.noise import from_noise, noise
from engine.attacks.record import Record, pixels, softmax
from engine.attacks.requests import (
    AnyAttack,
    AttackApgd,
    AttackCarliniWagner,
    AttackDeepFool,
    AttackDigits,
    AttackFab,
    AttackFgsm,
    AttackNoise,
    AttackPgd,
    AttackSquare,
    AttackTargeted,
)
from engine.attacks.targeted import from_digits
from engine.data.requests import source_of
from engine.event import Cancelled, Event
from engine.inspection.loaded import LoadedNetwork, find_images, open_network
from engine.inspection.predictions import check_index
from engine.network.requests import Inspect
from engine.request import RequestError, parameters

if TYPE_CHECKING:
    from engine.event import Array

PAUSE = 0.03
"""Minimum time between two snapshots of a running attack, in seconds: a snapshot costs a tenth of a step."""

_NOT_TOLD = {*Inspect.__struct_fields__, "split", "dataset", "indices", "classes", "exact"}
"""Fields of a request that the settings in its events leave out: other fields of the events say the same."""


@lru_cache(maxsize=16)
def attacked(loaded: LoadedNetwork, dtype: torch.dtype) -> AttackedNetwork:
    """The network of `loaded` prepared for attacks; cached."""
    return AttackedNetwork(loaded.model, dtype)


def precision(loaded: LoadedNetwork, *, exact: bool) -> torch.dtype:
    """The precision of an attack on a few images: double on a CPU or with `exact`, else the network's own.

    Adam divides by the gradient's magnitude, and a rounding error that moves a maximum or a ReLU across its boundary
    changes the gradient by a finite amount. Float32 makes dozens of such errors in an attack of the notebook: the
    images are as good, but others (of the gallery by 0.1 in some pixel, of noise entirely). In double precision there
    are none in practice. Most GPUs compute in double precision at 1/64 of their speed, so there it must be asked for.
    """
    return torch.float64 if exact or loaded.device.type == "cpu" else loaded.dtype


def iterates(
    network: AttackedNetwork,
    request: AnyAttack,
    originals: Tensor,
    objective: Misclassification,
    indices: Sequence[int],
    *,
    stop: bool = False,
) -> Iterator[Iterate]:
    """The attack that `request` describes, on `originals` (n, 1, 28, 28), whose indices in their split are `indices`.

    With `stop`, PGD, APGD and Square leave an image unchanged once it is misclassified.
    """
    found: Iterator[Iterate]
    match request:
        case AttackNoise():
            found = from_noise(network, originals, list(indices), request)
        case AttackTargeted():
            starts = noise(indices, request.seed) if request.start == "noise" else None
            found = from_digits(network, originals, request, starts)
        case AttackFgsm():
            found = fgsm(network, originals, objective, request.epsilon, request.norm)
        case AttackPgd():
            found = _pgd(network, request, originals, objective, indices, stop=stop)
        case AttackApgd():
            found = _apgd(network, request, originals, objective, indices, stop=stop)
        case AttackDeepFool():
            found = deepfool(network, originals, objective, request.steps, request.overshoot)
        case AttackFab():
            found = fab(network, originals, objective, request.norm, request.steps)
        case AttackSquare():
            work = (request.epsilon, request.norm, request.queries, request.seed, indices)
            found = square(network, originals, objective, *work, stop=stop)
        case AttackCarliniWagner():
            settings = (request.steps, request.step_size, request.binary_search_steps, request.confidence)
            found = carlini_wagner(network, originals, objective, *settings)
    return found


def _pgd(
    network: AttackedNetwork,
    request: AttackPgd,
    originals: Tensor,
    objective: Misclassification,
    indices: Sequence[int],
    *,
    stop: bool,
) -> Iterator[Iterate]:
    starts = _starts(request, originals, indices, request.restarts) if request.random_start else [originals]
    loss, step = loss_of(request.loss, objective), request.step
    ball = (request.epsilon, request.norm)
    return pgd(network, originals, objective, *ball, step, request.steps, starts, loss, stop=stop)


def _apgd(
    network: AttackedNetwork,
    request: AttackApgd,
    originals: Tensor,
    objective: Misclassification,
    indices: Sequence[int],
    *,
    stop: bool,
) -> Iterator[Iterate]:
    losses = [loss_of(request.loss, objective)]
    if request.loss == "dlr" and request.target == ANY:
        losses = targeted_ratios(objective, network.logits(originals))
    losses = [loss for loss in losses for _ in range(request.restarts)]
    starts = _starts(request, originals, indices, request.starts)
    ball = (request.epsilon, request.norm)
    return apgd(network, originals, objective, *ball, request.steps, starts, losses, stop=stop)


def _starts(request: AttackPgd | AttackApgd, originals: Tensor, indices: Sequence[int], count: int) -> list[Tensor]:
    ball = (request.epsilon, request.norm)
    return [random_starts(originals, *ball, request.seed, indices, number) for number in range(count)]


def most_steps(request: AnyAttack) -> int:
    """The maximum number of steps of the attack."""
    match request:
        case AttackPgd():
            steps = request.steps * request.restarts
        case AttackApgd():
            steps = request.steps * request.starts
        case AttackFgsm():
            steps = 1
        case AttackDeepFool():
            steps = request.steps + 1  # the last step shortens the perturbations
        case AttackFab():
            steps = request.steps * (TARGETS if request.target == ANY else 1) + 1  # the last one is the smallest found
        case AttackCarliniWagner():
            steps = request.steps * request.binary_search_steps + 1
        case AttackSquare():
            steps = request.queries
        case _:
            steps = request.steps
    return steps


class _Case:
    """A network, the images to attack, and the objective."""

    def __init__(self, request: AnyAttack, loaded: LoadedNetwork, root: Path) -> None:
        self.request, self.loaded, self._root = request, loaded, root
        self.network = attacked(loaded, precision(loaded, exact=request.exact))
        self.source, self.count = "noise", 0
        self.indices: list[int] = []
        self.originals = torch.empty(0)
        self.objective = Misclassification(torch.empty(0), torch.empty(0))

    def prepare(self) -> Generator[Event, None, None]:
        """Load the images; raises RequestError where there are none to attack."""
        request = self.request
        if isinstance(request, AttackNoise):
            self.indices = [int(digit) for digit in request.classes]
            self.originals = noise(self.indices, request.seed)
            actual, targets = [ANY] * len(self.indices), self.indices
        else:
            actual, targets = yield from self._digits(request)
        device = self.network.device
        self.originals = self.originals.to(device, self.network.dtype)
        self.objective = Misclassification(torch.tensor(actual, device=device), torch.tensor(targets, device=device))

    def _digits(self, request: AttackDigits) -> Generator[Event, None, tuple[list[int], list[int]]]:
        dataset, split = yield from find_images(request, self.loaded, self._root)
        check_index(max(request.indices), split, request.images_name)
        target: int = getattr(request, "target", ANY)
        labels = {index: int(split.labels[index]) for index in request.indices}
        # As in the notebook, images that are of the target class already are left out.
        self.indices = [index for index in request.indices if labels[index] != target]
        if not self.indices:
            raise RequestError(f"there is nothing to attack: all of these images are of class {target} already")
        self.source, self.count = source_of(dataset, request.split), len(split)
        self.originals = split.images[self.indices]
        return [labels[index] for index in self.indices], [target] * len(self.indices)

    def known(self, record: Record, shown: Array) -> dict[str, Any]:
        """The fields of an Attack, except the network's predictions."""
        request, loaded = self.request, self.loaded
        original = pixels(self.originals)
        difference = (shown - original).reshape(len(shown), -1)
        names = (p.name for p in parameters(type(request)))
        return {
            "name": loaded.name,
            "variant": loaded.variant,
            "epoch": loaded.epoch,
            "attack": request.attack,
            "settings": {name: getattr(request, name) for name in names if name not in _NOT_TOLD} | self._meant(),
            "source": self.source,
            "count": self.count,
            "indices": tuple(self.indices),
            "actual": tuple(self.objective.actual.tolist()),
            "targets": tuple(self.objective.target.tolist()),
            "done": record.length - 1,
            "steps": most_steps(request),
            "original": original,
            "adversarial": shown,
            "linf": np.abs(difference).max(axis=1),
            "l2": np.linalg.norm(difference, axis=1).astype(np.float32),
            "history": self._history(record),
        }

    def _meant(self) -> dict[str, float | str]:
        """The values of settings that the request leaves to the attack, and the precision."""
        found: dict[str, float | str] = {"precision": "double" if self.network.dtype == torch.float64 else "single"}
        return found | {"step_size": self.request.step} if isinstance(self.request, AttackPgd) else found

    def _history(self, record: Record) -> Array:
        logits = torch.from_numpy(record.logits.copy()).to(self.objective.actual.device)  # (k, n, 10)
        if isinstance(self.request, AttackNoise | AttackTargeted):
            found = logits.gather(2, self.objective.target.expand(len(logits), -1)[..., None])[..., 0]
        else:
            repeated = Misclassification(
                self.objective.actual.repeat(len(logits)), self.objective.target.repeat(len(logits))
            )
            found = repeated.margin(logits.flatten(0, 1)).view(len(logits), -1)
        return found.T.cpu().numpy().copy()


def said(probabilities: Array) -> dict[str, Any]:
    """A network's predictions as fields of an Attack, from probabilities (n, 10)."""
    return {
        "prediction": probabilities.argmax(axis=1),
        "probability": probabilities.max(axis=1),
        "probabilities": probabilities,
    }


def attack(request: AnyAttack, root: Path) -> Generator[Event, None, None]:
    """Attack images as `request` asks, step by step; an attack that is stopped still reports its result so far.

    Raises RequestError where the network, data set or image does not exist, or where no image can be attacked.
    """
    loaded = yield from open_network(request, root)
    case = _Case(request, loaded, root)
    yield from case.prepare()
    record, stopped, seconds = Record(len(case.indices)), False, 0.0
    began = told = perf_counter()
    shown = case.originals
    try:
        for iterate in iterates(case.network, request, case.originals, case.objective, case.indices):
            record.add(iterate)
            shown = iterate.images
            now = perf_counter()
            seconds += now - began
            if now - told < PAUSE:
                yield AttackStepped(step=record.length - 1)
            else:
                yield AttackAdvanced(**case.known(record, pixels(shown)), **said(softmax(record.logits[-1])))
                told = perf_counter()
            began = perf_counter()
    except Cancelled:
        stopped = True
    if record.length:
        yield _finished(case, record, pixels(shown), seconds, stopped)


def _finished(case: _Case, record: Record, shown: Array, seconds: float, stopped: bool) -> AttackFinished:
    known = case.known(record, shown)
    frames, steps = record.frames()
    begun_there = np.array_equal(frames[0], known["original"])
    before = softmax(record.logits[0]) if begun_there else _answers(case.loaded, known["original"])
    after = _answers(case.loaded, shown)
    answer = said(after)
    wanted = list(zip(known["actual"], known["targets"], strict=True))
    fooled = [_fooled(record.logits.argmax(axis=2)[:, i], *pair) for i, pair in enumerate(wanted)]
    images = tuple(
        AttackedImage(
            index=index,
            actual=actual,
            target=target,
            before=int(before[i].argmax()),
            predicted=int(answer["prediction"][i]),
            probability=float(answer["probability"][i]),
            linf=float(known["linf"][i]),
            l2=float(known["l2"][i]),
            success=bool(_fooled(answer["prediction"][i : i + 1], actual, target)[0] and np.isfinite(after[i]).all()),
            steps_to_success=int(fooled[i].argmax()) if fooled[i].any() else None,
        )
        for i, (index, (actual, target)) in enumerate(zip(case.indices, wanted, strict=True))
    )
    return AttackFinished(
        **known,
        **answer,
        stopped=stopped,
        images=images,
        seconds=seconds,
        original_probabilities=before,
        frames=frames,
        frame_steps=steps,
        frame_probabilities=softmax(record.logits[steps]),
    )


def _fooled(answers: Array, actual: int, target: int) -> Array:
    return np.asarray(answers != actual if target == ANY else answers == target)


def _answers(loaded: LoadedNetwork, images: Array) -> Array:
    """Probabilities (n, 10) float32 of images (n, 28, 28), recomputed by the network in its own precision."""
    network = attacked(loaded, loaded.dtype)
    logits = network.logits(torch.from_numpy(images)[:, None].to(network.device, network.dtype))
    return softmax(logits.float().cpu().numpy())
