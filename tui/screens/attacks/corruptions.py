"""The page of corruptions: what networks recognise of digits that are noisy, blurred, moved or covered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal

from engine.corruptions.events import CorruptionsMeasured, DigitCorrupted
from engine.corruptions.requests import CORRUPTION_TITLES, MeasureCorruptions, ShowCorruptions
from engine.event import Progress
from engine.figures.requests import DrawFigure
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.words import percent
from tui.drawing.raster import PIXEL
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import answered
from tui.drawing.words import brief, cut, padded
from tui.screens.attacks.measurement import MeasurementPage
from tui.screens.pages import PagedScreen
from tui.widgets.bars import Bars
from tui.widgets.pictures import EMPTY, Raster, RasterGrid, Sheet
from tui.widgets.rows import Row, Rows
from tui.workspace import images_in

FULL = 119
"""Columns from which two rows hold all pictures, and the probabilities stand beside the table."""
SHORT = CORRUPTION_TITLES | {"impulse-noise": "impulse"}
"""Titles that leave room for an answer above a picture of half its size."""
NAME, NARROW, WIDE = 13, 32, 39
"""Widths of the column of corruptions, and of what is said about each network, in cells."""


class CorruptionsPage(MeasurementPage[CorruptionsMeasured]):
    """The current digit under each corruption; and accuracy, of this network and the bundled one of the other variant.

    The table and the pictures share their cursor.
    """

    page = "corruptions"
    title = "corruptions"
    measures = MeasureCorruptions
    hidden = frozenset({"others", "corruptions", "index"})

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.shown: DigitCorrupted | None = None
        """The latest digit."""

    def compose(self) -> ComposeResult:
        """The pictures above the table, beside which the one under the cursor is seen from near."""
        yield RasterGrid(empty="", id="corrupted")
        with Horizontal(id="corruptions-below"):
            yield Rows(empty="", id="corruptions-table")
            yield Raster(id="corruption-near")
            yield Bars(id="corruption-answers")

    # Requests

    def fields(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return super().fields(chosen) | {"others": self.others}

    def _digit(self) -> Request:
        part, index = self.workspace.digit
        seed = self.chosen.get("seed", 0)
        return ShowCorruptions(what=self.workspace.what, others=self.others, **images_in(part), index=index, seed=seed)

    def wanted(self) -> list[Request]:
        """The measurement comes first: a request for another digit would stop it."""
        return [*super().wanted(), self._digit()]

    def kept(self) -> list[Request]:
        return [*super().kept(), self._digit()]

    def take(self, event: NetworkEvent) -> None:
        super().take(event)
        if type(event) is DigitCorrupted:
            self.shown = event

    def forget(self) -> None:
        super().forget()
        self.shown = None

    def digits_in_split(self) -> int:
        return self.shown.count if self.shown else 0

    # Drawing

    def draw(self) -> None:
        grid, near, bars = self.query_one(RasterGrid), self.query_one(Raster), self.query_one(Bars)
        shown, gray = self.shown, replace(self.view, colours="gray")
        strip = self.desk.size.width < FULL or self.desk.has_class("-low")
        self.set_class(strip, "-strip")
        if shown is None:
            grid.show("digit", "", EMPTY, gray)
            near.show("", "", None, gray)
            bars.show("", [], -1, -1)
            self.table.show("", "", ())
            return
        self._draw_table(shown)
        answers = shown.predicted[0]
        rights = [answer == shown.actual for answer in answers]
        named = zip(shown.corruptions, answers, strict=True)
        labels = [answered(SHORT[name], answer, shown.actual) for name, answer in named]
        inks = ["success" if right else "error" for right in rights]
        # On a small screen, one row scrolls along with the table.
        columns, enough = (len(labels), 1) if strip else (0, 0)
        sheet = Sheet(shown.images, labels=labels, inks=inks, columns=columns, enough=enough)
        title = f"{shown.source} {shown.index}, actual {shown.actual}"
        facts = f"{glyphs().arrow} wrong: {shown.wrong(0)} of {len(answers) - 1}"
        grid.cursor = at = self.table.cursor
        grid.show(title, facts, sheet, gray, PIXEL)
        near.show(CORRUPTION_TITLES[shown.corruptions[at]], title, shown.images[at], gray, PIXEL)
        bars.show(shown.networks[0], shown.probabilities[0, at].tolist(), shown.actual, answers[at])

    def _draw_table(self, shown: DigitCorrupted) -> None:
        """A line for each corruption: the answer of each network, and its accuracy with its interval."""
        found, wide = self.measured, self.desk.has_class("-wide")
        size = WIDE if wide else NARROW
        head = f"{'corruption':<{NAME}}"
        for network in shown.networks:
            mean = f", mean {percent(found.mean(network))}" if found else ""
            title = network if wide else brief(network)
            head += padded(f"  {cut(title, size - 2 - len(mean))}{mean}", size)
        measured = [found.of(network) if found else {} for network in shown.networks]
        lines = []
        for place, name in enumerate(shown.corruptions):
            text = f"{CORRUPTION_TITLES[name]:<{NAME}}"
            for number, points in enumerate(measured):
                answer = shown.predicted[number][place]
                share = float(shown.probabilities[number, place, answer])
                sure = f"{'-' if math.isnan(share) else f'{100 * share:.0f} %':>6}" if wide else ""
                own = f" {answered('', answer, shown.actual)}{sure}"
                if point := points.get(name):
                    own += f"{percent(point.accuracy):>9} {100 * point.low:6.2f} to {100 * point.high:6.2f} %"
                text += f"{own:<{size}}"
            lines.append(Row(text.rstrip()))
        over = f", accuracy over {found.points[0].count:,} of {found.asked:,} digits, 95 % interval" if found else ""
        self.table.show(f"answer to {shown.part} {shown.index}{over}", head, lines)

    def sentence(self) -> str:
        """What the networks take the digit under the cursor for."""
        shown, at = self.shown, self.table.cursor
        if shown is None or not (self.asked or self.desk.zoomed):
            return super().sentence()
        answers = [
            f"{network} {answers[at]} ({percent(float(shown.probabilities[number, at, answers[at]]))})"
            for number, (network, answers) in enumerate(zip(shown.networks, shown.predicted, strict=True))
        ]
        return f"{CORRUPTION_TITLES[shown.corruptions[at]]}: {', '.join(answers)}"

    def figure(self) -> DrawFigure | None:
        """The digit and, once they are complete, the accuracies."""
        found, shown = self.measured, self.shown
        if found is None or shown is None or isinstance(found, Progress):
            return self.desk.as_drawn(shown)
        digit = {name: getattr(shown, name) for name in DigitCorrupted.__struct_fields__}
        return self.desk.as_drawn(msgspec.structs.replace(found, **digit))

    # Keys

    def on_rows_moved(self) -> None:
        self.desk.update()

    def on_raster_grid_moved(self) -> None:
        self.table.go_to(self.query_one(RasterGrid).cursor)
