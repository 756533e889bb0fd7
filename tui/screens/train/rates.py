"""The page of learning rates: a range test of the experiment in the form, and the rate that it suggests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace
from textual.app import ComposeResult

from engine.data.events import DownloadAdvanced
from engine.event import Event, JobFailed, WorkAdvanced
from engine.figures.requests import DrawFigure
from engine.lab import Job
from engine.request import RequestError, parameters
from engine.training.events import LearningRateFound, LearningRatesTried
from engine.training.requests import FindLearningRate, Train
from tui.drawing.plot import Band, Curve, Plot
from tui.drawing.theme import SERIES
from tui.screens.charted import ChartedPage
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.screens.train.page import TrainPage
from tui.setting import Setting, of_parameter
from tui.widgets.chart import Chart
from tui.widgets.notes import Note, Notes

if TYPE_CHECKING:
    from tui.screens.train.screen import TrainScreen

DECADES = tuple(10.0**exponent for exponent in range(-8, 2))
LADDERS: dict[str, tuple[float, ...]] = {
    "lowest_rate": DECADES,
    "highest_rate": DECADES,
    "steps": (50, 100, 200, 500, 1000, 2000, 5000),
}
"""The values that left and right step through."""
ABOVE = 1.15
"""The vertical axis reaches so many times the highest smoothed loss before the loss rises: it ends far above."""


class RatesPage(TrainPage, ChartedPage):
    """Loss against learning rate, raw and smoothed, and what it says."""

    page = "rates"
    title = "learning rate"
    chosen: State[Mapping[str, Any]] = State({})
    """The settings that were changed, by name; the others have their defaults."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.found: LearningRateFound | None = None
        self.tried: LearningRatesTried | None = None
        """The losses so far."""
        self.job: Job | None = None
        """The test under way; None if there is none."""
        self._now: WorkAdvanced | DownloadAdvanced | None = None
        self._problem = ""

    def compose(self) -> ComposeResult:
        yield Chart("loss by learning rate (nats)", empty="", id="rates-chart")
        yield Notes(id="rates-notes")

    @property
    def train_screen(self) -> TrainScreen:
        """Its screen, with its own type."""
        return cast("TrainScreen", self.desk)

    # The settings

    def settings(self) -> Sequence[Setting]:
        """The rates to try, and how many."""
        own = [each for each in parameters(FindLearningRate) if each.name in LADDERS]
        return [
            of_parameter(
                each,
                self.chosen.get(each.name, each.default),
                partial(self._choose, each.name),
                ladder=LADDERS[each.name],
                show=_shown,
            )
            for each in own
        ]

    def _choose(self, name: str, value: Any) -> None:
        chosen = {**self.chosen, name: value}
        FindLearningRate(**chosen)
        self.chosen = chosen

    # The work

    def action_find_rate(self) -> None:
        """Begin a test of the experiment in the form, or stop the one under way and keep what it has done."""
        if self.job:
            self.job.cancel()
            return
        if (experiment := self.train_screen.experiment()) is None:
            return
        fields = {name: getattr(experiment, name) for name in Train.__struct_fields__}
        self.found = self.tried = self._now = None
        self._problem = ""
        self.query_one(Chart).look(None, 0)
        try:
            self.job = self.workspace.ask(FindLearningRate(**fields, **self.chosen), self._hear)
        except RequestError as error:
            self._problem = str(error)
        self.desk.update()

    def _hear(self, job: Job, event: Event) -> None:
        if job is not self.job:
            return
        match event:
            case WorkAdvanced() | DownloadAdvanced():
                self._now = event
            case LearningRatesTried():
                self.tried = event
            case LearningRateFound():
                self.found, self.job = event, None
            case JobFailed():
                self._problem, self.job = event.reason, None
            case _:
                pass

    def action_use_rate(self) -> None:
        """Put the suggested rate into the form, and show it."""
        if self.found is None or self.found.suggested is None:
            return
        if experiment := self.train_screen.experiment():
            with self.workspace.changing():
                self.workspace.draft = replace(experiment, learning_rate=self.found.suggested)

    # Drawing

    def draw(self) -> None:
        if self.job and self.job.state == "done" and not self.workspace.listens_to(self.job):
            self.job = None  # it was stopped before its first step
        shown = self.found or self.tried
        chart = self.query_one(Chart)
        chart.empty = "" if self.job or self._problem or shown else f"press {self.key('find_rate')} to begin"
        chart.show(_plot(shown) if shown and shown.losses else Plot())
        notes, facts = self._notes()
        self.query_one(Notes).show("", notes, facts)

    def _notes(self) -> tuple[list[Note], str]:
        """What the test says, or what it does, or how it is begun; and what it is of."""
        begins, found, now = self.key("find_rate"), self.found, self._now
        if self._problem:
            return [(self._problem, "error")], ""
        if self.job:
            words = "starting: PyTorch and the images are loaded first"
            if isinstance(now, WorkAdvanced):
                words = f"{now.words}: step {now.done} of {now.total}"
            elif isinstance(now, DownloadAdvanced):
                words = f"downloading {now.file}: {now.received / 1e6:.1f} MB"
            return [(f"{words}; {begins} stops it", "foreground")], ""
        if found is None:
            return [
                (f"{begins} trains the experiment in the form for a few steps, at learning rates from low to high: "
                 "where the loss falls fastest, and where it rises, says which rate is good for it.", "foreground"),
                ("Nothing is written, and the open run stays as it is.", "quiet"),
            ], ""  # fmt: skip
        objective = "" if found.objective == "clean" else f", {found.objective}"
        of = f"{found.variant} on {found.dataset}{objective}, batch size {found.batch_size}, seed {found.seed}"
        notes: list[Note] = [(found.words, "foreground")]
        if found.suggested is not None:
            notes.append((f"{self.key('use_rate')} puts {found.suggested:g} into the form", "primary"))
        if found.ending:
            notes.append((f"{found.ending}: {len(found.rates)} of {found.steps} steps", "quiet"))
        return notes, of

    def figure(self) -> DrawFigure | None:
        """The test, once it is over."""
        if self.found is None or not self.found.losses:
            return None
        return DrawFigure(subject=self.found, folder=str(self.workspace.figures_folder))

    # Keys

    def unused(self) -> set[str]:
        return set() if self.found and self.found.suggested is not None else {"use_rate"}

    def read(self, by: int) -> None:
        """Read the loss at another rate."""
        self.query_one(Chart).move_cursor(by)


def _shown(value: Any) -> str:
    return f"{value:g}"


def _plot(event: LearningRateFound | LearningRatesTried) -> Plot:
    """The losses over the exponents of the rates; from the steepest fall to the lowest loss it is shaded."""
    places = [math.log10(rate) for rate in event.rates]
    highest = max(event.smoothed[: event.smoothed.index(min(event.smoothed)) + 1])
    low, high = 0.0, ABOVE * highest
    curves = [
        Curve("each batch", "curve-running", places, [min(loss, 2 * high) for loss in event.losses], form="{:.3f}",
              latest=f"{event.losses[-1]:.3f}", layer="back"),
        Curve("smoothed", SERIES[0], places, event.smoothed, form="{:.3f}"),
    ]  # fmt: skip
    bands = []
    if isinstance(event, LearningRateFound) and event.steepest is not None:
        ends = [math.log10(event.steepest), math.log10(event.rises_from or event.rates[-1])]
        bands.append(Band("quiet", ends, [-high] * 2, [3 * high] * 2, "steepest fall to lowest loss", behind=True))
        if event.suggested is not None and event.rates[0] <= event.suggested <= event.rates[-1]:
            near = min(range(len(places)), key=lambda at: abs(event.rates[at] - (event.suggested or 0.0)))
            height = min(event.smoothed[near], high)
            curves.append(
                Curve("suggested", SERIES[2], [math.log10(event.suggested)], [height], latest=f"{event.suggested:g}",
                      layer="front", scattered=True)
            )  # fmt: skip
    return Plot(
        curves,
        (math.log10(event.lowest), math.log10(event.highest)),
        (low, high),
        bands,
        limits=(0.0, math.inf),
        whole=False,
        powers=True,
        unit="rate {}",
        stops=places,
    )
