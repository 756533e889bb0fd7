"""Fields to choose and type values in: one of them is selected, and may be edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from engine.request import RequestError
from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.setting import Setting
from tui.widgets.cells import CellWidget

TYPED = frozenset("0123456789.-+eE")
"""The characters of numbers."""
BEGINS = frozenset("0123456789")
"""The characters that begin a new number in the selected field; `-` and `.` mean something on most screens."""


class Fields(CellWidget, can_focus=True):
    """The base of a form and of a row of settings.

    Left and right change the selected value. `enter`, or the first character of a number, begins to edit it; `enter`
    takes the number, `esc` takes it back. While nothing is edited, all other keys go to the screen. The app calls
    `press`; it does not wait for keys to travel.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.settings: Sequence[Setting] = ()
        self.at = 0
        """Index of the selected setting."""
        self.text: str | None = None
        """What has been typed so far; None while nothing is edited."""
        self.caret = 0
        """Index in `text` of the next character."""
        self.problem = ""
        """Why the typed or chosen value is not possible; empty if it is."""
        self._fresh = False
        """Whether it got the focus and has not been clicked since."""
        self.leave: Callable[[], None] = lambda: None
        """Called when the user leaves the fields."""
        self.warn: Callable[[str], None] = lambda _problem: None
        """Called with the reason why a value is not possible."""

    def take(self, settings: Sequence[Setting]) -> None:
        """Show these settings. The selection stays on the setting of the same name; what is being typed stays."""
        name = self.settings[self.at].name if self.settings else ""
        if name not in (each.name for each in settings):
            self.text, self.problem = None, ""
        at = next((n for n, each in enumerate(settings) if each.name == name), min(self.at, len(settings) - 1))
        self.settings, self.at = settings, max(0, at)
        if not settings and self.has_focus:
            self.leave()
        self.redraw()

    @property
    def selected(self) -> Setting | None:
        """The selected setting; None if there is none, or if the fields do not have the focus."""
        return self.settings[self.at] if self.settings and self.has_focus else None

    @property
    def editing(self) -> bool:
        """Whether a number is being typed."""
        return self.text is not None

    def select(self, name: str) -> None:
        """Select the setting `name`, if there is one."""
        self._select(next((n for n, each in enumerate(self.settings) if each.name == name), self.at))

    def step_in(self) -> None:
        """Take the focus; if the fields have it already, select the next one."""
        if self.screen.focused is self:
            self._select((self.at + 1) % len(self.settings))
        else:
            self.screen.set_focus(self)  # at once, while `focus` would wait

    # Keys

    def press(self, key: str, character: str | None) -> bool:
        """Handle a key, of which `character` is what it types; False where it means nothing here."""
        if not self.settings:
            return False
        if self.text is not None:
            return self._type(key, character)
        setting, last = self.settings[self.at], len(self.settings) - 1
        targets = {"up": self.at - 1, "k": self.at - 1, "down": self.at + 1, "j": self.at + 1, "home": 0, "end": last}
        if key in targets:
            self._select(targets[key])
            return True
        match key:
            case "left" | "h" | "right" | "l":
                self._attempt(lambda: setting.change(1 if key in ("right", "l") else -1))
            case "enter":
                if setting.parse:
                    self._edit(setting.text)
                else:
                    self._attempt(lambda: setting.change(1))
            case "escape":
                self.problem = ""
                self.leave()
            case _ if setting.parse and character and character in BEGINS:
                self._edit(character)
            case _:
                return False
        return True

    def _type(self, key: str, character: str | None) -> bool:
        """Handle a key while a number is being typed; keys that numbers do not have do nothing."""
        text, caret = self.text or "", self.caret
        match key:
            case "enter":
                self._enter()
            case "escape":
                self._stop()
            case "up" | "down" | "tab" | "shift+tab":
                if self._enter():
                    self._select(self.at + (1 if key in ("down", "tab") else -1))
            case "left" | "right":
                self.caret = min(max(caret + (1 if key == "right" else -1), 0), len(text))
            case "home" | "end":
                self.caret = 0 if key == "home" else len(text)
            case "backspace" if caret:
                self._edit(text[: caret - 1] + text[caret:], caret - 1)
            case "delete":
                self._edit(text[:caret] + text[caret + 1 :], caret)
            case "ctrl+u":
                self._edit("")
            case _ if character and character in TYPED:
                self._edit(text[:caret] + character + text[caret:], caret + 1)
            case _ if key.startswith("ctrl+"):
                return False
            case _:
                pass
        self.redraw()
        return True

    async def _on_paste(self, event: events.Paste) -> None:
        """Insert pasted numbers; other texts go to the app, which says why they are ignored."""
        pasted = event.text.strip()
        if self.settings and self.settings[self.at].parse and pasted and set(pasted) <= TYPED:
            event.stop()
            event.prevent_default()
            text, caret = self.text or "", self.caret if self.editing else 0
            self._edit(text[:caret] + pasted + text[caret:], caret + len(pasted))

    def _edit(self, text: str, caret: int | None = None) -> None:
        """Go on with this text, and say whether it is a possible value."""
        self.text, self.caret = text, len(text) if caret is None else caret
        self.problem = ""
        parse = self.settings[self.at].parse
        try:
            if parse and text:
                parse(text)
        except RequestError as error:
            self.problem = str(error)
        self._changed()

    def _enter(self) -> bool:
        """Take the typed value; False, with the reason in `problem`, if it is not possible."""
        text, setting = self.text or "", self.settings[self.at]
        self.text = None
        if text == setting.text or self._attempt(lambda: setting.enter(text)):
            self._stop()
            return True
        problem = self.problem
        self._edit(text)
        self.problem = problem
        self._changed()
        return False

    def _stop(self) -> None:
        """Give up what was typed."""
        self.text, self.problem = None, ""
        self._changed()

    def _attempt(self, change: Callable[[], None]) -> bool:
        self.problem = ""
        try:
            change()
        except RequestError as error:
            self.problem = str(error)
            self.warn(self.problem)
        self._changed()
        return not self.problem

    def _select(self, at: int) -> None:
        at = min(max(at, 0), len(self.settings) - 1)
        if at != self.at:
            self.at, self.problem = at, ""
        self._changed()

    def _changed(self) -> None:
        self.edited()
        self.redraw()

    def edited(self) -> None:
        """Called after each change of the selection, of what is typed, or of a value."""

    # Focus and mouse

    def watch_has_focus(self, has_focus: bool) -> None:
        """When the focus goes, take what was typed if it is possible, and forget it otherwise.

        Another window in front of the terminal changes nothing: the user goes on typing afterwards.
        """
        super().watch_has_focus(has_focus)
        self._fresh = has_focus
        if not self.app.app_focus:
            return
        if not has_focus and self.text is not None and not self._enter():
            self._stop()
        self._changed()

    def on_click(self, event: events.Click) -> None:
        """Select the clicked setting; a click on the selected one changes it, or begins to edit it."""
        at = self.field_at(event.x, event.y)
        fresh, self._fresh = self._fresh, False  # this very click may have given it the focus
        if at is None:
            return
        if self.editing and at != self.at and not self._enter():
            self._stop()
        if at == self.at and self.has_focus and not fresh and not self.editing:
            self.press("enter", None)
        else:
            self._select(at)

    def field_at(self, x: int, y: int) -> int | None:
        """Index of the setting at a cell; None if there is none."""
        raise NotImplementedError

    # Drawing

    def value_cells(self, number: int) -> list[Cell]:
        """The value of a setting; if it is selected, between angles, or between brackets where it can be typed."""
        setting, g = self.settings[number], glyphs()
        if number != self.at or not self.has_focus:
            return cells((f" {setting.shown} ", ink(self.app, "foreground")))
        bright = ink(self.app, "primary", bold=True)
        if self.text is not None:
            row = cells(
                (" ", bright), (self.text + " ", ink(self.app, "error" if self.problem else "strong", bold=True))
            )
            character, style = row[1 + self.caret]
            row[1 + self.caret] = (character, style + ink(self.app, "primary", reverse=True))
            return row
        left, right = ("[", "]") if setting.parse else (g.left, g.right)
        return cells((f"{left}{setting.shown}{right}", bright))
