"""The page of the targeted attack's penalty: does it keep the image close?"""

from __future__ import annotations

import math

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.containers import Horizontal

from engine.attacks.events import BetaSweepAdvanced, BetaSwept
from engine.attacks.requests import SweepBeta
from engine.words import percent
from tui.drawing.plot import Band, Curve, Plot
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import beta_answer
from tui.screens.attacks.measurement import MeasurementPage
from tui.widgets.chart import Chart
from tui.widgets.rows import Row, Rows


class BetaPage(MeasurementPage[BetaSwept]):
    """Measures what the notebook asserts about its beta."""

    page = "beta"
    title = "penalty"
    measures = SweepBeta

    def compose(self) -> ComposeResult:
        with Horizontal(id="beta-charts"):
            yield Chart("success by beta (%)", empty="", id="beta-success")
            yield Chart("L2 by beta (pixel values)", empty="", id="beta-l2")
        empty = f"{self.key('run')} runs the targeted attack with increasing beta\nuntil it fails"
        yield Rows(empty=empty, id="beta-table")

    def draw(self) -> None:
        found = self.measured
        success, l2 = self.query_one("#beta-success", Chart), self.query_one("#beta-l2", Chart)
        if found is None:
            success.show(Plot())
            l2.show(Plot())
            self.table.show("", "", ())
            return
        plus = glyphs().spread
        head = f"{'beta':>8}{'success':>11}{'L2':>20}{'L-inf':>22}{'closer by':>12}"
        lines = [
            Row(
                f"{p.beta:>8g}{percent(p.success):>11}{f'{p.l2:.4f} {plus} {p.l2_spread:.4f}':>20}"
                f"{f'{p.linf:.4f} {plus} {p.linf_spread:.4f}':>22}{round(p.closer, 4) + 0.0:>12.4f}"
            )
            for p in found.points
        ]
        title = f"{found.averaged} digits towards {found.target}, mean {plus} standard deviation"
        self.table.show(title, head, lines, () if isinstance(found, BetaSweepAdvanced) else beta_answer(found))
        self._draw_charts(found, success, l2)

    @staticmethod
    def _draw_charts(found: BetaSwept, success: Chart, l2: Chart) -> None:
        xs = [float(n) for n in range(len(found.points))]
        names = ["0", *(f"{p.beta:.0e}".replace("e-0", "e-").replace("e+0", "e") for p in found.points[1:])]
        empty = Plot(x_range=(0.0, max(1.0, xs[-1])), unit="beta {}", names=names)
        reached = Curve("success", "curve-val", xs, [100 * p.success for p in found.points], form="{:.0f} %")
        success.show(replace(empty, curves=[reached], y_range=(0.0, 100.0), limits=(0.0, 100.0)))
        low, high = ([max(0.0, p.l2 + sign * p.l2_spread) for p in found.points] for sign in (-1, 1))
        band = Band("curve-train", xs, low, high, "standard deviation")
        size = Curve("mean", "curve-train", xs, [p.l2 for p in found.points], form="{:.2f}")
        l2.show(replace(empty, curves=[size], bands=[band], from_zero=True, limits=(0.0, math.inf)))

    def sentence(self) -> str:
        found = self.measured
        if self.asked and found and not isinstance(found, BetaSweepAdvanced):
            free = found.points[0]
            return f"without a penalty, {found.steps} steps of {found.step_size:g} end at L-inf {free.linf:.3f}"
        return super().sentence()
