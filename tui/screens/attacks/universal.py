"""The page of the universal perturbation: a single one that fools the network on many digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from textual.app import ComposeResult
from textual.containers import Horizontal

from engine.attacks.events import UniversalMade
from engine.attacks.requests import AttackUniversal
from engine.words import percent
from tui.drawing.raster import PIXEL, Span
from tui.drawing.terminal import glyphs
from tui.screens.attacks.measurement import MeasurementPage
from tui.widgets.pictures import EMPTY, Raster, RasterGrid, Sheet
from tui.widgets.rows import Row, Rows


class UniversalPage(MeasurementPage[UniversalMade]):
    """A universal perturbation made from training digits and tried on others."""

    page = "universal"
    title = "universal"
    measures = AttackUniversal
    over = "made_of"

    def compose(self) -> ComposeResult:
        """The perturbation, and digits with it, above a table."""
        with Horizontal(id="universal-pictures"):
            yield Raster(id="universal-perturbation")
            yield RasterGrid(empty="", id="universal-shown")
        empty = f"{self.key('run')} makes one perturbation from training digits\nand adds it to others"
        yield Rows(empty=empty, id="universal-table")

    def draw(self) -> None:
        found, gray, apart = self.measured, replace(self.view, colours="gray"), replace(self.view, colours="diverging")
        raster, grid = self.query_one(Raster), self.query_one(RasterGrid)
        if found is None:
            raster.show("perturbation", "", None, apart)
            grid.show("digits with it", "", EMPTY, gray)
            self.table.show("effect", "", ())
            return
        span = Span.of(found.perturbation, "diverging")
        raster.show("perturbation", f"up to {np.abs(found.perturbation).max():.2f}", found.perturbation, apart, span)
        answers = [f"{a}{glyphs().arrow}{p}" for a, p in zip(found.actual, found.predicted, strict=True)]
        shown = len(found.adversarial)
        inks = ["warning" if fooled else "quiet" for fooled in found.fooled[:shown]]
        sheet = Sheet(found.adversarial, labels=answers[:shown], inks=inks)
        grid.show(f"{found.source}, with it", "", sheet, gray, PIXEL)
        wanted = "fooled" if found.target < 0 else f"predicted {found.target}"
        interval = f"{100 * found.low:6.2f} to {100 * found.high:6.2f} %"
        lines = [
            Row(f"{'universal':<20}{percent(found.fooling_rate):>14}   {interval}"),
            Row(f"{'random, same size':<20}{percent(found.by_chance):>14}"),
        ]
        taken = " ".join(f"{digit}:{count}" for digit, count in enumerate(found.taken_for))
        notes = [
            f"made from {found.made_of:,} training digits, of which it fools {percent(found.history[-1])}",
            f"accuracy {percent(found.accuracy_before)} without it, {percent(found.accuracy)} with it",
            f"predicted as: {taken}",
        ]
        head = f"{'perturbation':<20}{wanted:>14}   95 % interval"
        self.table.show(f"tried on {found.averaged:,} other digits", head, lines, notes)
