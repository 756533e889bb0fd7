"""The line below the list in which the filter is typed."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input


class FilterLine(Input):
    """One line of text. Enter keeps it, escape gives it up; the list above shows what each character does."""

    BINDINGS = [
        Binding("escape", "cancel", show=False),
        Binding("tab,shift+tab", "submit", show=False),
    ]

    class Cancelled(Message):
        """The text is given up."""

    def __init__(self, *, id: str) -> None:
        super().__init__(
            placeholder="words in the name, variant, state, data set or note",
            compact=True,
            id=id,
            select_on_focus=False,
        )
        self.cursor_blink = False  # each blink would be sent over a remote connection

    def action_cancel(self) -> None:
        self.post_message(self.Cancelled())

    async def _on_key(self, event: events.Key) -> None:
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            # At once, as characters are taken: bindings otherwise run only after the key has travelled up to the app,
            # and the next key of a burst would overtake it.
            event.stop()
            event.prevent_default()
            await self.run_action(binding.action)
            return
        await super()._on_key(event)
