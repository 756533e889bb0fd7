"""Pages that look into a network: their screen asks the lab for what the page in front lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, cast

from textual.widget import Widget

from engine.data.requests import SplitName
from engine.event import Event
from engine.lab import Job
from engine.network.events import NetworkEvent
from engine.request import Request
from tui.drawing.view import View
from tui.screens.inspect import InspectScreen, Movable
from tui.screens.pages import Page, PagedScreen
from tui.screens.state import State
from tui.widgets.lines import ProgressLine
from tui.widgets.pictures import Legend


class InspectPage(Page):
    """A page about the open network."""

    desk: InspectPages
    legend: ClassVar[bool] = True
    """Whether it has a legend of colours."""
    look: ClassVar[View | None] = None
    """Colour map and value range to begin with, where they are not those of the page before."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.desk = cast(InspectPages, desk)

    @property
    def view(self) -> View:
        """How pictures are drawn at the moment."""
        return self.desk.view

    def wanted(self) -> Sequence[Request]:
        """What should be asked for, one after the other, in the state of the moment."""
        raise NotImplementedError

    def kept(self) -> Sequence[Request]:
        """What need not be asked for again, though another page is in front: its answer is at hand."""
        return ()

    def hear(self, _job: Job, event: Event) -> None:
        """Take in what is said in answer to what the screen asked, by this page or another."""
        if isinstance(event, NetworkEvent):
            self.take(event)

    def take(self, event: NetworkEvent) -> None:
        """Keep an answer, where it is one for this page."""

    def forget(self) -> None:
        """Drop what was kept: another network is open."""

    def show_status(self, line: ProgressLine) -> bool:
        """Say in the line at the bottom how far the work is; False to leave that to the screen."""
        return False

    def while_working(self) -> str:
        """What to say beside the bar of long work."""
        return ""

    def in_reach(self) -> Movable | None:
        """What the arrows move in."""
        return None

    def digits_in_split(self) -> int:
        """How many digits `,` and `.` go through; 0 while that is not known."""
        return 0

    def step_digit(self, by: int) -> None:
        """To the digit so many places on."""
        InspectScreen.step_digit(self.desk, by)

    def go_to(self, digit: tuple[SplitName, int]) -> None:
        """Make an image, by its split and its index, the current digit."""
        InspectScreen.go_to(self.desk, digit)


class InspectPages(PagedScreen, InspectScreen):
    """The base of the screens 6 and 7."""

    page_types: ClassVar[tuple[type[InspectPage], ...]]

    def __init__(self) -> None:
        super().__init__()
        self._looks = {kind.page: kind.look for kind in self.page_types if kind.look}
        """Colour map and value range of pages that are not in front."""

    def below(self) -> Iterable[Widget]:
        """What the colours mean, and a sentence."""
        yield Legend()
        yield ProgressLine(id="status")

    @property
    def page(self) -> InspectPage:
        """The page in front."""
        return cast(InspectPage, super().page)

    @property
    def _all(self) -> list[InspectPage]:
        return [cast(InspectPage, page) for page in self.pages.values()]

    def turned(self, target: str) -> None:
        self._looks[self.front] = self.look
        self.set_reactive(cast("State[View]", InspectScreen.look), self._looks.get(target, self.look))
        self.set_reactive(cast("State[bool]", InspectScreen.zoomed), False)

    def view_of(self, name: str) -> View:
        """How pictures are drawn on a page, which need not be in front."""
        return replace(self._looks.get(name, self.look), mode=self.view.mode)

    def draw(self) -> None:
        InspectScreen.draw(self)

    def draw_panels(self) -> None:
        self.query_one(Legend).display = self.page.legend
        PagedScreen.draw(self)

    def draw_status(self) -> None:
        if self.inquiry.problem or not self.page.show_status(self.query_one(ProgressLine)):
            super().draw_status()

    # What a screen is asked, its pages answer

    def wanted(self) -> Sequence[Request]:
        return self.page.wanted()

    def kept(self) -> Sequence[Request]:
        return [request for page in self._all for request in page.kept()]

    def hear(self, job: Job, event: Event) -> None:
        for page in self._all:
            page.hear(job, event)

    def forget(self) -> None:
        for page in self._all:
            page.forget()

    def sentence(self) -> str:
        return self.page.sentence()

    def while_working(self) -> str:
        return self.page.while_working()

    def in_reach(self) -> Movable | None:
        return self.page.in_reach()

    def digits_in_split(self) -> int:
        return self.page.digits_in_split()

    def step_digit(self, by: int) -> None:
        self.page.step_digit(by)

    def go_to(self, digit: tuple[SplitName, int]) -> None:
        self.page.go_to(digit)

    # Keys

    def action_zoom(self) -> None:
        if self.offers("zoom"):
            super().action_zoom()

    async def action_back(self) -> None:
        """From the enlarged selection to the page; from another page to the first."""
        if self.zoomed:
            self.zoomed = False
        else:
            await super().action_back()
