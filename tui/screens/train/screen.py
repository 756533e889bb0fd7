"""The train screen: the keys of a run and its progress, below the page in front."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widget import Widget

from engine.cluster.requests import TrainOnRay, planned
from engine.data.events import DownloadAdvanced
from engine.request import RequestError
from engine.runs.history import RunHistory
from engine.training.events import DIVERGED
from engine.training.requests import Train
from engine.words import percent
from tui.drawing.terminal import glyphs
from tui.drawing.words import damaged_lines, duration
from tui.keys import Command, bindings
from tui.screens.pages import LaterPage, PagedScreen
from tui.screens.train.curves import CurvesPage
from tui.screens.train.page import TrainPage
from tui.widgets.lines import Bar, ProgressLine

BOTH = 64
"""Columns that what is known of the open run and the form need side by side; where there are fewer, only the form is
shown."""


class TrainScreen(PagedScreen):
    """Sets up an experiment, trains it, and follows its progress, which is below all pages."""

    CSS_PATH = None  # the layout of the first frame comes with the theme
    mode = "train"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("train"),
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("left,h", "read(-1)", show=False),
        Binding("right,l", "read(1)", show=False),
    ]
    page_types = (CurvesPage,)
    later_pages = (
        LaterPage("rates", "learning rate", "tui.screens.train.rates:RatesPage"),
        LaterPage("insides", "insides", "tui.screens.train.insides:InsidesPage"),
        LaterPage("learned", "learned", "tui.screens.train.learned:LearnedPage"),
    )

    def below(self) -> Iterable[Widget]:
        """The progress of the run."""
        yield ProgressLine(id="progress")

    @property
    def curves(self) -> CurvesPage:
        """The page of the curves and the form."""
        page = self.pages[self.first]
        assert isinstance(page, CurvesPage)
        return page

    @property
    def page_in_front(self) -> TrainPage:
        """The page in front, with its own type."""
        page = self.page
        assert isinstance(page, TrainPage)
        return page

    async def complete(self) -> None:
        """Give the page in front the keys, unless the user is elsewhere already."""
        if self.focused is None:
            self.page_in_front.entered()

    async def turn_to(self, name: str) -> None:
        await super().turn_to(name)
        self.page_in_front.entered()

    def turned(self, target: str) -> None:
        self.page_in_front.left()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width < BOTH, "-cramped")

    # What is shown

    def draw(self) -> None:
        self._take_draft()
        super().draw()
        self._show_progress(self.workspace.history)

    def _show_progress(self, history: RunHistory) -> None:
        line = self.query_one(ProgressLine)
        job, now, other = self.workspace.training, history.progress, self.workspace.preparing
        if isinstance(other, DownloadAdvanced):
            share = other.received / other.total if other.total else 0.0
            line.show(Bar(f"downloading {other.file}", share), f"{other.received / 1e6:.1f} MB")
        elif job and job.paused and now:
            line.show(
                Bar(f"paused in epoch {now.epoch}", now.step / now.steps),
                f"{self.key('pause')} resumes",
                tone="warning",
            )
        elif job and now:
            run = (now.epoch - 1 + now.step / now.steps) / now.epochs
            parts: list[str | Bar] = [Bar(f"epoch {now.epoch}", now.step / now.steps)]
            if now.step == now.steps:
                done = f"{other.split} {other.done:,}" if other else ""
                parts.append(f"evaluating {done}".ljust(len("evaluating test 10,000")))
            else:
                parts.append(f"{now.images_per_second:,.0f} img/s")
            left = history.seconds_left()
            line.show(*parts, Bar("run", run), duration(left) + " left" if left is not None else "")
        elif job:
            line.show("loading PyTorch and the images" if not self.workspace.engine else "starting", tone="quiet")
        elif self.workspace.problem:
            line.show(self.workspace.problem, tone="error")
        elif self.workspace.reading:
            line.show(f"reading the events of run {history.name}", tone="quiet")
        elif self.workspace.vanished:
            line.show(
                f"the folder of run {history.name} is gone: press {self.key('runs')} for a list of runs", tone="error"
            )
        else:
            damage = self.workspace.damage.partition(" (")[0]  # the reason stands above the form
            words, hint = self._standing(history)
            line.show(*filter(None, (damage, words, damaged_lines(history.damaged_lines))), tone="quiet", hint=hint)

    def _standing(self, history: RunHistory) -> tuple[str, str]:
        """How the open run stands, and what can be done about it; the second is left out where there is no room."""
        ready = "" if self.workspace.engine else f" {glyphs().dot} loading PyTorch"
        looking = self.workspace.looking
        trains = f"{self.key('run')} trains the experiment in the form"
        if waits := self.workspace.waiting:
            return f"run {waits.name} was not finished: {self.key('resume')} resumes it", trains
        match history.state:
            case "failed":
                diverged = f"diverged{history.reason.removeprefix(DIVERGED)}"
                return diverged if history.diverged else f"failed: {history.reason}", ""
            case "stopped" | "interrupted":
                ended = "stopped" if history.state == "stopped" else "its process ended"
                return f"{ended} {_when(history)}" + ("" if looking else f": {self.key('resume')} resumes it"), ""
            case "running" | "paused" if watched := self.workspace.watched:
                done = f"epoch {history.epoch} finished" if history.epoch else "no epoch finished yet"
                paused = ", paused" if history.state == "paused" else ""
                return f"{watched} trains this run: {done}{paused}", "" if looking else f"{self.key('stop')} stops it"
            case "finished" if (best := history.best) and history.finished:
                words = f"best {best.choice} in epoch {best.epoch}"
                return (
                    f"{words}, with test accuracy {percent(best.test_accuracy)}",
                    "" if looking else f"{self.key('run')} trains another{ready}",
                )
            case _:
                return (f"press {self.key('runs')} for a list of runs" if looking else trains) + ready, ""

    # Keys

    def unused(self) -> set[str]:
        """`run` and `resume` while a run trains, `pause` and `stop` while none does."""
        job = self.workspace.training
        unused = {"run", "resume"} if job else {"pause"} if self.workspace.watched else {"pause", "stop"}
        return super().unused() | unused | (set() if self.workspace.unfinished_run else {"resume"})

    def live_commands(self) -> tuple[Command, ...]:
        """What `space` does next: pause, or resume."""
        job = self.workspace.training
        words = {"pause": "resume"} if job and job.paused else {}
        return tuple(replace(each, label=words.get(each.name, each.label)) for each in super().live_commands())

    async def action_leave(self) -> None:
        """Return to the curves."""
        await self.turn_to(self.first)

    def action_move(self, by: int) -> None:
        self.page_in_front.move(by)

    def action_read(self, by: int) -> None:
        """Go to another epoch, this many further."""
        self.page_in_front.read(by)

    def action_earlier(self) -> None:
        self.action_read(-1)

    def action_later(self) -> None:
        self.action_read(1)

    def action_run(self) -> None:
        """Train the experiment in the form."""
        if self.workspace.training:
            self.notify(f"a run is under way: {self.key('stop')} stops it", severity="warning")
            return
        if request := self.experiment():
            if self.page is self.curves:
                self.curves.action_leave()
            self.workspace.train(request)

    def experiment(self) -> Train | None:
        """The experiment in the form; None, after a notification, if it is invalid."""
        self._take_draft()  # in a burst, the screen has not been drawn since the experiment was copied
        try:
            request = self.curves.form.request()
        except RequestError as error:
            self.notify(str(error), title="not an experiment yet", severity="error", markup=False)
            self._show_form()
            return None
        assert isinstance(request, Train)
        self.workspace.state.experiment = msgspec.to_builtins(request)
        return request

    def action_queue(self) -> None:
        """Ask what to sweep over, and add the experiments to the queue."""
        from tui.screens.dialogs import LineScreen

        request = self.experiment()
        if request is None:
            return

        def wrong(text: str) -> str:
            try:
                planned(request, text)
            except RequestError as error:
                return str(error)
            return ""

        def taken(text: str | None) -> None:
            if text is None:
                return
            plan = planned(request, text)
            if isinstance(plan, TrainOnRay):
                self.workspace.train_on_ray(plan)
            else:
                self.workspace.enqueue(plan)

        hint = (
            "seeds and fields, for example: seeds=5 recipe=notebook,fast batch-norm=no,yes; empty for the form alone; "
            "at once on Ray: on=ray, also parallel=2 address=HOST:PORT"
        )
        self.app.push_screen(LineScreen("queue the experiment for each of", "", hint, wrong), taken)

    def action_start_queue(self) -> None:
        self.workspace.start_queue()

    def action_resume(self) -> None:
        if self.workspace.training:
            self.notify(f"a run is under way: {self.key('stop')} stops it", severity="warning")
        elif run := self.workspace.unfinished_run:
            self.workspace.resume(run)
        else:
            self.notify("no run to resume", severity="warning")

    def action_pause(self) -> None:
        self.workspace.toggle_pause()

    def action_stop(self) -> None:
        """Stop the run, even one that another process trains."""
        if job := self.workspace.training:
            job.cancel()
        elif self.workspace.watched and (run := self.workspace.run):
            self.workspace.stop(run)

    def _take_draft(self) -> None:
        """Load the workspace's draft into the form."""
        if self.curves.take_draft():
            self._show_form()

    def _show_form(self) -> None:
        """Show the page with the form, also on a narrow terminal."""
        if self.page is not self.curves:
            self.turned(self.first)
            self.at = self.first
            self.curves.entered()
        self.add_class("-form")


def _when(history: RunHistory) -> str:
    """When a run ended that is not finished."""
    done, total = history.epoch, history.total_epochs
    return f"after epoch {done} of {total}" if done else "before the end of its first epoch"
