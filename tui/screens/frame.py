"""The base of all screens, with header, tabs, settings and key bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from engine.figures.requests import DrawFigure
from engine.inspection.requests import LayerName
from engine.paths import asset
from tui.keys import PAGED, Command
from tui.lessons.tutor import Tutor
from tui.screens.state import draw_on_change
from tui.setting import Setting
from tui.widgets.lesson import LessonPanel
from tui.widgets.lines import Header, KeyBar, Tabs
from tui.widgets.settings import Settings
from tui.workspace import Notice, Workspace


class Host(Protocol):
    """The part of the app that screens use."""

    workspace: Workspace
    tutor: Tutor
    """The lesson under way."""
    leaving: bool
    """Whether the app has been asked to exit."""

    def show_filters(self, layer: LayerName) -> None:
        """Show the filters of a convolution on screen 4."""

    def go_back(self, mode: str) -> None:
        """Return from the screen `mode` to the one that led there, if one did."""

    def led_to(self, mode: str) -> bool:
        """Whether another screen led to the screen `mode`, so that `go_back` returns to it."""

    def show_channel(self, layer: LayerName, channel: int) -> None:
        """Show the map of a channel on screen 5."""

    def show_unit(self, layer: LayerName, unit: int) -> None:
        """Show the page of a unit on screen 4."""


class LabScreen(Screen[None]):
    """The base of the numbered screens; subclasses draw what is in the workspace."""

    CSS_PATH: ClassVar[str | None] = str(asset("screens.tcss"))
    AUTO_FOCUS = ""  # the screen sets the focus once its widgets exist
    mode = ""
    """The name of this screen in the registry of commands."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (10, "-short"), (18, "-tall"), (30, "-high")]

    def __init__(self) -> None:
        super().__init__()
        # Held here, because a search for them takes longer than to draw them.
        self._header, self._key_bar, self._lesson = Header(), KeyBar(), LessonPanel()
        self._settings_row = Settings() if self.mode in PAGED else None

    @property
    def host(self) -> Host:
        """The app."""
        return cast(Host, self.app)

    @property
    def workspace(self) -> Workspace:
        """The workspace of the app."""
        return self.host.workspace

    @property
    def ready(self) -> bool:
        """Whether its widgets exist: not before it is mounted, and not while the app is exiting."""
        return self.is_mounted and self._header.is_attached and self._key_bar.is_attached

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Ignore keys while the widgets do not exist: right after a switch to this screen, or while the app exits."""
        return self.ready and not self.host.leaving and super().check_action(action, parameters)

    def compose(self) -> ComposeResult:
        yield self._header
        yield Tabs(self.mode)
        if self._settings_row:
            yield self._settings_row
        yield from self.body()
        yield self._lesson
        yield self._key_bar

    def body(self) -> Iterable[Widget]:
        """The widgets between the settings and the key bar."""
        raise NotImplementedError

    async def complete(self) -> None:
        """Create what the first frame does not need; the app calls this after the first frame."""

    # Pages

    def page_titles(self) -> dict[str, str]:
        """The titles of its pages, by their names in the registry of commands; empty if it has none."""
        return {}

    @property
    def front(self) -> str:
        """The name of the page in front; empty if it has no pages."""
        return ""

    async def turn_to(self, name: str) -> None:
        """Switch to a page."""

    def settings(self) -> Sequence[Setting]:
        """The settings of the page in front."""
        return ()

    @property
    def shows_devices(self) -> bool:
        """Whether the page in front needs samples of the devices."""
        return False

    # Drawing

    def _compositor_refresh(self) -> None:
        """Show what was drawn; within a batch of changes, whose frames Textual renders and throws away, after it."""
        if self.app._batch_count:
            self.refresh()
        else:
            super()._compositor_refresh()

    def on_mount(self) -> None:  # Textual calls the handlers of subclasses first
        self.workspace.key_map.rebind(self, self.mode)
        self.watch(self.app, "revision", self.update, init=False)
        draw_on_change(self, self.update)
        if row := self._settings_row:
            row.leave, row.warn, row.turn = self.leave_settings, self._warn, self._turn_to_place
            row.said, row.next_key = self.draw_status, self.key("settings")
        self.update()

    def _turn_to_place(self, place: int) -> None:
        self.call_later(self.turn_to, list(self.page_titles())[place])

    def _warn(self, problem: str) -> None:
        self.workspace.tell(Notice(problem, severity="warning"))

    def on_screen_resume(self) -> None:
        self.update()  # for changes while another screen was in front

    def update(self) -> None:
        """Redraw the screen; called after each change of the workspace or of the screen's own state.

        While another numbered screen is in front, this waits until the screen is in front again.
        """
        if self.ready and self in self.app.screen_stack:
            self._header.show(self.workspace.facts(), self.workspace.place())
            self._key_bar.show(self.live_commands())
            self.draw()
            if row := self._settings_row:  # after the drawing, which forgets what belongs to another network
                titles = self.page_titles()
                row.show(list(titles.values()), list(titles).index(self.front), self.settings())
            self._draw_lesson()

    def _draw_lesson(self) -> None:
        """Draw the lesson under way, whose step may end here; after the screen, whose work comes first."""
        tutor = self.host.tutor
        tutor.came_to(self.mode, self.front)
        card = tutor.card()
        self.set_class(card is not None, "-lesson")
        self._lesson.show(card)
        tutor.look()

    def draw(self) -> None:
        """Draw the widgets between the settings and the key bar."""
        raise NotImplementedError

    # Keys

    def live_commands(self) -> tuple[Command, ...]:
        """The commands of the page in front that currently do something."""
        unused = self.unused()
        return tuple(each for each in self._own_commands() if each.name not in unused)

    def unused(self) -> set[str]:
        """The names of commands that currently do nothing."""
        return set()

    def _own_commands(self) -> tuple[Command, ...]:
        found = self.workspace.key_map.commands(self.mode, looking=self.workspace.looking)
        return tuple(each for each in found if each.on_page(self.front))

    def key(self, name: str) -> str:
        """The key of a command on the page in front, as it is shown to the user."""
        return self.workspace.key_map.key(name, self.mode, self.front)

    def _only_looked_at(self, name: str) -> bool:
        """Whether a command is refused because this is for looking only; tells the user if so."""
        changing = {each.name for each in self.workspace.key_map.commands(self.mode) if not each.only_looks}
        return self.workspace.looking and name in changing and self.workspace.refuses()

    def offers(self, name: str) -> bool:
        """Whether a command belongs to the page in front."""
        return any(each.name == name for each in self._own_commands())

    def handler(self, name: str) -> Widget | Screen[None]:
        """What carries out the command `name`."""
        return self

    async def action_press(self, key: str) -> None:
        """Carry out the command of the page in front that has a key, one of those of the screen.

        A key of another page does nothing; it is not passed to the app, which may use the same key.
        """
        for command in self.workspace.key_map.commands(self.mode):
            if key in command.bound and command.screens and command.on_page(self.front):
                await self.action_act(command.name)
                return

    async def action_act(self, name: str) -> None:
        """Carry out a command of the page in front."""
        if self.offers(name):
            page = self.front
            await self.app.run_action(name, self.handler(name))
            self.host.tutor.carried_out(self.mode, page, name)
        else:
            self._only_looked_at(name)

    async def action_next_page(self) -> None:
        await self._turn(1)

    async def action_previous_page(self) -> None:
        await self._turn(-1)

    async def _turn(self, by: int) -> None:
        names = list(self.page_titles())
        if names:
            await self.turn_to(names[(names.index(self.front) + by) % len(names)])

    def action_settings(self) -> None:
        """Go to the settings of the page, or to the next of them."""
        if self.settings():
            assert self._settings_row, "only pages have settings"
            self._settings_row.step_in()

    def settings_words(self) -> str:
        """What the selected setting is and how to change it; empty unless the settings have the keys."""
        return self._settings_row.words() if self._settings_row else ""

    def draw_status(self) -> None:
        """Draw the status line; called also when another setting is selected or edited."""

    def leave_settings(self) -> None:
        """Called when the user leaves the settings: the keys go to the screen again."""
        self.set_focus(None)

    def figure(self) -> DrawFigure | None:
        """The figure of what is shown; None if there is none yet."""
        raise NotImplementedError

    def action_export(self) -> None:
        self.workspace.export(self.figure())

    def action_help(self) -> None:
        from tui.screens.dialogs import HelpScreen

        found = self.workspace.key_map.commands(self.mode, looking=self.workspace.looking)
        self.app.push_screen(HelpScreen(self.mode, self.front, found))

    def action_screenshot(self) -> None:
        """Save the screen as an SVG and as a PNG in the folder of figures.

        Where only looking is allowed, hand it over instead.
        """
        from tui.drawing.screenshot import png, save, screenshot

        if self.workspace.looking:
            if self.workspace.hand_over:
                name = f"screen-{self.mode}.png"
                self.workspace.hand_over(name, png(screenshot(self.app)))
                self.workspace.tell(Notice(name, "screen downloaded"))
            return
        folder = self.workspace.figures_folder
        try:
            drawing, picture = save(screenshot(self.app), folder, f"screen-{self.mode}")
        except OSError as error:
            reason = f"cannot write to {folder} ({error.strerror}): make room or start elsewhere"
            self.workspace.tell(Notice(reason, "no screenshot", "error", 10))
            return
        self.workspace.saved(picture.resolve(), "screen", f"\nand {drawing.name}")
