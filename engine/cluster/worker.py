"""What a worker of the cluster does: train one run, and tell of it as it goes."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

from engine.cluster.gpu_memory import GpuMemory
from engine.cluster.messages import Order, Parcel
from engine.cluster.scratch import scratch
from engine.event import Cancelled, Event, Progress
from engine.paths import stamp
from engine.request import DeviceFailed, RequestError
from engine.runs.folder import RunFolder
from engine.runs.requests import Resume
from engine.telemetry.sampler import sample
from engine.training.events import EpochFinished, RunStarted

INTERVAL = 0.5
"""Seconds between two parcels that hold only progress."""
WATCH = 1.0
"""Seconds between two looks at the devices."""
LOOK = 1.0
"""Seconds between two looks whether the run is to stop."""
PRIVATE = ("events.jsonl", "resume/lock", "resume/stop", "resume/process.json")
"""Files of a run folder that the driver writes itself."""


def carry_out(order: Order, asked_to_stop: Callable[[], bool]) -> Iterator[Parcel]:
    """Train the run of `order` until it ends, or `asked_to_stop` says so; the parcels that tell of it.

    Nothing is raised but what ends the process: errors are told in the last parcel.
    """
    refused, bad = "", False
    work = _Work()
    yield Parcel(machine=socket.gethostname(), process=os.getpid())
    try:
        if asked_to_stop():
            yield Parcel(seconds=0.0)
            return
        with contextlib.ExitStack() as ends:
            root = Path(order.root) if order.root else ends.enter_context(scratch())
            stop = ends.enter_context(_asked(asked_to_stop))
            yield from _parcels(order, root, stop, work)
    except RequestError as error:
        refused, bad = str(error), True
    except DeviceFailed as error:
        refused = str(error)
    except Exception as error:
        refused = f"{type(error).__name__}: {error}".splitlines()[0]
    yield Parcel(refused=refused, bad_request=bad, seconds=work.seconds)


def _parcels(order: Order, root: Path, stop: threading.Event, work: _Work) -> Iterator[Parcel]:
    from engine.network.devices import share_cores  # with PyTorch, which a worker loads once

    share_cores(order.threads)
    folder = RunFolder(root / order.resume) if order.resume else None
    if folder:
        _unpack(order.files, folder)
    seen = _stamps(folder) if folder else {}
    memory = GpuMemory() if order.measure else None
    progress: Event | None = None
    sent, sampled = time.monotonic(), float("-inf")
    for event in work.until(stop, _events(order, root)):
        if isinstance(event, Progress):
            progress = event
            if time.monotonic() - sent < INTERVAL:
                continue
            watch = order.watch and time.monotonic() - sampled >= WATCH
            sampled = time.monotonic() if watch else sampled
            yield Parcel(events=(progress,), sample=sample(root) if watch else None)
        else:  # no file is being written now, so all are complete
            if isinstance(event, RunStarted):
                folder = RunFolder(root / event.run)
            events = (event,) if progress is None else (progress, event)
            files = {} if order.root or folder is None else _changed(folder, seen)
            share = memory.share() if memory and isinstance(event, EpochFinished) else None
            yield Parcel(events=events, files=files, gpu_share=share)
        progress, sent = None, time.monotonic()


def _events(order: Order, root: Path) -> Generator[Event, None, None]:
    """The events of the run. Raises DeviceFailed where a GPU fails."""
    from engine.network.gpu import failure
    from engine.runs.recording import resume_run, train_run

    try:
        if order.resume:
            yield from resume_run(Resume(what=str(root / order.resume), force=True), root)
        else:
            yield from train_run(order.request, root)
    except RuntimeError as error:
        if words := failure(error):
            raise DeviceFailed(words) from error
        raise


def _unpack(files: dict[str, bytes], folder: RunFolder) -> None:
    folder.epochs_folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class _Work:
    """The work on a run, and the time that it takes, without that of telling of it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def until(self, stop: threading.Event, events: Generator[Event, None, None]) -> Iterator[Event]:
        """The events of a run, which is ended before its next step once `stop` is set."""
        step: Callable[[], Event] = events.__next__
        while True:
            began = time.perf_counter()
            try:
                event = step()
            except (StopIteration, Cancelled):
                return
            finally:
                self.seconds += time.perf_counter() - began
            yield event
            step = events.__next__
            if stop.is_set():
                stop.clear()
                step = partial(events.throw, Cancelled())


def _stamps(folder: RunFolder) -> dict[str, tuple[int, ...]]:
    """The files of the folder by their paths in it, with stamps that change with their contents."""
    paths = (path for path in folder.path.rglob("*") if path.is_file() and not path.name.startswith("."))
    names = {path.relative_to(folder.path).as_posix(): path for path in paths}
    return {name: stamp(path) for name, path in names.items() if name not in PRIVATE}


def _changed(folder: RunFolder, seen: dict[str, tuple[int, ...]]) -> dict[str, bytes]:
    """The files that have changed since what `seen` says, which is brought up to date."""
    now = _stamps(folder)
    found = {name: (folder.path / name).read_bytes() for name, version in now.items() if seen.get(name) != version}
    seen.clear()
    seen.update(now)
    return found


@contextlib.contextmanager
def _asked(asked_to_stop: Callable[[], bool]) -> Iterator[threading.Event]:
    """An event that is set within the context once `asked_to_stop` says so; it is asked by a thread."""
    ended, asked = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK):
            with contextlib.suppress(Exception):  # where the cluster is gone, this process ends with it
                if asked_to_stop():
                    asked.set()
                    return

    threading.Thread(target=watch, name="stop-watch", daemon=True).start()
    try:
        yield asked
    finally:
        ended.set()
