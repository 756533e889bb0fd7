"""A row of facts that is too long: which of them are shortened or left out first."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from rich.cells import cell_len

from engine.words import shown
from tui.drawing.terminal import glyphs


class Fact(msgspec.Struct, frozen=True):
    """A few words, and what becomes of them where there is no room."""

    words: str
    rank: int
    """Of all facts, the one with the lowest rank is given up first."""
    shorter: Fact | None = None
    """What takes its place then; None if it is left out."""

    @property
    def width(self) -> int:
        """Its width in cells."""
        return cell_len(shown(self.words))


def fitted(groups: Sequence[Sequence[Fact]], width: int, gap: int) -> list[list[Fact]]:
    """The facts of each group that fit into `width` cells with `gap` cells between any two of them.

    The strongest fact stays, however wide it is.
    """
    rows = [list(group) for group in groups]
    while sum(fact.width + gap for row in rows for fact in row) - gap > width:
        if sum(map(len, rows)) == 1 and all(fact.shorter is None for row in rows for fact in row):
            break
        row, at = min(((row, at) for row in rows for at in range(len(row))), key=lambda place: place[0][place[1]].rank)
        row[at : at + 1] = [shorter] if (shorter := row[at].shorter) else []
    return rows


def cut_between_words(text: str, most: int) -> str:
    """`text`, made safe to print and cut to `most` cells between two words, with an ellipsis if anything is cut off.

    Only a first word that is wider than that is cut itself.
    """
    text = shown(text)
    if cell_len(text) <= most:
        return text
    mark = glyphs().ellipsis
    kept = ""
    for word in text.split(" "):
        longer = f"{kept} {word}" if kept else word
        if cell_len(longer + mark) > most:
            break
        kept = longer
    if kept:
        return kept + mark
    for character in text:
        if cell_len(kept + character + mark) > most:
            break
        kept += character
    return (kept + mark) if cell_len(kept + mark) <= most else ""


def wrapped(text: str, width: int) -> list[str]:
    """`text`, made safe to print, in lines of at most `width` cells, broken between words where that is possible.

    A per cent sign stays with its number.
    """
    lines = [""]
    for word in re.findall(r"\S+(?: %\S*)?", shown(text)):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if lines[-1] and cell_len(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    return lines
