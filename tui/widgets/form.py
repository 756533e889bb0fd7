"""A form made from a request: a row for each of its parameters, checked as one types."""

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
    """An input that takes what numbers are made of and lets every other key through to the screen."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Digits, signs, points and exponents are ours."""
        return character is not None and character in "0123456789.-+eE"

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and not self.check_consume_key(event.key, event.character):
            event.prevent_default()
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            # Textual runs bindings only after the key has travelled up to the app; what is typed next would overtake
            # it, so that of a burst from a slow line `backspace 7` became `7 backspace`.
            event.stop()
            event.prevent_default()
            await self.run_action(binding.action)
            return
        await super()._on_key(event)


class Choice(Static, can_focus=True):
    """One of a few values, changed with the arrows; takes one line."""

    BINDINGS = [
        Binding("right,l,enter", "step(1)", "next", show=False),
        Binding("left,h", "step(-1)", "previous", show=False),
    ]

    class Changed(Message):
        """Another value was chosen."""

    def __init__(self, choices: tuple[Any, ...], value: Any, *, id: str) -> None:
        super().__init__(id=id)
        self.choices, self.value = choices, value

    def on_mount(self) -> None:
        """Show the value."""
        self._show()

    def action_step(self, by: int) -> None:
        """Take the next value, or the one before, round and round."""
        self.value = self.choices[(self.choices.index(self.value) + by) % len(self.choices)]
        self._show()
        self.post_message(self.Changed())

    def choose(self, value: Any) -> None:
        """Take `value`, and offer it from now on where it was not among the choices."""
        if value not in self.choices:
            self.choices = (*self.choices, value)
        self.value = value
        self._show()

    def on_click(self) -> None:
        """The mouse takes the next one too."""
        self.action_step(1)

    def _show(self) -> None:
        word = (
            {True: "on", False: "off"}.get(self.value, str(self.value)) if isinstance(self.value, bool) else self.value
        )
        self.update(f"{glyphs().left} {word} {glyphs().right}")


class RequestForm(VerticalScroll, can_focus=False):
    """The fields of a request, with the defaults filled in. Tab and the arrows go from one to the next."""

    BINDINGS = [
        Binding("down,j", "app.focus_next", "next field", show=False),
        Binding("up,k", "app.focus_previous", "previous field", show=False),
    ]

    def __init__(self, request: type[Request], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.kind = request
        self.fields = [field for field in parameters(request) if not field.fixed]

    def compose(self) -> ComposeResult:
        """The names beside the values, a line each; then the line for what is wrong."""
        with Horizontal(id="form-rows"):
            yield Static("\n".join(field.label for field in self.fields), id="form-labels")
            yield Vertical(id="form-values")
        yield Static("", id="form-hint", markup=False)

    async def mount_fields(self) -> None:
        """Make the fields. The first frame does without them: a widget each is what takes Textual long."""
        if self.query(Choice):
            return
        await self.query_one("#form-values").mount_all(self._widget(field) for field in self.fields)

    @staticmethod
    def _widget(field: Parameter) -> Choice | NumberInput:
        name = f"field-{field.name}"
        if field.choices:
            return Choice(field.choices, field.default, id=name)
        widget = NumberInput(_text(field.default), compact=True, id=name, select_on_focus=False)
        widget.cursor_blink = False  # each blink is sent over the line
        return widget

    def focus_first(self) -> None:
        """Go to the first field."""
        if widget := self._find(self.fields[0]):
            widget.focus()

    def _find(self, field: Parameter) -> Choice | NumberInput | None:
        """The widget of `field`; None while there is none yet, and then its value is the default."""
        found = self.query(f"#field-{field.name}")
        widget = found.first() if found else None
        return widget if isinstance(widget, Choice | NumberInput) else None

    def value(self, field: Parameter) -> Any:
        """The value typed or chosen for `field`; raises RequestError where it is none."""
        widget = self._find(field)
        if widget is None:
            return field.default
        return widget.value if isinstance(widget, Choice) else field.parse(widget.value)

    def request(self) -> Request:
        """The request as filled in; raises RequestError with the first reason why it is none."""
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
        """Mark the fields that are wrong; the first reason, or an empty text."""
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
        """Check while one types."""
        event.stop()
        self.check()

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Check what was chosen together with the rest."""
        event.stop()
        self.check()

    def on_descendant_focus(self) -> None:
        """Explain the field at hand."""
        self.check()

    def on_descendant_blur(self) -> None:
        """Explain nothing when no field is at hand."""
        self.call_after_refresh(self.check)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
