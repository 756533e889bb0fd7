"""The first page: one line per run, after the queued experiments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from msgspec.structs import replace
from textual.app import ComposeResult

from engine.event import Event
from engine.figures.requests import DrawFigure
from engine.runs.catalogue import TRASH, read_note
from engine.runs.events import RunDeleted, RunRenamed, RunSummary
from engine.runs.folder import RunFolder
from engine.runs.requests import DeleteRun, NoteRun, RenameRun, RestoreRun
from engine.training.requests import Train
from engine.words import percent, shown
from tui.drawing.terminal import glyphs
from tui.drawing.words import cut, duration, padded, remark
from tui.screens.dialogs import LineScreen
from tui.screens.pages import Page, PagedScreen
from tui.screens.runs.desk import RunsDesk
from tui.screens.state import State
from tui.widgets.rows import Row, Rows
from tui.workspace import Notice

WIDTH = 22
"""Maximum width of a name, in cells."""
_LAST = float("inf")
ORDERS: dict[str, Callable[[RunSummary], object]] = {
    "newest": lambda _: 0,
    "name": lambda run: run.name,
    "validation loss": lambda run: _LAST if run.val_loss is None else run.val_loss,
    "test accuracy": lambda run: -(run.test_accuracy or 0.0),
    "time": lambda run: -run.seconds,
    "state": lambda run: run.state,
}
"""What `o` sorts by, with the sort keys."""


class ListPage(Page):
    """The runs and the queue, and the commands for them."""

    page = "list"
    title = "runs"
    desk: RunsDesk
    order: State[str] = State("newest")
    filter: State[str] = State("")
    """Words that a run must contain to be listed."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.desk = cast(RunsDesk, desk)
        self._deleted: list[tuple[str, str]] = []
        """The folders in the trash of the runs deleted here, each with its former name, the last deleted last."""
        self._going: set[str] = set()
        """The names of the runs being deleted."""

    def compose(self) -> ComposeResult:
        yield Rows(empty="no run yet: r on screen 1 trains one", id="runs")

    @property
    def rows(self) -> Rows:
        """The widget of the list."""
        return self.query_one(Rows)

    @property
    def shown(self) -> list[RunSummary]:
        """The runs that match the filter, in order."""
        words = self.filter.lower().split()
        runs = [
            run
            for run in self.desk.runs or ()
            if all(word in f"{run.name} {run.variant} {run.state} {run.dataset} {run.note}".lower() for word in words)
        ]
        return sorted(runs, key=ORDERS[self.order])  # type: ignore[arg-type]

    @property
    def here(self) -> RunSummary | Train | None:
        """The queued experiment or run under the cursor; None if it no longer exists."""
        key = self.rows.key
        if isinstance(key, Train):
            return key if self._turn_of(key) is not None else None
        return next((run for run in self.shown if run.name == key), None)

    def _turn_of(self, request: Train) -> int | None:
        """The index of `request` in the queue; None if it is not queued."""
        return next((n for n, each in enumerate(self.workspace.queue) if each is request), None)

    def folder(self) -> RunFolder | None:
        """The folder of the run under the cursor; None if there is none."""
        return RunFolder(self.workspace.root / here.name) if isinstance(here := self.here, RunSummary) else None

    def settle(self) -> None:
        """If the line under the cursor disappeared while another screen was in front, select the one in its place."""
        if self.rows.lost:
            self.rows.settle()

    # Drawing

    def draw(self) -> None:
        workspace, found, marked = self.workspace, self.shown, self.desk.marked
        job = workspace.training
        if job and job.request is self.rows.key and workspace.history.name:
            self.rows.key = workspace.history.name  # its training has started
        head = f"{'run':<23}{'seed':>5}  {'state':<11}{'epoch':>7}{'val loss':>9}{'test':>9}{'time':>11}  note"
        head, blank = (f"  {head}", (" ", "primary")) if marked else (head, ("", ""))
        waiting = [
            Row(f"{f'queued, {n}':<30}{_experiment(each)}", sample=blank, key=each)
            for n, each in enumerate(workspace.queue, 1)
        ]
        open_run = workspace.run.path.name if workspace.run else ""
        lines = [self._row(run, opened=run.name == open_run) for run in found]
        count = len(self.desk.runs or ())
        title = f"{len(found)} of {count} runs with {self.filter}" if self.filter else f"{count} runs"
        self.rows.show(f"{title}, by {self.order}", head, [*waiting, *lines])

    def _row(self, run: RunSummary, *, opened: bool) -> Row:
        marked = self.desk.marked
        mark = (glyphs().best if run.name in marked else " ", "primary") if marked else ("", "")
        return Row(_line(run, opened=opened), sample=mark, key=run.name)

    def sentence(self) -> str:
        """A line about the selection."""
        here = self.here
        if self.desk.runs is None:
            return f"reading {self.workspace.root}"
        if isinstance(here, Train):
            return "queued: D removes it, K and J move it"
        if here is None:
            return "no run matches: / edits the filter" if self.filter else ""
        return remark(here) or f"{here.variant} on {here.dataset}: N adds a note with #tags"

    def figure(self) -> DrawFigure | None:
        """The curves of the run under the cursor."""
        here, folder = self.here, self.folder()
        if folder is None or not isinstance(here, RunSummary) or not here.epoch:
            return None
        return DrawFigure(subject=folder, folder=str(folder.figures_folder))

    def can_stop(self) -> bool:
        """Whether there is something to stop: a report, or the run under the cursor."""
        here = self.here
        under_way = isinstance(here, RunSummary) and here.state in ("running", "paused")
        return self.desk.reporting is not None or (under_way and self.desk.page is self)

    def unused(self) -> set[str]:
        """The commands that do not apply to the selection."""
        here = self.here
        unused = set() if self._deleted else {"undo"}
        if isinstance(here, RunSummary):
            unused |= {"earlier_turn", "later_turn"}
            if here.state in ("running", "paused"):
                unused |= {"delete", "rename"}
            if here.state not in ("stopped", "interrupted", "failed"):
                unused.add("resume")
        else:
            unused |= {"open", "resume", "note", "rename"}
            unused |= set() if isinstance(here, Train) else {"delete", "duplicate", "earlier_turn", "later_turn"}
        return unused

    # Keys

    def action_mark(self) -> None:
        """Mark or unmark this run for the comparison."""
        if isinstance(here := self.here, RunSummary):
            self.rows.move(0, 1)
            self.desk.marked ^= {here.name}

    def action_order(self) -> None:
        names = list(ORDERS)
        self.order = names[(names.index(self.order) + 1) % len(names)]

    def action_filter(self) -> None:
        """Ask for words that a run must contain to be listed."""
        hint = "words in the name, variant, state, data set or note; empty shows all runs"
        self.app.push_screen(LineScreen("show only runs with", self.filter, hint), self._filtered)

    def _filtered(self, text: str | None) -> None:
        if text is not None:
            before, self.filter = self.filter, " ".join(text.split())
            if self.here is None and before != self.filter:
                self.rows.settle()
                self.desk.update()

    def action_open(self) -> None:
        if folder := self.folder():
            self.workspace.attempt(partial(self.workspace.open, folder))
            self.desk.look()

    def action_resume(self) -> None:
        if self.workspace.training:
            self.workspace.tell(Notice("stop the run under way first", severity="warning"))
        elif folder := self.folder():
            self.workspace.resume(folder)

    def stop_run(self) -> None:
        """Stop the run under the cursor, even one that another process trains."""
        if (folder := self.folder()) and self.can_stop():
            self.workspace.stop(folder)

    def action_note(self) -> None:
        if folder := self.folder():
            hint = "one line; words that begin with # are tags"

            def noted(text: str | None) -> None:
                if text is not None:
                    self.desk.change(NoteRun(run=folder.name, text=text), lambda _: None)

            self.app.push_screen(LineScreen(f"note of {folder.name}", shown(read_note(folder)), hint), noted)

    def action_rename(self) -> None:
        if folder := self.folder():
            before = shown(folder.name)

            def named(text: str | None) -> None:
                if text is not None and text.strip() != before:
                    self.desk.change(RenameRun(run=folder.name, name=text.strip()), self._renamed)

            self.app.push_screen(LineScreen("rename the run", before, "new folder name"), named)

    def _renamed(self, event: Event) -> None:
        assert isinstance(event, RunRenamed)
        desk, folder = self.desk, RunFolder(self.workspace.root / event.run)
        if event.run in desk.marked:
            desk.marked ^= {event.run, event.name}
        if self.rows.key == event.run:
            self.rows.key = event.name
        desk.runs = [replace(run, name=event.name) if run.name == event.run else run for run in desk.runs or ()]
        if self.workspace.run and self.workspace.run.path == folder.path:
            self.workspace.attempt(partial(self.workspace.open, RunFolder(folder.path.with_name(event.name))))

    def action_delete(self) -> None:
        """Move the run to the trash folder, or remove the experiment from the queue."""
        here, folder = self.here, self.folder()
        if isinstance(here, Train) and (turn := self._turn_of(here)) is not None:
            self.rows.settle(turn)
            self.workspace.remove(turn)
        elif folder and folder.name not in self._going:  # otherwise it is a second press before the first is done
            self._going.add(folder.name)
            self.desk.change(DeleteRun(run=folder.name), self._removed, partial(self._going.discard, folder.name))

    def _removed(self, event: Event) -> None:
        assert isinstance(event, RunDeleted)
        self._going.discard(event.run)
        self._deleted.append((event.place, event.run))
        if self.rows.key == event.run:
            self.rows.settle()
        self.desk.runs = [run for run in self.desk.runs or () if run.name != event.run]
        self.workspace.tell(Notice(f"{event.run} is in {self.workspace.root / TRASH}: u brings it back"))

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

    def _fill(self, request: Train) -> None:
        self.workspace.draft = request
        self.app.switch_mode("train")

    def action_earlier_turn(self) -> None:
        self._move_turn(-1)

    def action_later_turn(self) -> None:
        self._move_turn(1)

    def _move_turn(self, by: int) -> None:
        at = self._turn_of(here) if isinstance(here := self.here, Train) else None
        if at is not None:
            self.workspace.move(at, by)


def _experiment(request: Train) -> str:
    """The variant, the seed, and the parameters that differ from their defaults, as text."""
    usual = Train()
    names = (name for name in Train.__struct_fields__ if name not in ("batch_norm", "seed"))
    changed = [
        f"{name.replace('_', ' ')} {getattr(request, name)}"
        for name in names
        if getattr(request, name) != getattr(usual, name)
    ]
    return ", ".join([request.variant, f"seed {request.seed}", *changed])


def _line(run: RunSummary, *, opened: bool) -> str:
    loss = "" if run.val_loss is None else f"{run.val_loss:.4f}"
    accuracy = "" if run.test_accuracy is None else percent(run.test_accuracy)
    marked = f"{cut(run.name, WIDTH)}{glyphs().best if opened else ''}"
    done = f"{run.epoch}/{run.epochs}" if run.epochs else ""
    time = duration(run.seconds) if run.seconds else ""
    return f"{padded(marked, 23)}{run.seed:>5}  {run.state:<11}{done:>7}{loss:>9}{accuracy:>9}{time:>11}  {remark(run)}"
