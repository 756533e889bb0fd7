"""A closer look at the selected run: its folder is read once the cursor rests on it."""

from __future__ import annotations

from collections.abc import Callable

from textual.timer import Timer

from engine.event import Event, JobFailed
from engine.lab import Job
from engine.runs.events import RunRead, RunSummary
from engine.runs.folder import RunFolder
from engine.runs.requests import ReadRun
from tui.workspace import Workspace

REST = 0.15
"""Seconds for which the cursor must rest on a run before it is read, so that held arrow keys ask for nothing."""
MOST = 64
"""Maximum number of runs that are kept."""


class CloserLook:
    """Reads runs one at a time, the one selected last first, and keeps what it has read."""

    def __init__(
        self,
        workspace: Workspace,
        later: Callable[[float, Callable[[], None]], Timer],
        folder_of: Callable[[RunSummary], RunFolder],
        told: Callable[[], None],
    ) -> None:
        """`later` sets a timer, and `told` is called when a run has been read."""
        self._workspace, self._later, self._folder_of, self._told = workspace, later, folder_of, told
        self._kept: dict[RunSummary, RunRead | str] = {}
        """What was read, or why it could not be, by the run as the list had it; the latest last."""
        self._wanted: RunSummary | None = None
        self._timer: Timer | None = None
        self._job: Job | None = None

    def want(self, run: RunSummary | None) -> None:
        """Select a run, or none. It is read unless it is known as it is now."""
        if run == self._wanted:
            return
        self._wanted = run
        if self._timer:
            self._timer.stop()
        self._timer = None
        if run is not None and run not in self._kept and run.state != "damaged":
            self._timer = self._later(REST, lambda: self._ask(run))

    def of(self, run: RunSummary) -> RunRead | str | None:
        """What was read of a run, or why it could not be; None if it has not been read. Of a run that has changed
        since, what was read before, until it is read again.
        """
        if run in self._kept:
            return self._kept[run]
        same = (what for old, what in reversed(self._kept.items()) if (old.name, old.began) == (run.name, run.began))
        return next(same, None)

    def _ask(self, run: RunSummary) -> None:
        self._timer = None
        if self._job:
            self._job.cancel()

        def heard(_job: Job, event: Event) -> None:
            if isinstance(event, RunRead | JobFailed):
                self._kept[run] = event if isinstance(event, RunRead) else event.reason
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
            self._told()

        self._job = self._workspace.ask(ReadRun(what=self._folder_of(run).what), heard)
