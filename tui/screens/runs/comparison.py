"""The comparison page: a chart whose cursor reads off every curve, and a table of results."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from msgspec import structs
from rich.cells import cell_len
from textual.app import ComposeResult

from engine.event import Event, JobFailed
from engine.figures.requests import DrawFigure
from engine.lab import Job
from engine.runs.comparison import differences, sentence
from engine.runs.events import RunGroup, RunsCompared
from engine.runs.requests import OverlayRuns
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.vocabulary import with_spread
from tui.drawing.words import counted, cut, padded
from tui.screens.pages import Page, PagedScreen
from tui.screens.runs.desk import RunsDesk
from tui.screens.state import State
from tui.widgets.chart import Chart, Curve
from tui.widgets.rows import Row, Rows

INKS = ("curve-train", "curve-val", "curve-test", "curve-4", "curve-5", "curve-6", "curve-7", "curve-8")
"""Colours of the groups, which colour-blind people can distinguish; of more groups, only the first are drawn."""
FIELDS = {
    "val_loss": "validation loss",
    "test_accuracy": "test accuracy %",
    "val_accuracy": "validation accuracy %",
    "train_loss": "training loss",
}
SMOOTHING = (1, 3, 5, 9)
"""Number of epochs that each point is averaged over."""
NAME = 22
"""Width of a group's name, in cells, that is worth more than another measure."""
RUNS, HERE, MEASURE = 6, 13, 18
"""Widths of the columns of the number of runs, of the value under the cursor, and of a measure."""
MEASURES = ("test accuracy", "seconds per epoch", "validation loss", "highest test accuracy")
"""The measures in the table; where there is no room for all, the first ones."""
HEADS = {"seconds per epoch": "time per epoch", "highest test accuracy": "highest test"}
CHART = 6
"""Height of the chart, in rows, that it keeps even if the table has to scroll."""
TOLD, MOST_TOLD = ("test accuracy", "seconds per epoch"), 4
"""The measures whose contrasts are also given as sentences, and the maximum number of sentences."""
FEW = 3
"""Maximum number of groups that are drawn with bands: more would be unreadable."""


@dataclass(frozen=True)
class Reading:
    """How the curves are shown."""

    field: str = "val_loss"
    by_seconds: bool = False
    smoothing: int = 1
    at: int = -1
    """The index, from 0, of the epoch under the cursor; -1 for the last."""


def letter(number: int) -> str:
    """The letter of a group, counted from 0; after Z, a number."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


class ComparisonPage(Page):
    """The chart above the table, for the marked runs."""

    page = "compare"
    desk: RunsDesk
    reading: State[Reading] = State(Reading())
    """How the curves are shown."""
    event: State[RunsCompared | None] = State(None)

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.desk = cast(RunsDesk, desk)
        self._drawn: object = None
        """What was drawn last; it is not drawn again unless it changes, since that takes long."""

    def ask(self) -> None:
        """Compare the marked runs again, if this page is in front."""
        if self.desk.page is not self:
            return
        # The oldest first: the others are compared with the first one.
        paths = tuple(self.desk.folder_of(run).what for run in self.desk.chosen)
        if paths:
            self.workspace.ask(OverlayRuns(what=paths), self._compared)
        else:
            self.desk.problem, self.event = "", None

    def _compared(self, _job: Job, event: Event) -> None:
        if isinstance(event, RunsCompared):
            self.desk.problem, self.event = "", event
        elif isinstance(event, JobFailed):
            self.desk.problem, self.event = event.reason, None

    def compose(self) -> ComposeResult:
        yield Chart("", empty="", id="compared-curves")
        yield Rows(empty="mark runs in the list with space, then press tab", id="compared")

    @property
    def rows(self) -> Rows:
        """The table."""
        return self.query_one(Rows)

    # View

    def action_measure(self) -> None:
        names = list(FIELDS)
        self.reading = replace(self.reading, field=names[(names.index(self.reading.field) + 1) % len(names)])

    def action_axis(self) -> None:
        """Switch the x axis between epochs and seconds."""
        self.reading = replace(self.reading, by_seconds=not self.reading.by_seconds)

    def action_smooth(self) -> None:
        """Smooth over more epochs; after the most, not at all."""
        smoothing = SMOOTHING[(SMOOTHING.index(self.reading.smoothing) + 1) % len(SMOOTHING)]
        self.reading = replace(self.reading, smoothing=smoothing)

    def move_cursor(self, by: int) -> None:
        """Move the cursor of the chart by this many epochs."""
        if last := self._last:
            at = last if self.reading.at < 0 else min(self.reading.at, last)
            self.reading = replace(self.reading, at=min(max(at + by, 0), last))

    def sentence(self) -> str:
        """What the keys do."""
        return "left and right move the cursor, y changes the curve, b the axis, w the smoothing"

    def figure(self) -> DrawFigure | None:
        return DrawFigure(subject=self.event, folder=str(self.workspace.figures_folder)) if self.event else None

    @property
    def _last(self) -> int:
        return max((len(group.epochs) for group in self.event.groups[: len(INKS)]), default=1) - 1 if self.event else 0

    # Drawing

    def draw(self) -> None:
        chart, event = self.query_one(Chart), self.event
        if self._drawn == (now := (id(event), self.reading, self.size)):
            return
        self._drawn = now
        if event is None:
            chart.show([], (0.0, 1.0))
            self.rows.show("", "", ())
            return
        reading, groups = self.reading, event.groups[: len(INKS)]
        at = self._last if reading.at < 0 else min(reading.at, self._last)
        curves = list(self._curves(groups))
        values = [y for curve in curves for y in curve.ys]
        room = 0.05 * (max(values) - min(values)) or 0.05 * abs(max(values)) or 1.0
        low, high = min(values) - room, max(values) + room
        across = max(group.seconds[-1] if reading.by_seconds else float(group.epochs[-1]) for group in groups)
        longest = max(groups, key=lambda group: len(group.epochs))
        x = self._xs(longest)[at]
        chart.title = FIELDS[reading.field] + (f", mean of {reading.smoothing}" if reading.smoothing > 1 else "")
        chart.whole = not reading.by_seconds
        cursor = Curve("", "rule", [x, x], [low, high])
        begins = min(curve.xs[0] for curve in curves)
        chart.show([cursor, *curves], (begins if begins < across else 0.0, across), (low, high))
        chart.redraw()
        unit = f"{x:.0f} s" if reading.by_seconds else f"epoch {longest.epochs[at]}"
        self._tabulate(event, longest.epochs[at], unit)

    def _tabulate(self, event: RunsCompared, epoch: int, unit: str) -> None:
        """Show the table, with the curves' values at an epoch. The chart gets the height that the table leaves."""
        room = self.size.width - 3 - RUNS - HERE
        label = max(len("group"), *(cell_len(group.label) for group in event.groups))
        # At first, columns are worth more than long names.
        measures = MEASURES[: max(1, (room - min(label, NAME)) // MEASURE)]
        name = max(1, min(label, room - MEASURE * len(measures)))
        head = f"  {padded('group', name)}{'runs':>{RUNS}}{'at ' + unit:>{HERE}}"
        head += "".join(f"{HEADS.get(measure, measure):>{MEASURE}}" for measure in measures)
        rows = [self._row(number, group, epoch, name, measures) for number, group in enumerate(event.groups)]
        title = f"{counted(sum(len(group.runs) for group in event.groups), 'run')} in {counted(len(rows), 'group')}"
        if len(rows) > len(INKS):
            title += f": the curves of the first {len(INKS)}"
        most = self.size.height - min(CHART, self.size.height // 3)
        notes = self._wrapped(self._sentences(event))
        for field, values in differences(event):  # the table names them too, so they are worth less than its rows
            line = self._wrapped([f"{field}: {', '.join(values)}"])
            if self.rows.height_of(len(rows), len(notes) + len(line)) <= most:
                notes += line
        self.rows.styles.height = max(1, min(self.rows.height_of(len(rows), len(notes)), most))
        self.rows.show(title, head, rows, notes)

    def _sentences(self, event: RunsCompared) -> list[str]:
        """What the comparison found; the measure that matters most comes first."""
        told = [each for measure in TOLD for each in event.contrasts if each.measure == measure]
        if self._lettered(event):
            letters = {group.label: letter(number) for number, group in enumerate(event.groups)}
            told = [structs.replace(each, first=letters[each.first], second=letters[each.second]) for each in told]
        return [sentence(each) for each in told[:MOST_TOLD]]

    def _wrapped(self, said: Iterable[str]) -> list[str]:
        return [line for each in said for line in textwrap.wrap(each, max(20, self.size.width - 2))]

    def _lettered(self, event: RunsCompared) -> bool:
        """Whether the groups have letters: where colours cannot tell them apart, or their names are long."""
        return self._colourless or any(cell_len(group.label) > NAME for group in event.groups)

    def _row(self, number: int, group: RunGroup, epoch: int, name: int, measures: Sequence[str]) -> Row:
        factor, digits = (100.0, 2) if "accuracy" in self.reading.field else (1.0, 4)
        ys = self._smooth([factor * each.mean for each in group.curves[self.reading.field]])
        here = "not yet" if epoch > group.epochs[-1] else "lost"  # from the event log
        if epoch in group.epochs:
            here = f"{ys[group.epochs.index(epoch)]:.{digits}f}"
        drawn = number < len(INKS)
        sample = letter(number) if self.event and self._lettered(self.event) else glyphs().solid[:1] if drawn else " "
        text = f"{padded(cut(group.label, name), name)}{len(group.runs):>{RUNS}}{here:>{HERE}}"
        text += "".join(f"{with_spread(measure, group.results[measure]):>{MEASURE}}" for measure in measures)
        return Row(text, sample=(sample, INKS[number] if drawn else "quiet"))

    @property
    def _colourless(self) -> bool:
        return self.app.no_color or glyphs() is not UNICODE

    def _xs(self, group: RunGroup) -> list[float]:
        return list(group.seconds) if self.reading.by_seconds else [float(epoch) for epoch in group.epochs]

    def _curves(self, groups: Sequence[RunGroup]) -> Iterable[Curve]:
        factor = 100.0 if "accuracy" in self.reading.field else 1.0
        for group in groups if len(groups) <= FEW else ():
            if len(group.runs) > 1:
                spreads = group.curves[self.reading.field]
                for sign in (-1, 1):
                    ys = [factor * (s.mean + sign * (s.deviation if s.count > 1 else 0.0)) for s in spreads]
                    yield Curve("", "rule", self._xs(group), self._smooth(ys))
        for number, group in enumerate(groups):
            ys = self._smooth([factor * each.mean for each in group.curves[self.reading.field]])
            yield Curve(group.label, INKS[number], self._xs(group), ys, marker=chr(ord("A") + number))

    def _smooth(self, ys: list[float]) -> list[float]:
        """Moving averages over the chosen number of values up to each one; later values do not contribute."""
        n = self.reading.smoothing
        return [sum(part) / len(part) for part in (ys[max(0, i + 1 - n) : i + 1] for i in range(len(ys)))]
