"""Formatting of numbers and names for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from engine.words import percent, shown
from tui.drawing.terminal import glyphs

if TYPE_CHECKING:
    from engine.runs.events import RunSummary
    from engine.training.events import EpochFinished


def duration(seconds: float) -> str:
    """A duration as text: `1 h 05 min`, `1 min 22 s`, `9 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def joules(energy: float) -> str:
    """An energy as text: `0.42 J`, `12.3 J`, `1,234 J`, `5.67 MJ`."""
    for unit, name in ((1e9, "GJ"), (1e6, "MJ"), (1e5, "kJ")):
        if energy >= unit:
            return f"{energy / (1e3 if name == 'kJ' else unit):,.4g} {name}"
    return f"{energy:,.0f} J" if energy >= 100 else f"{energy:.3g} J"


def whole_percent(share: float | None) -> str:
    """A share from 0 to 1 as text without decimals; empty where it is not known."""
    return "" if share is None else f"{100 * share:.0f} %"


def megabytes(memory: float) -> str:
    """A size in MB as text: `690 MB`, `12.3 GB`, `1.2 TB`."""
    for unit, name in ((1 << 20, "TB"), (1 << 10, "GB")):
        if memory >= 10 * unit or (memory >= unit and name == "TB"):
            return f"{memory / unit:,.{0 if memory >= 100 * unit else 1}f} {name}"
    return f"{memory:,.0f} MB"


def counted(count: int, what: str) -> str:
    """A number of things: `1 step`, `2,000 steps`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def place(row: int, column: int) -> str:
    """A position in a picture, counted from 0: `row 9, column 11`."""
    return f"row {row}, column {column}"


def worded(value: Any) -> str:
    """The value of a parameter in words: `on`, `0.001`, `50,000`, `mnist`, `conv1, conv2`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return f"{value:,}" if value >= 10_000 else str(value)  # commas also separate the values of a list
    if isinstance(value, tuple):
        return ", ".join(map(worded, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def robustness(epoch: EpochFinished) -> str:
    """What follows in the line of an epoch of a robust objective: `   robust 91.20 %   certified 88.00 %`."""
    shares = {"robust": epoch.robust_accuracy, "certified": epoch.certified_accuracy}
    return "".join(f"   {name} {percent(share)}" for name, share in shares.items() if share is not None)


def brief(network: str) -> str:
    """The name of a network, without what tells that it is bundled."""
    return network.removeprefix("pretrained:")


def letter(number: int) -> str:
    """The letter of a group, counted from 0; after Z, a number."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def remark(run: RunSummary) -> str:
    """The remark on a run: the number of damaged lines, if any, and its note."""
    return ", ".join(filter(None, (damaged_lines(run.damaged_lines), run.note)))


def damaged_lines(number: int) -> str:
    """The number of damaged lines as a phrase; empty for 0."""
    return f"{counted(number, 'damaged event line')} skipped" if number else ""


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
