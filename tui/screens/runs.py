"""Screen 8: the runs there are, and what waits to become one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

from msgspec.structs import replace
from textual.binding import Binding, BindingType
from textual.widget import Widget

from engine.event import Event, JobFailed, WorkAdvanced
from engine.figures.requests import DrawFigure
from engine.lab import Job
from engine.report.events import ReportWritten
from engine.report.requests import Report
from engine.request import RequestError
from engine.runs import catalogue
from engine.runs.comparison import compare
from engine.runs.events import RunsCompared, RunSummary
from engine.runs.folder import RunFolder
from engine.training.requests import Train
from engine.words import shown
from tui.commands import Command, bindings
from tui.screens.dialogs import LineScreen
from tui.screens.frame import LabScreen
from tui.terminal import glyphs
from tui.widgets.comparison import Comparison
from tui.widgets.form import RequestForm
from tui.widgets.lines import Bar, ProgressLine
from tui.widgets.rows import Row, Rows
from tui.widgets.table import percent
from tui.words import cut, duration, padded, remark

_OF_THE_COMPARISON = frozenset({"measure", "axis", "smooth"})
_OF_THE_LIST = {
    *("open", "resume", "stop", "note", "filter", "order", "duplicate", "rename", "delete", "undo", "mark"),
    *("earlier_turn", "later_turn"),
}
LOOK_INTERVAL = 2.0
"""Seconds between two looks at the folder while the screen is in front."""

WIDTH = 22
"""Cells for a name, at most."""
_LAST = float("inf")
ORDERS: dict[str, Callable[[RunSummary], object]] = {
    "newest": lambda _: 0,
    "name": lambda run: run.name,
    "validation loss": lambda run: _LAST if run.val_loss is None else run.val_loss,
    "test accuracy": lambda run: -(run.test_accuracy or 0.0),
    "time": lambda run: -run.seconds,
    "state": lambda run: run.state,
}
"""What `o` sorts by, and how."""


class RunsScreen(LabScreen):
    """A line a run, after those that wait in the queue."""

    mode = "runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("runs"),
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home", "jump(0)", show=False),
        Binding("end", "jump(-1)", show=False),
        Binding("left,h", "read(-1)", show=False),
        Binding("right,l", "read(1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[RunSummary] | None = None
        """All of them, the newest first; None before the first look."""
        self.order, self.filter, self.problem = "newest", "", ""
        self._deleted: list[tuple[RunFolder, str]] = []
        """What is in the trash folder through us, with its name, the last one last."""
        self._looking = self._again = False
        self._reporting: Job | None = None
        """The report under way."""
        self._advance: WorkAdvanced | None = None
        """How far it is."""
        self.marked: set[str] = set()
        """The names of the runs to compare."""

    def body(self) -> Iterable[Widget]:
        """The list, and a line for what the cursor is on."""
        yield Rows(empty="no run yet: r on screen 1 trains one", id="runs")
        yield Comparison(id="comparison")
        yield ProgressLine(id="status")

    def on_mount(self) -> None:
        """Look, and go on looking."""
        super().on_mount()
        self.set_interval(LOOK_INTERVAL, self.look)

    def on_screen_resume(self) -> None:
        """Look at once."""
        if self.ready and self.rows.lost:  # what was under the cursor went while nobody looked
            self.rows.settle()
        super().on_screen_resume()
        self.look()

    def look(self) -> None:
        """Read the folder, in another thread: it may be far away."""
        self._again = self._looking  # what was just changed may have been read already
        if self.app.screen is self and not self._looking:
            self._looking = True
            self.run_worker(self._look(), exit_on_error=False)

    async def _look(self) -> None:
        try:
            self.runs = await asyncio.to_thread(catalogue.summaries, self.lab_app.root)
            self.marked &= {run.name for run in self.runs}
            await self._compare()
        except RequestError as error:
            self.runs, self.problem = self.runs or [], str(error)
        finally:
            self._looking = False
        self.show(())
        if self._again:
            self.look()

    async def _compare(self) -> None:
        """Compare the marked runs anew, where that is in view."""
        compared: RunsCompared | None = None
        if self.comparing:
            self.problem = ""
            # In the order of the list, the oldest first: what came first is what others are held against.
            names = [run.name for run in reversed(self.runs or ()) if run.name in self.marked]
            folders = [RunFolder(self.lab_app.root / name) for name in names]
            try:
                compared = await asyncio.to_thread(compare, folders) if folders else None
            except RequestError as error:
                self.problem = str(error)
            self.query_one(Comparison).show(compared)

    # What is shown

    @property
    def comparing(self) -> bool:
        """Whether the comparison is in view, and not the list."""
        return self.has_class("-comparing")

    @property
    def rows(self) -> Rows:
        """The list."""
        return self.query_one("#runs", Rows)

    @property
    def shown(self) -> list[RunSummary]:
        """The runs that the filter leaves, in order."""
        words = self.filter.lower().split()
        runs = [
            run
            for run in self.runs or ()
            if all(word in f"{run.name} {run.variant} {run.state} {run.dataset} {run.note}".lower() for word in words)
        ]
        return sorted(runs, key=ORDERS[self.order])  # type: ignore[arg-type]

    @property
    def here(self) -> RunSummary | Train | None:
        """What the cursor is on: something in the queue, or a run. None where that is there no more."""
        key = self.rows.key
        if isinstance(key, Train):
            return key if self._turn_of(key) is not None else None
        return next((run for run in self.shown if run.name == key), None)

    def _turn_of(self, request: Train) -> int | None:
        """Its place in the queue; None where it does not wait there."""
        return next((n for n, each in enumerate(self.lab_app.queue) if each is request), None)

    def folder(self) -> RunFolder | None:
        """The folder of the run under the cursor."""
        if self.comparing:
            return None
        return RunFolder(self.lab_app.root / here.name) if isinstance(here := self.here, RunSummary) else None

    def show(self, events: Iterable[Event]) -> None:
        """Draw the list anew."""
        super().show(events)
        if not self.ready:
            return
        queue, shown, job = self.lab_app.queue, self.shown, self.lab_app.training
        if job and job.request is self.rows.key and self.lab_app.history.name:
            self.rows.key = self.lab_app.history.name  # its turn has come
        head = f"{'run':<23}{'seed':>5}  {'state':<11}{'epoch':>7}{'val loss':>9}{'test':>9}{'time':>11}  note"
        head, blank = (f"  {head}", (" ", "primary")) if self.marked else (head, ("", ""))
        waiting = [
            Row(f"{f'in the queue, {n}':<30}{_experiment(each)}", sample=blank, key=each)
            for n, each in enumerate(queue, 1)
        ]
        open_run = self.lab_app.opened.path.name if isinstance(self.lab_app.opened, RunFolder) else ""
        lines = [self._row(run, opened=run.name == open_run) for run in shown]
        count = len(self.runs or ())
        title = f"{len(shown)} of {count} runs with {self.filter}" if self.filter else f"{count} runs"
        self.rows.show(f"{title}, by {self.order}", head, [*waiting, *lines])
        self._show_status()

    def _row(self, run: RunSummary, *, opened: bool) -> Row:
        mark = (glyphs().best if run.name in self.marked else " ", "primary") if self.marked else ("", "")
        return Row(_line(run, opened=opened), sample=mark, key=run.name)

    def _show_status(self) -> None:
        line, here = self.query_one(ProgressLine), self.here
        now = self._advance
        if self.problem:
            line.show(self.problem, tone="error")
        elif now:
            line.show(Bar("report", now.done / now.total), now.words, "x stops", tone="quiet")
        elif self.comparing:
            line.show("left and right read the curves, y another one, b by epochs or seconds, w smooths", tone="quiet")
        elif self.runs is None:
            line.show(f"reading {self.lab_app.root}", tone="quiet")
        elif isinstance(here, Train):
            line.show("waits for its turn: d removes it, - and + move it", tone="quiet")
        elif here is None:
            line.show("nothing matches: / asks anew" if self.filter else "", tone="quiet")
        else:
            line.show(remark(here) or f"{here.variant} on {here.dataset}: n notes something, with #tags", tone="quiet")

    def on_rows_moved(self) -> None:
        """Another line."""
        self.show(())

    @property
    def _out_of_view(self) -> set[str]:
        """What acts on a line of the list, which one does not see while runs are compared."""
        return (_OF_THE_LIST - {"stop"} if self._reporting else _OF_THE_LIST) if self.comparing else set()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Do nothing to a line that is out of view."""
        return action not in self._out_of_view and super().check_action(action, parameters)

    def live_commands(self) -> tuple[Command, ...]:
        """What can be done with what the cursor is on."""
        here = self.here if self.ready else None
        if self.comparing:
            return tuple(command for command in super().live_commands() if command.name not in self._out_of_view)
        hidden = {*_OF_THE_COMPARISON, *(() if self._deleted else ("undo",))}
        if isinstance(here, RunSummary):
            hidden |= {"earlier_turn", "later_turn"}
            under_way = here.state in ("running", "paused")
            hidden |= {"delete", "rename"} if under_way else set() if self._reporting else {"stop"}
            if here.state not in ("stopped", "interrupted", "failed"):
                hidden.add("resume")
        else:
            hidden |= {"open", "resume", "note", "rename", "stop"}
            hidden |= set() if isinstance(here, Train) else {"delete", "duplicate", "earlier_turn", "later_turn"}
        return tuple(command for command in super().live_commands() if command.name not in hidden)

    def figure(self) -> DrawFigure | None:
        """The comparison, or the curves of the run under the cursor."""
        if self.comparing:
            event = self.query_one(Comparison).event
            return DrawFigure(subject=event, folder=str(self.lab_app.figures_folder)) if event else None
        here, folder = self.here, self.folder()
        if folder is None or not isinstance(here, RunSummary) or not here.epoch:
            return None
        return DrawFigure(subject=folder, folder=str(folder.figures_folder))

    # Keys

    def action_move(self, by: int) -> None:
        """Another line."""
        if self.comparing:
            self.query_one(Comparison).rows.move(0, by)
        else:
            self.rows.move(0, by)

    def action_read(self, by: int) -> None:
        """Another epoch under the cursor of the chart."""
        if self.comparing:
            self.query_one(Comparison).move(by)

    def action_mark(self) -> None:
        """Take this run into the comparison, or out of it."""
        if isinstance(here := self.here, RunSummary) and not self.comparing:
            self.marked ^= {here.name}
            self.action_move(1)
            self.show(())

    def action_compare(self) -> None:
        """The marked runs over one another, or back; without any, all that the filter leaves."""
        if not self.comparing and not self.marked:
            self.marked = {run.name for run in self.shown if run.epoch}
        self.toggle_class("-comparing")
        self.problem = ""
        self.look()
        self.show(())

    def action_back(self) -> None:
        """To the list; there, all marks off."""
        if self.comparing:
            self.action_compare()
        else:
            self.marked.clear()
            self.show(())

    def action_measure(self) -> None:
        """Another curve."""
        if self.comparing:
            self.query_one(Comparison).next_field()

    def action_axis(self) -> None:
        """By epochs or seconds."""
        if self.comparing:
            self.query_one(Comparison).turn_axis()

    def action_smooth(self) -> None:
        """Smoother, or as it was."""
        if self.comparing:
            self.query_one(Comparison).next_smoothing()

    def action_jump(self, index: int) -> None:
        """The first line, or the last."""
        self.rows.jump(index)

    def action_order(self) -> None:
        """Sort by something else."""
        names = list(ORDERS)
        self.order = names[(names.index(self.order) + 1) % len(names)]
        self.show(())

    def action_filter(self) -> None:
        """Ask for words that a line must have."""
        hint = "words that name, variant, state, data set or note have; nothing for all"
        self.app.push_screen(LineScreen("show only runs with", self.filter, hint), self._filtered)

    def _filtered(self, text: str | None) -> None:
        if text is not None:
            self.filter = " ".join(text.split())
            if self.here is None:
                self.rows.settle()
            self.show(())

    def _try(self, work: Callable[[], object]) -> None:
        """Do something to a folder; say in one line where that fails; then look."""
        try:
            work()
        except RequestError as error:
            self.notify(str(error), severity="error", timeout=10, markup=False)
        self.look()

    def action_open(self) -> None:
        """Look into this run."""
        if folder := self.folder():
            self._try(partial(self.lab_app.open, folder))

    def action_resume(self) -> None:
        """Go on with this run."""
        if self.lab_app.training:
            self.notify("a run is under way: stop it first", severity="warning")
        elif folder := self.folder():
            self.lab_app.resume(folder)

    def action_stop(self) -> None:
        """Stop the report, or the run, whoever trains it."""
        if self._reporting:
            self._reporting.cancel()
            self._reporting = self._advance = None
            self.show(())
        elif isinstance(here := self.here, RunSummary) and here.state in ("running", "paused"):
            self.lab_app.stop(RunFolder(self.lab_app.root / here.name))

    def action_report(self) -> None:
        """Redo the notebook on the marked runs, or on the one under the cursor."""
        names = [run.name for run in reversed(self.runs or ()) if run.name in self.marked]
        if not names and isinstance(here := self.here, RunSummary):
            names = [here.name]
        try:
            folders = [self.lab_app.root / name for name in names]
            out = str(folders[-1] / "report") if folders else "report"
            request = Report(what=tuple(map(str, folders)), out=out)
        except RequestError as error:
            self.notify(f"{error}: space marks them", severity="warning", markup=False)
            return
        if self._reporting is None:
            self.problem = ""
            self._reporting = self.lab_app.ask(request, self._hear)
            self.show(())

    def _hear(self, job: Job, event: Event) -> None:
        if job is not self._reporting:
            return
        match event:
            case WorkAdvanced():
                self._advance = event
                return
            case ReportWritten():
                self.lab_app.copy_to_clipboard(event.html)
                self.notify(event.html, title="report written, its path copied", markup=False)
            case JobFailed():
                self.problem = event.reason
            case _:
                pass
        self._reporting = self._advance = None

    def action_note(self) -> None:
        """Ask for a note."""
        if folder := self.folder():
            hint = "one line; words that begin with # are tags"
            before = shown(catalogue.read_note(folder))

            def noted(text: str | None) -> None:
                if text is not None:
                    self._try(partial(catalogue.write_note, folder, text))

            self.app.push_screen(LineScreen(f"note of {folder.name}", before, hint), noted)

    def action_rename(self) -> None:
        """Ask for another name."""
        if folder := self.folder():
            before = shown(folder.name)

            def named(text: str | None) -> None:
                if text is not None and text.strip() != before:
                    self._try(partial(self._rename, folder, text.strip()))

            self.app.push_screen(LineScreen("rename the run", before, "the new name of its folder"), named)

    def _rename(self, folder: RunFolder, name: str) -> None:
        renamed = catalogue.rename(folder, name)
        if folder.name in self.marked:
            self.marked ^= {folder.name, name}
        self.runs = [replace(run, name=name) if run.name == folder.name else run for run in self.runs or ()]
        self.rows.key = name
        self.show(())
        if isinstance(self.lab_app.opened, RunFolder) and self.lab_app.opened.path == folder.path:
            self.lab_app.open(renamed)

    def action_delete(self) -> None:
        """Into the trash folder, or out of the queue."""
        here, folder = self.here, self.folder()
        if isinstance(here, Train) and (turn := self._turn_of(here)) is not None:
            del self.lab_app.queue[turn]
            self.rows.settle(turn)
            self.show(())
        elif folder:
            self._try(partial(self._delete, folder))

    def _delete(self, folder: RunFolder) -> None:
        self._deleted.append((catalogue.delete(folder), folder.name))
        self.runs = [run for run in self.runs or () if run.name != folder.name]
        self.rows.settle()
        self.show(())
        self.notify(f"{folder.name} is in {folder.path.parent / catalogue.TRASH}: u brings it back", markup=False)

    def action_undo(self) -> None:
        """Bring back what was deleted last."""
        if self._deleted:
            deleted, name = self._deleted[-1]
            self._try(lambda: (catalogue.restore(deleted, name), self._deleted.pop()))

    def action_duplicate(self) -> None:
        """Put what was asked for into the form of screen 1."""
        here, folder = self.here, self.folder()
        if folder:
            self._try(lambda: self._fill(folder.read_record().request))
        elif isinstance(here, Train):
            self._fill(here)

    def _fill(self, request: Train) -> None:
        app = self.lab_app
        app.switch_mode("train")
        train = app.screen  # the next key may be that of another screen, which is in front when this one is filled

        async def fill() -> None:
            if not (isinstance(train, LabScreen) and train.ready):
                return
            form = train.query_one(RequestForm)
            await form.mount_fields()
            form.fill(request)
            form.check()
            train.add_class("-form")

        app.call_after_refresh(fill)

    def action_earlier_turn(self) -> None:
        """A place forward in the queue."""
        self._turn(-1)

    def action_later_turn(self) -> None:
        """A place back."""
        self._turn(1)

    def _turn(self, by: int) -> None:
        here, queue = self.here, self.lab_app.queue
        at = self._turn_of(here) if isinstance(here, Train) else None
        if at is not None and 0 <= at + by < len(queue):
            queue[at], queue[at + by] = queue[at + by], queue[at]
            self.show(())


def _experiment(request: Train) -> str:
    """What sets it apart from the form as it begins."""
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
