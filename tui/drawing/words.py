"""Numbers and names as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from engine.words import shown
from tui.drawing.terminal import glyphs

if TYPE_CHECKING:
    from engine.runs.events import RunSummary


def duration(seconds: float) -> str:
    """A time as people say it: `1 h 05 min`, `1 min 22 s`, `9 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def remark(run: RunSummary) -> str:
    """What stands beside a run: its note, and before it how many of its lines are damaged."""
    return ", ".join(filter(None, (damaged_lines(run.damaged_lines), run.note)))


def damaged_lines(count: int) -> str:
    """How many lines were left out, in words; empty where none was."""
    return f"{count:,} damaged event line{'s' if count > 1 else ''} skipped" if count else ""


def cut(name: str, most: int) -> str:
    """A name, safe to show, in at most so many cells of the terminal, with an ellipsis at its end where it goes on."""
    name = shown(name)
    if cell_len(name) <= most:
        return name
    return set_cell_size(name, most - len(glyphs().ellipsis)) + glyphs().ellipsis


def padded(name: str, width: int, *, right: bool = False) -> str:
    """A name and blanks in so many cells of the terminal, of which some characters take two; or blanks first."""
    blanks = " " * (width - cell_len(name))
    return blanks + name if right else name + blanks
