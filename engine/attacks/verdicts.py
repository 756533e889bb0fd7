"""What an attack, or a proof, says of many images, in batches that can be interrupted; kept in the run's folder."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from engine.adversary.autoattack import STARTS, autoattack
from engine.adversary.names import LossName, NormName
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import norms, random_starts
from engine.adversary.objectives import ANY, Misclassification
from engine.attacks.attack import attacked, iterates
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
)
from engine.bounds.certified import certified
from engine.data.datasets import Split
from engine.geometry import CLASSES
from engine.inspection.loaded import LoadedNetwork
from engine.inspection.predictions import answers
from engine.paths import write_whole
from engine.reading import read_bytes

if TYPE_CHECKING:
    from engine.event import Array

MOST_BYTES = 1 << 20
"""Maximum size of a file of results, in bytes, compressed or not: three times that of 60,000 images."""
VERSION = 4
"""Version of the attacks' implementation: results on disk of other versions are ignored."""
MINIMISES = ("deepfool", "cw", "fab")
"""Attacks that minimise the norm of the perturbation, rather than stay within an epsilon."""


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
        """Attack the next images, up to `most`, together; yields after each step.

        An image whose class `proofs` have proved within this epsilon is not attacked: no attack could change that.
        """
        first, last = len(self), most
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
def verdicts_of(loaded: LoadedNetwork, split: Split, dataset: str, part: str, setting: Setting) -> Verdicts:
    """The results of `setting` on the first images of `split`, which is the `part` of a data set; cached.

    Those of a run are also kept in its folder, under a name for its weights and everything else that they depend on.
    Those on drawings are not: the user changes these.
    """
    file = None
    if loaded.run is not None and not loaded.run.bundled and dataset != "drawings":
        parts = (VERSION, fingerprint(loaded), dataset, part, setting)
        name = f"{setting.label}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.npz"
        file = loaded.run.path / "robustness" / name
    return Verdicts(loaded, split, setting, file)
