"""The Textual app around the workspace: modes, signals, themes and notifications, but no experiment logic."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer

from engine.inspection.requests import LayerName
from engine.paths import asset
from engine.request import RequestError
from engine.runs.folder import RunFolder
from engine.words import shown
from tui import garbage, signals
from tui.alerts.ringer import Ringer, Ways
from tui.drawing.terminal import ASCII, MODES_BY_NAME, glyphs
from tui.drawing.theme import DARK, LIGHT, THEMES, no_theme
from tui.keymap import KeyMap, key_map
from tui.keys import SCREENS, bindings
from tui.lessons.lesson import Lesson
from tui.lessons.tutor import Tutor
from tui.palette import Palette, PaletteScreen
from tui.screens import screen_of
from tui.screens.frame import LabScreen
from tui.screens.train import TrainScreen
from tui.settings.file import Loaded
from tui.settings.state import State
from tui.settings.values import KEYS, Settings
from tui.sturdy_app import SturdyApp
from tui.workspace import Notice, Workspace

DRAW_INTERVAL = 0.4
"""Minimum seconds between redraws of a run's progress: redrawing every 0.1 s epoch would leave no time for keys."""

SOON = 0.01
"""Seconds after which the end of a job is taken in, if it says nothing more: until then its last words are drawn."""

FOLLOW_INTERVAL = 0.5
"""Seconds between checks for what other processes have done to the open run."""

DEVICES_INTERVAL = 1.0
"""Seconds between two samples of the devices, while they are wanted."""

READING_INTERVAL = 0.001
"""Seconds between two chunks of a long event log, so that keys are handled in between."""


class MnistTui(SturdyApp):
    """The mnist-tui application."""

    TITLE = "mnist-tui"
    CSS_PATH = str(asset("theme.tcss"))
    BINDINGS = bindings()
    COMMANDS = {Palette}
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "train": TrainScreen,
        **{mode: partial(screen_of, mode) for _, _, mode in SCREENS if mode != "train"},
    }
    DEFAULT_MODE = "train"

    revision: var[int] = var(0)
    """Incremented to redraw the screens, which watch it."""

    class LabSpoke(Message):
        """Events from the lab are waiting to be handled."""

    class AlertFailed(Message):
        """A command or a webhook that should tell the end of a run has failed."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words
            """Why, in one line."""

    def __init__(
        self,
        root: Path,
        run: RunFolder | None = None,
        weights: Path | None = None,
        *,
        loaded: Loaded | None = None,
        state: State | None = None,
        looking: bool = False,
        notify: str | None = None,
        lesson: Lesson | None = None,
        choose_lesson: bool = False,
    ) -> None:
        """`loaded` are the user's settings, by default none; `state` is what is remembered, which changes.

        With `looking`, nothing is trained and no file is changed. `notify` is the command to run at the end of a run,
        by default that of the settings. The app begins with `lesson`, or with the list of lessons to choose from.
        """
        self.loaded, state = loaded or Loaded(Path()), state or State()
        settings = self.loaded.settings
        start = state.screen if state.screen in self.MODES else settings.screen
        self.DEFAULT_MODE = start  # type: ignore[misc]
        super().__init__()
        self.problems = [self.loaded.notice] if self.loaded.notice else []
        """What of the settings cannot be used, for the user."""
        self.workspace = Workspace(root, run, weights, wake=self._wake, looking=looking)
        self.workspace.key_map = self._keys(settings)
        self.workspace.key_map.rebind(self)
        self.tutor = Tutor(self.workspace)
        self._choose_lesson = choose_lesson
        if lesson:
            self.tutor.take(lesson)
        self.ringer = Ringer(
            Ways.of(settings, notify), self._write, lambda words: self.post_message(self.AlertFailed(words))
        )
        self.workspace.ring = lambda alert, followed: self.ringer.ring(alert, followed=followed)
        self.workspace.state = state
        self.workspace.picture_mode = MODES_BY_NAME.get(settings.pictures, "")
        self.workspace.colour_map = "" if settings.colours == "auto" else settings.colours
        self.workspace.on_change, self.workspace.tell = self._on_change, self._tell
        self.pixels.changed = self._on_pixels
        self.came_from: dict[str, str] = {}
        """The screens that led to others, by the mode of these."""
        self._drawing: Timer | None = None
        self._drawn_at = 0.0
        self._reader: Timer | None = None
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._began_with = self._first_theme(settings, state)

    def _keys(self, settings: Settings) -> KeyMap:
        """The user's keys; those of the registry where these are in conflict."""
        try:
            return key_map(settings.keys)
        except RequestError as error:
            self.problems.append(f"{shown(str(self.loaded.path))}: {KEYS}: {error}")
            return KeyMap()

    def _first_theme(self, settings: Settings, state: State) -> str:
        """The theme to start with: the one that is remembered, or else the one of the settings, if there are such."""
        known = self.available_themes
        if state.theme in known:
            return state.theme
        if settings.theme in known:
            return settings.theme
        self.problems.append(f"{shown(str(self.loaded.path))}: {no_theme(settings.theme, known)}")
        return THEMES[0].name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The colours that our themes have and Textual's do not: of curves, quiet texts, rules."""
        return dict((DARK if self.current_theme.dark else LIGHT).variables)

    # Lifecycle

    def on_mount(self) -> None:
        self.set_class(glyphs() is ASCII, "-ascii")
        if self.is_web:
            self.workspace.hand_over = self._hand_over
        signals.catch(lambda code: self.exit(code, code), self.workspace.close)
        for problem in self.problems:
            self.notify(problem, title="settings", severity="warning", timeout=10)
        self.call_after_refresh(self._after_first_frame)

    async def _after_first_frame(self) -> None:
        if isinstance(self.screen, LabScreen):
            await self.screen.complete()
        self.workspace.prepare()
        self._read_on()
        self.workspace.look_at_queue()
        self.set_interval(FOLLOW_INTERVAL, self.workspace.look_around)
        self.set_interval(DEVICES_INTERVAL, self._look_at_devices)
        self.workspace.look_for_unfinished()
        if self._choose_lesson:
            self.action_lessons()

    def on_unmount(self) -> None:
        """Keep for the next session what this one has ended with."""
        state = self.workspace.state
        if self.current_mode != self.DEFAULT_MODE:
            state.screen = self.current_mode
        if self.theme != self._began_with:
            state.theme = self.theme

    def on_paste(self) -> None:
        self.notify("pasted text is ignored: there is no text field here", severity="warning")

    # The workspace

    def _look_at_devices(self) -> None:
        screens = self.screen_stack  # empty while the app ends
        screen = screens[-1] if screens else None
        self.workspace.look_at_devices(shown=isinstance(screen, LabScreen) and screen.shows_devices)

    def _wake(self) -> None:
        # Called from a lane's thread: posting a message is thread-safe and never waits for the terminal.
        self.post_message(self.LabSpoke())

    def on_mnist_tui_lab_spoke(self) -> None:
        if self.workspace.lab.quiet():  # a job has ended or paused: first show what it has said
            self.set_timer(SOON, self._take_in)  # of the app: a screen may be gone before its next frame
        else:
            self._take_in()

    def _take_in(self) -> None:
        self.workspace.take_in()
        if self.workspace.engine or self.workspace.problem:
            garbage.collect_again()

    def _on_change(self, routine: bool) -> None:
        """Redraw the screens after a change; redraws for a run's routine progress are throttled."""
        soon = self._drawn_at + DRAW_INTERVAL - time.monotonic()
        if not routine or soon <= 0:
            self._draw()
        elif self._drawing is None:
            self._drawing = self.set_timer(soon, self._draw)
        self._read_on()

    def _draw(self) -> None:
        if self._drawing:
            self._drawing.stop()
        self._drawing, self._drawn_at = None, time.monotonic()
        self.revision += 1

    def _read_on(self) -> None:
        """Schedule the next chunk of a long event log, so that keys are handled in between."""
        if self.workspace.reading and self._reader is None and self.is_running:
            self._reader = self.set_timer(READING_INTERVAL, self._read)

    def _read(self) -> None:
        self._reader = None
        self.workspace.read_on()
        self._read_on()

    def _tell(self, notice: Notice) -> None:
        if notice.copy:
            self.copy_to_clipboard(notice.copy)
        self.notify(notice.words, title=notice.title, severity=notice.severity, timeout=notice.seconds)

    def _hand_over(self, name: str, content: bytes) -> None:
        """Let the browser download a file."""
        self.deliver_binary(io.BytesIO(content), save_filename=name)

    def _write(self, text: str) -> None:
        """Send control sequences to the terminal, in order with the frames."""
        if self._driver and not self.is_headless:
            self._driver.write(text)

    def on_mnist_tui_alert_failed(self, message: AlertFailed) -> None:
        self.notify(message.words, title="not told", severity="warning", timeout=10)

    def _on_pixels(self) -> None:
        """The terminal shows pictures of real pixels, or it does not: then they are drawn as text."""
        from tui.drawing.view import draw_in, mode_now  # NumPy comes with it

        workspace, pixels = self.workspace, self.pixels
        with workspace.changing():
            if pixels.state == "refused" and workspace.picture_mode == "pixels":
                workspace.picture_mode, remembered = "", workspace.state.pictures
                for terminal in [terminal for terminal, mode in remembered.items() if mode == "pixels"]:
                    del remembered[terminal]
                self.notify(pixels.reason, severity="warning", timeout=10)
        draw_in(self, mode_now(self, workspace.picture_mode))

    # From screen to screen

    def show_filters(self, layer: LayerName) -> None:
        """Show the filters of a convolution on screen 4."""
        from tui.screens.filters import FiltersScreen

        self.came_from["filters"] = self.current_mode
        self.switch_mode("filters")
        if isinstance(screen := self.screen, FiltersScreen):
            screen.show_layer(layer)

    def show_channel(self, layer: LayerName, channel: int) -> None:
        """Show the map of a channel on screen 5."""
        from tui.screens.activations import ActivationsScreen

        self.came_from["activations"] = self.current_mode
        self.switch_mode("activations")
        if isinstance(screen := self.screen, ActivationsScreen):
            screen.show_channel(layer, channel)

    def show_unit(self, layer: LayerName, unit: int) -> None:
        """Show the page of a unit on screen 4."""
        from tui.screens.filters import FiltersScreen

        self.came_from["filters"] = self.current_mode
        self.switch_mode("filters")
        if isinstance(screen := self.screen, FiltersScreen):
            screen.unit.open(layer, unit)

    def led_to(self, mode: str) -> bool:
        """Whether another screen led to the screen `mode`."""
        return mode in self.came_from

    def go_back(self, mode: str) -> None:
        """Return from the screen `mode` to the one that led there, once."""
        if before := self.came_from.pop(mode, None):
            self.switch_mode(before)

    # Keys of every screen

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, PaletteScreen):
            self.push_screen(PaletteScreen())

    def action_lessons(self) -> None:
        """Leave the lesson under way, or choose one."""
        from tui.screens.lessons import LessonsScreen

        if self.tutor.lesson:
            self.tutor.leave()
        elif isinstance(self.screen, LabScreen):
            self.push_screen(LessonsScreen(self.tutor), lambda chosen: self.tutor.begin(chosen) if chosen else None)

    def action_next_step(self) -> None:
        self.tutor.next()

    def action_previous_step(self) -> None:
        self.tutor.back()

    def action_theme(self) -> None:
        """Switch to our light theme from a dark one, and to our dark one from a light one."""
        self.theme = next(theme.name for theme in THEMES if theme.dark != self.current_theme.dark)

    def action_help_quit(self) -> None:
        """Say which key quits: Textual's answer to `ctrl+c`, which many expect to do so."""
        words = f"{self.workspace.key_map.key('quit')} quits (it asks while a run trains)"
        if words not in (notification.message for notification in self._notifications):
            self.notify(words)

    async def action_quit(self) -> None:
        """Quit; ask for confirmation while a run is training here, or a sweep on Ray is under way."""
        from tui.screens.dialogs import QuitScreen

        workspace, key = self.workspace, self.workspace.key_map.key
        if workspace.training is None and not workspace.sweeps.jobs:
            self.exit(0)
        elif not isinstance(self.screen, QuitScreen):
            here = key("resume", "train") if workspace.training else ""
            on_ray = key("resume", "runs", "list") if workspace.sweeps.jobs else ""
            dialog = QuitScreen(len(workspace.queue), lost=workspace.queue.in_memory, here=here, on_ray=on_ray)
            self.push_screen(dialog, lambda leave: self.exit(0) if leave else None)
