"""The line below the list in which the filter is typed."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.binding import Binding
from textual.widgets import Input


class FilterLine(Input):
    """One line of text. Enter keeps it, escape gives it up; the list above shows what each character does."""

    BINDINGS = [
        Binding("escape", "cancel", show=False),
        Binding("tab,shift+tab", "submit", show=False),
    ]

    def __init__(self, keep: Callable[[], None], give_up: Callable[[], None], *, id: str) -> None:
        """`keep` and `give_up` are called at once: a message would be overtaken by the next key of a burst."""
        super().__init__(
            placeholder="words in the name, variant, state, data set or note",
            compact=True,
            id=id,
            select_on_focus=False,
        )
        self._keep, self._give_up = keep, give_up
        self.cursor_blink = False  # each blink would be sent over a remote connection

    async def action_submit(self) -> None:
        self._keep()

    def action_cancel(self) -> None:
        self._give_up()

    async def _on_key(self, event: events.Key) -> None:
        bound = self._bindings.key_to_bindings.get(event.key)
        if self.screen.focused is not self:  # the key before it has closed the line
            event.stop()
            event.prevent_default()
            self.app.post_message(events.Key(event.key, event.character))
        elif bound:
            # At once, as characters are taken: bindings otherwise run only after the key has travelled up to the app.
            event.stop()
            event.prevent_default()
            await self.run_action(bound[0].action)
        else:
            await super()._on_key(event)
