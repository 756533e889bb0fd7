"""The table of epochs, as the notebook prints it. It shows the latest epochs unless it is scrolled back."""

from __future__ import annotations

from textual.binding import Binding
from textual.events import MouseScrollDown, MouseScrollUp

from engine.runs.history import RunHistory
from engine.training.events import EpochFinished
from engine.words import percent
from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget

COLUMNS = (
    ("epoch", 9),
    ("train loss", 12),
    ("val loss", 10),
    ("val acc", 10),
    ("test acc", 10),
    ("robust", 10),
    ("certified", 11),
    ("time", 9),
    ("img/s", 9),
)
"""Title and width in cells, including the space before it."""
ROBUST = {"robust": "robust_accuracy", "certified": "certified_accuracy"}
"""The columns that only runs of robust objectives have, and their fields."""
DROPPED = ("img/s", "time", "train loss", "val acc", "val loss", "robust", "test acc")
"""The columns that are left out where the table is too narrow, in this order: the mark of the best epoch stays, and
what makes it the best."""


def fitting(width: int, last: EpochFinished | None) -> tuple[list[str], str]:
    """The titles of the columns that fit into `width` cells, of those that the last epoch of a run has, and the mark of
    the best epoch."""
    star = f"  {glyphs().best}"
    absent = [title for title, field in ROBUST.items() if getattr(last, field, None) is None]
    dropped = DROPPED[:-3] if "robust" in absent else DROPPED[:-2] if "certified" in absent else DROPPED
    for number in range(len(dropped) + 1):
        titles = [title for title, _ in COLUMNS if title not in (*absent, *dropped[:number])]
        room = width - sum(size for title, size in COLUMNS if title in titles)
        for mark in (f"{star} best", star):
            if len(mark) <= room:
                return titles, mark
    return titles, star


def loss_in_words(loss: float) -> str:
    """A loss with four decimals, or, where it is about to diverge, with its order of magnitude: at most 8 cells."""
    return f"{loss:.4f}" if loss < 1000 else f"{loss:.2e}"


class EpochTable(CellWidget, can_focus=True):
    """One row per epoch. The arrow keys scroll."""

    DEFAULT_CSS = "EpochTable { height: 1fr; }"
    BINDINGS = [
        Binding("up,k", "scroll_by(-1)", show=False),
        Binding("down,j", "scroll_by(1)", show=False),
        Binding("pageup", "scroll_by(-10)", show=False),
        Binding("pagedown", "scroll_by(10)", show=False),
        Binding("home", "scroll_by(-1000000)", show=False),
        Binding("end", "scroll_by(1000000)", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.history = RunHistory()
        self._back = 0
        """Rows scrolled back from the latest epoch."""
        self._shown: tuple[int, int] = (0, 0)

    def show(self, history: RunHistory) -> None:
        """Show the epochs of this run."""
        state = (id(history), len(history.epochs))
        if state == self._shown:
            return
        if history is not self.history:
            self.history, self._back = history, 0
        elif self._back:  # the rows in view stay in place
            self._back += len(history.epochs) - self._shown[1]
        self._shown = state
        self.redraw()

    def action_scroll_by(self, rows: int) -> None:
        """Scroll to earlier (negative) or later epochs."""
        most = max(0, len(self.history.epochs) - (self.size.height - 1))
        self._back = min(most, max(0, self._back - rows))
        self.redraw()

    def on_mouse_scroll_up(self, _event: MouseScrollUp) -> None:
        self.action_scroll_by(-3)

    def on_mouse_scroll_down(self, _event: MouseScrollDown) -> None:
        self.action_scroll_by(3)

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The column titles, then as many epochs as fit."""
        quiet = ink(self.app, "primary" if self.has_focus else "quiet")
        titles, mark = fitting(width, self.history.epochs[-1] if self.history.epochs else None)
        head = cells(*((title.rjust(size), quiet) for title, size in COLUMNS if title in titles))
        end = len(self.history.epochs) - self._back
        visible = self.history.epochs[max(0, end - (height - 1)) : end] if height > 1 else []
        best = self.history.best
        return [head, *(self._row(epoch, titles, mark if best is epoch else "") for epoch in visible)]

    def _row(self, epoch: EpochFinished, titles: list[str], mark: str) -> list[Cell]:
        texts = (
            f"{epoch.epoch}/{epoch.epochs}",
            loss_in_words(epoch.train_loss),
            loss_in_words(epoch.val_loss),
            percent(epoch.val_accuracy),
            percent(epoch.test_accuracy),
            *("" if share is None else percent(share) for share in (epoch.robust_accuracy, epoch.certified_accuracy)),
            f"{epoch.train_seconds + epoch.eval_seconds:.1f} s",
            f"{epoch.images_per_second:,.0f}",
        )
        text = ink(self.app, "foreground", bold=bool(mark))
        columns = ((value, size) for value, (title, size) in zip(texts, COLUMNS, strict=True) if title in titles)
        return cells(*((value.rjust(size), text) for value, size in columns), (mark, ink(self.app, "curve-val")))
