"""The runs screen: it reads the folder of runs, and its pages show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from engine.event import Event, JobFailed, WorkAdvanced
from engine.lab import Job
from engine.report.events import ReportWritten
from engine.report.requests import Report
from engine.request import RequestError
from tui.keys import Command, bindings
from tui.screens.runs.comparison import ComparisonPage
from tui.screens.runs.desk import RunsDesk
from tui.screens.runs.devices import DevicesPage
from tui.screens.runs.list import ListPage
from tui.widgets.lines import Bar, ProgressLine
from tui.workspace import Notice


class RunsScreen(RunsDesk):
    """The list of runs, a comparison of the marked ones, or the devices that they are trained on."""

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
    page_types = (ListPage, ComparisonPage, DevicesPage)

    def below(self) -> Iterable[Widget]:
        """The status line."""
        yield ProgressLine(id="status")

    @property
    def list(self) -> ListPage:
        """The page of the list."""
        page = self.pages["list"]
        assert isinstance(page, ListPage)
        return page

    @property
    def comparison(self) -> ComparisonPage:
        """The page of the comparison."""
        page = self.pages["compare"]
        assert isinstance(page, ComparisonPage)
        return page

    @property
    def shows_devices(self) -> bool:
        return self.front == DevicesPage.page

    # The folder

    def on_screen_resume(self) -> None:
        if self.ready:
            self.list.settle()

    def listed(self) -> None:
        self.comparison.ask()

    # Drawing

    def draw(self) -> None:
        super().draw()
        line, now = self.query_one(ProgressLine), self._advance
        if self.problem:
            line.show(self.problem, tone="error")
        elif now:
            line.show(Bar("report", now.done / now.total), now.words, f"{self.key('stop')} stops", tone="quiet")
        else:
            line.show(self.page.sentence(), tone="quiet")

    def on_rows_moved(self) -> None:
        self.update()

    def unused(self) -> set[str]:
        """Also `stop` where there is nothing to stop; a report can be stopped on each page."""
        return super().unused() | (set() if self.list.can_stop() else {"stop"})

    def live_commands(self) -> tuple[Command, ...]:
        """None while a filter is typed, since all keys go there."""
        return () if self.list.filtering else super().live_commands()

    # Keys

    def action_move(self, by: int) -> None:
        self.page_in_front.rows.move(0, by)

    def action_jump(self, index: int) -> None:
        self.page_in_front.rows.jump(index)

    def action_read(self, by: int) -> None:
        """Move the cursor of the chart by this many epochs."""
        if self.page is self.comparison:
            self.comparison.move_cursor(by)

    @property
    def page_in_front(self) -> ListPage | ComparisonPage | DevicesPage:
        """The page in front, with its own type."""
        page = self.page
        assert isinstance(page, ListPage | ComparisonPage | DevicesPage)
        return page

    def turned(self, target: str) -> None:
        if target == "compare" and not self.marked:  # if none is marked, take all runs that match the filter
            found = [run for run in self.list.shown if run.epoch]
            runs = [run for run in found if run.state != "bundled"] or found
            self.set_reactive(RunsDesk.marked, frozenset(run.name for run in runs))
        self.workspace.look_at_devices(shown=target == DevicesPage.page)
        self.set_reactive(RunsDesk.problem, "")
        self.call_later(self.look)

    async def action_back(self) -> None:
        """Return to the list; on the list, give up the filter that is being typed, then any filter, then all marks."""
        if self.page is self.list and self.list.filtering:
            self.list.give_up_filter()
        elif self.page is self.list and self.list.filter:
            self.list.clear_filter()
        elif self.page is self.list:
            self.marked = frozenset()
        else:
            await super().action_back()

    def action_stop(self) -> None:
        """Stop the report, or else the run under the cursor, even one that another process trains."""
        if self.reporting:
            self.reporting.cancel()
            self.reporting = self._advance = None
            self.update()
        elif self.page is self.list:
            self.list.stop_run()

    def action_export_second(self) -> None:
        """Write a report on the marked runs, or on the one under the cursor."""
        runs = self.chosen or ([self.list.run] if self.list.run else [])
        try:
            folders = [self.folder_of(run) for run in runs]
            own = [folder for folder in folders if not folder.bundled]
            out = str(own[-1].path / "report") if own else "report"
            request = Report(what=tuple(folder.what for folder in folders), out=out)
        except RequestError as error:
            self.workspace.tell(Notice(f"{error}: mark runs with {self.list.key('mark')}", severity="warning"))
            return
        if self.reporting is None:
            self.problem = ""
            self.reporting = self.workspace.ask(request, self._reported)
            self.update()

    def _reported(self, job: Job, event: Event) -> None:
        if job is not self.reporting:
            return
        match event:
            case WorkAdvanced():
                self._advance = event
                return
            case ReportWritten():
                self.workspace.tell(Notice(event.html, "report written, its path copied", copy=event.html))
            case JobFailed():
                self.problem = event.reason
            case _:
                pass
        self.reporting = self._advance = None
