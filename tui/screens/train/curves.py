"""The page of the curves: the form on the left; curves and a table of epochs on the right."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.containers import Vertical

from engine.figures.requests import DrawFigure
from engine.runs.history import ROBUST_FIELDS, RunHistory
from tui.drawing.about import train_loss_name
from tui.drawing.plot import Curve, Plot
from tui.drawing.theme import CURVE_INKS
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.screens.train.page import TrainPage
from tui.widgets.chart import Chart
from tui.widgets.experiment import ExperimentForm
from tui.widgets.facts import Facts
from tui.widgets.form import RequestForm
from tui.widgets.table import EpochTable
from tui.widgets.traces import RunTraces

CURVES_INTERVAL = 2.0
"""Minimum seconds between two drawings of the loss within an epoch: each is a few thousand bytes."""
BETWEEN_PARTS = 0.001
"""Seconds between two parts of a long run's curves, so that keys are handled in between."""
EPOCH = "epoch {}"
"""A number of the horizontal axes, with its unit."""

FORM_ROWS = 19
"""Rows of the form, which scrolls, with its help; what is known of the open run takes what it needs of the others."""


UNDER_WAY = ("running", "paused", "stopped", "interrupted")
"""States of a run whose first epoch may still come."""


class CurvesPage(TrainPage):
    """The form on the left; curves and a table of epochs on the right."""

    page = "curves"
    title = "curves"
    logarithmic: State[bool] = State(False)
    """Whether the loss axis is logarithmic."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.traces = RunTraces()
        """The curves of the open run."""
        self._curves_of: object = None
        """What the curves were drawn for, apart from the loss within the epoch."""
        self._curves_at = 0.0
        self._seen: RunHistory | None = None
        """The history that was drawn last."""

    def compose(self) -> ComposeResult:
        with Vertical(id="requests"):
            yield Facts(FORM_ROWS, id="this-run")
            yield ExperimentForm("next", self.workspace.state.train(), id="experiment")
        with Vertical(id="results"):
            yield Chart("loss (nats)", empty=f"no epoch yet: press {self.key('run')} to train", id="loss")
            yield Chart("accuracy (%)", empty="", id="accuracy")
            yield EpochTable(id="epochs")

    def on_mount(self) -> None:
        self.form.leave = self.action_leave

    @property
    def form(self) -> RequestForm:
        """The form of the next experiment."""
        return self.query_one(RequestForm)

    def entered(self) -> None:
        """Give the table of epochs the keys that scroll."""
        self.screen.set_focus(self.query_one(EpochTable))

    def left(self) -> None:
        """Leave the form."""
        self.screen.remove_class("-form")
        self.screen.set_focus(None)

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
            self.set_timer(BETWEEN_PARTS, self.desk.update)
        self.query_one(EpochTable).show(history)
        self._show_facts()

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

    def take_draft(self) -> bool:
        """Load the workspace's draft into the form; False where there is none."""
        request = self.workspace.draft
        if request is None or not self.desk.ready:
            return False
        self.workspace.draft = None
        self.form.fill(request)
        self.screen.add_class("-form")
        return True

    # Keys

    def figure(self) -> DrawFigure | None:
        """The curves of the open run."""
        history = self.workspace.history
        if not history.epochs:
            return None
        still = dataclasses.replace(history, epochs=list(history.epochs))  # the run continues while the lane draws
        return DrawFigure(subject=still, folder=str(self.workspace.figures_folder), logarithmic=self.logarithmic)

    def read(self, by: int) -> None:
        """Move the cursor of both charts by this many epochs."""
        self._charts(lambda chart: chart.move_cursor(by))

    def action_settings(self) -> None:
        """Go to the form; on a narrow terminal, show it instead of the charts."""
        self.take_draft()  # in a burst, the screen has not been drawn since the experiment was copied
        self.screen.add_class("-form")
        self.form.step_in()

    def action_leave(self) -> None:
        """Leave the form for the table of epochs."""
        self.screen.remove_class("-form")
        self.entered()

    def action_log_axis(self) -> None:
        self.logarithmic = not self.logarithmic

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
