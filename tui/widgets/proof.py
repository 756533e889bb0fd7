"""How far a digit is safe, as a sentence and as a bar along epsilon."""

from __future__ import annotations

from collections.abc import Iterator

from rich.style import Style

from engine.certification.events import DigitCertified
from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget

MOST = 0.5
"""The epsilon at the right end of the bar: any pixel can then be gray, so no class is safe beyond it."""
SHORTEST, LONGEST = 8, 40
"""Cells of the bar: with less room there is none."""


class ProofLine(CellWidget):
    """One line: within which epsilon nothing breaks the digit, from which on something does, and what is unknown."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.words = ""
        self.proof: DigitCertified | None = None

    def show(self, words: str, proof: DigitCertified | None) -> None:
        """Show `words`, and the bar of `proof` where there is room."""
        self.words, self.proof = words, proof
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """One row."""
        quiet = ink(self.app, "quiet")
        row = cells((f" {self.words}", ink(self.app, "foreground")))
        ends = " 0 ", f" {MOST:g} "
        room = min(width - len(row) - sum(map(len, ends)), LONGEST)
        if self.proof is None or room < SHORTEST:
            return [row]
        return [[*row, *cells((ends[0], quiet), *self._bar(self.proof, room), (ends[1], quiet))]]

    def _bar(self, proof: DigitCertified, room: int) -> Iterator[tuple[str, Style]]:
        g = glyphs()
        broken_from = MOST if proof.broken_from is None else proof.broken_from
        proved, unbroken = (round(min(epsilon / MOST, 1.0) * room) for epsilon in (proof.proved, broken_from))
        yield g.block * proved, ink(self.app, "success")
        yield g.band * (unbroken - proved), ink(self.app, "quiet")
        yield g.bar_empty * (room - max(proved, unbroken)), ink(self.app, "error")
