"""Properties of training in chunks of steps: the same bits as single steps, however it is interrupted."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import torch
from msgspec.structs import replace

import engine.training.state
from engine.data.datasets import Dataset, Split, load
from engine.event import Event, PauseAsked
from engine.network.checkpoints import load_tensors
from engine.network.devices import choose_device
from engine.operations import end, perform, perform_all
from engine.runs.folder import RunFolder
from engine.runs.requests import Resume
from engine.training import chunks, loop
from engine.training.events import BatchTrained, EpochFinished, RunCancelled, RunFailed, RunFinished, RunStarted
from engine.training.loop import TrainingFailed, train
from engine.training.requests import ObjectiveName, Train
from engine.training.schedule import share_of_epsilon, share_of_rate
from engine.training.state import TrainingState
from tests.conftest import returned

POINTS = 4
"""Of the running loss of an epoch here."""
PLAIN = Train(channels=4, hidden=16, train_size=35, batch_size=4, epochs=2, learning_rate=2**-9)
"""9 steps an epoch in chunks of three; the last batch and the last chunk are smaller."""
EVERYTHING = replace(
    PLAIN, batch_norm=True, train_size=33, schedule="one-cycle", average=0.9, weight_decay=0.01, label_smoothing=0.1,
    shift=2, rotate=5.0, scale=0.1, elastic=1.0,
)  # fmt: skip
"""8 steps an epoch in chunks of two; the last batch is larger."""
ROBUST = [
    replace(EVERYTHING if name == "pgd" else PLAIN, objective=name, train_epsilon=0.25, attack_steps=2, ramp=0.5)
    for name in get_args(ObjectiveName)
    if name != "clean"
]
"""Every objective with a ramp or random numbers. Epsilon is a power of two, so that it is exact in float32."""


@contextmanager
def _short_epochs() -> Iterator[None]:
    """Let short epochs have chunks of several steps, however slow the machine, and a short warm-up."""
    points = patch.object(engine.training.state, "RUNNING_POINTS", POINTS)
    with points, patch.multiple(chunks, LONGEST=math.inf, _WARM_UP=1):
        yield


def _data(device: str) -> Dataset:
    """On `device`, with few images to evaluate: most of the time would go there."""
    data = returned(load("mnist", choose_device(device)))
    return Dataset(data.name, data.train, data.val.first(60), data.test.first(60))


def _state(request: Train, data: Dataset) -> TrainingState:
    return TrainingState.fresh(request, data.train.labels.device)


def _differing(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [key for key in one if not torch.equal(one[key], other[key])]


@contextmanager
def _single_steps() -> Iterator[None]:
    """Train step by step, with learning rates and epsilons in float32, as a device keeps those of an epoch."""

    def rounded(*arguments: object) -> float:  # learning rates here are powers of two, times this
        return torch.tensor(share_of_rate(*arguments), dtype=torch.float32).item()  # type: ignore[arg-type]

    def ramp(*arguments: object) -> torch.Tensor:
        return torch.tensor(share_of_epsilon(*arguments), dtype=torch.float32)  # type: ignore[arg-type]

    shares = patch.multiple(loop, share_of_rate=rounded, share_of_epsilon=ramp)
    with patch.object(loop, "prepared", lambda *_: None), shares:
        yield


@_short_epochs()
def same_as_single_steps(device: str, _: Path) -> None:
    """Two epochs in chunks give the bits of two epochs of single steps: weights, moments, averages and losses."""
    data = _data(device)
    for request in (PLAIN, EVERYTHING, replace(PLAIN, train_size=64, batch_size=64), *ROBUST):
        chunked, single = _state(request, data), _state(request, data)
        before = chunked.tensors()
        ready = loop.prepared(request, data, chunked)
        assert ready is not None
        assert not _differing(before, chunked.tensors()), "the warm-up has left traces"
        assert ready.graph == (choose_device(device).type == "cuda"), "no graph was captured"
        events = list(train(request, data, chunked, ready))
        with _single_steps():
            steps = list(train(request, data, single))
        if ready.graph:  # there a tensor's share of an average, and a single number's, are two kernels
            _close(chunked.tensors(), single.tensors())
        else:
            assert not _differing(chunked.tensors(), single.tensors()), f"other weights: {request}"
            _same_numbers(events, steps)
        counts = [sum(isinstance(event, BatchTrained) for event in each) for each in (events, steps)]
        assert counts == {9: [6, 18], 8: [8, 16], 1: [2, 2]}[counts[1] // 2]


def _close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Within what rounding becomes after a few steps of Adam with batch norm."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        torch.testing.assert_close(value, other[key], rtol=2e-2, atol=2e-2, msg=key)


def graph_is_its_body(device: str) -> None:
    """Two epochs by CUDA graphs have the bits of two epochs of the same work launched kernel by kernel."""
    data = _data(device)
    for request in (Train(train_size=2000, epochs=2), replace(EVERYTHING, train_size=1985, batch_size=64)):
        graphs, kernels = _state(request, data), _state(request, data)
        ready = loop.prepared(request, data, graphs)
        assert ready is not None
        assert ready.graph, "no graph was captured"
        ours = list(train(request, data, graphs, ready))
        with patch("engine.training.stream._CudaStream.captured", lambda *_: None):
            theirs = list(train(request, data, kernels))
        assert not _differing(graphs.tensors(), kernels.tensors()), f"other weights: {request}"
        _same_numbers(ours, theirs)


def _same_numbers(one: Sequence[Event], other: Sequence[Event]) -> None:
    names = ("train_loss", "val_loss", "val_accuracy", "test_accuracy", "running_loss")
    first, second = (
        [[getattr(event, name) for name in names] for event in each if isinstance(event, EpochFinished)]
        for each in (one, other)
    )
    assert first
    assert first == second, "other losses"


@_short_epochs()
def whole_at_any_event(device: str, root: Path) -> None:
    """At each event the state is of one moment, although the device is ahead; looking at it changes nothing."""
    data = _data(device)
    seen, unseen = _state(EVERYTHING, data), _state(EVERYTHING, data)
    ahead = 0
    for event in train(EVERYTHING, data, seen):
        if isinstance(event, BatchTrained):
            tensors, sums = seen.tensors(), copy.deepcopy(seen.sums)
            ahead += sums.step > event.step
            assert sums.step >= event.step
            assert tensors["optimizer.0.step"] == (event.epoch - 1) * event.steps + sums.step
    _state(EVERYTHING, data).restore(tensors, sums, 8)
    assert ahead, "the device was never ahead"
    for _ in train(EVERYTHING, data, unseen):
        pass
    assert not _differing(seen.tensors(), unseen.tensors())


def _folder(root: Path) -> RunFolder:
    (only,) = root.iterdir()
    return RunFolder(only)


def _weights(root: Path) -> dict[str, torch.Tensor]:
    return load_tensors(_folder(root).model_file)[0]


@_short_epochs()
def interrupted(device: str, root: Path) -> None:
    """Pauses and a cancellation in the middle of an epoch, with chunks under way, change nothing of the result."""
    request = replace(EVERYTHING, device=device)
    for name in ("whole", "stopped"):
        (root / name).mkdir()
    for _ in perform(request, root / "whole"):
        pass
    work = perform(request, root / "stopped")
    for event in work:
        if isinstance(event, BatchTrained) and event.epoch == 1 and event.step in (2, 6):
            work.throw(PauseAsked())
        if isinstance(event, BatchTrained) and (event.epoch, event.step) == (2, 2):
            break
    assert isinstance(list(end(work))[-1], RunCancelled)
    resumed = [event for event in perform(Resume(device=device), root / "stopped") if isinstance(event, BatchTrained)]
    assert all(event.step > 4 for event in resumed), "what the device had done was lost"
    assert not _differing(_weights(root / "whole"), _weights(root / "stopped"))


@_short_epochs()
def from_a_cpu_and_back(device: str, root: Path) -> None:
    """A run stopped on the CPU within a chunk goes on with a shorter chunk, and the other way round."""
    request = replace(EVERYTHING, epochs=1, device="cpu")
    work = perform(request, root)
    for event in work:
        if isinstance(event, BatchTrained) and event.step == 3:
            break
    list(end(work))
    work = perform(Resume(device=device), root)
    steps = []
    for event in work:
        if isinstance(event, BatchTrained):
            steps.append(event.step)
            if event.step >= 6:
                break
    list(end(work))
    assert steps == [4, 6]
    last = list(perform(Resume(device="cpu"), root))
    assert isinstance(last[-1], RunFinished)
    (epoch,) = (event for event in last if isinstance(event, EpochFinished))
    assert len(epoch.running_loss) == POINTS


@_short_epochs()
def diverging(device: str, _: Path) -> None:
    """A loss that is no number is seen at the end of its chunk, and the weights of the last epoch are kept."""
    data = _data(device)
    images = data.train.images.clone()
    data = Dataset(data.name, Split(images, data.train.labels), data.val, data.test)
    request = replace(PLAIN, batch_norm=True, epochs=3)
    state, good, seen = _state(request, data), {}, 0
    problem = ""
    try:
        for event in train(request, data, state):
            if isinstance(event, EpochFinished):
                good = {key: value.cpu() for key, value in state.model.state_dict().items()}
                images.fill_(math.inf)
            elif isinstance(event, BatchTrained) and event.epoch == 2:
                seen += 1
    except TrainingFailed as error:
        problem = str(error)
    assert "epoch 2 around step 3 of" in problem
    assert not seen
    assert state.epoch == 1
    assert state.in_flight is None
    assert not _differing({key: value.cpu() for key, value in state.model.state_dict().items()}, good)


def _by_seed(root: Path) -> dict[int, RunFolder]:
    return {folder.read_record().request.seed: folder for folder in map(RunFolder, root.iterdir())}


@_short_epochs()
def several_at_once(device: str, root: Path) -> None:
    """Runs that advance in turn have the bits of runs alone; one that is stopped or fails leaves the others alone."""
    request = replace(PLAIN, device=device)
    requests = [replace(request, seed=seed) for seed in range(3)]
    requests[1] = replace(requests[1], learning_rate=10.0, epochs=1)
    for name in ("alone", "together"):
        (root / name).mkdir()
    for _ in perform(requests[2], root / "alone"):
        pass
    together = perform_all(requests, root / "together")
    together._width, together._measured = 3, True  # how many pay depends on the device
    works, events = list(together), dict[int, list[Event]]()
    for number, work in enumerate(works):
        events[number] = []
        for event in work:
            events[number].append(event)
            if number == 0 and isinstance(event, EpochFinished):
                events[number].extend(end(work))
                break
    kinds = {number: type(each[-1]) for number, each in events.items()}
    assert kinds[0] is RunCancelled
    assert kinds[1] in (RunFailed, RunFinished)
    assert kinds[2] is RunFinished
    alone, beside = _by_seed(root / "alone"), _by_seed(root / "together")
    assert beside.keys() == set(range(3))
    one, other = (load_tensors(each[2].model_file)[0] for each in (alone, beside))
    assert not _differing(one, other), "other weights"
    _same_numbers(alone[2].history().epochs, beside[2].history().epochs)
    for number, seen in events.items():
        started = [event.run for event in seen if isinstance(event, RunStarted)]
        assert started == [beside[number].name]
        told = [event for event in seen if isinstance(event, EpochFinished)]
        assert beside[number].history().epochs[: len(told)] == told
