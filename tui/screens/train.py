"""Screen 1: set up an experiment, train it, and follow its progress."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widget import Widget

from engine.cluster.requests import TrainOnRay, planned
from engine.data.events import DownloadAdvanced
from engine.figures.requests import DrawFigure
from engine.request import RequestError
from engine.runs.history import ROBUST_FIELDS, RunHistory
from engine.training.events import DIVERGED
from engine.training.requests import Train
from engine.words import percent
from tui.drawing.about import train_loss_name
from tui.drawing.plot import Curve, Plot
from tui.drawing.terminal import glyphs
from tui.drawing.theme import CURVE_INKS
from tui.drawing.words import damaged_lines, duration
from tui.keys import Command, bindings
from tui.screens.frame import LabScreen
from tui.screens.state import State
from tui.widgets.chart import Chart
from tui.widgets.experiment import ExperimentForm
from tui.widgets.facts import Facts
from tui.widgets.form import RequestForm
from tui.widgets.lines import Bar, ProgressLine
from tui.widgets.table import EpochTable
from tui.widgets.traces import RunTraces

CURVES_INTERVAL = 2.0
"""Minimum seconds between two drawings of the loss within an epoch: each is a few thousand bytes."""
BETWEEN_PARTS = 0.001
"""Seconds between two parts of a long run's curves, so that keys are handled in between."""
EPOCH = "epoch {}"
"""A number of the horizontal axes, with its unit."""

FORM_ROWS = 20
"""Rows of the form, which scrolls, with its help; what is known of the open run takes what it needs of the others."""


UNDER_WAY = ("running", "paused", "stopped", "interrupted")
"""States of a run whose first epoch may still come."""
BOTH = 64
"""Columns that what is known of the open run and the form need side by side; where there are fewer, only the form is
shown."""


class TrainScreen(LabScreen):
    """The form on the left; curves and a table of epochs on the right; progress at the bottom."""

    CSS_PATH = None  # the layout of the first frame comes with the theme
    mode = "train"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("train"),
        Binding("left,h", "read(-1)", show=False),
        Binding("right,l", "read(1)", show=False),
    ]
    logarithmic: State[bool] = State(False)
    """Whether the loss axis is logarithmic."""

    def __init__(self) -> None:
        super().__init__()
        self.traces = RunTraces()
        """The curves of the open run."""
        self._curves_of: object = None
        """What the curves were drawn for, apart from the loss within the epoch."""
        self._curves_at = 0.0
        self._seen: RunHistory | None = None
        """The history that was drawn last."""

    def body(self) -> Iterable[Widget]:
        """Charts beside what is open and the form, which are hidden where there is no room for both."""
        with Horizontal(id="desk"):
            with Vertical(id="requests"):
                yield Facts(FORM_ROWS, id="this-run")
                yield ExperimentForm("next", self.workspace.state.train(), id="experiment")
            with Vertical(id="results"):
                yield Chart("loss (nats)", empty=f"no epoch yet: press {self.key('run')} to train", id="loss")
                yield Chart("accuracy (%)", empty="", id="accuracy")
                yield EpochTable(id="epochs")
        yield ProgressLine(id="progress")

    def on_mount(self) -> None:
        self.query_one(RequestForm).leave = self.action_leave

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width < BOTH, "-cramped")

    async def complete(self) -> None:
        """Give the table of epochs the keys that scroll, unless the user is elsewhere already."""
        if self.focused is None:
            self.set_focus(self.query_one(EpochTable))

    # What is shown

    def draw(self) -> None:
        """Draw the open run; the curves of a long one are prepared in parts, and drawn once they are complete."""
        history = self.workspace.history
        if history is not self._seen:  # another run, which need not have the epochs that were looked at
            self._seen = history
            self._charts(lambda chart: chart.look(None, 0))
        if self.traces.follow(history):
            self._show_curves(history)
        else:
            self.set_timer(BETWEEN_PARTS, self.update)
        self.query_one(EpochTable).show(history)
        self._show_facts()
        self._show_progress(history)
        if self.workspace.draft:
            self._take_draft()

    def _show_curves(self, history: RunHistory) -> None:
        """Draw the curves; while only the loss within the epoch has changed, once a second at most."""
        job = self.workspace.training
        state = (id(history), len(history.epochs), history.progress is None, job and job.paused, self.logarithmic)
        now = time.monotonic()
        if state != self._curves_of or now - self._curves_at >= CURVES_INTERVAL:
            self._curves_of, self._curves_at = state, now
            self._show_loss(history)
            self._show_accuracy(history)

    def _show_loss(self, history: RunHistory) -> None:
        xs, ys = self.traces.running.points()
        if (now := history.progress) and now.running_loss:
            # Each value is the mean loss of one of several equal stretches, which together span the finished share.
            share = now.step / now.steps / len(now.running_loss)
            xs += [now.epoch - 1 + (i + 1) * share for i in range(len(now.running_loss))]
            ys += now.running_loss
        curves = [
            Curve("running", "curve-running", xs, ys, form="{:.4f}", layer="back"),
            replace(self._curve("train", "train_loss"), name=train_loss_name(history.request)),
            self._curve("val", "val_loss", scattered=True),
        ]
        plot = Plot(
            curves,
            self._epoch_range(history),
            logarithmic=self.logarithmic,
            from_zero=True,
            limits=(0.0, math.inf),
            unit=EPOCH,
        )
        chart = self.query_one("#loss", Chart)
        busy = self.workspace.training is not None
        waiting = busy or history.state in UNDER_WAY or self.workspace.looking
        chart.empty = "no epoch yet" if waiting else f"no epoch yet: press {self.key('run')} to train"
        chart.show(plot)

    def _curve(
        self, name: str, field: str, *, form: str = "{:.4f}", scale: float = 1.0, scattered: bool = False
    ) -> Curve:
        xs, ys = self.traces.fields[field].points()
        return Curve(
            name, CURVE_INKS.get(name, f"curve-{name}"), xs, [y * scale for y in ys], form=form, scattered=scattered
        )

    def _show_accuracy(self, history: RunHistory) -> None:
        curves = [
            self._curve("val", "val_accuracy", form="{:.2f} %", scale=100, scattered=True),
            self._curve("test", "test_accuracy", form="{:.2f} %", scale=100),
        ]
        for field in ROBUST_FIELDS:
            if self.traces.fields[field].points()[0]:
                curves.append(self._curve(field.partition("_")[0], field, form="{:.2f} %", scale=100))
        plot = Plot(curves, self._epoch_range(history), limits=(0.0, 100.0), unit=EPOCH)
        self.query_one("#accuracy", Chart).show(plot)

    @staticmethod
    def _epoch_range(history: RunHistory) -> tuple[float, float]:
        return 0.0, float(max(1, history.total_epochs))

    def _show_facts(self) -> None:
        workspace, facts = self.workspace, self.query_one(Facts)
        groups = workspace.about()
        facts.set_class(not groups, "-empty")
        facts.show("this run" if workspace.run or workspace.training else "this file", groups)

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
        return unused if self.workspace.unfinished_run else unused | {"resume"}

    def live_commands(self) -> tuple[Command, ...]:
        """What `space` does next: pause, or resume."""
        job = self.workspace.training
        words = {"pause": "resume"} if job and job.paused else {}
        return tuple(replace(each, label=words.get(each.name, each.label)) for each in super().live_commands())

    def figure(self) -> DrawFigure | None:
        """The curves of the open run."""
        history = self.workspace.history
        if not history.epochs:
            return None
        still = dataclasses.replace(history, epochs=list(history.epochs))  # the run continues while the lane draws
        return DrawFigure(subject=still, folder=str(self.workspace.figures_folder), logarithmic=self.logarithmic)

    def action_run(self) -> None:
        """Train the experiment in the form."""
        if self.workspace.training:
            self.notify(f"a run is under way: {self.key('stop')} stops it", severity="warning")
            return
        if request := self._experiment():
            self.action_leave()
            self.workspace.train(request)

    def _experiment(self) -> Train | None:
        """The experiment in the form; None, after a notification, if it is invalid."""
        self._take_draft()  # in a burst, the screen has not been drawn since the experiment was copied
        form = self.query_one(RequestForm)
        try:
            request = form.request()
        except RequestError as error:
            self.notify(str(error), title="not an experiment yet", severity="error", markup=False)
            self.add_class("-form")
            return None
        assert isinstance(request, Train)
        self.workspace.state.experiment = msgspec.to_builtins(request)
        return request

    def action_queue(self) -> None:
        """Ask what to sweep over, and add the experiments to the queue."""
        from tui.screens.dialogs import LineScreen

        request = self._experiment()
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

    def action_settings(self) -> None:
        """Go to the form; on a narrow terminal, show it instead of the charts."""
        self._take_draft()
        self.add_class("-form")
        self.query_one(RequestForm).step_in()

    async def action_next_page(self) -> None:
        """Go to the form, or back to the table of epochs."""
        if isinstance(self.focused, RequestForm):
            self.action_leave()
        else:
            self.action_settings()

    def action_leave(self) -> None:
        """Leave the form for the table of epochs."""
        self.remove_class("-form")
        self.set_focus(self.query_one(EpochTable))

    def action_log_axis(self) -> None:
        self.logarithmic = not self.logarithmic

    def action_read(self, by: int) -> None:
        """Move the cursor of both charts by this many epochs."""
        self._charts(lambda chart: chart.move_cursor(by))

    def action_earlier(self) -> None:
        self.action_read(-1)

    def action_later(self) -> None:
        self.action_read(1)

    def action_zoom_in(self) -> None:
        self._charts(Chart.zoom_in)

    def action_zoom_out(self) -> None:
        self._charts(Chart.zoom_out)

    def action_zoom_reset(self) -> None:
        """Show the whole curves, with their latest values."""
        self._charts(lambda chart: chart.look(None, 0))

    def _charts(self, act: Callable[[Chart], None]) -> None:
        """Do it with the chart of the losses; that of the accuracies shows the same epochs."""
        loss, accuracy = self.query_one("#loss", Chart), self.query_one("#accuracy", Chart)
        act(loss)
        accuracy.look(loss.cursor, loss.zoom)

    def _take_draft(self) -> None:
        """Load the workspace's draft into the form."""
        if (request := self.workspace.draft) and self.ready:
            self.workspace.draft = None
            self.query_one(RequestForm).fill(request)
            self.add_class("-form")


def _when(history: RunHistory) -> str:
    """When a run ended that is not finished."""
    done, total = history.epoch, history.total_epochs
    return f"after epoch {done} of {total}" if done else "before the end of its first epoch"
