"""The columns of the list of runs: what they show, how wide they are, and how they sort."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rich.cells import cell_len

from engine.runs.events import RunSummary
from engine.words import percent, shown
from tui.drawing.terminal import glyphs
from tui.drawing.words import cut, duration, joules, megabytes, padded

GAP = 2
"""Blanks between two columns; the arrow of the order fits in."""
NAME = 24
"""Width of the name, in cells, for which other columns are left out: that of the longest name of a bundled network."""
NOTE = 20
"""Width of the note, in cells, that no longer name may take."""


@dataclass(frozen=True)
class Column:
    """A column of the list, and the order that it gives."""

    title: str
    order: str
    """The order as the title of the list names it, after "by"."""
    text: Callable[[RunSummary], str]
    key: Callable[[RunSummary], Any]
    """What runs are sorted by; None for a run that has no such value, which comes last in either direction."""
    descending: bool = False
    """Whether the largest value usually comes first."""
    right: bool = True
    rank: int = 0
    """Columns of a high rank are left out first where there is no room for all."""


def _started(run: RunSummary) -> str:
    """When it was first started, in local time; empty where that is not known."""
    if run.began:
        with contextlib.suppress(ValueError, OverflowError, OSError):  # the time of a file may be any
            return time.strftime("%Y-%m-%d %H:%M", time.localtime(run.began))
    return ""


def _seed(run: RunSummary) -> int | None:
    return None if run.state == "damaged" else run.seed


def _percent(share: float | None) -> str:
    return "" if share is None else percent(share)


NEWEST = "newest"
COLUMNS = {
    NEWEST: Column(
        "started", NEWEST, _started, lambda run: None if run.state == "bundled" else (run.began, run.name), True, rank=7
    ),
    "name": Column("run", "name", lambda run: shown(run.name), lambda run: run.name, right=False),
    "seed": Column("seed", "seed", lambda run: "" if _seed(run) is None else str(run.seed), _seed, rank=5),
    "state": Column("state", "state", lambda run: run.state, lambda run: run.state, right=False, rank=3),
    "epoch": Column(
        "epoch",
        "epochs",
        lambda run: f"{run.epoch}/{run.epochs}" if run.epochs else "",
        lambda run: run.epoch or None,
        True,
        rank=4,
    ),
    "val loss": Column(
        "val loss",
        "validation loss",
        lambda run: "" if run.val_loss is None else f"{run.val_loss:.4f}",
        lambda run: run.val_loss,
        rank=2,
    ),
    "test": Column(
        "test",
        "test accuracy",
        lambda run: _percent(run.test_accuracy),
        lambda run: run.test_accuracy,
        True,
        rank=1,
    ),
    "robust": Column(
        "robust",
        "robust accuracy",
        lambda run: _percent(run.robust_accuracy),
        lambda run: run.robust_accuracy,
        True,
        rank=10,
    ),
    "certified": Column(
        "certified",
        "certified accuracy",
        lambda run: _percent(run.certified_accuracy),
        lambda run: run.certified_accuracy,
        True,
        rank=11,
    ),
    "time": Column(
        "time",
        "time",
        lambda run: duration(run.seconds) if run.seconds else "",
        lambda run: run.seconds or None,
        True,
        rank=6,
    ),
    "energy": Column(
        "energy",
        "energy",
        lambda run: "" if run.energy is None else joules(run.energy),
        lambda run: run.energy,
        True,
        rank=8,
    ),
    "memory": Column(
        "memory",
        "memory",
        lambda run: "" if run.memory is None else megabytes(run.memory),
        lambda run: run.memory,
        True,
        rank=9,
    ),
    "note": Column("note", "note", lambda run: run.note, lambda run: run.note.lower() or None, right=False),
}
"""The columns by name, in the order in which the key for it steps through them. The first has its place beside the
note, where there is room for it."""
_SHOWN = ("name", "seed", "state", "epoch", "val loss", "test", "time")
_USED = ("robust", "certified", "energy", "memory")
"""Columns that are shown where a run knows them and there is room beside the note."""


def ordered(runs: Iterable[RunSummary], column: str, *, backwards: bool = False) -> list[RunSummary]:
    """`runs` sorted by a column, `backwards` against its usual direction; those without a value come last."""
    chosen, runs = COLUMNS[column], list(runs)
    known = [run for run in runs if chosen.key(run) is not None]
    rest = [run for run in runs if chosen.key(run) is None]
    return sorted(known, key=chosen.key, reverse=chosen.descending != backwards) + rest


def order_words(column: str, *, backwards: bool = False) -> str:
    """The order as the title names it."""
    if column == NEWEST:
        return "oldest first" if backwards else "newest first"
    return f"by {COLUMNS[column].order}{', backwards' if backwards else ''}"


@dataclass(frozen=True)
class Layout:
    """Which columns there are at a width, and how wide each is."""

    widths: tuple[tuple[str, int], ...]

    @property
    def name(self) -> int:
        """Width of the first column."""
        return self.widths[0][1]

    def head(self, order: str, *, backwards: bool = False) -> str:
        """The titles of the columns, with an arrow beside that of the order."""
        arrow = glyphs().descending if COLUMNS[order].descending != backwards else glyphs().ascending
        row, start = list(" " * (sum(width + GAP for _, width in self.widths))), 0
        for name, width in self.widths:
            title, right = COLUMNS[name].title, COLUMNS[name].right
            at = start + (width - len(title) if right else 0)
            row[at : at + len(title)] = title
            if name == order:
                beside = at - 1 if right else at + len(title)  # in the gap, so that titles stay above their values
                row[beside : beside + 1] = arrow
            start += width + GAP
        return "".join(row).rstrip()

    def line(self, run: RunSummary, note: str) -> str:
        """The values of a run, and its note."""
        return _line(self, run, note)

    def at(self, x: int) -> str:
        """The name of the column at a position in the head, in cells."""
        end = 0
        for name, width in self.widths:
            end += width + GAP
            if x < end:
                return name
        return self.widths[-1][0]


@lru_cache(maxsize=4096)
def _line(layout: Layout, run: RunSummary, note: str) -> str:
    texts = {**cells_of(run), "note": note}
    parts = ((cut(texts[name], width), width, COLUMNS[name].right) for name, width in layout.widths)
    return (" " * GAP).join(padded(text, width, right=right) for text, width, right in parts).rstrip()


@lru_cache(maxsize=4096)
def cells_of(run: RunSummary) -> dict[str, str]:
    """The texts of a run by column; the note is left out."""
    return {name: COLUMNS[name].text(run) for name in (*_SHOWN, *_USED, NEWEST)}


def layout(runs: Sequence[RunSummary], notes: Iterable[str], width: int) -> Layout:
    """The columns for these runs and their notes in `width` cells: as many as fit, and names before notes."""
    texts = [cells_of(run) for run in runs]
    widths = {
        name: max([len(COLUMNS[name].title), *(cell_len(each[name]) for each in texts)])
        for name in (*_SHOWN, *_USED, NEWEST)
    }
    longest, note = widths["name"], max([len(COLUMNS["note"].title), *(cell_len(shown(each)) for each in notes)])
    widths["name"] = min(longest, NAME)
    names = list(_SHOWN)

    def room() -> int:
        """What is left for one more column."""
        return width - sum(widths[name] + GAP for name in names)

    while room() + GAP < 0 and len(names) > 1:
        names.remove(max(names, key=lambda name: COLUMNS[name].rank))
    widths["name"] += min(0, room() + GAP)
    # A longer name gets what the note does not need.
    widths["name"] += max(0, min(longest - widths["name"], room() - min(note, NOTE)))
    for name in _USED:
        if any(each[name] for each in texts) and room() >= min(note, NOTE) + widths[name] + GAP:
            names.append(name)
    if room() >= note + widths[NEWEST] + GAP:
        names.append(NEWEST)
    if room() >= len(COLUMNS["note"].title):
        widths["note"] = room()
        names.append("note")
    return Layout(tuple((name, max(1, widths[name])) for name in names))
