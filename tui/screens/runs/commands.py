"""The commands for the run or the experiment under the cursor of the list."""

from __future__ import annotations

from functools import partial
from typing import cast

from msgspec.structs import replace

from engine.event import Event
from engine.request import RequestError
from engine.runs.catalogue import TRASH, check_name, read_note
from engine.runs.events import RunDeleted, RunRenamed, RunSummary
from engine.runs.folder import RunFolder
from engine.runs.requests import DeleteRun, NoteRun, RenameRun, RestoreRun
from engine.training.requests import Train
from engine.words import shown
from tui.queue import Turn
from tui.screens.dialogs import LineScreen
from tui.screens.pages import Page, PagedScreen
from tui.screens.runs.desk import RunsDesk
from tui.widgets.rows import Rows
from tui.workspace import Notice


class RunCommands(Page):
    """The base of the page of the list: what is selected, and what can be done with it."""

    desk: RunsDesk

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.desk = cast(RunsDesk, desk)
        self._deleted: list[tuple[str, str]] = []
        """The folders in the trash of the runs deleted here, each with its former name, the last deleted last."""
        self._going: set[str] = set()
        """The names of the runs being deleted."""

    @property
    def rows(self) -> Rows:
        """The widget of the list."""
        return self.query_one(Rows)

    @property
    def here(self) -> RunSummary | Train | Turn | None:
        """What is under the cursor: a run, a queued experiment, or one that got no run; None if it no longer exists."""
        raise NotImplementedError

    def turn_index(self, request: Train) -> int | None:
        """The index of `request` in the queue; None if it is not queued."""
        return next((n for n, each in enumerate(self.workspace.queue) if each is request), None)

    @property
    def run(self) -> RunSummary | None:
        """The run under the cursor; None if there is none."""
        return here if isinstance(here := self.here, RunSummary) else None

    def folder(self) -> RunFolder | None:
        """The folder of the run under the cursor; None if there is none."""
        return self.desk.folder_of(run) if (run := self.run) else None

    def own_folder(self, what: str) -> RunFolder | None:
        """The folder of the run under the cursor. For a bundled network, tell that it cannot be `what`, and return
        None.
        """
        run = self.run
        if run and run.state == "bundled":
            words = f"it ships with the program, is the same for everybody and cannot be {what}"
            words += f": {self.key('duplicate')} copies its request"
            self.workspace.tell(Notice(words, run.name, "warning"))
            return None
        return self.folder()

    def can_stop(self) -> bool:
        """Whether there is something to stop: a report, or the run under the cursor."""
        under_way = (run := self.run) is not None and run.state in ("running", "paused")
        return self.desk.reporting is not None or (under_way and self.desk.page is self)

    def unused(self) -> set[str]:
        """The commands that do not apply to the selection."""
        here = self.here
        unused = set() if self._deleted else {"undo"}
        if not self.workspace.sweeps.jobs:
            unused.add("stop_sweep")
        if isinstance(here, RunSummary):
            unused |= {"earlier_turn", "later_turn"}
            if here.state in ("running", "paused"):
                unused |= {"delete", "rename"}
            if here.state == "bundled":
                unused |= {"delete", "rename", "note"}
            if here.state not in ("stopped", "interrupted", "failed"):
                unused.add("resume")
        else:
            unused |= {"open", "resume", "note", "rename", "mark"}
            if not isinstance(here, Train):
                unused |= {"earlier_turn", "later_turn"}
            if here is None:
                unused |= {"delete", "duplicate"}
        return unused

    # Keys

    def action_open(self) -> None:
        """Open this run on all screens."""
        if folder := self.folder():
            self.workspace.attempt(partial(self.workspace.open, folder))
            self.desk.look()

    def action_resume(self) -> None:
        if self.workspace.training:
            self.workspace.tell(Notice("stop the run under way first", severity="warning"))
        elif folder := self.own_folder("resumed"):
            self.workspace.resume(folder)

    def stop_run(self) -> None:
        """Stop the run under the cursor, even one that another process trains."""
        if not (folder := self.folder()):
            return
        if self.can_stop():
            self.workspace.stop(folder)
        else:
            self.workspace.tell(Notice(f"{shown(folder.name)} is not running", severity="warning"))

    def action_stop_sweep(self) -> None:
        """Stop all runs on Ray, also those that have not begun."""
        if self.workspace.sweeps.jobs:
            self.workspace.stop_sweeps()
        else:
            self.workspace.tell(Notice("no sweep on Ray is under way", severity="warning"))

    def action_note(self) -> None:
        if folder := self.own_folder("noted"):
            hint = "one line; words that begin with # are tags"

            def noted(text: str | None) -> None:
                if text is not None:
                    self.desk.change(NoteRun(run=folder.name, text=text), lambda _: None)

            self.app.push_screen(LineScreen(f"note of {folder.name}", shown(read_note(folder)), hint), noted)

    def action_rename(self) -> None:
        if folder := self.own_folder("renamed"):
            before = shown(folder.name)

            def named(text: str | None) -> None:
                if text is not None and text.strip() != before:
                    self.desk.change(RenameRun(run=folder.name, name=text.strip()), self._renamed)

            def wrong(text: str) -> str:
                try:
                    check_name(text.strip())
                except RequestError as error:
                    return str(error)
                taken = text.strip() != before and (self.workspace.root / text.strip()).exists()
                return f"there is a {text.strip()} already: choose another name" if taken else ""

            self.app.push_screen(LineScreen("rename the run", before, "new folder name", wrong), named)

    def _renamed(self, event: Event) -> None:
        assert isinstance(event, RunRenamed)
        desk, folder = self.desk, RunFolder(self.workspace.root / event.run)
        if event.run in desk.marked:
            desk.marked ^= {event.run, event.name}
        if turn := self.workspace.queue.turn_of(event.run):
            turn.run = event.name
        if self.rows.key == event.run:
            self.rows.key = event.name
        desk.runs = [replace(run, name=event.name) if run.name == event.run else run for run in desk.runs or ()]
        if self.workspace.run and self.workspace.run.path == folder.path:
            self.workspace.attempt(partial(self.workspace.open, RunFolder(folder.path.with_name(event.name))))

    def action_delete(self) -> None:
        """Move the run to the trash folder, or remove the experiment from the queue."""
        here = self.here
        if isinstance(here, Train) and (turn := self.turn_index(here)) is not None:
            self.draw()  # the cursor may be behind the queue
            self.rows.settle()
            self.workspace.remove(turn)
        elif isinstance(here, Turn):
            if here.outcome != "running":
                self.rows.settle()
                self.workspace.queue.turns.remove(here)
                self.desk.update()
        elif (
            folder := self.own_folder("deleted")
        ) and folder.name not in self._going:  # otherwise it is a second press before the first is done
            self._going.add(folder.name)
            self.desk.change(DeleteRun(run=folder.name), self._removed, partial(self._going.discard, folder.name))

    def _removed(self, event: Event) -> None:
        assert isinstance(event, RunDeleted)
        self._going.discard(event.run)
        self._deleted.append((event.place, event.run))
        if self.rows.key == event.run:
            self.rows.settle()
        self.desk.runs = [run for run in self.desk.runs or () if run.name != event.run]
        back = f"{self.desk.key('undo')} brings it back"
        self.workspace.tell(Notice(f"{event.run} is in {self.workspace.root / TRASH}: {back}"))

    def action_undo(self) -> None:
        """Restore the run that was deleted last."""
        if self._deleted:
            place, name = last = self._deleted.pop()
            self.desk.change(RestoreRun(place=place, name=name), lambda _: None, lambda: self._deleted.append(last))

    def action_duplicate(self) -> None:
        """Copy the experiment into the form of screen 1."""
        here, folder = self.here, self.folder()
        if folder:
            self.workspace.attempt(lambda: self._fill(folder.read_record().request))
        elif isinstance(here, Train):
            self._fill(here)
        elif isinstance(here, Turn):
            self._fill(here.request)

    def _fill(self, request: Train) -> None:
        self.workspace.draft = request
        self.app.switch_mode("train")

    def action_start_queue(self) -> None:
        self.workspace.start_queue()

    def action_earlier_turn(self) -> None:
        self._move_turn(-1)

    def action_later_turn(self) -> None:
        self._move_turn(1)

    def _move_turn(self, by: int) -> None:
        at = self.turn_index(here) if isinstance(here := self.here, Train) else None
        if at is not None:
            self.workspace.move(at, by)
