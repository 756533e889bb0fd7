"""When digits are learned and forgotten, held against the definitions, image by image."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from engine.data.datasets import Dataset
from engine.event import Progress, to_json
from engine.inspection.learning import Learning
from engine.inspection.learning_events import LearningShown
from engine.inspection.loaded import load_network
from engine.inspection.requests import ShowLearning
from engine.network.requests import Inspect
from engine.operations import perform
from engine.request import RequestError
from engine.runs.folder import RunFolder
from engine.training.answers import packed
from engine.training.requests import Train
from tests.conftest import patch_load
from tests.learning import COUNT, EPOCHS, recognised, run_that_recognised, run_with

pytestmark = pytest.mark.numeric


def learned(request: ShowLearning, root: Path = Path("no-such-folder")) -> LearningShown:
    (event,) = (event for event in perform(request, root) if not isinstance(event, Progress))
    assert isinstance(event, LearningShown)
    return event


def first(values: list[bool]) -> int | None:
    return values.index(True) + 1 if True in values else None


def for_good(values: list[bool]) -> int | None:
    """The first epoch from which on all are true."""
    return next((at + 1 for at in range(len(values)) if all(values[at:])), None)


def forgettings(values: list[bool]) -> int:
    return sum(one and not other for one, other in pairwise(values))


@pytest.fixture
def run(small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run of seven epochs that recognised what `recognised` has of 400 test images."""
    patch_load(monkeypatch, small, "engine.inspection.loaded")
    return run_that_recognised(tmp_path, "a-run")


def test_forgetting_is_counted_by_its_definition() -> None:
    right = recognised()
    learning = Learning(COUNT)
    for epoch, row in enumerate(right, 1):
        learning.add(epoch, row)
    for image in range(COUNT):
        values = right[:, image].tolist()
        assert learning.forgettings[image] == forgettings(values)
        assert learning.first[image] == (first(values) or 0)
        assert learning.learned[image] == (for_good(values) or 0)
        assert learning.recognised[image] == sum(values)
    for epoch in range(EPOCHS):
        before = right[epoch - 1] if epoch else np.zeros(COUNT, np.bool_)
        gained = sum(now and not then for now, then in zip(right[epoch], before, strict=True))
        lost = sum(then and not now for now, then in zip(right[epoch], before, strict=True))
        assert learning.counts[epoch] == (right[epoch].sum(), gained, lost)


def test_the_digits_listed_are_those_at_the_ends(run: RunFolder) -> None:
    event, right = learned(ShowLearning(what=str(run.path), count=10)), recognised()
    columns = [right[:, image].tolist() for image in range(COUNT)]

    def worst(image: int) -> tuple[int, int, int]:
        return -forgettings(columns[image]), -(for_good(columns[image]) or 99), image

    def latest(image: int) -> tuple[int, int, int]:
        return -(for_good(columns[image]) or 0), -forgettings(columns[image]), image

    assert [digit.index for digit in event.most_forgotten] == sorted(range(COUNT), key=worst)[:10]
    assert [digit.index for digit in event.last_learned] == sorted(range(COUNT), key=latest)[:10]
    never = [image for image in range(COUNT) if not any(columns[image])]
    assert [digit.index for digit in event.never_right] == never[:10]
    assert event.never == len(never) >= 3
    for digit in (*event.most_forgotten, *event.last_learned, *event.never_right):
        values = columns[digit.index]
        assert (digit.first, digit.learned) == (first(values), for_good(values))
        assert (digit.forgotten, digit.right) == (forgettings(values), sum(values))
    counts = [forgettings(column) for column in columns if any(column)]
    assert event.by_forgetting == tuple(counts.count(times) for times in range(max(counts) + 1))
    assert sum(event.by_forgetting) + event.never == event.count == COUNT


def test_the_event_says_what_it_is_of(run: RunFolder, small: Dataset) -> None:
    event, right = learned(ShowLearning(what=str(run.path))), recognised()
    assert (event.name, event.dataset, event.split, event.epoch) == ("a-run", "mnist", "test", EPOCHS)
    assert (event.epochs, event.missing) == (tuple(range(1, EPOCHS + 1)), 0)
    assert event.right == tuple(right.sum(axis=1))
    bits = np.unpackbits(event.right_bits, axis=1, count=COUNT)
    assert (bits == right).all()
    for place, index in enumerate(event.indices):
        assert torch.equal(torch.from_numpy(event.images[place]), small.test.images[index, 0])
    listed = {digit.index for digit in (*event.most_forgotten, *event.last_learned, *event.never_right)}
    assert listed == set(event.indices.tolist())
    for group in (event.most_forgotten, event.last_learned):
        assert all(digit.label == small.test.labels[digit.index] for digit in group)
    assert json.loads(to_json(event))["most_forgotten"][0]["forgotten"] == event.most_forgotten[0].forgotten


def test_a_trained_run_ends_with_what_its_network_recognises(
    small: Dataset, small_runs: None, few_images: None, tmp_path: Path
) -> None:
    list(perform(Train(train_size=640, epochs=2, channels=4, hidden=16, device="cpu"), tmp_path))
    event = learned(ShowLearning(), tmp_path)
    loaded = load_network(Inspect(what="", device="cpu"), tmp_path)
    with torch.inference_mode():
        right = (loaded.model(small.test.images).argmax(dim=1) == small.test.labels).numpy()
    assert ((event.learned_epochs > 0) == right).all()
    assert event.epochs == (1, 2)


def test_epochs_without_a_record_are_left_out_and_counted(run: RunFolder, tmp_path: Path) -> None:
    right = recognised()
    records = [b"", packed(right[0]), b"damaged", packed(right[1]), packed(right[2])]
    event = learned(ShowLearning(what=str(run_with(tmp_path, "partly", records).path)))
    assert (event.epochs, event.missing) == ((2, 4, 5), 2)
    for image in range(COUNT):
        values = right[:3, image].tolist()
        assert event.forgettings[image] == forgettings(values)
        assert event.learned_epochs[image] == {None: 0, 1: 2, 2: 4, 3: 5}[for_good(values)]


def test_of_one_epoch_nothing_is_forgotten(run: RunFolder, tmp_path: Path) -> None:
    event = learned(ShowLearning(what=str(run_with(tmp_path, "one", [packed(recognised()[0])]).path)))
    assert (event.most_forgotten, event.last_learned) == ((), ())
    assert event.by_forgetting == (COUNT - event.never,)


def test_a_run_without_the_record_says_so(trained: RunFolder, run: RunFolder, tmp_path: Path) -> None:
    older = run_with(tmp_path, "older", [b"", b""])
    with pytest.raises(RequestError, match=r"run older did not keep which test digits .* train it again"):
        learned(ShowLearning(what=str(older.path)))
    with pytest.raises(RequestError, match="run pretrained:cnn did not keep"):
        learned(ShowLearning(what="pretrained:cnn"))
    other = run_with(tmp_path, "other", [packed(np.ones(10_000, np.bool_))])
    with pytest.raises(RequestError, match="is damaged, or of another data set than mnist"):
        learned(ShowLearning(what=str(other.path)))
    with pytest.raises(RequestError, match="has no finished epoch yet"):
        learned(ShowLearning(what=str(run_with(tmp_path, "none", []).path)))
    file = trained.model_file
    with pytest.raises(RequestError, match=r"is a weights file, which does not say .* name a run"):
        learned(ShowLearning(what=str(file)))


def test_an_epoch_that_was_trained_again_counts_once(run: RunFolder, tmp_path: Path) -> None:
    right = recognised()
    folder = run_with(tmp_path, "again", [packed(row) for row in right[:3]])
    pattern = msgspec.structs.replace(folder.history().epochs[1], test_wrong=packed(right[5]))
    folder.append(pattern)  # as a resumed run does
    event = learned(ShowLearning(what=str(folder.path)))
    assert event.epochs == (1, 2)
    assert event.forgettings.tolist() == [forgettings([a, b]) for a, b in zip(right[0], right[5], strict=True)]
