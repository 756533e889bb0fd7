"""The laboratory: the only door between a front end and the engine's work.

Requests go in, events come out. The work is done in three lanes, each a thread: training, where requests wait in a
queue; analysis, where the newest request wins; and files, where run folders are read and changed however busy the
others are. Step by step those that compute take turns. Nothing in here imports PyTorch; the lane's thread does, when
its first request comes.
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
from typing import Literal

from engine import operations
from engine.allocator import keep_freed_memory
from engine.event import Event, JobFailed, PauseAsked, Progress
from engine.libraries import not_loaded
from engine.operations import Entry, LaneName, end
from engine.request import DeviceFailed, Request, RequestError
from engine.training.events import BatchEvaluated, BatchTrained, EpochFinished, RunFailed, RunStarted

JobState = Literal["waiting", "running", "paused", "done"]

PROGRESS_INTERVAL = 0.25
"""Seconds between two wake-ups of the reader for progress alone; results and their parts wake it at once."""

NICENESS = 5
"""Of the lanes' threads, against the front end's 0."""


class Stream:
    """Events on their way from the lanes to one reader.

    Progress replaces the progress of its kind that nobody has read yet; all else is kept, in order. Writing never
    blocks, so a reader that stops reading never stops a lane, and what waits for it is bounded by the results.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[Job, Event]] = {}
        self._woken = False
        self._woken_at = 0.0

    def put(self, job: Job, event: Event) -> None:
        """Add an event; called from a lane."""
        key: object = (job, type(event)) if isinstance(event, Progress) else object()
        with self._lock:
            self._waiting.pop(key, None)  # the newest stands last, after the results that came before it
            self._waiting[key] = (job, event)
            prompt = not isinstance(event, Progress) or event.at_once
            due = prompt or time.monotonic() - self._woken_at >= PROGRESS_INTERVAL
        if due:
            self.wake()

    def wake(self) -> None:
        """Wake the reader if it was not: also for what changed without an event, and for progress that would wait."""
        with self._lock:
            if self._woken:
                return
            self._woken, self._woken_at = True, time.monotonic()
        self._wake()

    def drain(self) -> list[tuple[Job, Event]]:
        """Take all that waits; called by the reader, at any time."""
        with self._lock:
            events, self._waiting, self._woken = list(self._waiting.values()), {}, False
        return events


class Turns:
    """Lets one lane compute at a time, in the order in which they ask.

    PyTorch gives each thread that calls it as many workers as there are cores. Two such crowds wait for one another at
    every barrier: side by side, a step of training and a look at a digit each take several times as long as in turn.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._asked = self._served = 0

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a turn, and have it."""
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
    """One request being carried out."""

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
        """Stop before the next step, keeping all in memory."""
        if not self._ended.is_set():
            self._go.clear()
        if self._cancelled:  # looked at last, since a cancel may come in between
            self._go.set()

    def resume(self) -> None:
        """Go on after a pause."""
        self._once = False
        self._go.set()

    def step(self) -> None:
        """In a pause: one step more."""
        if self.paused:
            self._once = True
            self._go.set()

    def cancel(self) -> None:
        """Stop before the next step, for good; also a job that waits or is paused."""
        self._cancelled = True
        self._go.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled it (it may still be on its last step)."""
        return self._cancelled

    @property
    def paused(self) -> bool:
        """Whether a pause was asked for and not ended."""
        return not self._go.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it ended; False where the `timeout` in seconds came first."""
        return self._ended.wait(timeout)

    def abandon(self) -> None:
        """Call it ended without ever having begun: the lab closed before its turn."""
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
            # A lane must outlive whatever a job does; the front end shows the reason.
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
                    stream.put(self, said)
                    if isinstance(said, RunFailed):  # what it needs to go on could not be written
                        continue
                self.state = "paused"
                stream.wake()
                self._go.wait()
                self.state = "running"
            if self._cancelled:
                for last in end(events):
                    stream.put(self, last)
                return


def _yield_to_the_front_end() -> None:
    """Let this thread, and those that PyTorch makes from it, compute behind the one that answers the keyboard.

    On Linux a nice value belongs to a thread; elsewhere to the process, and then all stays as it is.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class _Lane:
    """A thread that carries out one job after the other."""

    def __init__(self, name: LaneName, root: Path, stream: Stream, turns: Turns) -> None:
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
        _yield_to_the_front_end()
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
    """Takes requests, gives events.

    `root` is where run folders go. `wake` is called from a lane's thread when there is something to `drain`: it must
    be quick and safe to call from any thread.
    """

    def __init__(self, root: Path, wake: Callable[[], None] = lambda: None) -> None:
        keep_freed_memory()  # before the lanes have threads
        self._stream, turns = Stream(wake), Turns()
        self._lanes: dict[LaneName, _Lane] = {
            "training": _Lane("training", root, self._stream, turns),
            "analysis": _Lane("analysis", root, self._stream, turns),
            "files": _Lane("files", root, self._stream, turns),
        }

    def submit(self, request: Request) -> Job:
        """Hand in a request; its events will come with the returned job."""
        entry = operations.OPERATIONS[type(request)]
        job = Job(request, entry)
        self._lanes[entry.lane].add(job)
        return job

    def drain(self) -> list[tuple[Job, Event]]:
        """What happened since the last call, each event with its job."""
        return self._stream.drain()

    def unfinished(self, lane: LaneName) -> list[Job]:
        """The jobs of a lane that run or wait."""
        return self._lanes[lane].unfinished()

    def close(self, timeout: float = 10.0) -> bool:
        """Cancel everything and wait for the jobs that write to disk.

        True where no thread is left at work. False where one is, after `timeout` seconds, or because it does nothing
        worth waiting for (importing PyTorch cannot be interrupted): the process should then end without ceremony.
        """
        for lane in self._lanes.values():
            lane.close()
        until = time.monotonic() + timeout
        jobs = [job for lane in self._lanes.values() for job in lane.unfinished()]
        for job in jobs:
            job.wait(max(0.0, until - time.monotonic()) if job.writes else 0.05)
        return all(job.wait(0) for job in jobs)
