"""Accuracy under attack against the maximum perturbation, for several attacks and networks over many images.

Each point is measured independently of the other epsilons asked for. Attacks that minimise the norm run once, and their
result is compared with each epsilon. Results are cached in memory and, for a run, in its folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor

from engine.adversary.names import NormName
from engine.adversary.network import AT_ONCE, AttackedNetwork, Iterate
from engine.adversary.norm_ball import norms, random_starts
from engine.adversary.objectives import ANY, Misclassification
from engine.attacks.attack import attacked, iterates
from engine.attacks.events import FallenImage, RobustnessAdvanced, RobustnessMeasured, RobustnessPointMeasured
from engine.attacks.requests import (
    AnyAttack,
    AttackCarliniWagner,
    AttackDeepFool,
    AttackFgsm,
    AttackPgd,
    CurveAttackName,
    MeasureRobustness,
)
from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.geometry import CLASSES
from engine.inspection.intervals import wilson
from engine.inspection.loaded import LoadedNetwork, find_images, open_networks
from engine.inspection.predictions import answers
from engine.paths import write_whole
from engine.reading import read_bytes

if TYPE_CHECKING:
    from engine.event import Array

MOST_BYTES = 1 << 20
"""Maximum size of a file of results, in bytes, compressed or not: three times that of 60,000 images."""
VERSION = 3
"""Version of the attacks' implementation: results on disk of other versions are ignored."""
STRENGTH: dict[str, int] = {"random": 0, "fgsm": 1, "deepfool": 2, "pgd": 3, "cw": 3}
"""Ranks of the attacks: one of a higher rank that fools fewer images has missed adversarial images."""
MINIMISES = ("deepfool", "cw")
"""Attacks that minimise the norm of the perturbation, rather than stay within an epsilon."""
SHOWN = 10
"""Number of images that an event shows: those that the smallest perturbations fooled."""


@dataclass(frozen=True)
class Setting:
    """One attack with its epsilon, which an attack that minimises the norm ignores."""

    attack: CurveAttackName
    norm: NormName
    epsilon: float
    steps: int
    restarts: int
    seed: int

    @property
    def label(self) -> str:
        """A label for file names."""
        return f"{self.attack}-{self.norm}" + ("" if self.attack in MINIMISES else f"-{self.epsilon:g}")


def settings_of(request: MeasureRobustness) -> list[Setting]:
    """The attacks to run for the points that `request` asks for."""
    found = []
    for attack in request.attack:
        bounds = (0.0,) if attack in MINIMISES else request.bounds
        steps, restarts = (request.steps, request.restarts) if attack == "pgd" else (0, 0)
        seed = request.seed if attack in ("pgd", "random") else 0
        found += [Setting(attack, request.norm, float(bound), steps, restarts, seed) for bound in bounds]
    return found


def attack_many(
    network: AttackedNetwork, images: Tensor, labels: Tensor, indices: Sequence[int], setting: Setting
) -> Iterator[Iterate]:
    """The untargeted attack of `setting` on images (n, 1, 28, 28) of classes `labels` (n,)."""
    objective = Misclassification(labels, torch.full_like(labels, ANY))
    epsilon, norm = setting.epsilon, setting.norm
    request: AnyAttack
    match setting.attack:
        case "random":
            moved = random_starts(images, epsilon, norm, setting.seed, indices)
            return iter([Iterate(moved, network.logits(moved))])
        case "fgsm":
            request = AttackFgsm(epsilon=epsilon, norm=norm)
        case "pgd" if epsilon > 0:
            steps, restarts, seed = setting.steps, setting.restarts, setting.seed
            request = AttackPgd(epsilon=epsilon, norm=norm, steps=steps, restarts=restarts, seed=seed)
        case "pgd":
            return iter([Iterate(images, network.logits(images))])
        case "deepfool":
            request = AttackDeepFool()
        case "cw":
            request = AttackCarliniWagner()
    return iterates(network, request, images, objective, indices, stop=True)


class Verdicts:
    """The results of one attack on the first images of a split. The work can be interrupted and resumed at any step."""

    def __init__(self, loaded: LoadedNetwork, split: Split, setting: Setting, file: Path | None) -> None:
        self._loaded, self._split, self._setting, self._file = loaded, split, setting, file
        self.taken: Array = np.zeros(0, np.int8)
        """(n,): the predicted class of each image after the attack."""
        self.sizes: Array = np.zeros(0, np.float32)
        """(n,): the norm of each perturbation."""
        if file is not None:
            self._read(file)

    def __len__(self) -> int:
        return len(self.taken)

    def _read(self, file: Path) -> None:
        # Whatever is wrong with the file, its results can be computed again.
        with contextlib.suppress(Exception):
            packed = io.BytesIO(read_bytes(file, MOST_BYTES))
            if sum(part.file_size for part in zipfile.ZipFile(packed).infolist()) > MOST_BYTES:
                return
            with np.load(packed, allow_pickle=False) as kept:
                taken, sizes = kept["taken"], kept["sizes"]
            sound = taken.dtype == np.int8 and taken.shape == sizes.shape == (taken.size,) and taken.size > 0
            sound = sound and bool(np.isfinite(sizes).all() and sizes.min() >= 0)
            if sound and taken.size <= len(self._split) and 0 <= taken.min() <= taken.max() < CLASSES:
                self.taken, self.sizes = taken, sizes.astype(np.float32)

    def extend(self, most: int) -> Iterator[None]:
        """Attack the next images, at most AT_ONCE and none beyond `most`; yields after each step."""
        first, last = len(self), min(len(self) + AT_ONCE, most)
        if first >= last:
            return
        network = attacked(self._loaded, self._loaded.dtype)
        images, labels = self._split.images[first:last], self._split.labels[first:last]
        shown = images
        for iterate in attack_many(network, images, labels, range(first, last), self._setting):
            shown = iterate.images
            yield
        taken = answers(self._loaded, shown)  # computed afresh, by the network in its own precision
        sizes = norms(shown - images, self._setting.norm)[:, 0, 0, 0]
        self.taken = np.concatenate((self.taken, taken.cpu().numpy().astype(np.int8)))
        self.sizes = np.concatenate((self.sizes, sizes.cpu().numpy().astype(np.float32)))
        self._write()

    def _write(self) -> None:
        if self._file is None:
            return

        def write(partial: Path) -> None:
            with partial.open("wb") as file:
                np.savez_compressed(file, taken=self.taken, sizes=self.sizes)

        with contextlib.suppress(OSError):  # with a full disk, the next measurement only takes longer
            self._file.parent.mkdir(exist_ok=True)
            write_whole(self._file, write)

    def correct(self, labels: Array, epsilon: float) -> Array:
        """Whether each of the first images, of classes `labels` (n,), is still correct within `epsilon`, (n,)."""
        n = len(labels)
        right = self.taken[:n] == labels
        if self._setting.attack in MINIMISES:
            right = right | (self.sizes[:n] > epsilon)
        return np.asarray(right)


def fingerprint(loaded: LoadedNetwork) -> str:
    """A hash of the weights."""
    digest = hashlib.sha256()
    for key, value in sorted(loaded.model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _verdicts(loaded: LoadedNetwork, split: Split, dataset: str, part: str, setting: Setting) -> Verdicts:
    file = None
    if loaded.run is not None and not loaded.run.bundled:
        parts = (VERSION, fingerprint(loaded), dataset, part, setting)
        name = f"{setting.label}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.npz"
        file = loaded.run.path / "robustness" / name
    return Verdicts(loaded, split, setting, file)


class _Measurement:
    """All curves of a request."""

    def __init__(self, request: MeasureRobustness, networks: list[LoadedNetwork], dataset: str, split: Split) -> None:
        self.request, self.networks, self.dataset, self.split = request, networks, dataset, split
        self.count = min(request.count, len(split))
        self.labels: Array = split.labels[: self.count].cpu().numpy()
        part = request.split
        self.verdicts = {
            (number, setting): _verdicts(loaded, split, dataset, part, setting)
            for number, loaded in enumerate(networks)
            for setting in settings_of(request)
        }

    def finish(self) -> Iterator[tuple[int, int, bool]]:
        """Do the remaining work; yields (done, total, whether there are new results to show) after each step."""
        total = self.count * len(self.verdicts)
        # Batch by batch over all curves, so that all cover the same images and the first results come soon.
        for end in range(min(AT_ONCE, self.count), self.count + AT_ONCE, AT_ONCE):
            most = min(end, self.count)
            fresh = False
            for verdicts in self.verdicts.values():
                while len(verdicts) < most:
                    for _ in verdicts.extend(most):
                        yield sum(min(len(each), self.count) for each in self.verdicts.values()), total, False
                    fresh = True
            if fresh:
                yield most * len(self.verdicts), total, True

    def results(self) -> dict[str, Any]:
        """The results so far as fields of a RobustnessMeasured, over the images that all curves cover."""
        request, main = self.request, self.networks[0]
        n = min(self.count, *map(len, self.verdicts.values()))
        points = tuple(point for number in range(len(self.networks)) for point in self._points(number, n))
        medians: dict[str, float] = {}
        for (number, setting), verdicts in self.verdicts.items():
            if setting.attack in MINIMISES:
                name = f"{self.networks[number].name} {setting.attack}"
                medians[name] = _median(verdicts.taken[:n] != self.labels[:n], verdicts.sizes[:n])
        fallen_by = max(request.attack, key=lambda attack: STRENGTH[attack])
        fallen = self._fallen(fallen_by, n)
        images = self.split.images[[image.index for image in fallen], 0].cpu().numpy()
        return {
            **_about(main, self.dataset, request),
            "networks": tuple(loaded.name for loaded in self.networks),
            "norm": request.norm,
            "asked": self.count,
            "points": points,
            "median_l2": medians,
            "fallen": fallen,
            "fallen_by": fallen_by,
            "fallen_images": images,
        }

    def _of(self, number: int, attack: str) -> dict[float, Verdicts]:
        """The results for each epsilon."""
        found = {s.epsilon: v for (n, s), v in self.verdicts.items() if (n, s.attack) == (number, attack)}
        return dict.fromkeys(self.request.bounds, found[0.0]) if attack in MINIMISES else found

    def _points(self, number: int, n: int) -> list[RobustnessPointMeasured]:
        request, labels = self.request, self.labels[:n]
        found = []
        for attack in request.attack:
            for epsilon, verdicts in self._of(number, attack).items():
                right = verdicts.correct(labels, epsilon)
                correct = int(right.sum())
                low, high = wilson(correct, n)
                point = RobustnessPointMeasured(
                    **_about(self.networks[number], self.dataset, request),
                    attack=attack,
                    norm=request.norm,
                    epsilon=epsilon,
                    count=n,
                    correct=correct,
                    accuracy=correct / n,
                    low=low,
                    high=high,
                    class_count=tuple(np.bincount(labels, minlength=CLASSES).tolist()),
                    class_correct=tuple(np.bincount(labels[right], minlength=CLASSES).tolist()),
                )
                found.append(point)
        return [replace(point, beaten_by=beaten_by(point, found)) for point in found]

    def _fallen(self, attack: str, n: int) -> tuple[FallenImage, ...]:
        labels, verdicts = self.labels[:n], self._of(0, attack)
        clean = self._clean[:n] == labels
        first: Array = np.full(n, np.inf)
        taken: Array = np.zeros(n, np.int8)
        for epsilon, each in sorted(verdicts.items(), reverse=True):
            if attack in MINIMISES:
                fell, size = each.taken[:n] != labels, each.sizes[:n]
            else:
                fell, size = ~each.correct(labels, epsilon), np.full(n, epsilon, np.float32)
            first, taken = np.where(fell, size, first), np.where(fell, each.taken[:n], taken)
        first[~clean] = np.inf
        order = [i for i in np.argsort(first, kind="stable")[:SHOWN].tolist() if np.isfinite(first[i])]
        return tuple(
            FallenImage(index=i, actual=int(labels[i]), epsilon=round(float(first[i]), 6), taken_for=int(taken[i]))
            for i in order
        )

    @cached_property
    def _clean(self) -> Array:
        """The classes that the first network predicts for the unperturbed images, (count,)."""
        return np.asarray(answers(self.networks[0], self.split.images[: self.count]).cpu().numpy())


def _median(fell: Array, sizes: Array) -> float:
    """The median of the norms that were needed, infinite for an image that was not fooled; NaN where not finite."""
    needed = np.where(fell, sizes, np.inf)[sizes + ~fell > 0]  # without images that were misclassified anyway
    median = float(np.median(needed)) if len(needed) else np.nan
    return median if np.isfinite(median) else np.nan


def _about(loaded: LoadedNetwork, dataset: str, request: MeasureRobustness) -> dict[str, Any]:
    return {
        "name": loaded.name,
        "variant": loaded.variant,
        "epoch": loaded.epoch,
        "dataset": dataset,
        "split": request.split,
    }


def beaten_by(point: RobustnessPointMeasured, others: Sequence[RobustnessPointMeasured]) -> str:
    """The weaker attack, or smaller epsilon, of `others` that leaves fewer images correct than `point`; else empty.

    All are points of the same network and norm.
    """
    if point.attack == "random":  # it does not search, so there is nothing that it could have missed
        return ""
    for other in others:
        if other.correct < point.correct:
            if other.epsilon == point.epsilon and STRENGTH[other.attack] < STRENGTH[point.attack]:
                return other.attack
            if other.attack == point.attack and other.epsilon < point.epsilon:
                return "a smaller epsilon"
    return ""


def measure_robustness(request: MeasureRobustness, root: Path) -> Generator[Event, None, None]:
    """The curves that `request` asks for, updated as they grow; at the end each point, then all curves together.

    Raises RequestError where a network or the data set does not exist.
    """
    networks = yield from open_networks(request, request.others, "curves with the same name cannot be told apart", root)
    dataset, split = yield from find_images(request, networks[0])
    work = _Measurement(request, networks, dataset, split)
    words = f"{work.count:,} digits under {', '.join(request.attack)}"
    for done, total, more in work.finish():
        if more:
            yield RobustnessAdvanced(**work.results())
        yield WorkAdvanced(words=words, done=done, total=total)
    found = RobustnessMeasured(**work.results())
    yield from found.points
    yield found
