"""Pages of measurements over many digits, which only start when the user asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args

from engine.event import Progress
from engine.figures.requests import DrawFigure
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.runs.finding import other_bundled
from tui.screens.attacks.options import OptionsPage
from tui.screens.inspect import Movable
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.widgets.rows import Rows

SHOWN_IN_A_CURVE = 100
"""The initial number of digits of a measurement: it takes seconds."""

Measured = TypeVar("Measured", bound=NetworkEvent)


class MeasurementPage(OptionsPage, Generic[Measured]):
    """The base of the attacks screen's pages except the first; `Measured` is the event that answers the request."""

    legend = False
    measures: ClassVar[type[Request]]
    """The type of the page's request."""
    over: ClassVar[str] = "count"
    """The parameter for the number of digits."""
    asked: State[bool] = State(False)
    """Whether the user has started it with these settings."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.set_reactive(OptionsPage.chosen, {self.over: SHOWN_IN_A_CURVE})
        self.measured: Measured | None = None
        """The answer, partial or complete."""

    @property
    def kind(self) -> type[Request]:
        return self.measures

    def fields(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the request."""
        return {"what": self.workspace.what, **chosen}

    def request(self, chosen: Mapping[str, Any]) -> Request:
        return self.kind(**self.fields(chosen))

    @property
    def others(self) -> tuple[str]:
        """The bundled network that the open one is told apart from."""
        return (other_bundled(self.workspace.variant or "cnn-bn", self.workspace.history.request),)

    # Requests

    @property
    def asking(self) -> bool:
        return self.asked

    def take(self, event: NetworkEvent) -> None:
        if isinstance(event, self._answer()):
            self.measured = cast(Measured, event)

    @classmethod
    def _answer(cls) -> type[NetworkEvent]:
        """The type of the answering event."""
        answer: type[NetworkEvent] = get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]
        return answer

    def forget(self) -> None:
        self.measured = self._last = None
        self.set_reactive(MeasurementPage.asked, False)

    def anew(self) -> None:
        self.measured = None
        self.asked = False

    # Drawing

    @property
    def table(self) -> Rows:
        """The table of the page."""
        return self.query_one(Rows)

    def in_reach(self) -> Movable | None:
        return self.table

    def while_working(self) -> str:
        return f"{self.desk.key('stop')} stops"

    def sentence(self) -> str:
        return "" if self.asked else f"{self.desk.key('run')} runs it; {self.desk.key('settings')} changes the settings"

    def figure(self) -> DrawFigure | None:
        """The figure of the measurement; None until it is complete."""
        return self.desk.as_drawn(None if isinstance(self.measured, Progress) else self.measured)

    def unused(self) -> set[str]:
        return super().unused() | ({"stop"} if self.desk.inquiry.job is None else set())

    # Keys

    def action_run(self) -> None:
        """Start the measurement, or repeat it."""
        if self.desk.inquiry.job is None:
            if self._last:
                self.desk.inquiry.ask_again(self._last)
            self.anew()
        self.asked = True

    def action_stop(self) -> None:
        """Stop the measurement and keep what it has done."""
        if self.desk.inquiry.job:
            self.desk.inquiry.stop()
            self.asked = False
