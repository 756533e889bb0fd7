"""What the screens that look into a network have in common: they ask the lab for what they lack, and draw it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Protocol

from textual.binding import Binding, BindingType

from engine.data.events import DownloadAdvanced
from engine.data.requests import SplitName
from engine.event import Event, JobFailed, WorkAdvanced
from engine.figures.requests import ColourMapName, DrawFigure
from engine.inspection.requests import LayerName
from engine.lab import Job
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.training.events import BatchEvaluated
from tui.drawing.raster import MODES
from tui.drawing.view import View, modes
from tui.drawing.words import duration
from tui.screens.frame import LabScreen
from tui.widgets.lines import Bar, ProgressLine
from tui.widgets.pictures import RasterGrid

AN_ESTIMATE = 1.0
"""Seconds before which an estimate is worth nothing."""

Key = tuple[Request, int]
"""A request, and how many epochs the network had when it was made."""


class Movable(Protocol):
    """Something with a cursor."""

    def move(self, across: int, down: int) -> None:
        """Move it by so many places."""

    def page(self, pages: int) -> None:
        """Move it far."""

    def jump(self, index: int) -> None:
        """To the first place (0), or the last (-1)."""


class _Pace:
    """How long work still takes, from how far it came since it was first heard of."""

    def __init__(self, words: str, done: int) -> None:
        self.words, self._first, self._began = words, done, time.monotonic()

    def left(self, now: WorkAdvanced) -> str:
        """The estimate in words; empty while there is nothing to go by."""
        came, passed = now.done - self._first, time.monotonic() - self._began
        if came <= 0 or passed < AN_ESTIMATE:
            return ""
        return f"{duration(passed / came * (now.total - now.done))} left"


class InspectScreen(LabScreen):
    """The base of the screens 2 to 7. While one is in front, what it shows follows the open run epoch by epoch."""

    colours: ColourMapName = "gray"
    """The colour map to begin with."""
    shared = True
    """Whether pictures begin with one value range for all."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", show=False),
        Binding("right,l", "move(1, 0)", show=False),
        Binding("up,k", "move(0, -1)", show=False),
        Binding("down,j", "move(0, 1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "jump(0)", show=False),
        Binding("end", "jump(-1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.view = View("glyphs", self.colours, self.shared)
        self.problem = ""
        """Why the last request could not be answered, in one line."""
        self._what = ""
        """The network that the answers are about."""
        self._jobs: dict[Key, Job] = {}
        self._progress: BatchEvaluated | DownloadAdvanced | WorkAdvanced | None = None
        self._pace: _Pace | None = None

    # For subclasses

    def wanted(self) -> list[Request]:
        """What should be asked for, one after the other, in the state of the moment."""
        raise NotImplementedError

    def kept(self) -> list[Request]:
        """What need not be asked for again though it is not in view: its answer is at hand."""
        return []

    def take(self, event: NetworkEvent) -> None:
        """Keep an answer."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop what was kept: another network is open."""
        raise NotImplementedError

    def draw_panels(self) -> None:
        """Draw what was kept, or that there is nothing."""
        raise NotImplementedError

    def sentence(self) -> str:
        """What the screen says in words at its bottom, when nothing is under way."""
        return ""

    @property
    def grid(self) -> RasterGrid | None:
        """The grid that the arrows move in, in view or not."""
        return None

    # Asking and drawing

    def show(self, events: Iterable[Event]) -> None:
        """Ask for what is missing, and draw."""
        super().show(events)
        if self.ready:
            self.ask()
            self.refresh_panels()

    def ask(self) -> None:
        """Ask for the first thing wanted that was not answered: one at a time, since the newest displaces others."""
        app = self.lab_app
        if app.screen is not self or not app.engine or not app.what or app.reading:
            return
        if app.what != self._what:
            for job in self._jobs.values():
                job.cancel()
            self._what, self._jobs, self.problem = app.what, {}, ""
            self._progress = self._pace = None
            self.forget()
        epochs, wanted = app.history.epoch, self.wanted()
        kept = self.kept()
        for (request, _), unwanted in self._jobs.items():
            if request not in wanted and not (request in kept and unwanted.state == "done"):
                unwanted.cancel()
                self._progress = self._pace = None
        self._jobs = {
            (request, at): job
            for (request, at), job in self._jobs.items()
            if request in (*wanted, *kept) and not job.cancelled and (at == epochs or job.state != "done")
        }
        if any(at != epochs for _, at in self._jobs):
            return  # where epochs are short, an answer about the one before comes first
        for request in wanted:
            asked = self._jobs.get((request, epochs))
            if asked is None:
                self._jobs[request, epochs] = app.ask(request, self._hear)
                return
            if asked.state != "done":
                return

    def answered(self, request: Request) -> bool:
        """Whether `request` was answered, and the answer heard, for the network as it is now."""
        job = self._jobs.get((request, self.lab_app.history.epoch))
        return job is not None and job.state == "done" and not job.cancelled and not self.lab_app.listens_to(job)

    def _hear(self, job: Job, event: Event) -> None:
        if job not in self._jobs.values():
            return  # about a network or a digit of before
        match event:
            case WorkAdvanced():
                if self._pace is None or self._pace.words != event.words:
                    self._pace = _Pace(event.words, event.done)
                self._progress = event
            case BatchEvaluated() | DownloadAdvanced():
                self._progress = event
            case JobFailed():
                self.problem, self._progress = event.reason, None
            case NetworkEvent():
                self.problem, self._progress, self._pace = "", None, None
                self.take(event)
            case _:
                pass

    def refresh_panels(self) -> None:
        """Draw everything on the screen anew."""
        mode = self.lab_app.picture_mode or modes(self.app)[0]
        self.view = replace(self.view, mode=next(known for known in MODES if known == mode))
        self.draw_panels()
        self._show_status()

    def _show_status(self) -> None:
        line, now = self.query_one(ProgressLine), self._progress
        if not self.lab_app.what:
            line.show("nothing is open: train a network on screen 1", tone="quiet")
        elif not self.lab_app.engine:
            line.show("loading PyTorch", tone="quiet")
        elif self.problem:
            line.show(self.problem, tone="error")
        elif isinstance(now, DownloadAdvanced):
            line.show(Bar(f"downloading {now.file}", now.received / now.total if now.total else 0.0))
        elif isinstance(now, WorkAdvanced):
            self._show_work(line, now)
        elif now and now.done < now.total:
            line.show(Bar(f"{now.split} split", now.done / now.total), self.sentence(), tone="quiet")
        else:
            line.show(self.sentence(), tone="quiet")

    def _show_work(self, line: ProgressLine, now: WorkAdvanced) -> None:
        left = self._pace.left(now) if self._pace else ""
        line.show(Bar(now.words, now.done / now.total), *filter(None, (left, self.while_working())), tone="quiet")

    @property
    def at_work(self) -> bool:
        """Whether long work is under way."""
        return isinstance(self._progress, WorkAdvanced)

    def while_working(self) -> str:
        """What to say beside the bar of long work."""
        return ""

    # Keys

    def in_reach(self) -> Movable | None:
        """What the arrows move in: the grid, unless something else is in its place that they are not for."""
        return self.grid

    def action_move(self, across: int, down: int) -> None:
        """Move the cursor."""
        if grid := self.in_reach():
            grid.move(across, down)

    def action_page(self, pages: int) -> None:
        """Move the cursor by as much as is in view."""
        if grid := self.in_reach():
            grid.page(pages)

    def action_jump(self, index: int) -> None:
        """To the first picture, or the last."""
        if grid := self.in_reach():
            grid.jump(index)

    def digits_in_split(self) -> int:
        """How many digits `,` and `.` go through; 0 while that is not known."""
        return 0

    def action_previous_digit(self) -> None:
        """The digit before."""
        self._step_digit(-1)

    def action_next_digit(self) -> None:
        """The next digit."""
        self._step_digit(1)

    def action_digit(self) -> None:
        """Ask for the number of a digit and go there."""
        from tui.screens.dialogs import DigitScreen

        self.app.push_screen(DigitScreen(*self.lab_app.digit), lambda digit: self.go_to(digit) if digit else None)

    def go_to(self, digit: tuple[SplitName, int]) -> None:
        """Make an image, by its split and its index, the current digit."""
        self.lab_app.digit = digit
        self.show(())

    def _step_digit(self, by: int) -> None:
        split, index = self.lab_app.digit
        target = min(max(index + by, 0), self.digits_in_split() - 1)  # also back from a number that is too high
        if target not in (index, -1):
            self.lab_app.digit = (split, target)
            self.show(())

    def action_view(self) -> None:
        """The next way to draw pictures that the terminal can."""
        can = modes(self.app)
        if len(can) == 1:
            self.notify("this terminal can show pictures in no other way")
        next_one = can[(can.index(self.view.mode) + 1) % len(can)] if self.view.mode in can else can[0]
        self.lab_app.draw_pictures(next_one)
        self.refresh_panels()

    def action_colours(self) -> None:
        """The next colour map."""
        self.view = replace(self.view, colours=self.view.next_colours())
        self.refresh_panels()

    def action_range(self) -> None:
        """One value range for all pictures, or each its own."""
        self.view = replace(self.view, shared=not self.view.shared)
        self.refresh_panels()

    def as_drawn(
        self, subject: NetworkEvent | None, layer: LayerName = "conv1", view: View | None = None
    ) -> DrawFigure | None:
        """The figure of `subject` in the colours of the screen, or of `view`; None where there is nothing to draw."""
        if subject is None:
            return None
        view = view or self.view
        return DrawFigure(
            subject=subject,
            folder=str(self.lab_app.figures_folder),
            layer=layer,
            colours=view.colours,
            shared_range=view.shared,
        )
