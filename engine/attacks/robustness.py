"""Accuracy under attack against the maximum perturbation, for several attacks and networks over many images.

Each point is measured independently of the other epsilons asked for. Attacks that minimise the norm run once, and their
result is compared with each epsilon. Results are cached in memory and, for a run, in its folder.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from engine.adversary.network import AT_ONCE
from engine.attacks.events import FallenImage, RobustnessAdvanced, RobustnessMeasured, RobustnessPointMeasured
from engine.attacks.requests import MeasureRobustness
from engine.attacks.verdicts import MINIMISES, Setting, Verdicts, verdicts_of
from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.geometry import CLASSES
from engine.inspection.intervals import wilson
from engine.inspection.loaded import LoadedNetwork, find_images, open_networks
from engine.inspection.predictions import answers

if TYPE_CHECKING:
    from engine.event import Array

STRENGTH: dict[str, int] = {"random": 0, "fgsm": 1, "square": 2, "deepfool": 2, "pgd": 3, "cw": 3, "fab": 3, "apgd": 4}
STRENGTH |= {"autoattack": 5}
"""Ranks of the attacks: one of a higher rank that fools fewer images has missed adversarial images."""
SOON = (5, 10, 25, 50)
"""Numbers of images for which there are first results: with AutoAttack, a batch can take minutes."""
SHOWN = 10
"""Number of images that an event shows: those that the smallest perturbations fooled."""


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
            (number, setting): verdicts_of(loaded, split, dataset, part, setting)
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
                if len(verdicts) < most:
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
    dataset, split = yield from find_images(request, networks[0], root)
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
