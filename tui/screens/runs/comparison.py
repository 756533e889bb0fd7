"""The comparison page: a chart whose cursor reads off every curve, and a table of results."""

from __future__ import annotations

import math
import textwrap
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from msgspec import structs
from rich.cells import cell_len
from textual.app import ComposeResult

from engine.event import Event, JobFailed
from engine.figures.requests import DrawFigure
from engine.lab import Job
from engine.runs.comparison import differences, measures, sentence
from engine.runs.events import RunGroup, RunsCompared
from engine.runs.history import ROBUST_FIELDS
from engine.runs.requests import OverlayRuns
from tui.drawing.plot import Band, Curve, Plot
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.theme import SERIES
from tui.drawing.vocabulary import with_spread
from tui.drawing.words import counted, cut, letter, padded
from tui.screens.charted import ChartedPage
from tui.screens.pages import PagedScreen
from tui.screens.runs.desk import RunsDesk
from tui.screens.state import State
from tui.setting import Setting
from tui.widgets.chart import Chart
from tui.widgets.rows import Row, Rows

FIELDS = {
    "val_loss": "validation loss (nats)",
    "test_accuracy": "test accuracy (%)",
    "val_accuracy": "validation accuracy (%)",
    "train_loss": "training loss (nats)",
    "robust_accuracy": "robust accuracy (%)",
    "certified_accuracy": "certified accuracy (%)",
}
"""The curves; those of robust objectives where all groups have them."""
SMOOTHING = (1, 3, 5, 9)
"""Number of epochs that each point is averaged over."""
NAME = 22
"""Width of a group's name, in cells, that is worth more than another measure."""
RUNS, HERE, MEASURE = 6, 13, 18
"""Widths of the columns of the number of runs, of the value under the cursor, and of a measure."""
MEASURES = (
    *("test accuracy", "seconds per epoch", "joules per epoch", "peak memory"),
    *("validation loss", "highest test accuracy"),
)
"""The measures in the table, those that the runs know; where there is no room for all, the first ones."""
HEADS = {
    "seconds per epoch": "time per epoch",
    "joules per epoch": "energy per epoch",
    "highest test accuracy": "highest test",
}
CHART = 6
"""Height of the chart, in rows, that it keeps even if the table has to scroll."""
TOLD, MOST_TOLD = ("test accuracy", "seconds per epoch"), 4
"""The measures whose contrasts are also given as sentences, and the maximum number of sentences."""
FEW = 3
"""Maximum number of groups that are drawn with bands and with a legend of their own: more would be unreadable, and the
table below has a legend too."""


@dataclass(frozen=True)
class Reading:
    """How the curves are shown."""

    field: str = "val_loss"
    by_seconds: bool = False
    smoothing: int = 1
    at: int = -1
    """The index, from 0, of the epoch under the cursor; -1 for the last."""


class ComparisonPage(ChartedPage):
    """The chart above the table, for the marked runs."""

    page = "compare"
    title = "comparison"
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
        mark, page = (self.workspace.key_map.key(name, self.desk.mode, "list") for name in ("mark", "next_page"))
        yield Rows(empty=f"mark runs in the list with {mark}, then press {page}", id="compared")

    def on_resize(self) -> None:
        """Lay out the table anew: its columns depend on the width."""
        self.desk.update()

    @property
    def rows(self) -> Rows:
        """The table."""
        return self.query_one(Rows)

    # View

    def settings(self) -> Sequence[Setting]:
        reading = self.reading
        return (
            Setting(
                "field", "curve", self._field, partial(self._read_as, "field"), self._fields, show=_curve_name
            ),
            Setting(
                "by_seconds", "by", reading.by_seconds, partial(self._read_as, "by_seconds"), (False, True),
                show=lambda by_seconds: "seconds" if by_seconds else "epoch",
            ),
            Setting(
                "smoothing", "smoothed over", reading.smoothing, partial(self._read_as, "smoothing"), SMOOTHING,
                show=lambda count: f"{count} epochs" if count > 1 else "1 epoch",
            ),
        )  # fmt: skip

    @property
    def _fields(self) -> tuple[str, ...]:
        """The curves that all groups have."""
        groups = self.event.groups if self.event else ()
        always = [name for name in FIELDS if name not in ROBUST_FIELDS]
        return (*always, *(name for name in ROBUST_FIELDS if groups and all(name in each.curves for each in groups)))

    @property
    def _field(self) -> str:
        """The curve that is shown: the chosen one, where all groups have it."""
        return self.reading.field if self.reading.field in self._fields else self._fields[0]

    def _read_as(self, name: str, value: Any) -> None:
        self.reading = replace(self.reading, **{name: value})

    def action_measure(self) -> None:
        """Show the next curve."""
        self.settings()[0].change(1)

    def action_earlier(self) -> None:
        self.move_cursor(-1)

    def action_later(self) -> None:
        self.move_cursor(1)

    def move_cursor(self, by: int) -> None:
        """Move the cursor of the chart by this many epochs."""
        if self.event:
            chart = self.query_one(Chart)
            place = chart.beside(by)
            at = self._last if place is None else chart.plot.places.index(place)
            self.reading = replace(self.reading, at=at)

    def sentence(self) -> str:
        """What the keys do."""
        key = self.desk.key
        return f"left and right read an epoch, {key('measure')} shows another curve, {key('settings')} the settings"

    def figure(self) -> DrawFigure | None:
        if self.event is None:
            return None
        return DrawFigure(subject=self.event, folder=str(self.workspace.figures_folder), logarithmic=False)

    @property
    def _last(self) -> int:
        return (
            max((len(group.epochs) for group in self.event.groups[: len(SERIES)]), default=1) - 1 if self.event else 0
        )

    # Drawing

    def draw(self) -> None:
        chart, event = self.query_one(Chart), self.event
        if self._drawn == (now := (id(event), self.reading, self.size)):
            return
        self._drawn = now
        if event is None:
            chart.show(Plot())
            self.rows.show("", "", ())
            return
        reading, groups = self.reading, event.groups[: len(SERIES)]
        at = self._last if reading.at < 0 else min(reading.at, self._last)
        xs = [self._xs(group) for group in groups]
        longest = max(groups, key=lambda group: len(group.epochs))
        stops = self._xs(longest)
        accuracy, begins, across = "accuracy" in self._field, min(x[0] for x in xs), max(x[-1] for x in xs)
        plot = Plot(
            list(self._curves(groups)),
            (begins if begins < across else 0.0, across),
            bands=list(self._bands(groups)),
            limits=(0.0, 100.0 if accuracy else math.inf),
            whole=not reading.by_seconds,
            unit="{} s" if reading.by_seconds else "epoch {}",
            stops=stops,
        )
        x = chart.cursor = stops[at]
        chart.legend = len(groups) <= FEW
        words = f", mean of {reading.smoothing}" if reading.smoothing > 1 else ""
        chart.show(plot, FIELDS[self._field] + words)
        unit = f"{x:.0f} s" if reading.by_seconds else f"epoch {longest.epochs[at]}"
        self._tabulate(event, longest.epochs[at], x, unit)

    def _tabulate(self, event: RunsCompared, epoch: int, x: float, unit: str) -> None:
        """Show the table, with the curves' values in `epoch`, or `x` seconds after the start.

        The chart gets the height that the table leaves.
        """
        room = self.size.width - 3 - RUNS - HERE
        label = max(len("group"), *(cell_len(group.label) for group in event.groups))
        # At first, columns are worth more than long names.
        known = sorted(measures(event), key=_place)
        shown = known[: max(1, (room - min(label, NAME)) // MEASURE)]
        name = max(1, min(label, room - MEASURE * len(shown)))
        head = f"  {padded('group', name)}{'runs':>{RUNS}}{'at ' + unit:>{HERE}}"
        head += "".join(f"{HEADS.get(measure, measure):>{MEASURE}}" for measure in shown)
        rows = [self._row(number, group, epoch, x, name, shown) for number, group in enumerate(event.groups)]
        title = f"{counted(sum(len(group.runs) for group in event.groups), 'run')} in {counted(len(rows), 'group')}"
        if len(rows) > len(SERIES):
            title += f": the curves of the first {len(SERIES)}"
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

    def _row(  # noqa: PLR0917
        self, number: int, group: RunGroup, epoch: int, x: float, name: int, measures: Sequence[str]
    ) -> Row:
        """The line of a group, with its value in `epoch` or, on an axis of seconds, in the last epoch before `x`."""
        digits = 2 if "accuracy" in self._field else 4
        ys = self._smooth([self._factor * each.mean for each in group.curves[self._field]])
        here = "not yet" if epoch > group.epochs[-1] else "lost"  # from the event log
        if self.reading.by_seconds:
            before = bisect_right(group.seconds, x)
            here = f"{ys[before - 1]:.{digits}f}" if before else "not yet"
        elif epoch in group.epochs:
            here = f"{ys[group.epochs.index(epoch)]:.{digits}f}"
        drawn = number < len(SERIES)
        sample = letter(number) if self.event and self._lettered(self.event) else glyphs().curve if drawn else " "
        text = f"{padded(cut(group.label, name), name)}{len(group.runs):>{RUNS}}{here:>{HERE}}"
        told = (with_spread(each, group.results[each]) if each in group.results else "" for each in measures)
        text += "".join(f"{words:>{MEASURE}}" for words in told)
        return Row(text, sample=(sample, SERIES[number] if drawn else "quiet"))

    @property
    def _colourless(self) -> bool:
        return self.app.no_color or glyphs() is not UNICODE

    def _xs(self, group: RunGroup) -> list[float]:
        return list(group.seconds) if self.reading.by_seconds else [float(epoch) for epoch in group.epochs]

    @property
    def _factor(self) -> float:
        """From the unit of the event to that of the chart."""
        return 100.0 if "accuracy" in self._field else 1.0

    def _curves(self, groups: Sequence[RunGroup]) -> Iterable[Curve]:
        form = "{:.2f} %" if "accuracy" in self._field else "{:.4f}"
        for number, group in enumerate(groups):
            ys = self._smooth([self._factor * each.mean for each in group.curves[self._field]])
            yield Curve(cut(group.label, NAME), SERIES[number], self._xs(group), ys, form=form, letter=letter(number))

    def _bands(self, groups: Sequence[RunGroup]) -> Iterable[Band]:
        for number, group in enumerate(groups if len(groups) <= FEW else ()):
            if len(group.runs) > 1:
                low, high = (
                    self._smooth(
                        [self._factor * (s.mean + sign * (s.deviation if s.count > 1 else 0.0)) for s in spreads]
                    )
                    for sign in (-1, 1)
                    for spreads in (group.curves[self._field],)
                )
                yield Band(SERIES[number], self._xs(group), low, high, "standard deviation")

    def _smooth(self, ys: list[float]) -> list[float]:
        """Moving averages over the chosen number of values up to each one; later values do not contribute."""
        n = self.reading.smoothing
        return [sum(part) / len(part) for part in (ys[max(0, i + 1 - n) : i + 1] for i in range(len(ys)))]


def _place(measure: str) -> int:
    """The place of a measure in the table: those of robust objectives come after the first."""
    return 2 * MEASURES.index(measure) if measure in MEASURES else 1


def _curve_name(field: str) -> str:
    return FIELDS[field].removesuffix(" %")
