"""What the pages of the runs screen share: the list of runs, which of them are marked, and how to change them."""

from __future__ import annotations

from collections.abc import Callable

from engine.event import Event, JobFailed, WorkAdvanced
from engine.lab import Job
from engine.request import Request, RequestError
from engine.runs.events import RunsListed, RunSummary
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.runs.requests import BrowseRuns
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.workspace import Notice

LOOK_INTERVAL = 2.0
"""Seconds between two reads of the folder while the screen is in front."""


class RunsDesk(PagedScreen):
    """A screen that reads the folder of runs."""

    runs: State[list[RunSummary] | None] = State(None)
    """All runs of the user, the most recent first; None before the first read."""
    marked: State[frozenset[str]] = State(frozenset())
    """The names of the runs to compare."""
    problem: State[str] = State("")
    """Why something failed, in one line; empty if nothing did."""

    def __init__(self) -> None:
        super().__init__()
        self.bundled: list[RunSummary] = []
        """The bundled networks, in a state of their own."""
        self._open: tuple[RunFolder | None, str] = (None, "")
        """The open run, and its name in the list."""
        self._looking: Job | None = None
        self._again = False
        self.reporting: Job | None = None
        """The job of the report being written; None if there is none."""
        self._advance: WorkAdvanced | None = None
        """Progress of the report."""

    def on_mount(self) -> None:
        self.set_interval(LOOK_INTERVAL, self.look)

    def on_screen_resume(self) -> None:
        self.look()

    @property
    def everything(self) -> list[RunSummary]:
        """The runs, and after them the bundled networks."""
        return [*(self.runs or ()), *self.bundled]

    @property
    def chosen(self) -> list[RunSummary]:
        """What is marked: the bundled networks, then the runs, the oldest first."""
        return [run for run in reversed(self.everything) if run.name in self.marked]

    @property
    def open_run(self) -> str:
        """The name, as the list has it, of the run or bundled network that is open; empty if there is none."""
        run = self.workspace.run
        if run is not self._open[0]:
            self._open = (run, "" if run is None else run.what if run.bundled else run.name)
        return self._open[1]

    def folder_of(self, run: RunSummary) -> RunFolder:
        """The folder of a run or of a bundled network."""
        if run.state == "bundled":
            return pretrained(run.name.partition(":")[2])
        return RunFolder(self.workspace.root / run.name)

    def look(self) -> None:
        """Read the folder; if a read is in progress, read it again afterwards: something may just have changed."""
        self._again = self._looking is not None
        if self.app.screen is self and not self._again:
            self._looking = self.workspace.ask(BrowseRuns(), self._listed)

    def _listed(self, _job: Job, event: Event) -> None:
        self._looking = None
        if isinstance(event, RunsListed):
            self.bundled = [run for run in event.runs if run.state == "bundled"]
            self.set_reactive(RunsDesk.marked, self.marked & {run.name for run in event.runs})
            self.runs = [run for run in event.runs if run.state != "bundled"]
            self.listed()
        elif isinstance(event, JobFailed):
            self.set_reactive(RunsDesk.runs, self.runs or [])
            self.problem = event.reason
        if self._again:
            self.look()

    def change(
        self, request: Request, done: Callable[[Event], None], failed: Callable[[], None] = lambda: None
    ) -> None:
        """Submit a request that changes a run folder; `done` is called with the resulting event.

        If it fails, the user is notified and `failed` is called.
        """

        def heard(_job: Job, event: Event) -> None:
            if isinstance(event, JobFailed):
                self.workspace.tell(Notice(event.reason, severity="error", seconds=10))
                failed()
            else:
                done(event)
            self.look()

        try:
            self.workspace.ask(request, heard)
        except RequestError as error:
            self.workspace.tell(Notice(str(error), severity="error", seconds=10))

    def listed(self) -> None:
        """Called when the folder has been read."""
