"""A screen's requests about the open network, submitted one at a time, with their progress and errors."""

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
from tui.workspace import Version, Workspace

AN_ESTIMATE = 1.0
"""Seconds of work before the remaining time can be estimated."""

Key = tuple[Request, Version]
"""A request, and the version that it was submitted for."""


class _Pace:
    """Estimates the remaining time of a task from its progress since it was first reported."""

    def __init__(self, words: str, done: int) -> None:
        self.words, self._first, self._began = words, done, time.monotonic()

    def left(self, now: WorkAdvanced) -> str:
        """The estimate as text; empty while there is too little progress for one."""
        came, passed = now.done - self._first, time.monotonic() - self._began
        if came <= 0 or passed < AN_ESTIMATE:
            return ""
        return f"{duration(passed / came * (now.total - now.done))} left"


class Inquiry:
    """Submits the wanted requests that are not answered yet; an answer holds for the network as of the submission."""

    def __init__(self, workspace: Workspace, hear: Callable[[Job, Event], None], forget: Callable[[], None]) -> None:
        """`hear` is called with each event of the answers, and `forget` when another network has been opened."""
        self._workspace, self._hear, self._forget = workspace, hear, forget
        self.refusal = ""
        """Why nothing can be requested with the current settings; set by the caller's `wanted`."""
        self._problems: dict[Request, str] = {}
        """Why requests failed, one line each."""
        self._now: Sequence[Request] = ()
        """The wanted requests."""
        self._progress: BatchEvaluated | DownloadAdvanced | WorkAdvanced | None = None
        self._stopped: Job | None = None
        """A stopped job whose last events are still passed on."""
        self._pace: _Pace | None = None
        self._what = ""
        """The network that the answers belong to."""
        self.jobs: dict[Key, Job] = {}

    def ask(self, wanted: Callable[[], Sequence[Request]], kept: Callable[[], Sequence[Request]]) -> None:
        """Submit the first wanted request that is not answered yet: one at a time, since a new one replaces older ones.

        Answers to the requests in `kept` are not discarded, even if these are not wanted now.
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
        at_hand = kept()
        for (request, _), unwanted in self.jobs.items():
            if request not in now and not (request in at_hand and unwanted.state == "done"):
                unwanted.cancel()
                self._work_over()
        self.jobs = {
            (request, at): job
            for (request, at), job in self.jobs.items()
            if request in (*now, *at_hand)
            and not job.cancelled
            and (at == self._workspace.version_of(request) or job.state != "done")
        }
        if any(at != self._workspace.version_of(request) for request, at in self.jobs):
            return  # with short epochs, no answer would arrive unless those about earlier epochs may finish
        for request in now:
            asked = self.jobs.get((request, self._workspace.version_of(request)))
            if asked is None:
                self._work_over()
                self._problems.pop(request, None)
                self.jobs[request, self._workspace.version_of(request)] = workspace.ask(request, self._listen)
                return
            if asked.state != "done":
                return

    def ask_again(self, request: Request) -> None:
        """Discard the answer to `request`, so that it is submitted again."""
        self.jobs = {key: job for key, job in self.jobs.items() if key[0] != request or job.state != "done"}

    def answered(self, request: Request) -> bool:
        """Whether `request` was answered for the network as it is now, and the answer has been handled."""
        job = self.jobs.get((request, self._workspace.version_of(request)))
        return job is not None and job.state == "done" and not job.cancelled and not self._workspace.listens_to(job)

    @property
    def job(self) -> Job | None:
        """The current job; None if there is none."""
        return next((job for job in self.jobs.values() if job.state != "done" and not job.cancelled), None)

    @property
    def problem(self) -> str:
        """Why a wanted request cannot be answered, in one line; empty if none has failed."""
        found = (self._problems[request] for request in self._now if request in self._problems)
        return self.refusal or next(found, "")

    def stop(self, *, last_words: bool = False) -> None:
        """Stop the current job; with `last_words`, its last events are still passed on."""
        if job := self.job:
            self._stopped = job if last_words else None
            job.cancel()

    @property
    def progress(self) -> BatchEvaluated | DownloadAdvanced | WorkAdvanced | None:
        """Progress of the current job."""
        return self._progress if self.job else None

    @property
    def left(self) -> str:
        """Remaining time of the current job, as text; empty if unknown."""
        now = self.progress
        return self._pace.left(now) if self._pace and isinstance(now, WorkAdvanced) else ""

    def _work_over(self) -> None:
        self._progress = self._pace = None

    def _listen(self, job: Job, event: Event) -> None:
        if job is self._stopped:
            self._hear(job, event)
        if job not in self.jobs.values() or job.cancelled:
            return  # about an earlier network or digit
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
                if not isinstance(self._progress, WorkAdvanced):  # otherwise it is a partial result
                    self._work_over()
            case _:
                pass
        self._hear(job, event)
