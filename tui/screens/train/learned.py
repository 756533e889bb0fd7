"""The page of learning: which test digits each epoch recognised, and which were learned last or forgotten most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from textual.app import ComposeResult
from textual.containers import Container

from engine.data.events import DownloadAdvanced
from engine.event import Event, WorkAdvanced
from engine.figures.requests import DrawFigure
from engine.inspection.learning_events import LearnedDigit, LearningShown
from engine.inspection.requests import ShowLearning
from engine.lab import Job
from engine.request import Request
from tui.drawing.plot import Curve, Plot
from tui.drawing.raster import PIXEL
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.theme import SERIES
from tui.drawing.view import View, mode_now, modes
from tui.drawing.words import counted
from tui.inquiry import Inquiry
from tui.screens.charted import ChartedPage
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.screens.train.page import TrainPage
from tui.setting import Setting, of_state
from tui.widgets.chart import Chart
from tui.widgets.notes import Note, Notes
from tui.widgets.pictures import EMPTY, RasterGrid, Sheet

Group = Literal["most forgotten", "last learned", "never right"]
GROUPS: tuple[Group, ...] = ("most forgotten", "last learned", "never right")
COUNT = 60
"""Digits of each group that are asked for."""
ENOUGH = 8
"""Digits in view; the others scroll."""
LATEST = 40
"""Epochs of which a digit's history is shown, the latest."""


class LearnedPage(TrainPage, ChartedPage):
    """Digits wrong, learned and forgotten by epoch; the digits at the ends; and the history of one of them."""

    page = "learned"
    title = "learned"
    group: State[Group] = State("most forgotten")
    """Which digits are shown."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.inquiry = Inquiry(self.workspace, self._hear, self._forget)
        self.shown: LearningShown | None = None

    def compose(self) -> ComposeResult:
        with Container(id="learned-numbers"):
            yield Chart("test digits", empty="", id="learned-chart")
            yield Notes(id="learned-notes")
        yield RasterGrid(empty="", id="learned-digits")

    @property
    def grid(self) -> RasterGrid:
        """The grid of digits."""
        return self.query_one(RasterGrid)

    def settings(self) -> Sequence[Setting]:
        return [of_state(self, "group", "digits", GROUPS, help="which test digits are shown")]

    # The request

    def wanted(self) -> list[Request]:
        """The answer is asked for again after each epoch."""
        what = self.workspace.what
        return [ShowLearning(what=what, count=COUNT)] if what else []

    def _hear(self, _job: Job, event: Event) -> None:
        if isinstance(event, LearningShown):
            self.shown = event

    def _forget(self) -> None:
        self.shown = None

    @property
    def digits(self) -> tuple[LearnedDigit, ...]:
        """The digits of the group that is shown."""
        if self.shown is None:
            return ()
        found = self.shown
        return {
            "most forgotten": found.most_forgotten,
            "last learned": found.last_learned,
            "never right": found.never_right,
        }[self.group]

    @property
    def here(self) -> LearnedDigit | None:
        """The digit under the cursor."""
        return self.digits[min(self.grid.cursor, len(self.digits) - 1)] if self.digits else None

    # Drawing

    def draw(self) -> None:
        self.inquiry.ask(self.wanted, list)
        if self.inquiry.problem:
            self.shown = None
        found, chart = self.shown, self.query_one(Chart)
        if found is None:
            chart.empty = "no record" if self.inquiry.problem else ""
            chart.show(Plot(), "test digits")
            self.grid.show(self.group, "", EMPTY, self._view())
        else:
            chart.show(_plot(found), f"test digits, of {found.count:,}")
            self._draw_digits(found)
        title = "" if found is None else "the digit" if self.here else self.group
        self.query_one(Notes).show(title, self._notes())

    def _view(self) -> View:
        wanted = self.workspace.picture_mode or self.workspace.state.pictures.get(modes(self.app)[0], "")
        return View(mode_now(self.app, wanted), "gray", True)

    def _draw_digits(self, found: LearningShown) -> None:
        digits = self.digits
        places = np.searchsorted(found.indices, [digit.index for digit in digits]).astype(np.int64)
        labels = [self._label(digit) for digit in digits]
        inks = ["error" if digit.learned is None else "quiet" for digit in digits]
        sheet = Sheet(found.images[places], labels=labels, inks=inks, enough=ENOUGH) if digits else EMPTY
        nothing = {"most forgotten": "no digit was forgotten", "last learned": "none was learned after its first epoch"}
        self.grid.empty = nothing.get(self.group, "each digit was recognised after some epoch")
        more = f" of {found.never:,}" if self.group == "never right" and found.never > len(digits) else ""
        self.grid.show(
            f"{found.split}: {self.group}", f"{len(digits)}{more}" if digits else "", sheet, self._view(), PIXEL
        )

    def _label(self, digit: LearnedDigit) -> str:
        """The digit's label, how often it was forgotten, and since when it has been recognised."""
        since = f"e{digit.learned}" if digit.learned else "wrong"
        return f"{digit.label}" if self.group == "never right" else f"{digit.label} {digit.forgotten}x {since}"

    def _notes(self) -> list[Note]:
        """What is known of the digit under the cursor and of all; or why there is nothing."""
        inquiry, found = self.inquiry, self.shown
        if not self.workspace.what:
            return [("nothing is open: train a network", "quiet")]
        if inquiry.problem:
            return [(inquiry.problem, "quiet")]
        if found is None:
            now = inquiry.progress
            if isinstance(now, DownloadAdvanced):
                return [(f"downloading {now.file}", "quiet")]
            if isinstance(now, WorkAdvanced):
                return [(f"{now.words}: {now.done} of {now.total}", "quiet")]
            return [("reading what its epochs recognised" if self.workspace.engine else "loading PyTorch", "quiet")]
        notes = self._about_digit(found)
        lasting, forgotten = sum(found.by_forgetting[:1]), sum(found.by_forgetting[1:])
        of_all = f"never forgotten {lasting:,}, forgotten {forgotten:,}, never recognised {found.never:,}"
        notes.append((f"{of_all}; no weight is trained on these", "quiet"))
        if found.missing:
            notes.append((f"{counted(found.missing, 'epoch')} without a record left out", "quiet"))
        return notes

    def _about_digit(self, found: LearningShown) -> list[Note]:
        digit = self.here
        if digit is None:
            return []
        current = " (current)" if self.workspace.digit == ("test", digit.index) else ""
        words = f"{found.split} {digit.index}{current}: label {digit.label}"
        if digit.first is None:
            words += f", recognised after none of {counted(len(found.epochs), 'epoch')}"
        else:
            words += f", first recognised in epoch {digit.first}, forgotten {counted(digit.forgotten, 'time')}, "
            words += f"for good in epoch {digit.learned}" if digit.learned else "wrong after the last"
        byte, bit = divmod(digit.index, 8)
        history = (found.right_bits[-LATEST:, byte] >> (7 - bit)) & 1
        right, wrong = ("●", "·") if glyphs() is UNICODE else ("#", ".")
        line = "".join(right if each else wrong for each in history.tolist())
        span = f"epochs {found.epochs[-len(line)]} to {found.epochs[-1]}"
        return [(f"{line} {span}", "primary"), (words, "foreground")]

    def figure(self) -> DrawFigure | None:
        """The curves and the digits."""
        return DrawFigure(subject=self.shown, folder=str(self.workspace.figures_folder)) if self.shown else None

    # Keys

    def unused(self) -> set[str]:
        return set() if self.here else {"zoom", "order"} if self.shown is None else {"zoom"}

    def move(self, by: int) -> None:
        """Move the cursor up or down."""
        self.grid.move(0, by)

    def read(self, by: int) -> None:
        """Move the cursor to the left or the right."""
        self.grid.move(by, 0)

    def on_raster_grid_moved(self) -> None:
        self.desk.update()

    def on_raster_grid_opened(self) -> None:
        self.action_zoom()

    def action_earlier(self) -> None:
        self.query_one(Chart).move_cursor(-1)

    def action_later(self) -> None:
        self.query_one(Chart).move_cursor(1)

    def action_zoom(self) -> None:
        """Make the digit under the cursor the current one, which other screens show."""
        if digit := self.here:
            with self.workspace.changing():
                self.workspace.digit = ("test", digit.index)

    def action_order(self) -> None:
        """Show the next group of digits."""
        self.grid.cursor = 0
        self.group = GROUPS[(GROUPS.index(self.group) + 1) % len(GROUPS)]


def _plot(found: LearningShown) -> Plot:
    """Digits wrong after each epoch, and learned and forgotten in it; what the first one learned is beyond scale."""
    epochs, wrong = found.epochs, [found.count - right for right in found.right]
    curves = [
        Curve("wrong", SERIES[1], epochs, wrong, form="{:,.0f}", layer="front"),
        Curve("learned", SERIES[0], epochs[1:], found.learned[1:], form="{:,.0f}"),
        Curve("forgotten", SERIES[4], epochs[1:], found.forgotten[1:], form="{:,.0f}", scattered=True),
    ]
    return Plot(curves, (0.0, float(epochs[-1])), from_zero=True, limits=(0.0, float(found.count)), unit="epoch {}")
