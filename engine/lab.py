"""The laboratory: the only interface between a front end and the engine.

Requests go in, events come out. The work is done in five lanes, each a thread: training, where requests are queued;
analysis, where a new request replaces older ones; files, where run folders are read and changed even while the other
lanes are busy; devices, where a driver or a disk that hangs keeps nobody else waiting; and cluster, whose work other
processes do. The lanes that compute for long take turns, step by step. Nothing here imports PyTorch; a lane's thread
does so at its first request.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Literal, get_args

from engine import operations
from engine.allocator import keep_freed_memory
from engine.event import Event, JobFailed, PauseAsked, Progress
from engine.figures.requests import DrawFigure
from engine.libraries import not_loaded
from engine.operations import Entry, LaneName, end
from engine.request import DeviceFailed, Request, RequestError
from engine.training.events import (
    BatchEvaluated,
    BatchTrained,
    EpochFinished,
    RobustnessCollapsed,
    RunFailed,
    RunStarted,
)
from engine.training.requests import Train

JobState = Literal["waiting", "running", "paused", "done"]

PROGRESS_INTERVAL = 0.25
"""Seconds between two wake-ups of the reader for progress only; results and parts of results wake it at once."""

LOOKING = "this page is for looking: it neither trains nor changes files"
"""What a lab that may only look says to everything else."""

NICENESS = 5
"""Nice value of the lanes' threads; the front end has 0."""
AMONG_MANY = 15
"""The same where many front ends share the cores, each with lanes: a key must come before all of them together."""


class Stream:
    """A queue of events from the lanes to one reader.

    Progress replaces unread progress of the same type; everything else is kept, in order. Writing never blocks, so a
    reader that stops reading does not stop a lane, and only results accumulate.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[Job, Event]] = {}
        self._woken = False
        self._woken_at = 0.0

    def put(self, job: Job, event: Event) -> None:
        """Add an event; called from a lane."""
        key: object = (job, event.replaces) if isinstance(event, Progress) else object()
        with self._lock:
            self._waiting.pop(key, None)  # the newest comes last, after the results before it
            self._waiting[key] = (job, event)
            prompt = not isinstance(event, Progress) or event.at_once
            due = prompt or time.monotonic() - self._woken_at >= PROGRESS_INTERVAL
        if due:
            self.wake()

    def wake(self) -> None:
        """Wake the reader unless it has already been woken; also called for state changes and for delayed progress."""
        with self._lock:
            if self._woken:
                return
            self._woken, self._woken_at = True, time.monotonic()
        self._wake()

    def quiet(self) -> bool:
        """Whether no event waits, since the reader was woken for a job that has ended or paused.

        Then the reader, which may come back later, is woken again for the next event.
        """
        with self._lock:
            self._woken = self._woken and bool(self._waiting)
            return not self._waiting

    def drain(self) -> list[tuple[Job, Event]]:
        """Take all waiting events; called by the reader, at any time."""
        with self._lock:
            events, self._waiting, self._woken = list(self._waiting.values()), {}, False
        return events


class Turns:
    """Lets one lane compute for long at a time, first come, first served.

    PyTorch gives each calling thread as many workers as there are cores. Two such groups wait for each other at every
    barrier: at the same time, a training step and an analysis each take several times as long as one after the other.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._asked = self._served = 0

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a turn, and hold it within the context."""
        with self._change:
            mine = self._asked
            self._asked += 1
            while self._served != mine:
                self._change.wait()
        try:
            yield
        finally:
            with self._change:
                self._served += 1
                self._change.notify_all()


class Job:
    """A submitted request."""

    def __init__(self, request: Request, entry: Entry) -> None:
        self.request = request
        self.lane: LaneName = entry.lane
        self.writes = entry.writes
        self._computes = entry.computes
        self.state: JobState = "waiting"
        self._ended = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._cancelled = False
        self._once = False

    def pause(self) -> None:
        """Pause before the next step, keeping everything in memory."""
        if not self._ended.is_set():
            self._go.clear()
        if self._cancelled:  # checked last, since it may be stopped meanwhile
            self._go.set()

    def resume(self) -> None:
        """Resume after a pause."""
        self._once = False
        self._go.set()

    def step(self) -> None:
        """Do a single step of a paused job."""
        if self.paused:
            self._once = True
            self._go.set()

    def cancel(self) -> None:
        """Stop before the next step, for good; a waiting or paused job too."""
        self._cancelled = True
        self._go.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop (it may still be in its last step)."""
        return self._cancelled

    @property
    def paused(self) -> bool:
        """Whether it was asked to pause and has not been resumed."""
        return not self._go.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it ends; False if `timeout`, in seconds, expires first."""
        return self._ended.wait(timeout)

    def abandon(self) -> None:
        """Mark it as done without having started, since the lab is closed."""
        self.state = "done"
        self._ended.set()

    def _run(self, root: Path, stream: Stream, turns: Turns) -> None:
        put = stream.put
        try:
            if not self._cancelled:
                self.state = "running"
                self._iterate(operations.perform(self.request, root), stream, turns)
        except RequestError as error:
            put(self, JobFailed(reason=str(error), bad_request=True))
        except DeviceFailed as error:
            put(self, JobFailed(reason=str(error), bad_request=False))
        except Exception as error:
            # A lane must survive any error of a job; the front end shows the reason.
            put(self, JobFailed(reason=not_loaded(error) or f"{type(error).__name__}: {error}", bad_request=False))
        finally:
            self.state = "done"
            self._ended.set()
            stream.wake()

    def _iterate(self, events: Generator[Event, None, None], stream: Stream, turns: Turns) -> None:
        while True:
            with turns.taken() if self._computes else contextlib.nullcontext():
                event = next(events, None)
            if event is None:
                return
            stream.put(self, event)
            if self._once:
                self._once = False
                self.pause()
            if not self._go.is_set():
                if isinstance(event, RunStarted | BatchTrained | BatchEvaluated | EpochFinished) and self.writes:
                    said = events.throw(PauseAsked())
                    while isinstance(said, EpochFinished | RobustnessCollapsed):  # its files were still being written
                        stream.put(self, said)
                        said = next(events)
                    stream.put(self, said)
                    if isinstance(said, RunFailed):  # its state could not be saved
                        continue
                self.state = "paused"
                stream.wake()
                self._go.wait()
                self.state = "running"
            if self._cancelled:
                for last in end(events):
                    stream.put(self, last)
                return


def _yield_to_the_front_end(niceness: int) -> None:
    """Give this thread, and the threads that PyTorch starts from it, a lower priority than the user interface.

    On Linux, a nice value applies to a thread; elsewhere to the whole process, so nothing is changed there.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def _only_looks(request: Request, entry: Entry) -> bool:
    """Whether a request neither trains nor writes files."""
    if isinstance(request, DrawFigure):
        return not (request.path or request.folder)
    trains = isinstance(request, Train) or (entry.lane == "training" and entry.computes)
    return not entry.writes and not trains


class _Lane:
    """A thread that carries out jobs one after the other."""

    def __init__(self, name: LaneName, root: Path, stream: Stream, turns: Turns, niceness: int) -> None:
        self._niceness = niceness
        self.newest_wins = name == "analysis"
        self.jobs: deque[Job] = deque()
        self.current: Job | None = None
        self._root, self._stream, self._turns = root, stream, turns
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"lab-{name}", daemon=True)

    def add(self, job: Job) -> None:
        with self._change:
            if self._closed:
                job.cancel()
                job.abandon()
                return
            if self.newest_wins and not job.writes:
                for older in self.unfinished():
                    if not older.writes:
                        older.cancel()
            self.jobs.append(job)
            if not self._thread.is_alive():
                self._thread.start()
            self._change.notify()

    def unfinished(self) -> list[Job]:
        with self._change:
            return [job for job in (self.current, *self.jobs) if job is not None]

    def close(self) -> None:
        with self._change:
            self._closed = True
            for job in self.unfinished():
                job.cancel()
            self._change.notify()

    def _work(self) -> None:
        _yield_to_the_front_end(self._niceness)
        while True:
            with self._change:
                self.current = None
                while not self.jobs and not self._closed:
                    self._change.wait()
                if self._closed and not self.jobs:
                    return
                self.current = self.jobs.popleft()
            self.current._run(self._root, self._stream, self._turns)


class Lab:
    """Accepts requests and returns their events.

    `root` is the folder of all runs. `wake` is called from a lane's thread when there is something to `drain`: it must
    be fast and thread-safe. With `looks`, it refuses to train and to write files.
    """

    niceness = NICENESS
    """Nice value of the lanes' threads."""

    def __init__(self, root: Path, wake: Callable[[], None] = lambda: None, *, looks: bool = False) -> None:
        self._looks = looks
        keep_freed_memory()  # before the lanes start threads
        self._stream, turns = Stream(wake), Turns()
        self._lanes: dict[LaneName, _Lane] = {
            name: _Lane(name, root, self._stream, turns, self.niceness) for name in get_args(LaneName)
        }

    def submit(self, request: Request) -> Job:
        """Submit a request; its events will come with the returned job. Raises RequestError if it is refused."""
        entry = operations.OPERATIONS[type(request)]
        if self._looks and not _only_looks(request, entry):
            raise RequestError(LOOKING)
        job = Job(request, entry)
        self._lanes[entry.lane].add(job)
        return job

    def drain(self) -> list[tuple[Job, Event]]:
        """The events since the last call, each with its job."""
        return self._stream.drain()

    def quiet(self) -> bool:
        """Whether there is nothing to drain, since a job has ended or paused; then `wake` is called for what comes."""
        return self._stream.quiet()

    def unfinished(self, lane: LaneName) -> list[Job]:
        """The running and waiting jobs of a lane."""
        return self._lanes[lane].unfinished()

    def close(self, timeout: float = 10.0) -> bool:
        """Stop all jobs, and wait up to `timeout` seconds for those that write to disk.

        True if no thread is still working. False if one is, after the timeout, or because it is not worth waiting for
        (importing PyTorch cannot be interrupted): the process should then exit without waiting for threads.
        """
        for lane in self._lanes.values():
            lane.close()
        until = time.monotonic() + timeout
        jobs = [job for lane in self._lanes.values() for job in lane.unfinished()]
        for job in jobs:
            job.wait(max(0.0, until - time.monotonic()) if job.writes else 0.05)
        return all(job.wait(0) for job in jobs)
