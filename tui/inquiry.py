"""What a screen asks of the open network, one request after the other, and how far that is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from engine.data.events import DownloadAdvanced
from engine.event import Event, JobFailed, WorkAdvanced
from engine.lab import Job
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.training.events import BatchEvaluated
from tui.drawing.words import duration
from tui.workspace import Workspace

AN_ESTIMATE = 1.0
"""Seconds before which an estimate is worth nothing."""

Key = tuple[Request, int]
"""A request, and how many epochs the network had when it was made."""


class _Pace:
    """How long work still takes, from how far it came since it was first heard of."""

    def __init__(self, words: str, done: int) -> None:
        self.words, self._first, self._began = words, done, time.monotonic()

    def left(self, now: WorkAdvanced) -> str:
        """The estimate in words; empty while there is nothing to go by."""
        came, passed = now.done - self._first, time.monotonic() - self._began
        if came <= 0 or passed < AN_ESTIMATE:
            return ""
        return f"{duration(passed / came * (now.total - now.done))} left"


class Inquiry:
    """Asks for what is wanted and not answered yet; an answer is about the network as it was asked."""

    def __init__(self, workspace: Workspace, hear: Callable[[Job, Event], None], forget: Callable[[], None]) -> None:
        """`hear` is called with all that is said in answer, and `forget` where another network is open than before."""
        self._workspace, self._hear, self._forget = workspace, hear, forget
        self.refusal = ""
        """Why nothing can be asked for in the state of the moment; whoever says what is wanted sets it."""
        self._problems: dict[Request, str] = {}
        """Why requests could not be answered, a line each."""
        self._now: Sequence[Request] = ()
        """What is wanted."""
        self._progress: BatchEvaluated | DownloadAdvanced | WorkAdvanced | None = None
        self._stopped: Job | None = None
        """A job that somebody stopped, and that may still say what came of it."""
        self._pace: _Pace | None = None
        self._what = ""
        """The network that the answers are about."""
        self.jobs: dict[Key, Job] = {}

    def ask(self, wanted: Callable[[], Sequence[Request]], kept: Callable[[], Sequence[Request]]) -> None:
        """Ask for the first thing wanted that was not answered: one at a time, since the newest displaces others.

        What is `kept` need not be asked for again though it is not wanted now: its answer is at hand.
        """
        workspace = self._workspace
        if not workspace.engine or not workspace.what or workspace.reading:
            return
        if workspace.what != self._what:
            for job in self.jobs.values():
                job.cancel()
            self._what, self.jobs, self._problems, self._stopped = workspace.what, {}, {}, None
            self._work_over()
            self._forget()
        self.refusal = ""
        self._now = now = wanted()
        epochs, at_hand = workspace.history.epoch, kept()
        for (request, _), unwanted in self.jobs.items():
            if request not in now and not (request in at_hand and unwanted.state == "done"):
                unwanted.cancel()
                self._work_over()
        self.jobs = {
            (request, at): job
            for (request, at), job in self.jobs.items()
            if request in (*now, *at_hand) and not job.cancelled and (at == epochs or job.state != "done")
        }
        if any(at != epochs for _, at in self.jobs):
            return  # where epochs are short, an answer about the one before comes first
        for request in now:
            asked = self.jobs.get((request, epochs))
            if asked is None:
                self._work_over()
                self._problems.pop(request, None)
                self.jobs[request, epochs] = workspace.ask(request, self._listen)
                return
            if asked.state != "done":
                return

    def ask_again(self, request: Request) -> None:
        """Forget that `request` was answered."""
        self.jobs = {key: job for key, job in self.jobs.items() if key[0] != request or job.state != "done"}

    def answered(self, request: Request) -> bool:
        """Whether `request` was answered, and the answer heard, for the network as it is now."""
        job = self.jobs.get((request, self._workspace.history.epoch))
        return job is not None and job.state == "done" and not job.cancelled and not self._workspace.listens_to(job)

    @property
    def job(self) -> Job | None:
        """The job under way."""
        return next((job for job in self.jobs.values() if job.state != "done" and not job.cancelled), None)

    @property
    def problem(self) -> str:
        """Why what is wanted is not there, in one line; empty where it is, or is on its way."""
        found = (self._problems[request] for request in self._now if request in self._problems)
        return self.refusal or next(found, "")

    def stop(self, *, last_words: bool = False) -> None:
        """Stop the job under way; with `last_words`, what it still has to say is heard."""
        if job := self.job:
            self._stopped = job if last_words else None
            job.cancel()

    @property
    def progress(self) -> BatchEvaluated | DownloadAdvanced | WorkAdvanced | None:
        """How far the work under way is."""
        return self._progress if self.job else None

    @property
    def left(self) -> str:
        """How long the work under way still takes, in words; empty where nobody knows."""
        now = self.progress
        return self._pace.left(now) if self._pace and isinstance(now, WorkAdvanced) else ""

    def _work_over(self) -> None:
        self._progress = self._pace = None

    def _listen(self, job: Job, event: Event) -> None:
        if job is self._stopped:
            self._hear(job, event)
        if job not in self.jobs.values() or job.cancelled:
            return  # about a network or a digit of before
        match event:
            case WorkAdvanced():
                if self._pace is None or self._pace.words != event.words:
                    self._pace = _Pace(event.words, event.done)
                self._progress = event
            case BatchEvaluated() | DownloadAdvanced():
                self._progress = event
            case JobFailed():
                self._problems[job.request] = event.reason
                self._work_over()
            case NetworkEvent():
                if not isinstance(self._progress, WorkAdvanced):  # else a part of more that is on its way
                    self._work_over()
            case _:
                pass
        self._hear(job, event)
