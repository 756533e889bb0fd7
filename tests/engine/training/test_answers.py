"""What an epoch keeps of its test evaluation."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np
import pytest
import torch

from engine.data.datasets import Dataset
from engine.event import to_json
from engine.network.model import inference_network
from engine.training.answers import packed, unpacked
from engine.training.events import EpochFinished
from engine.training.loop import train
from engine.training.requests import Train
from engine.training.state import TrainingState

pytestmark = pytest.mark.numeric
CPU = torch.device("cpu")


@pytest.mark.parametrize("count", [1, 7, 8, 9, 400, 10_000, 60_000])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_what_is_packed_is_unpacked(count: int, share: float) -> None:
    right = np.random.default_rng(count).random(count) >= share
    data = packed(right)
    assert unpacked(data, count).tolist() == right.tolist()
    assert len(data) <= 10_000  # the bound of the field


def test_a_good_epoch_takes_a_few_hundred_bytes() -> None:
    right = np.random.default_rng(0).random(10_000) >= 0.01
    assert len(packed(right)) < 300


def test_what_is_not_such_a_record_is_refused() -> None:
    data = packed(np.ones(400, np.bool_))
    bomb = zlib.compress(bytes(10**8))
    for damaged, count in ((b"no zlib", 400), (data[:-3], 400), (data, 4000), (data, 40), (bomb, 400), (b"", 8)):
        with pytest.raises(ValueError, match="the record of the recognised images is"):
            unpacked(damaged, count)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_an_epoch_keeps_which_test_images_its_network_recognises(small: Dataset, average: float) -> None:
    request = Train(train_size=640, epochs=2, channels=4, hidden=16, average=average)
    state = TrainingState.fresh(request, CPU)
    for event in train(request, small, state):
        if isinstance(event, EpochFinished):
            with torch.inference_mode():
                answers = inference_network(state.result)(small.test.images).argmax(dim=1)
            right = unpacked(event.test_wrong, 400)
            assert right.tolist() == (answers == small.test.labels).tolist()
            assert right.mean() == event.test_accuracy
            assert msgspec.json.decode(to_json(event), type=EpochFinished) == event


def test_an_epoch_of_an_older_version_has_none() -> None:
    line = b"""{"type":"EpochFinished","epoch":1,"epochs":1,"train_loss":1,"val_loss":1,"val_accuracy":1,
    "test_accuracy":1,"train_seconds":1,"eval_seconds":1,"images_per_second":1,"running_loss":[]}"""
    assert msgspec.json.decode(line, type=EpochFinished).test_wrong == b""


def test_keeping_it_leaves_training_bit_for_bit_as_it_is(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Train(train_size=640, epochs=2, channels=4, hidden=16, batch_norm=True, average=0.9)
    with_it = TrainingState.fresh(request, CPU)
    kept = [event for event in train(request, small, with_it) if isinstance(event, EpochFinished)]
    monkeypatch.setattr("engine.training.loop.packed", lambda _: b"")
    without = TrainingState.fresh(request, CPU)
    plain = [event for event in train(request, small, without) if isinstance(event, EpochFinished)]
    one, other = with_it.tensors(), without.tensors()
    assert all(torch.equal(one[name], other[name]) for name in other)
    for before, after in zip(plain, kept, strict=True):
        assert (before.train_loss, before.running_loss) == (after.train_loss, after.running_loss)
        assert (before.val_loss, before.test_accuracy) == (after.val_loss, after.test_accuracy)
        assert after.test_wrong > before.test_wrong == b""
