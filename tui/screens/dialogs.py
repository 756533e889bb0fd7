"""The small screens in front of a screen: its keys, and the question before one leaves."""

from __future__ import annotations

from rich.table import Table
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.commands import MOVES, commands
from tui.theme import ink


class HelpScreen(ModalScreen[None]):
    """Every key of the screen behind it."""

    BINDINGS = [("escape,question_mark,q,enter", "dismiss", "close")]

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.heading, self.commands, self.moves = mode.title(), commands(mode), MOVES.get(mode, ())

    def compose(self) -> ComposeResult:
        """A table of keys."""
        with VerticalScroll(classes="dialog") as box:
            box.border_title = f"keys on {self.heading}"
            table = Table.grid(padding=(0, 2))
            for command in self.commands:
                table.add_row(command.keys, command.help, style=ink(self.app, "foreground"))
            table.columns[0].style = ink(self.app, "primary", bold=True)
            for keys, words in (*self.moves, ("esc", "close this")):
                table.add_row(keys, words, style=ink(self.app, "quiet"))
            yield Static(table)


class QuitScreen(ModalScreen[bool]):
    """Whether to leave while a run is under way."""

    BINDINGS = [("y,enter,q", "answer(True)", "quit"), ("n,escape", "answer(False)", "stay")]

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical(classes="dialog") as box:
            box.border_title = "quit?"
            yield Static(
                "A run is under way. Quitting stops it; the weights of its last finished epoch stay in its folder.\n\n"
                "[b]y[/b] quit    [b]n[/b] stay"
            )

    def action_answer(self, quit: bool) -> None:
        """Give the answer."""
        self.dismiss(quit)
