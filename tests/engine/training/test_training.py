from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.benchmark import notebook
from engine.data.datasets import Dataset, Split, epoch_permutation
from engine.network.batches import EVALUATION_BATCH
from engine.network.gpu import precision_modes
from engine.network.model import seeded_cnn
from engine.training.adam import Adam
from engine.training.evaluation import evaluate
from engine.training.events import BatchEvaluated, BatchTrained, EpochFinished
from engine.training.loop import TrainingFailed, train
from engine.training.requests import Train
from engine.training.state import RUNNING_POINTS, Sums, TrainingState
from engine.training.step import Step
from tests.conftest import returned

pytestmark = pytest.mark.numeric

CPU = torch.device("cpu")
both_variants = pytest.mark.parametrize("batch_norm", [False, True])


def run(request: Train, data: Dataset, state: TrainingState | None = None) -> tuple[TrainingState, list[EpochFinished]]:
    state = state or TrainingState.fresh(request, CPU)
    return state, [event for event in train(request, data, state) if isinstance(event, EpochFinished)]


def weights(state: TrainingState) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in state.model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def batches(split: Split, size: int) -> list[tuple[Tensor, Tensor]]:
    return list(zip(torch.split(split.images, size), torch.split(split.labels, size), strict=True))


def in_order(split: Split, order: Tensor, size: int) -> Iterable[tuple[Tensor, Tensor]]:
    return batches(Split(split.images[order], split.labels[order]), size)


@both_variants
def test_an_epoch_is_the_notebooks(small: Dataset, batch_norm: bool) -> None:
    request = Train(train_size=600, epochs=1, seed=4, batch_norm=batch_norm)
    _, (ours,) = run(request, small)

    model = notebook.network(batch_norm)
    model.load_state_dict(seeded_cnn(request, 4).state_dict())
    order = epoch_permutation(4, 1, 600)
    train_loss, val_loss, test_accuracy = notebook.train(
        in_order(small.train.first(600), order, 64),
        batches(small.val, 100),  # of one size, so that the mean of the batches' means is the mean of the images
        batches(small.test, 100),
        model,
        torch.optim.Adam(model.parameters(), lr=0.001),
        nn.CrossEntropyLoss(),
        1,
    )
    # Batch norm makes Adam amplify rounding (the biases before it have no gradient but noise): see the test below.
    assert ours.train_loss == pytest.approx(train_loss[0], rel=2e-3 if batch_norm else 1e-4)
    assert ours.val_loss == pytest.approx(val_loss[0], rel=1e-2 if batch_norm else 1e-3)
    assert ours.test_accuracy == pytest.approx(test_accuracy[0], abs=4 / 400)
    with torch.no_grad():
        right = (model(small.val.images)[1].argmax(1) == small.val.labels).sum().item()
    assert ours.val_accuracy == pytest.approx(right / 500, abs=5 / 500)


def test_an_epoch_with_batch_norm_is_the_notebooks_where_rounding_is_small(small: Dataset) -> None:
    data = Dataset("mnist", *(Split(one.images.double(), one.labels) for one in (small.train, small.val, small.test)))
    request = Train(train_size=300, epochs=1, seed=4, batch_norm=True)
    ours = seeded_cnn(request, 4).double().to(memory_format=torch.channels_last)
    for bias in ours.cancelled_biases():
        bias.requires_grad_(False)
    state = TrainingState(ours, Adam([each for each in ours.parameters() if each.requires_grad]))
    _, (epoch,) = run(request, data, state)

    model = notebook.network(True).double()
    model.load_state_dict(seeded_cnn(request, 4).state_dict())
    train_loss, val_loss, test_accuracy = notebook.train(
        in_order(data.train.first(300), epoch_permutation(4, 1, 300), 64),
        batches(data.val, 100),
        batches(data.test, 100),
        model,
        torch.optim.Adam(model.parameters(), lr=1e-3),
        nn.CrossEntropyLoss(),
        1,
    )
    assert epoch.train_loss == pytest.approx(train_loss[0], rel=1e-6)
    assert epoch.val_loss == pytest.approx(val_loss[0], rel=1e-6)
    assert epoch.test_accuracy == test_accuracy[0]


@both_variants
def test_evaluation_is_the_mean_over_the_images(mnist: Dataset, batch_norm: bool) -> None:
    split = mnist.val.first(1234)  # not a whole number of batches
    model = seeded_cnn(Train(batch_norm=batch_norm), 2)
    model.train()
    model(mnist.train.images[:256])
    events = evaluate(model, split, "val")
    first = next(events)
    assert first == BatchEvaluated(split="val", done=EVALUATION_BATCH, total=1234)
    loss, accuracy, recognised = returned(events)

    theirs = notebook.network(batch_norm).eval()
    theirs.load_state_dict(model.state_dict())
    total, right = 0.0, list[bool]()
    with torch.no_grad():
        for images, labels in batches(split, 100):
            softmax = theirs(images)[1].double()
            total -= float(softmax[range(len(labels)), labels].log().sum())
            right += (softmax.argmax(1) == labels).tolist()
    assert loss == pytest.approx(total / 1234, rel=1e-5)
    assert accuracy == sum(right) / 1234
    assert recognised.tolist() == right


@both_variants
def test_same_seed_gives_the_same_bits(small: Dataset, batch_norm: bool) -> None:
    request = Train(train_size=640, epochs=1, seed=1, batch_norm=batch_norm)
    torch.manual_seed(1)
    first, first_epochs = run(request, small)
    torch.manual_seed(2)
    second, second_epochs = run(request, small)
    assert same(weights(first), weights(second))
    assert first_epochs[0].running_loss == second_epochs[0].running_loss
    other, _ = run(Train(train_size=640, epochs=1, seed=2, batch_norm=batch_norm), small)
    assert not torch.equal(weights(first)["conv1.0.weight"], weights(other)["conv1.0.weight"])


@both_variants
def test_going_on_is_the_same_as_never_having_stopped(small: Dataset, batch_norm: bool) -> None:
    whole = Train(train_size=640, epochs=2, seed=3, batch_norm=batch_norm)
    half = Train(train_size=640, epochs=1, seed=3, batch_norm=batch_norm)
    straight, straight_epochs = run(whole, small)
    kept = run(half, small)[0].tensors()
    assert all(value.device == CPU for value in kept.values())

    again = TrainingState.fresh(Train(train_size=640, seed=99, batch_norm=batch_norm), CPU)
    again.restore(kept, Sums(), 10)
    again.epoch = 1
    assert same(again.tensors(), kept)
    _, more = run(whole, small, again)
    assert [event.epoch for event in more] == [2]
    assert more[0].running_loss == straight_epochs[1].running_loss
    assert same(again.tensors(), straight.tensors())


@pytest.mark.parametrize("when", ["training", "validation"])
def test_a_loss_that_is_no_number_keeps_the_last_epoch(
    small: Dataset, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    request = Train(train_size=640, epochs=3, batch_norm=True)
    state = TrainingState.fresh(request, CPU)
    good: dict[str, Tensor] = {}
    plain = nn.functional.cross_entropy

    def broken(logits: Tensor, labels: Tensor, **options: Any) -> Tensor:
        return plain(logits, labels, **options) * math.nan

    with pytest.raises(TrainingFailed) as caught:  # noqa: PT012
        for event in train(request, small, state):
            if isinstance(event, EpochFinished):
                good = weights(state)
                module = {"training": "objective", "validation": "evaluation"}[when]
                monkeypatch.setattr(f"engine.training.{module}.cross_entropy", broken)
    assert state.epoch == 1
    assert same(weights(state), good)
    assert "epoch 2" in str(caught.value)
    assert "learning rate (0.001)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_last_batch_of_one_image_is_no_trouble_for_batch_norm(small: Dataset) -> None:
    for size, batch, steps in ((129, 64, 2), (3, 2, 1), (65, 64, 1)):
        request = Train(train_size=size, batch_size=batch, epochs=1, batch_norm=True)
        state = TrainingState.fresh(request, CPU)
        events = list(train(request, small, state))
        assert [event.steps for event in events if isinstance(event, BatchTrained)] == [steps] * steps
        assert all(bool(value.isfinite().all()) for value in weights(state).values())
    plain = Train(train_size=129, batch_size=64, epochs=1)
    events = list(train(plain, small, TrainingState.fresh(plain, CPU)))
    assert sum(isinstance(event, BatchTrained) for event in events) == 3


@pytest.mark.parametrize(("size", "batch"), [(640, 64), (330, 5), (1300, 10), (64, 64), (165, 5)])
def test_running_loss(small: Dataset, size: int, batch: int) -> None:
    request = Train(train_size=size, batch_size=batch, epochs=1, channels=2, hidden=8)
    events = list(train(request, small, TrainingState.fresh(request, CPU)))
    steps = [event for event in events if isinstance(event, BatchTrained)]
    (epoch,) = (event for event in events if isinstance(event, EpochFinished))
    assert [event.step for event in steps] == list(range(1, math.ceil(size / batch) + 1))
    points = epoch.running_loss
    assert 1 <= len(points) <= RUNNING_POINTS
    assert steps[-1].running_loss == points
    lengths: list[int] = []
    before = 0
    for event in steps:  # a point appears at the end of its stretch
        assert event.running_loss == points[: len(event.running_loss)]
        if len(event.running_loss) > len(lengths):
            lengths.append(event.step - before)
            before = event.step
    weighted = sum(point * length for point, length in zip(points, lengths, strict=True)) / len(steps)
    assert weighted == pytest.approx(epoch.train_loss, rel=1e-5)


def test_seconds_do_not_count_what_the_consumer_takes(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause holds the generator; the times of training and evaluation stay those of the work."""
    clock = itertools.count()
    held = 0
    monkeypatch.setattr("engine.training.loop.time.perf_counter", lambda: float(next(clock) + held))
    request = Train(train_size=128, epochs=1, channels=2, hidden=8)
    for event in train(request, small, TrainingState.fresh(request, CPU)):
        held += 1_000_000
        if isinstance(event, EpochFinished):
            assert 0 < event.train_seconds < 1000
            assert 0 < event.eval_seconds < 1000
    assert held > 1_000_000


def test_events_of_an_epoch(small: Dataset) -> None:
    request = Train(train_size=128, epochs=2, channels=2, hidden=8)
    events = list(train(request, small, TrainingState.fresh(request, CPU)))
    kinds = [type(event).__name__ for event in events]
    val, test = (["BatchEvaluated"] * math.ceil(size / EVALUATION_BATCH) for size in (500, 400))
    probe = ["BatchEvaluated"] * 2
    one = ["BatchTrained", "BatchTrained", *val, *test, *probe, "EpochFinished"]
    assert kinds == one * 2
    splits = ["val"] * len(val) + ["test"] * len(test) + ["probe"] * len(probe)
    assert [event.split for event in events if isinstance(event, BatchEvaluated)] == splits * 2
    assert [event.epoch for event in events if isinstance(event, EpochFinished)] == [1, 2]


def test_biases_that_batch_norm_cancels_stay_as_they_were_drawn(small: Dataset) -> None:
    request = Train(batch_norm=True, channels=4, hidden=16, train_size=256, epochs=1, device="cpu")
    state, _ = run(request, small)
    fresh = seeded_cnn(request, request.seed)
    cancelled = state.model.cancelled_biases()
    assert [len(bias) for bias in cancelled] == [4, 4, 16]
    assert all(torch.equal(one, other) for one, other in zip(cancelled, fresh.cancelled_biases(), strict=True))
    assert not torch.equal(weights(state)["fc.4.bias"], fresh.state_dict()["fc.4.bias"])
    assert not seeded_cnn(Train(), 0).cancelled_biases()


def test_tf32_covers_the_backward_pass(small: Dataset) -> None:
    request = Train(precision="tf32", batch_size=8)
    state = TrainingState.fresh(request, CPU)
    modes: list[str] = []
    weight = dict(state.model.named_parameters())["fc.1.weight"]
    weight.register_hook(lambda _: modes.append(precision_modes()["cuda products"]))  # type: ignore[no-untyped-call]
    Step(request, state, CPU)(small.train.images[:8], small.train.labels[:8], None, 1e-3)
    assert modes == ["tf32"]
    assert precision_modes()["cuda products"] != "tf32"
