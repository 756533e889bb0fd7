"""What every screen has around it: header, tabs and key bar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from engine.event import Event
from engine.figures.requests import DrawFigure
from tui.commands import Command, commands
from tui.widgets.lines import Header, KeyBar, Tabs

if TYPE_CHECKING:
    from tui.app import MnistTui


class LabScreen(Screen[None]):
    """The base of the numbered screens. What a subclass shows, it takes from the app's open run."""

    AUTO_FOCUS = ""  # the screen decides, once its widgets are there
    mode = ""
    """The name of this screen in the registry of commands."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (10, "-short"), (18, "-tall")]

    @property
    def lab_app(self) -> MnistTui:
        """The app, by its own type."""
        from tui.app import MnistTui

        assert isinstance(self.app, MnistTui)
        return self.app

    @property
    def ready(self) -> bool:
        """Whether its widgets are there: not before it is mounted, and not while the app takes itself down."""
        return self.is_mounted and bool(self.query(Header)) and bool(self.query(KeyBar))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key while its widgets are not there: right after the key of this screen, or that of the end."""
        return self.ready and not self.lab_app.leaving and super().check_action(action, parameters)

    def compose(self) -> ComposeResult:
        """The frame, and the screen in it."""
        yield Header()
        yield Tabs(self.mode)
        yield from self.body()
        yield KeyBar()

    def body(self) -> Iterable[Widget]:
        """What is between the tabs and the key bar."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show what there is."""
        self.show(())

    def on_screen_resume(self) -> None:
        """Catch up with what happened while another screen was in front."""
        self.show(())

    def figure(self) -> DrawFigure | None:
        """The figure behind what is shown; None where there is none yet."""
        raise NotImplementedError

    def action_export(self) -> None:
        """Have the figure drawn as a PNG; the app says where it is."""
        app = self.lab_app
        if (figure := self.figure()) is None:
            self.notify("there is nothing to draw yet", severity="warning")
        elif any(job.paused for job in app.lab.unfinished("analysis")):
            self.notify("a paused attack is in the way: go on with it, or stop it, on screen 7", severity="warning")
        elif app.export is None or app.export.state == "done":  # else whoever presses twice wants one figure
            app.export = app.lab.submit(figure)

    async def complete(self) -> None:
        """Make what the first frame could do without; the app calls this after it."""

    def show(self, events: Iterable[Event]) -> None:
        """Draw the state of the app anew, after `events` (empty for no particular reason)."""
        if not self.ready:
            return
        self.query_one(Header).show(self.lab_app.facts(), self.lab_app.place())
        self.query_one(KeyBar).show(self.live_commands())

    def live_commands(self) -> tuple[Command, ...]:
        """The commands that do something now."""
        return commands(self.mode)
