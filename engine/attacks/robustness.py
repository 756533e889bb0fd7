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
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor

from engine.adversary.autoattack import STARTS, autoattack
from engine.adversary.names import LossName, NormName
from engine.adversary.network import AT_ONCE, AttackedNetwork, Iterate
from engine.adversary.norm_ball import norms, random_starts
from engine.adversary.objectives import ANY, Misclassification
from engine.attacks.attack import attacked, iterates
from engine.attacks.events import FallenImage, RobustnessAdvanced, RobustnessMeasured, RobustnessPointMeasured
from engine.attacks.requests import (
    AnyAttack,
    AttackApgd,
    AttackCarliniWagner,
    AttackDeepFool,
    AttackFab,
    AttackFgsm,
    AttackPgd,
    AttackSquare,
    CurveAttackName,
    MeasureRobustness,
)
from engine.bounds.certified import certified
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
VERSION = 4
"""Version of the attacks' implementation: results on disk of other versions are ignored."""
STRENGTH: dict[str, int] = {"random": 0, "fgsm": 1, "square": 2, "deepfool": 2, "pgd": 3, "cw": 3, "fab": 3, "apgd": 4}
STRENGTH |= {"autoattack": 5}
"""Ranks of the attacks: one of a higher rank that fools fewer images has missed adversarial images."""
MINIMISES = ("deepfool", "cw", "fab")
"""Attacks that minimise the norm of the perturbation, rather than stay within an epsilon."""
SOON = (5, 10, 25, 50)
"""Numbers of images for which there are first results: with AutoAttack, a batch can take minutes."""
SHOWN = 10
"""Number of images that an event shows: those that the smallest perturbations fooled."""


@dataclass(frozen=True)
class Setting:
    """One attack with its epsilon, which an attack that minimises the norm ignores."""

    attack: CurveAttackName | Literal["certified"]
    norm: NormName
    epsilon: float
    steps: int
    restarts: int
    seed: int
    loss: LossName = "ce"

    @property
    def label(self) -> str:
        """A label for file names."""
        return f"{self.attack}-{self.norm}" + ("" if self.attack in MINIMISES else f"-{self.epsilon:g}")

    @property
    def starts(self) -> int:
        """The number of random starting points of an image that withstands the attack; 0 for one that has none."""
        return {"pgd": self.restarts, "apgd": 1, "autoattack": STARTS}.get(self.attack, 0)


def settings_of(request: MeasureRobustness) -> list[Setting]:
    """What to prove, first, and which attacks to run for the points that `request` asks for."""
    found = []
    if request.certified:
        found += [Setting("certified", request.norm, float(bound), 0, 0, 0) for bound in request.bounds]
    for attack in request.attack:
        bounds = (0.0,) if attack in MINIMISES else request.bounds
        steps, restarts, loss = (request.steps, request.restarts, request.loss) if attack == "pgd" else (0, 0, "ce")
        seed = 0 if attack in (*MINIMISES, "fgsm") else request.seed
        found += [Setting(attack, request.norm, float(bound), steps, restarts, seed, loss) for bound in bounds]
    return found


def attack_many(
    network: AttackedNetwork, images: Tensor, labels: Tensor, indices: Sequence[int], setting: Setting
) -> Iterator[Iterate]:
    """The untargeted attack of `setting` on images (n, 1, 28, 28) of classes `labels` (n,)."""
    objective = Misclassification(labels, torch.full_like(labels, ANY))
    epsilon, norm, seed = setting.epsilon, setting.norm, setting.seed
    request: AnyAttack
    match setting.attack:
        case "random":
            moved = random_starts(images, epsilon, norm, seed, indices)
            return iter([Iterate(moved, network.logits(moved))])
        case "deepfool":
            request = AttackDeepFool()
        case "fab":
            request = AttackFab(norm=norm)
        case "cw":
            request = AttackCarliniWagner()
        case _ if epsilon == 0:
            return iter([Iterate(images, network.logits(images))])
        case "fgsm":
            request = AttackFgsm(epsilon=epsilon, norm=norm)
        case "pgd":
            steps, restarts, loss = setting.steps, setting.restarts, setting.loss
            request = AttackPgd(epsilon=epsilon, norm=norm, steps=steps, restarts=restarts, loss=loss, seed=seed)
        case "apgd":
            request = AttackApgd(epsilon=epsilon, norm=norm, seed=seed)
        case "square":
            request = AttackSquare(epsilon=epsilon, norm=norm, seed=seed)
        case "certified":
            raise ValueError("a proof is no attack")
        case "autoattack":
            return autoattack(network, images, objective, epsilon, norm, seed, indices)
    return iterates(network, request, images, objective, indices, stop=True)


class Verdicts:
    """The results of one attack on the first images of a split. The work can be interrupted and resumed at any step.

    Or what is proved of them, which is certain for every attack.
    """

    def __init__(self, loaded: LoadedNetwork, split: Split, setting: Setting, file: Path | None) -> None:
        self._loaded, self._split, self.setting, self._file = loaded, split, setting, file
        self.taken: Array = np.zeros(0, np.int8)
        """(n,): the predicted class of each image after the attack; of a proof, its class, or -1 where it failed."""
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
            least = -1 if self.setting.attack == "certified" else 0
            if sound and taken.size <= len(self._split) and least <= taken.min() <= taken.max() < CLASSES:
                self.taken, self.sizes = taken, sizes.astype(np.float32)

    def extend(self, most: int, proofs: Verdicts | None = None) -> Iterator[None]:
        """Attack the next images, at most AT_ONCE and none beyond `most`; yields after each step.

        An image whose class `proofs` have proved within this epsilon is not attacked: no attack could change that.
        """
        first, last = len(self), min(len(self) + AT_ONCE, most)
        if first >= last:
            return
        images, labels = self._split.images[first:last], self._split.labels[first:last]
        if self.setting.attack == "certified":
            proved = certified(self._loaded.model, images, labels, self.setting.epsilon)
            self._add(torch.where(proved, labels, -1), torch.zeros_like(labels, dtype=torch.float32))
            yield
            return
        shown, indices = images.clone(), list(range(first, last))
        left: slice | Tensor = slice(None)
        if proofs is not None and len(proofs) >= last:
            indices = [index for index in indices if proofs.taken[index] < 0]
            left = torch.tensor(indices, dtype=torch.int64, device=images.device) - first
        if indices:
            network = attacked(self._loaded, self._loaded.dtype)
            for iterate in attack_many(network, images[left], labels[left], indices, self.setting):
                found = iterate.images
                yield
            shown[left] = found
        taken = answers(self._loaded, shown)  # computed afresh, by the network in its own precision
        self._add(taken, norms(shown - images, self.setting.norm)[:, 0, 0, 0])

    def _add(self, taken: Tensor, sizes: Tensor) -> None:
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
        if self.setting.attack in MINIMISES:
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


def _parts(count: int, *, slow: bool) -> list[int]:
    """How many of `count` images are done after each batch: of a `slow` attack first few, which are seen soon."""
    soon = [end for end in SOON if slow and end < min(AT_ONCE, count)]
    return [*soon, *range(AT_ONCE, count, AT_ONCE), count]


class _Measurement:
    """All curves of a request.

    With `certified`, AutoAttack does not attack images that are proved within its epsilon: no attack changes them.
    """

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
        for most in _parts(self.count, slow="autoattack" in self.request.attack):
            fresh = False
            for (number, setting), verdicts in self.verdicts.items():
                proofs = self._proofs(number, setting)
                while len(verdicts) < most:
                    for _ in verdicts.extend(most, proofs):
                        yield sum(min(len(each), self.count) for each in self.verdicts.values()), total, False
                    fresh = True
            if fresh:
                yield most * len(self.verdicts), total, True

    def _proofs(self, number: int, setting: Setting) -> Verdicts | None:
        """What is proved of the same network within the same epsilon, where that saves AutoAttack's work."""
        if setting.attack != "autoattack":
            return None
        return self.verdicts.get((number, Setting("certified", setting.norm, setting.epsilon, 0, 0, 0)))

    def results(self) -> dict[str, Any]:
        """The results so far as fields of a RobustnessMeasured, over the images that all curves cover."""
        request, main = self.request, self.networks[0]
        n = min(self.count, *map(len, self.verdicts.values()))
        points = tuple(point for number in range(len(self.networks)) for point in self._points(number, n))
        medians: dict[str, float] = {}
        for (number, setting), verdicts in self.verdicts.items():
            if setting.attack in MINIMISES and setting.norm == "l2":
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
        for attack in (*request.attack, *(("certified",) if request.certified else ())):
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
                    starts=verdicts.setting.starts,
                    loss=verdicts.setting.loss if attack == "pgd" else "",
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
    if point.attack in ("random", "certified"):  # these do not search, so there is nothing that they could have missed
        return ""
    for other in others:
        if other.attack != "certified" and other.correct < point.correct:
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
    proved = "proved and " if request.certified else ""
    words = f"{work.count:,} digits {proved}under {', '.join(request.attack)}"
    for done, total, more in work.finish():
        if more:
            yield RobustnessAdvanced(**work.results())
        yield WorkAdvanced(words=words, done=done, total=total)
    found = RobustnessMeasured(**work.results())
    yield from found.points
    yield found
