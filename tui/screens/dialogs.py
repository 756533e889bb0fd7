"""Modal dialogs: the help, the question before quitting, and single lines of input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, get_args

from rich.table import Table
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.markup import escape
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine.data.requests import PartName
from engine.geometry import CLASSES
from engine.words import shown
from tui.drawing.theme import ink
from tui.keys import MOVES, PAGES, Command, grouped

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """The base of the dialogs: in front of a screen until it is answered, once."""

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Close with an answer, only once: a second answer in a burst of keys is ignored."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


class HelpScreen(Dialog[None]):
    """Lists every key of the screen behind it."""

    BINDINGS = [
        ("escape", "dismiss", "close"),
        ("up", "scroll(-1)", "up"),
        ("down", "scroll(1)", "down"),
        ("pageup", "scroll(-10)", "far up"),
        ("pagedown", "scroll(10)", "far down"),
    ]

    def __init__(self, mode: str, page: str, found: Sequence[Command]) -> None:
        """The keys of the screen `mode`, whose commands are `found`; those of its `page` in front first."""
        super().__init__()
        self.heading, self.moves, self.pages = mode.title(), MOVES.get(mode, ()), PAGES.get(mode, ())
        self.here = [each for each in found if each.on_page(page)]
        self.elsewhere = [each for each in found if each not in self.here]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog help") as box:
            box.border_title, box.border_subtitle = f"keys on {self.heading}", "esc closes"
            field = Input(placeholder="type to filter", compact=True)
            field.cursor_blink = False  # each blink would be sent over a remote connection
            yield field
            with VerticalScroll(can_focus=False):
                yield Static(self._table(""), id="keys")

    def on_input_changed(self, event: Input.Changed) -> None:
        """List only the keys that match; the key that opened the help closes it."""
        if event.value == "?":
            self.dismiss()
            return
        self.query_one("#keys", Static).update(self._table(event.value.lower().strip()))
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def on_input_submitted(self) -> None:
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def _table(self, wanted: str) -> Table:
        """The keys whose name, label, help or key contains `wanted`, in groups."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style=ink(self.app, "primary", bold=True), no_wrap=True)
        table.add_column(style=ink(self.app, "foreground"))
        quiet = ink(self.app, "quiet")

        def add(title: str, rows: Iterable[tuple[str, ...]]) -> None:
            shown_rows = [row for row in rows if wanted in " ".join((title, *row)).lower()]
            if shown_rows:
                if table.row_count:
                    table.add_row("", "")
                table.add_row("", title, style=quiet)
            for keys, words, *_ in shown_rows:
                table.add_row(keys, words)

        groups: list[tuple[str, list[tuple[str, ...]]]] = [
            (title, [(c.all_keys, c.help, c.title, c.label) for c in own]) for title, own in grouped(self.here)
        ]
        far: list[tuple[str, ...]] = [
            (c.all_keys, f"{c.help} ({', '.join(p for p in self.pages if p in c.pages)})", c.title, c.label)
            for c in self.elsewhere
        ]
        groups.insert(2, ("move", [*self.moves, ("esc", "close this")]))
        groups.append(("on its other pages", far))
        for title, rows in groups:
            add(title, rows)
        if not table.row_count:
            table.add_row("", f"no key matches {shown(wanted)!r}")
        return table


class QuitScreen(Dialog[bool]):
    """Asks whether to quit while runs are under way."""

    BINDINGS = [("y,enter,q", "answer(True)", "quit"), ("n,escape", "answer(False)", "stay")]

    def __init__(self, waiting: int, *, lost: bool = False, here: str = "", on_ray: str = "") -> None:
        """`waiting` is the number of experiments in the queue; whether they are `lost` when the app ends.

        `here` is the key that resumes the run that trains here, and `on_ray` the one of screen 8 that resumes those of
        the sweep on Ray that is under way; empty where there is none.
        """
        super().__init__()
        self.waiting, self.lost, self.here, self.on_ray = waiting, lost, here, on_ray

    def compose(self) -> ComposeResult:
        fate = "is lost" if self.lost else "stays for the next time"
        queue = f" The queue of {self.waiting} {fate}." if self.waiting else ""
        with Vertical(classes="dialog") as box:
            box.border_title = "quit?"
            said = []
            if self.here:
                key = escape(self.here)
                said.append(f"A run is under way. Quitting stops it; press {key} to resume it next time.")
            if self.on_ray:
                key = escape(self.on_ray)
                said.append(f"Runs on Ray are under way. Quitting stops them; {key} on screen 8 resumes them.")
            yield Static(f"{' '.join(said)}{queue}\n\n[b]y[/b] quit    [b]n[/b] stay")

    def action_answer(self, quit: bool) -> None:
        self.dismiss(quit)


class DigitScreen(Dialog[tuple[PartName, int] | None]):
    """Asks which digit to go to."""

    BINDINGS = [("escape", "dismiss", "cancel")]
    SPLITS: tuple[PartName, ...] = get_args(PartName)

    def __init__(self, split: PartName, index: int) -> None:
        super().__init__()
        self.split, self.index = split, index

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = "go to digit"
            field = Input(placeholder=f"{self.split} {self.index}", compact=True)
            field.cursor_blink = False  # each blink would be sent over a remote connection
            yield field
            among = "among the drawings" if self.split == "drawings" else f"in the {self.split} split"
            hint = f"its number {among}, such as 61, or with a split: train 61, drawings 0"
            yield Static(hint, id="digit-hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with the digit, or show what is wrong with the input."""
        *before, last = event.value.lower().removeprefix("digit").split() or [""]
        split = before[0] if before else self.split
        known = next((name for name in self.SPLITS if name == split), None)
        if not last:
            self.dismiss(None)
        elif len(before) > 1 or known is None or not (last.isascii() and last.isdecimal() and len(last) < 10):
            hint = self.query_one("#digit-hint", Static)
            hint.set_class(True, "wrong")
            hint.update("give a number from 0 up, or a split and a number: train, val, test or drawings")
        else:
            self.dismiss((known, int(last)))


class LabelScreen(Dialog[int | None]):
    """Asks which digit a drawing shows."""

    BINDINGS = [
        *((str(digit), f"answer({digit})", str(digit)) for digit in range(CLASSES)),
        ("enter", "answer(-1)", "as proposed"),
        ("escape", "dismiss", "cancel"),
    ]

    def __init__(self, proposed: int, why: str) -> None:
        """`proposed` is the answer to `enter`, and `why` says where it comes from."""
        super().__init__()
        self.proposed, self.why = proposed, why

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = "which digit is it?"
            yield Static(
                f"[b]0[/b] to [b]9[/b] its digit    [b]enter[/b] {self.proposed}, {self.why}    [b]esc[/b] cancel"
            )

    def action_answer(self, digit: int) -> None:
        self.dismiss(self.proposed if digit < 0 else digit)


class LineScreen(Dialog[str | None]):
    """Asks for a line of text."""

    BINDINGS = [("escape", "dismiss", "cancel")]

    def __init__(self, title: str, text: str, hint: str, check: Callable[[str], str] = lambda _: "") -> None:
        """`check` returns what is wrong with a text, in one line, or an empty string."""
        super().__init__()
        self.heading, self.text, self.hint, self.check = title, text, hint, check

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = Content(shown(self.heading))
            field = Input(self.text, compact=True, select_on_focus=False)
            field.cursor_blink = False  # each blink would be sent over a remote connection
            yield field
            yield Static(shown(self.hint), id="line-hint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with the text, or show what is wrong with it."""
        if wrong := self.check(event.value):
            hint = self.query_one("#line-hint", Static)
            hint.set_class(True, "wrong")
            hint.update(shown(wrong))
        else:
            self.dismiss(event.value)
