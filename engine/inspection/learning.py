"""When a run learned each test image, and how often it forgot it, from what its epochs keep of their evaluation."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.event import Event, WorkAdvanced
from engine.inspection.learning_events import LearnedDigit, LearningShown
from engine.inspection.loaded import find_split
from engine.inspection.requests import ShowLearning
from engine.request import RequestError
from engine.runs.finding import find_network
from engine.runs.folder import RunFolder
from engine.training.answers import unpacked
from engine.words import shown

if TYPE_CHECKING:
    from engine.event import Array

AT_ONCE = 200
"""Epochs that are read between two reports of progress: a fiftieth of a second."""


class Learning:
    """When each of N images was recognised; epochs are added one by one, in ascending order."""

    def __init__(self, count: int) -> None:
        """`count` is N."""
        self.epochs: list[int] = []
        self.first = np.zeros(count, np.int64)
        """(N,): the first epoch after which each image was recognised, 0 for none."""
        self.learned = np.zeros(count, np.int64)
        """(N,): the epoch from which on each image has been recognised, 0 where it was not after the latest."""
        self.forgettings = np.zeros(count, np.int64)
        """(N,): number of forgetting events of each image."""
        self.recognised = np.zeros(count, np.int64)
        """(N,): number of epochs after which each image was recognised."""
        self.counts: list[tuple[int, int, int]] = []
        """For each epoch, the number of images recognised, newly recognised, and forgotten."""
        self._before = np.zeros(count, np.bool_)

    def add(self, epoch: int, right: Array) -> None:
        """Add an epoch (from 1) with the images recognised after it, (N,) bool.

        An image is forgotten where it was recognised after the epoch added before, and is not after this one (Toneva et
        al. 2019, section 3, there for training images).
        """
        gained, lost = right & ~self._before, self._before & ~right
        self.epochs.append(epoch)
        self.first[gained & (self.first == 0)] = epoch
        self.learned[gained] = epoch
        self.learned[lost] = 0
        self.forgettings += lost
        self.recognised += right
        self.counts.append((int(right.sum()), int(gained.sum()), int(lost.sum())))
        self._before = right

    def most_forgotten(self, count: int) -> Array:
        """Indices of the at most `count` images forgotten most often, in descending order.

        Of equals, those come first that are not recognised now, then those that were learned later, then by index.
        """
        since = np.where(self.learned == 0, np.iinfo(np.int64).max, self.learned)
        order = np.lexsort((-since, -self.forgettings))
        return order[self.forgettings[order] > 0][:count]

    def last_learned(self, count: int) -> Array:
        """Indices of the at most `count` images learned for good last, but not in the first epoch; the latest first.

        Of equals, those come first that were forgotten more often, then by index.
        """
        order = np.lexsort((-self.forgettings, -self.learned))
        return order[self.learned[order] > (self.epochs[0] if self.epochs else 0)][:count]

    def never_right(self) -> Array:
        """Indices, ascending, of the images that no epoch recognised."""
        return np.flatnonzero(self.first == 0)


def show_learning(request: ShowLearning, root: Path) -> Generator[Event, None, None]:
    """When the run learned each test image, and how often it forgot it.

    Raises RequestError where the run does not exist, or has no epoch that kept which test images it recognised.
    """
    folder = find_network(request.what, root)
    if not isinstance(folder, RunFolder):
        raise RequestError(f"{folder} is a weights file, which does not say what its epochs recognised: name a run")
    name = folder.what if folder.bundled else shown(folder.path.absolute().name)
    trained, history = folder.read_record().request, folder.history()
    if not history.epochs:
        raise RequestError(f"run {name} has no finished epoch yet, so there is nothing that it has learned")
    kept = [epoch for epoch in history.epochs if epoch.test_wrong]
    if not kept:
        raise RequestError(
            f"run {name} did not keep which test digits it recognised after each epoch, as older versions did not: "
            "train it again to see when it learns them"
        )
    split = yield from find_split(trained.dataset, "test", torch.device("cpu"))
    learning, rows = Learning(len(split)), []
    for number, epoch in enumerate(kept):
        try:
            right = unpacked(epoch.test_wrong, len(split))
        except ValueError:  # a damaged line, which is as good as a missing one
            continue
        learning.add(epoch.epoch, right)
        rows.append(np.packbits(right))
        if number % AT_ONCE == 0:
            yield WorkAdvanced(words=f"epochs of {name}", done=number, total=len(kept))
    if not rows:
        raise RequestError(
            f"what run {name} kept of its test digits is damaged, or of another data set than {trained.dataset}"
        )
    labels = split.labels.cpu().numpy()
    never = learning.never_right()
    groups = learning.most_forgotten(request.count), learning.last_learned(request.count), never[: request.count]
    most_forgotten, last_learned, never_right = (tuple(_digits(learning, group, labels)) for group in groups)
    indices = np.unique(np.concatenate(groups))
    right_now, learned, forgotten = zip(*learning.counts, strict=True)
    yield LearningShown(
        name=name,
        variant=trained.variant,
        epoch=history.epoch,
        dataset=trained.dataset,
        split="test",
        count=len(split),
        epochs=tuple(learning.epochs),
        missing=len(history.epochs) - len(rows),
        right=right_now,
        learned=learned,
        forgotten=forgotten,
        by_forgetting=tuple(np.bincount(learning.forgettings[learning.first > 0], minlength=1).tolist()),
        never=len(never),
        most_forgotten=most_forgotten,
        last_learned=last_learned,
        never_right=never_right,
        first_epochs=learning.first,
        learned_epochs=learning.learned,
        forgettings=learning.forgettings,
        right_bits=np.stack(rows),
        indices=indices,
        images=split.images[torch.from_numpy(indices).to(split.images.device), 0].cpu().numpy(),
    )


def _digits(learning: Learning, indices: Iterable[int], labels: Array) -> Generator[LearnedDigit, None, None]:
    """What is known of the images at `indices`, with labels (N,) of all of the split."""
    for index in map(int, indices):
        yield LearnedDigit(
            index=index,
            label=int(labels[index]),
            first=int(learning.first[index]) or None,
            learned=int(learning.learned[index]) or None,
            forgotten=int(learning.forgettings[index]),
            right=int(learning.recognised[index]),
        )
