"""The lines around a screen (header, tabs and key bar) and the progress line of a job."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace
from textual.events import Click

from tui.drawing.cells import Cell, cells, clipped, spread
from tui.drawing.fitting import Fact, cut_between_words, fitted
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.keys import SCREENS, SHORT_TITLES, Command
from tui.opened import PROGRAM
from tui.widgets.cells import CellWidget

GAP = 3
"""Cells between two facts of the header."""


class Header(CellWidget):
    """What is open, and the device it runs on."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: tuple[Fact, ...] = ()
        self.place: tuple[Fact, ...] = ()

    def show(self, facts: tuple[Fact, ...], place: tuple[Fact, ...]) -> None:
        """Show `facts` about what is open on the left; on the right `place`, the device and the throughput."""
        if (facts, place) != (self.facts, self.place):
            self.facts, self.place = facts, place
            self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """One row. Where it is too narrow, facts are shortened and left out by their ranks, never cut within a word."""
        text, quiet = ink(self.app, "foreground"), ink(self.app, "quiet")
        name, facts, place = fitted([[Fact("mnist-tui", PROGRAM)], self.facts, self.place], width - 2, GAP)
        if len(facts) == 1 and not place:  # even that may be too wide
            facts = [Fact(cut_between_words(facts[0].words, width - 2), PROGRAM)]
        row = cells(("".join(f" {fact.words}  " for fact in name), ink(self.app, "primary", bold=True)))
        for number, fact in enumerate(facts):
            row += cells((f" {glyphs().dot} " if number else " ", quiet), (fact.words, text))
        right = (" " * GAP).join(fact.words for fact in place)
        return [spread(row, cells((f"{right} ", quiet)) if right else [], width, (" ", text))]


class Tabs(CellWidget):
    """The names of all screens; the current one is highlighted."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self._ends: list[tuple[int, str]] = []

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """One row. Where it is too narrow, titles are shorter; where it still is, the others have only their keys."""
        titles = [title for _, title, _ in SCREENS]
        short = [SHORT_TITLES.get(mode, title) for _, title, mode in SCREENS]
        if _needed(titles) > width >= _needed(short):
            titles = short
        needed = _needed(titles)
        room = needed + len(SCREENS) < width
        row, self._ends = cells((" ", ink(self.app, "quiet"))) if room else [], []
        for (key, _, mode), title in zip(SCREENS, titles, strict=True):
            here = mode == self.mode
            named = f" {key} {title}" if here or needed <= width else f" {key}"
            text = f"{named} " if room or needed > width else named
            row += cells((text, ink(self.app, "primary" if here else "quiet", bold=here, reverse=here)))
            self._ends.append((len(row), mode))
        return [row]

    def on_click(self, event: Click) -> None:
        if mode := next((mode for end, mode in self._ends if event.x < end), None):
            self.app.switch_mode(mode)


def _needed(titles: Sequence[str]) -> int:
    """The width of all screens with these titles in the tab bar, in cells."""
    return sum(len(f" {key} {title}") for (key, _, _), title in zip(SCREENS, titles, strict=True))


class KeyBar(CellWidget):
    """The keys that currently do something on this screen."""

    def __init__(self) -> None:
        super().__init__()
        self.commands: tuple[Command, ...] = ()
        self._ends: list[tuple[int, str]] = []

    def show(self, commands: tuple[Command, ...]) -> None:
        """Show the keys of `commands`."""
        if commands != self.commands:
            self.commands = commands
            self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """One row of keys in the order of use. Where they do not all fit, the last one says that there are more."""
        entries = [(command.keys, command.label, command.bound[0]) for command in self._shown(width)]
        row, self._ends = cells((" ", ink(self.app, "quiet"))), []
        for keys, label, key in entries:
            row += cells((keys, ink(self.app, "primary", bold=True)))
            row += cells((f" {label}  ", ink(self.app, "quiet")))
            self._ends.append((len(row), key))
        return [row]

    def _shown(self, width: int) -> list[Command]:
        if not self.commands:
            return []
        *entries, last = [command for command in self.commands if command.label and command.bound]
        last = replace(last, label="more" if len(entries) + 1 < len(self.commands) else last.label)
        while entries and self._width([*entries, last]) > width:
            entries.pop()
            last = replace(last, label="more")
        return [*entries, last]

    @staticmethod
    def _width(entries: list[Command]) -> int:
        return sum(len(command.keys) + len(command.label) + 3 for command in entries) - 1

    def on_click(self, event: Click) -> None:
        key = next((key for end, key in self._ends if event.x < end), None)
        if key:
            self.app.simulate_key(key)


class Bar(msgspec.Struct, frozen=True):
    """A progress bar."""

    label: str
    share: float
    """Fraction done, from 0 to 1."""


class ProgressLine(CellWidget):
    """Progress bars and facts about the current work, or a sentence."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.parts: tuple[str | Bar, ...] = ()
        self.tone = "foreground"
        self.hint = ""

    def show(self, *parts: str | Bar, tone: str = "foreground", hint: str = "") -> None:
        """Show `parts` from left to right, in the theme colour `tone`; after them `hint`, if all of it fits."""
        if (parts, tone, hint) != (self.parts, self.tone, self.hint):
            self.parts, self.tone, self.hint = parts, tone, hint
            self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """One row. The bars share the space that the facts leave."""
        bars = [part for part in self.parts if isinstance(part, Bar)]
        fixed = sum(
            len(f" {p.label}  {p.share * 100:3.0f} %  ") if isinstance(p, Bar) else len(p) + 3 for p in self.parts
        )
        room = max(4, min(30, (width - fixed) // len(bars))) if bars else 0
        row: list[Cell] = []
        text, done, rest = ink(self.app, self.tone), ink(self.app, "primary"), ink(self.app, "rule")
        for part in self.parts:
            if isinstance(part, Bar):
                full = round(part.share * room)
                row += cells((f" {part.label} ", text), (glyphs().bar_full * full, done))
                row += cells((glyphs().bar_empty * (room - full), rest), (f" {part.share * 100:3.0f} %  ", text))
            else:
                row += cells((f" {part}  ", text))
        hint = cells((f"{glyphs().dot} {self.hint}", text)) if self.hint else []
        if row and len(row) - 1 + len(hint) <= width:
            row = row[:-1] + hint
        return [clipped(row or hint, width, text)]
