"""The steps of an epoch on a device other than the CPU, launched in chunks ahead of the host.

On CUDA a step is a graph, which one launch replays. Between two chunks the host reads one number, the sum of the losses
so far, and only after the device has got more to do.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch

from engine.data.datasets import Split
from engine.training.buffers import EpochBuffers
from engine.training.events import BatchTrained
from engine.training.requests import Train
from engine.training.state import Sums, TrainingState, stretch_of
from engine.training.step import Step
from engine.training.stream import Mark, stream_of

AHEAD = 3
"""Most chunks that the device has been given and the host has not seen the end of."""
LONGEST = 0.1
"""Seconds of work that the device is given ahead, if a step is not longer: a pause has to wait for it."""
_WARM_UP = 3
"""Steps before a capture, in which libraries choose their kernels and allocate their memory, as PyTorch advises."""


class Diverged(Exception):
    """The loss is no longer a finite number."""

    def __init__(self, step: int) -> None:
        """`step`, from 1, is the last of the epoch's steps that were seen."""
        super().__init__(step)
        self.step = step


class _Chunk(NamedTuple):
    """Steps that the device has been given."""

    first: int
    """Number of steps before it."""
    last: int
    """Its last step, from 1."""
    place: int
    """Where the sum of losses is copied to."""
    begun: Mark
    ended: Mark


class Chunks:
    """The steps of a run on its device, in a stream of their own."""

    def __init__(self, request: Train, split: Split, state: TrainingState) -> None:
        """Warm up and capture; `state` is afterwards as it was before."""
        self._request, self._state = request, state
        self._stream = stream_of(split.labels.device)
        self._stream.follow()
        with self._stream.current():
            self._buffers = EpochBuffers(request, split, state, self._stream)
        self._sums_seen = self._stream.host_memory(torch.zeros(AHEAD))
        self._step = Step(request, state, split.labels.device)
        self._chunks: deque[_Chunk] = deque()
        self._untold: deque[BatchTrained] = deque()
        self._pace = 0.0
        """Seconds a step; 0 until it is known."""
        self._diverged = 0
        kinds = [False] * (self._buffers.whole > 0) + [True] * (self._buffers.whole < self._buffers.steps)
        works = [partial(self._work, last) for last in kinds]
        self._warm_up(works)
        graphs = self._stream.captured(works)
        self.graph = graphs is not None
        """Whether a step is a CUDA graph. If not, its kernels are launched one by one."""
        # Where all batches are of one size, there is only one kind of work.
        self._whole, self._last = (graphs or works)[0], (graphs or works)[-1]

    def _work(self, last: bool) -> None:
        """A step, the one after the whole batches if `last`: all that changes is on the device, and stays in place."""
        buffers, batch = self._buffers, self._buffers.batch(last)
        buffers.loss_sum.add_(self._step(*batch))
        buffers.at.add_(1)

    def _warm_up(self, works: list[partial[None]]) -> None:
        """Do each of `works` a few times, without consequences."""
        buffers = self._buffers
        with self._stream.current():
            tensors = [*self._state.live().values(), buffers.at, buffers.loss_sum]
            with torch.no_grad():
                kept = [tensor.clone() for tensor in tensors]
            for work in works * _WARM_UP:
                buffers.at.zero_()
                work()
            with torch.no_grad():
                for tensor, value in zip(tensors, kept, strict=True):
                    tensor.copy_(value)
        self._stream.wait()

    def epoch(self, number: int) -> Iterator[BatchTrained]:
        """Train the rest of epoch `number` (from 1), with an event for each chunk.

        At an event the device may be ahead of it; `state.settle()` waits for it and counts what it has done, which
        later events report. Raises Diverged.
        """
        state, sums = self._state, self._state.sums
        self._diverged = 0
        self._begin(number, sums)
        state.in_flight = partial(self._settle, number, sums)
        launched = sums.step
        try:
            while True:
                while (until := self._until(launched)) > launched:
                    self._launch(launched, until)
                    launched = until
                if self._untold:
                    yield self._untold.popleft()
                elif self._diverged:
                    raise Diverged(self._diverged)
                elif self._chunks:
                    self._see(number, sums)
                else:
                    return
        finally:
            state.in_flight = None
            self._settle(number, sums)
            self._stream.wait()
            self._untold.clear()

    def _begin(self, number: int, sums: Sums) -> None:
        """Upload what the rest of an epoch needs."""
        began = time.perf_counter()
        self._step.begin()
        self._stream.follow()
        with self._stream.current():
            self._buffers.fill(number, sums.step, self._state.loss_sum)
        self._state.loss_sum = self._buffers.loss_sum
        sums.seconds += time.perf_counter() - began

    def _until(self, launched: int) -> int:
        """The last step of the next chunk, after `launched` steps; `launched` itself if none is to be launched now."""
        steps, stretch, chunks = self._buffers.steps, stretch_of(self._buffers.steps), self._chunks
        if self._diverged or len(chunks) == AHEAD or (chunks and not self._pace):
            return launched
        room = LONGEST / self._pace if self._pace else math.inf
        until = min(launched + stretch - launched % stretch, steps)  # the next point of the running loss
        if until - launched > room:
            until = launched + max(1, int(room))
        return launched if chunks and until - chunks[0].first > room else until

    def _launch(self, first: int, last: int) -> None:
        """Give the device the steps after `first` up to `last`."""
        buffers, place = self._buffers, (self._chunks[-1].place + 1) % AHEAD if self._chunks else 0
        begun = self._stream.mark()
        with self._stream.current():
            for step in range(first, last):
                (self._whole if step < buffers.whole else self._last)()
            self._sums_seen[place].copy_(buffers.loss_sum, non_blocking=True)
        self._chunks.append(_Chunk(first, last, place, begun, self._stream.mark()))

    def _settle(self, epoch: int, sums: Sums) -> None:
        while self._chunks:
            self._see(epoch, sums)

    def _see(self, epoch: int, sums: Sums) -> None:
        """Wait for the oldest chunk, and count it unless the loss has diverged."""
        chunk = self._chunks.popleft()
        chunk.ended.wait()
        total = float(self._sums_seen[chunk.place])
        if self._diverged or not math.isfinite(total):
            self._diverged = self._diverged or chunk.last
            return
        steps = self._buffers.steps
        stretch = stretch_of(steps)
        seconds = chunk.ended.seconds_since(chunk.begun)
        self._pace = seconds / (chunk.last - chunk.first)
        sums.step, sums.images = chunk.last, self._buffers.images_until(chunk.last)
        sums.seconds += seconds
        if chunk.last % stretch == 0 or chunk.last == steps:
            sums.add_point(stretch, total)
        self._untold.append(
            BatchTrained(
                epoch=epoch,
                epochs=self._request.epochs,
                step=chunk.last,
                steps=steps,
                images_per_second=sums.images / sums.seconds,
                running_loss=tuple(sums.running),
            )
        )
