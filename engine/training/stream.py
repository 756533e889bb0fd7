"""A queue of work on a device, which the host fills ahead and whose end it can wait for."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
from torch import Tensor

Work = Callable[[], None]
"""Work on a device: it launches kernels and does not wait for them."""


class Mark:
    """A moment in a queue: on a device without streams, the moment at which the host was there."""

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def wait(self) -> None:
        """Wait until the device is there."""

    def seconds_since(self, earlier: Mark) -> float:
        """Seconds that the device took from `earlier` to here; both must be over."""
        return self._at - earlier._at


class _CudaMark(Mark):
    """An event in a CUDA stream. The host sleeps while it waits, so that others have its core."""

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self._event = torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]
        self._event.record(stream)

    def wait(self) -> None:
        self._event.synchronize()

    def seconds_since(self, earlier: Mark) -> float:
        milliseconds: float = cast(_CudaMark, earlier)._event.elapsed_time(self._event)
        return milliseconds / 1000


class Stream:
    """A queue on a device that has no streams, or whose streams are not used: each call does its work at once."""

    def current(self) -> AbstractContextManager[object]:
        """A context in which kernels are launched to this queue. Nothing may be yielded within it."""
        return nullcontext()

    def follow(self) -> None:
        """Let all work that is queued from now on begin after what the rest of the program has launched."""

    def wait(self) -> None:
        """Wait until all of it is done."""

    def mark(self) -> Mark:
        """The present end of the queue."""
        return Mark()

    def host_memory(self, like: Tensor) -> Tensor:
        """Memory of the host, of the shape and type of `like`, between which and the device copies need no waiting."""
        return torch.empty(like.shape, dtype=like.dtype)

    def captured(self, works: Sequence[Work]) -> list[Work] | None:
        """`works` as graphs that do the same in one launch each; None where they cannot be captured."""
        return None


class _CudaStream(Stream):
    """A CUDA stream of its own, which does not wait for the default stream."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def current(self) -> AbstractContextManager[object]:
        return cast(AbstractContextManager[object], torch.cuda.stream(self._stream))

    def follow(self) -> None:
        self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def wait(self) -> None:
        self._stream.synchronize()

    def mark(self) -> Mark:
        return _CudaMark(self._stream)

    def host_memory(self, like: Tensor) -> Tensor:
        return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)

    def captured(self, works: Sequence[Work]) -> list[Work] | None:
        """Capture `works` (PyTorch's notes on CUDA semantics, section CUDA graphs), which must have run here before.

        What they allocate comes from one pool: none of it outlives its work, and they never run at the same time.
        """
        graphs: list[torch.cuda.CUDAGraph] = []
        # Only calls of this thread can spoil the capture: others may compute on the device meanwhile.
        with self.current(), _no_collection():
            try:
                for work in works:
                    graph = torch.cuda.CUDAGraph()
                    pool = graphs[0].pool() if graphs else None
                    with torch.cuda.graph(graph, pool, self._stream, capture_error_mode="thread_local"):
                        work()
                    graphs.append(graph)
            except RuntimeError:
                return None
        return [graph.replay for graph in graphs]


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Collect no garbage: freeing an older graph is a call that spoils a capture."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def stream_of(device: torch.device) -> Stream:
    """A new queue of work on `device`."""
    return _CudaStream(device) if device.type == "cuda" else Stream()
