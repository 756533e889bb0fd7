"""A Textual app that also withstands tiny terminals, vanished widgets, late keys, pastes and text from outside."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from rich.console import RenderableType
from textual import events
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.driver import Driver
from textual.geometry import Size
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widget import AwaitMount, Widget
from textual.widgets import Input

from engine.words import shown, shown_lines
from tui.answers import Answered
from tui.drawing.pixels import Pixels
from tui.output import SparingUpdate
from tui.stylesheet import LastingStylesheet
from tui.widgets.fields import Fields

SMALLEST = Size(10, 1)
"""Minimum layout size, in columns and rows; a smaller terminal cuts off the rest."""

BRIEF = 0.001
"""Seconds for which nothing is shown while the screen changes."""


class SturdyApp(App[int]):
    """Textual's app, with what a terminal and its user do that Textual does not handle."""

    leaving = False
    """Whether the app has been asked to exit."""

    def __init__(self) -> None:
        super().__init__()
        self.stylesheet = LastingStylesheet(self.theme_variables)
        self.pixels = Pixels(self)
        """The pictures of real pixels in its terminal."""
        self._sent: WeakKeyDictionary[events.Key, tuple[Screen[Any], Widget | None]] = WeakKeyDictionary()
        """The screen and the widget that had the keys when a key that travels was sent."""

    async def on_event(self, event: events.Event) -> None:
        """Pass on what the terminal sends, with three exceptions.

        Keys are handled one after the other. Textual hands a key to the focused widget, and runs its binding when it
        has travelled back up to the app; by then the next key of a burst, as from a slow connection, may have been
        handed to another widget: the `D` of a new note, right after the key that asks for one, would delete a run.
        Only what is typed into a line of text still travels, and keys for a screen that is being set up; if another
        screen or widget has the keys when they come back, they are dropped.

        A terminal smaller than `SMALLEST` is treated as that size: some of Textual's widgets cannot be narrower. The
        mouse on a widget that was removed since the last layout, such as a notification clicked twice, does nothing:
        a selection of text would start in the parent of that widget, and it has none.
        """
        if isinstance(event, events.Resize):
            size = Size(max(event.size.width, SMALLEST.width), max(event.size.height, SMALLEST.height))
            event = events.Resize.from_dimensions(size, None)
            self.pixels.resized()
        elif isinstance(event, events.Key) and self.screen_stack and await self._press(event):
            return
        elif isinstance(event, events.MouseDown | events.MouseMove) and self.screen_stack:
            widget, _ = self.screen.get_widget_and_offset_at(event.x, event.y)
            if widget is not None and not widget.is_attached:
                return
        await super().on_event(event)

    async def _press(self, event: events.Key) -> bool:
        """Handle a key at once; False to let it travel."""
        focused = self.focused
        if event.is_forwarded:
            return self._sent.pop(event, None) != (self.screen, focused)
        if isinstance(focused, Input) or not self.screen.is_mounted:
            self._sent[event] = self.screen, focused
            return False
        if not (isinstance(focused, Fields) and focused.press(event.key, event.character)):
            _ = await self._check_bindings(event.key, priority=True) or await self._check_bindings(event.key)
        return True

    async def action_switch_mode(self, mode: str) -> None:
        """Switch to another screen, and wait until it takes keys; it is shown once it is complete."""
        with self.batch_update():
            await self.switch_mode(mode)

    def delay_update(self, delay: float = BRIEF) -> None:
        """Show nothing for `delay` seconds, `BRIEF` at most: Textual waits for 0.05 s whenever another screen comes."""
        super().delay_update(min(delay, BRIEF))

    def _end_batch(self) -> None:
        super()._end_batch()
        if not self._batch_count and self.screen_stack:
            self.screen.check_idle()  # it shows what was drawn within the batch

    def exit(self, *arguments: Any, **named: Any) -> None:
        """Exit. From now on, screens ignore keys while their widgets are being removed."""
        self.leaving = True
        self.pixels.close()
        super().exit(*arguments, **named)

    def switch_mode(self, mode: str) -> AwaitMount:
        """Switch to another screen; do nothing while the app is exiting, since its screens are being closed."""
        return super().switch_mode(mode) if self.is_running else AwaitMount(Screen(), [])

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if not isinstance(renderable, CompositorUpdate):
            super()._display(screen, renderable)
        elif self.pixels.over_text:
            from tui.drawing.overlay import blanked

            super()._display(screen, SparingUpdate(renderable, blanked))
            self.pixels.draw_over(renderable)
        else:
            super()._display(screen, SparingUpdate(renderable))

    def get_driver_class(self) -> type[Driver]:
        """Textual's driver, or a subclass of its Linux driver that detects pastes."""
        usual = super().get_driver_class()
        if usual.__name__ != "LinuxDriver":
            return usual
        from tui.paste_driver import PasteDriver

        return PasteDriver

    def on_answered(self, message: Answered) -> None:
        """Take what the terminal answers."""
        self.pixels.hear(message.answer)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a notification, with escapes: most messages contain names or errors from outside the program."""
        super().notify(shown_lines(message), title=shown(title), severity=severity, timeout=timeout, markup=markup)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a text to the clipboard, with escapes: a file name need not be valid text."""
        super().copy_to_clipboard(shown_lines(text))
