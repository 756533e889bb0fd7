"""A form generated from a request type: one row per parameter, validated while the user types."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Input, Static

from engine.request import Parameter, Request, RequestError, parameters
from tui.drawing.terminal import glyphs


class NumberInput(Input):
    """An input that takes only the characters of numbers. All other keys go to the screen."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether the key is a digit, a sign, a decimal point or an exponent."""
        return character is not None and character in "0123456789.-+eE"

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and not self.check_consume_key(event.key, event.character):
            event.prevent_default()
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            # Textual runs bindings only after the key has travelled up to the app. The next key would overtake it: in a
            # burst from a slow connection, `backspace 7` would become `7 backspace`.
            event.stop()
            event.prevent_default()
            await self.run_action(binding.action)
            return
        await super()._on_key(event)


class Choice(Static, can_focus=True):
    """A choice between a few values on one line, changed with the arrow keys."""

    BINDINGS = [
        Binding("right,l,enter", "step(1)", "next", show=False),
        Binding("left,h", "step(-1)", "previous", show=False),
    ]

    class Changed(Message):
        """The value changed."""

    def __init__(self, choices: tuple[Any, ...], value: Any, *, id: str) -> None:
        super().__init__(id=id)
        self.choices, self.value = choices, value

    def on_mount(self) -> None:
        self._show()

    def action_step(self, by: int) -> None:
        """Take the next value (by 1) or the previous one (by -1), cyclically."""
        self.value = self.choices[(self.choices.index(self.value) + by) % len(self.choices)]
        self._show()
        self.post_message(self.Changed())

    def choose(self, value: Any) -> None:
        """Select `value`; if it is not among the choices, add it."""
        if value not in self.choices:
            self.choices = (*self.choices, value)
        self.value = value
        self._show()

    def on_click(self) -> None:
        self.action_step(1)

    def _show(self) -> None:
        word = (
            {True: "on", False: "off"}.get(self.value, str(self.value)) if isinstance(self.value, bool) else self.value
        )
        self.update(f"{glyphs().left} {word} {glyphs().right}")


class RequestForm(VerticalScroll, can_focus=False):
    """The fields of a request, filled in with its defaults. Tab and the arrow keys move between them."""

    BINDINGS = [
        Binding("down,j", "app.focus_next", "next field", show=False),
        Binding("up,k", "app.focus_previous", "previous field", show=False),
    ]

    def __init__(self, request: type[Request], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.kind = request
        self.fields = [field for field in parameters(request) if not field.fixed]

    def compose(self) -> ComposeResult:
        """The labels beside the values, then a line for help and errors."""
        with Horizontal(id="form-rows"):
            yield Static("\n".join(field.label for field in self.fields), id="form-labels")
            yield Vertical(id="form-values")
        yield Static("", id="form-hint", markup=False)

    async def mount_fields(self) -> None:
        """Mount the fields. The first frame is drawn without them, because mounting so many widgets is slow."""
        if self.query(Choice):
            return
        await self.query_one("#form-values").mount_all(self._widget(field) for field in self.fields)

    @staticmethod
    def _widget(field: Parameter) -> Choice | NumberInput:
        name = f"field-{field.name}"
        if field.choices:
            return Choice(field.choices, field.default, id=name)
        widget = NumberInput(_text(field.default), compact=True, id=name, select_on_focus=False)
        widget.cursor_blink = False  # each blink would be sent to the terminal
        return widget

    def focus_first(self) -> None:
        """Focus the first field."""
        if widget := self._find(self.fields[0]):
            widget.focus()

    def _find(self, field: Parameter) -> Choice | NumberInput | None:
        """The widget of `field`; None before it is mounted, when the field has its default value."""
        found = self.query(f"#field-{field.name}")
        widget = found.first() if found else None
        return widget if isinstance(widget, Choice | NumberInput) else None

    def value(self, field: Parameter) -> Any:
        """The value typed or chosen for `field`; raises RequestError if it is not valid."""
        widget = self._find(field)
        if widget is None:
            return field.default
        return widget.value if isinstance(widget, Choice) else field.parse(widget.value)

    def request(self) -> Request:
        """The request with the values of the form; raises RequestError with the first problem."""
        return self.kind(**{field.name: self.value(field) for field in self.fields})

    def fill(self, request: Request) -> None:
        """Put the values of `request` into the fields."""
        for field in self.fields:
            widget = self._find(field)
            value = getattr(request, field.name)
            if isinstance(widget, Choice):
                widget.choose(value)
            elif widget:
                widget.value = _text(value)

    def check(self) -> str:
        """Mark the fields with invalid values. Returns the first problem, or an empty string."""
        problem = ""
        for field in self.fields:
            wrong = ""
            try:
                self.value(field)
            except RequestError as error:
                wrong = str(error)
            if widget := self._find(field):
                widget.set_class(bool(wrong), "wrong")
            problem = problem or wrong
        if not problem:
            try:
                self.request()
            except RequestError as error:
                problem = str(error)
        hint = self.query_one("#form-hint", Static)
        hint.set_class(bool(problem), "wrong")
        hint.update(problem or self._help())
        return problem

    def _help(self) -> str:
        name = (self.screen.focused.id or "") if self.screen.focused else ""
        field = next((f for f in self.fields if f"field-{f.name}" == name), None)
        return field.help if field else ""

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.check()

    def on_choice_changed(self, event: Choice.Changed) -> None:
        event.stop()
        self.check()

    def on_descendant_focus(self) -> None:
        self.check()  # also shows the help of the focused field

    def on_descendant_blur(self) -> None:
        self.call_after_refresh(self.check)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
