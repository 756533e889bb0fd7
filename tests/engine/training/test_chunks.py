"""Training in chunks of steps. Its bits, and how it is interrupted, are checked on the stand-in (tests/standin)."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from engine.data.datasets import Dataset
from engine.network.batches import EVALUATION_BATCH, evaluation_batch
from engine.training import chunks
from engine.training.averaging import Average
from engine.training.chunks import AHEAD, Chunks
from engine.training.events import BatchTrained
from engine.training.loop import train
from engine.training.requests import Train
from engine.training.state import RUNNING_POINTS, TrainingState
from engine.training.stream import Stream, Work, stream_of
from tests.standin.chunks import graph_is_its_body

CPU = torch.device("cpu")
REQUEST = Train(train_size=330, batch_size=5, epochs=1, channels=2, hidden=8)
"""66 steps: 22 chunks of three, on a device that is fast enough."""


def chunked(data: Dataset, state: TrainingState) -> Chunks:
    """In chunks on a CPU, which has no need of them."""
    return Chunks(REQUEST, data.train.first(REQUEST.train_size), state)


class Clock:
    """Marks that are apart by a number of seconds for each step that was launched between them."""

    def __init__(self, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        launched = Chunks._work

        def work(of: Chunks, last: bool) -> None:
            self.steps += 1
            launched(of, last)

        monkeypatch.setattr(Chunks, "_work", work)
        monkeypatch.setattr("engine.training.stream.time.perf_counter", lambda: self.steps * seconds)


def run(data: Dataset, monkeypatch: pytest.MonkeyPatch, seconds: float) -> tuple[list[int], list[int]]:
    """The last step of each event, and how many steps the device was then ahead, if a step takes `seconds`."""
    Clock(seconds, monkeypatch)
    state = TrainingState.fresh(REQUEST, CPU)
    ready = chunked(data, state)
    assert ready.graph is False
    steps, ahead = [], []
    for event in train(REQUEST, data, state, ready):
        if isinstance(event, BatchTrained):
            steps.append(event.step)
            ahead.append(int(ready._buffers.at.item()) - event.step)
    return steps, ahead


def test_a_fast_device_is_given_three_chunks_ahead(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, ahead = run(small, monkeypatch, chunks.LONGEST / 1000)
    assert steps == list(range(3, 67, 3))
    assert len(steps) <= RUNNING_POINTS
    assert max(ahead) == 3 * AHEAD
    assert ahead[-1] == 0


@pytest.mark.parametrize(("steps_in_time", "most"), [(7.5, 6), (4.5, 3), (2.5, 2), (0.5, 1)])
def test_a_slow_device_is_given_less_than_a_pause_may_wait(
    small: Dataset, monkeypatch: pytest.MonkeyPatch, steps_in_time: float, most: int
) -> None:
    steps, ahead = run(small, monkeypatch, chunks.LONGEST / steps_in_time)
    assert max(ahead) == most
    assert steps[-1] == 66
    if most >= 3:
        assert steps == list(range(3, 67, 3))
    else:  # points of the running loss stay where they are
        assert set(range(3, 67, 3)) <= set(steps)


def test_chunks_on_a_cpu_are_its_single_steps(small: Dataset) -> None:
    one, other = (TrainingState.fresh(REQUEST, CPU) for _ in range(2))
    list(train(REQUEST, small, one, chunked(small, one)))
    list(train(REQUEST, small, other))
    first, second = one.tensors(), other.tensors()
    assert all(torch.equal(first[key], second[key]) for key in second)


def test_a_share_on_the_device_is_that_of_a_number(small: Dataset) -> None:
    def averaged(tensor: bool) -> list[Tensor]:
        state = TrainingState.fresh(REQUEST, CPU)
        average = Average(state.model, 0.9)
        for step in (1, 2, 50):
            with torch.no_grad():
                for parameter in state.model.parameters():
                    parameter.mul_(1.5).add_(step)
            share = average.share(step)
            average.add(torch.tensor([share]) if tensor else share)
        return list(average.model.parameters())

    assert all(torch.equal(one, other) for one, other in zip(averaged(False), averaged(True), strict=True))


def test_steps_are_replayed_where_they_are_captured(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed: list[Work] = []

    def captured(_: Stream, works: Sequence[Work]) -> list[Work]:
        def replay(work: Work) -> None:
            replayed.append(work)
            work()

        return [partial(replay, work) for work in works]

    monkeypatch.setattr(Stream, "captured", captured)
    state = TrainingState.fresh(REQUEST, CPU)
    ready = Chunks(replace(REQUEST, train_size=64), small.train.first(64), state)
    assert ready.graph
    list(ready.epoch(1))
    assert [work is replayed[0] for work in replayed] == [True] * 12 + [False]  # the last batch is smaller


class Graph:
    """A CUDA graph."""

    def pool(self) -> object:
        return self

    def replay(self) -> None:
        pass


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """CUDA that captures whatever runs; the list gets the arguments of each capture."""
    captures: list[tuple[object, ...]] = []

    @contextmanager
    def graph(*arguments: object, capture_error_mode: str) -> Iterator[None]:
        assert not gc.isenabled()
        captures.append((*arguments, capture_error_mode))
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return captures


def test_graphs_share_a_stream_and_a_pool(cuda: list[tuple[object, ...]]) -> None:
    done: list[int] = []
    graphs = stream_of(torch.device("cuda", 0)).captured([lambda: done.append(1), lambda: done.append(2)])
    assert graphs is not None
    assert done == [1, 2]
    (first, pool, stream, mode), (second, other, *rest) = cuda
    assert (pool, stream, mode) == (None, "stream of cuda:0", "thread_local")
    assert first is not second
    assert other is first
    assert rest == [stream, mode]
    assert gc.isenabled()


def test_what_cannot_be_captured_is_not(cuda: list[tuple[object, ...]]) -> None:
    def work() -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    assert stream_of(torch.device("cuda", 0)).captured([lambda: None, work]) is None
    assert gc.isenabled()


def test_a_gpu_evaluates_thousands_of_images_at_once() -> None:
    assert evaluation_batch("cpu", 32) == EVALUATION_BATCH
    assert evaluation_batch("cuda", 32) == 2500
    assert evaluation_batch("cuda", 4) == 5000
    assert evaluation_batch("cuda", 1024) == EVALUATION_BATCH
    assert math.ceil(10_000 / evaluation_batch("cuda", 32)) == 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
def test_a_graph_does_what_its_body_does() -> None:
    graph_is_its_body("cuda")
