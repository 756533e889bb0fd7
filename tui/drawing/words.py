"""Formatting of numbers and names for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from engine.words import shown
from tui.drawing.terminal import glyphs

if TYPE_CHECKING:
    from engine.runs.events import RunSummary


def duration(seconds: float) -> str:
    """A duration as text: `1 h 05 min`, `1 min 22 s`, `9 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def remark(run: RunSummary) -> str:
    """The remark on a run: the number of damaged lines, if any, and its note."""
    return ", ".join(filter(None, (damaged_lines(run.damaged_lines), run.note)))


def damaged_lines(count: int) -> str:
    """The number of damaged lines as a phrase; empty for 0."""
    return f"{counted(count, 'damaged event line')} skipped" if count else ""


def counted(count: int, noun: str) -> str:
    """A number of things, for example `1 run` or `2 runs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def cut(name: str, most: int) -> str:
    """A name, made safe to print and cut to `most` terminal cells, with an ellipsis if it was longer."""
    name = shown(name)
    if cell_len(name) <= most:
        return name
    return set_cell_size(name, most - len(glyphs().ellipsis)) + glyphs().ellipsis


def padded(name: str, width: int, *, right: bool = False) -> str:
    """A name padded with blanks to `width` terminal cells, aligned left or right; wide characters take two cells."""
    blanks = " " * (width - cell_len(name))
    return blanks + name if right else name + blanks
