"""Pages that inspect a network: their screen requests the missing answers of the page in front from the lab."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, cast

from textual.widget import Widget

from engine.data.requests import PartName
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
    """Whether it has a colour legend."""
    look: ClassVar[View | None] = None
    """The initial colour map and value range, if not those of the previous page."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.desk = cast(InspectPages, desk)

    @property
    def view(self) -> View:
        """The current picture mode, colour map and value range."""
        return self.desk.view

    def wanted(self) -> Sequence[Request]:
        """The requests to submit in the current state, in this order."""
        raise NotImplementedError

    def kept(self) -> Sequence[Request]:
        """The requests whose answers are not discarded although another page is in front."""
        return ()

    def hear(self, _job: Job, event: Event) -> None:
        """Handle an event of an answer to a request of this page or another."""
        if isinstance(event, NetworkEvent):
            self.take(event)

    def take(self, event: NetworkEvent) -> None:
        """Store an answer, if it is one for this page."""

    def forget(self) -> None:
        """Discard all answers, since another network has been opened."""

    def show_status(self, line: ProgressLine) -> bool:
        """Show the progress of the work in the status line; False to leave that to the screen."""
        return False

    def while_working(self) -> str:
        """The text beside the progress bar of long work."""
        return ""

    def in_reach(self) -> Movable | None:
        """What the arrow keys move in."""
        return None

    def digits_in_split(self) -> int:
        """The number of digits that `,` and `.` step through; 0 while unknown."""
        return 0

    def step_digit(self, by: int) -> None:
        """Make the digit `by` indices further the current one."""
        InspectScreen.step_digit(self.desk, by)

    def go_to(self, digit: tuple[PartName, int]) -> None:
        """Make the digit at this split and index the current one."""
        InspectScreen.go_to(self.desk, digit)


class InspectPages(PagedScreen, InspectScreen):
    """The base of screens 3, 4, 6 and 7."""

    page_types: ClassVar[tuple[type[InspectPage], ...]]

    def __init__(self) -> None:
        super().__init__()
        self._looks = {kind.page: kind.look for kind in self.page_types if kind.look}
        """The colour maps and value ranges of the pages that are not in front."""

    def below(self) -> Iterable[Widget]:
        """The colour legend, and the status line."""
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
        self._looks[self.at] = self.look
        self.set_reactive(cast("State[View]", InspectScreen.look), self._looks.get(target, self.look))
        self.set_reactive(cast("State[bool]", InspectScreen.zoomed), False)

    def view_of(self, name: str) -> View:
        """The picture mode, colour map and value range of a page, which need not be in front."""
        return replace(self._looks.get(name, self.look), mode=self.view.mode)

    def draw(self) -> None:
        InspectScreen.draw(self)

    def draw_panels(self) -> None:
        self.query_one(Legend).display = self.page.legend
        PagedScreen.draw(self)

    def draw_status(self) -> None:
        if self.settings_words() or self.inquiry.problem or not self.page.show_status(self.query_one(ProgressLine)):
            super().draw_status()

    # Delegated to the pages

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

    def go_to(self, digit: tuple[PartName, int]) -> None:
        self.page.go_to(digit)

    # Keys

    def action_zoom(self) -> None:
        if self.offers("zoom"):  # a click on a picture of another page does nothing
            super().action_zoom()

    async def action_back(self) -> None:
        """Leave the enlarged selection; if nothing is enlarged, return to the first page."""
        if self.zoomed:
            self.zoomed = False
        else:
            await super().action_back()
