"""The panel of a lesson, above the key bar of every screen."""

from __future__ import annotations

from collections.abc import Sequence

from tui.drawing.cells import Cell, cells, clipped, spread
from tui.drawing.fitting import cut_between_words, wrapped
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.lessons.card import Card, Hint
from tui.widgets.cells import CellWidget


class LessonPanel(CellWidget):
    """A step of the lesson: a title with the keys, and what the step says below."""

    def __init__(self) -> None:
        super().__init__()
        self.card: Card | None = None

    def show(self, card: Card | None) -> None:
        """Show a step, or nothing."""
        if card != self.card:
            self.card = card
            self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """As many rows as there are: where there is one, it has the key and the words that fit."""
        card = self.card
        if card is None:
            return []
        if height == 1:
            words = cells((f"  {card.answer or card.text}", ink(self.app, "foreground")))
            return [clipped(self._key(card.next) + words, width, ink(self.app, "quiet"))]
        return [self._title(card, width), *self._text(card, width - 2, height - 1)]

    def _key(self, hint: Hint) -> list[Cell]:
        bold = ink(self.app, "primary", bold=True, reverse=True)
        return cells((f" {hint.key} ", bold), (f" {hint.words}", ink(self.app, "primary", bold=True)))

    def _title(self, card: Card, width: int) -> list[Cell]:
        """The title and the place on the left, the keys on the right; where there is no room, fewer of the others."""
        quiet = ink(self.app, "quiet")
        left = cells((f" {card.title}", ink(self.app, "primary", bold=True)))
        place = cells((f" {glyphs().dot} {card.place}", quiet))
        for count in range(len(card.others), -1, -1):
            right = [*self._others(card.others[:count]), *self._key(card.next), *cells((" ", quiet))]
            if len(left) + len(place) + len(right) < width:
                return spread(left + place, right, width, (" ", quiet))
        right = [*self._key(card.next), *cells((" ", quiet))]
        title = cut_between_words(card.title, width - len(right) - 3)
        return spread(cells((f" {title}", ink(self.app, "primary", bold=True))), right, width, (" ", quiet))

    def _others(self, hints: Sequence[Hint]) -> list[Cell]:
        bold, quiet = ink(self.app, "primary", bold=True), ink(self.app, "quiet")
        return [cell for hint in reversed(hints) for cell in cells((hint.key, bold), (f" {hint.words}   ", quiet))]

    def _text(self, card: Card, width: int, height: int) -> list[list[Cell]]:
        """The text and the answer where there is room for both, else the answer, from which the question is clear."""
        text, answer = ink(self.app, "foreground"), ink(self.app, card.tone or "foreground", bold=card.tone != "quiet")
        lines = [(line, text) for line in wrapped(card.text, width)]
        if card.answer:
            told = [(line, answer) for line in wrapped(card.answer, width)]
            lines = [*lines, *told] if len(lines) + len(told) <= height else told
        if len(lines) > height:
            rest = " ".join(line for line, _ in lines[height - 1 :])
            lines = [*lines[: height - 1], (cut_between_words(rest, width), lines[height - 1][1])]
        return [cells((f" {line}", style)) for line, style in lines]
