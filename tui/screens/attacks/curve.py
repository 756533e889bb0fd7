"""The page of accuracy under attack, by epsilon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from textual.app import ComposeResult

from engine.attacks.events import RobustnessMeasured
from engine.attacks.requests import ATTACK_TITLES, MeasureRobustness
from engine.words import percent
from tui.drawing.plot import Band, Curve, Plot
from tui.drawing.terminal import glyphs
from tui.drawing.theme import SERIES
from tui.drawing.vocabulary import NORMS
from tui.drawing.words import cut, letter, padded
from tui.screens.attacks.measurement import MeasurementPage
from tui.screens.charted import ChartedPage
from tui.widgets.chart import Chart
from tui.widgets.rows import Row, Rows

CURVE_ATTACKS: dict[str, tuple[str, ...]] = {"linf": ("random", "fgsm", "pgd"), "l2": ("fgsm", "deepfool", "pgd", "cw")}


class CurvePage(MeasurementPage[RobustnessMeasured], ChartedPage):
    """Accuracy under attack of this network, and of the bundled network of the other variant."""

    page = "curve"
    title = "curve"
    measures = MeasureRobustness
    hidden = frozenset({"indices", "others", "attack", "epsilons"})

    def compose(self) -> ComposeResult:
        yield Chart("accuracy under attack", empty="", id="curve-chart")
        yield Rows(
            empty=f"{self.key('run')} measures accuracy under attack, of this network\n"
            "and of the bundled network of the other variant"
        )

    def fields(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        attack = CURVE_ATTACKS[chosen.get("norm", "linf")]
        return super().fields(chosen) | {"attack": attack, "others": self.others}

    def draw(self) -> None:
        found = self.measured
        if found is None:
            self.query_one(Chart).show(Plot())
            self.table.show("", "", ())
            return
        head = f"{'network':<18} {'attack':<14}{'epsilon':>8}{'accuracy':>11}   95 % interval"
        lines = []
        for p in found.points:
            name = padded(cut(p.name, 18), 18)
            interval = f"{100 * p.low:6.2f} to {100 * p.high:6.2f} %"
            text = f"{name} {ATTACK_TITLES[p.attack]:<14}{p.epsilon:>8g}{percent(p.accuracy):>11}   {interval}"
            lines.append(Row(text, f"beaten by {ATTACK_TITLES.get(p.beaten_by, p.beaten_by)}" if p.beaten_by else ""))
        title = f"{found.points[0].count:,} of {found.asked:,} digits, {NORMS[found.norm]}"
        self.table.show(title, head, lines, self._notes(found))
        self._draw_chart(found)

    def _notes(self, found: RobustnessMeasured) -> list[str]:
        notes = [f"median L2, {name}: {value:.3f}" for name, value in found.median_l2.items() if not np.isnan(value)]
        if found.fallen:
            first = ", ".join(f"{i.index} ({i.actual}{glyphs().arrow}{i.taken_for})" for i in found.fallen[:6])
            notes.append(f"first fooled by {ATTACK_TITLES[found.fallen_by]}: {first}")
        point = found.points[min(self.table.cursor, len(found.points) - 1)]
        pairs = zip(point.class_correct, point.class_count, strict=True)
        shares = " ".join(f"{c}:{100 * right / n:.0f}" if n else f"{c}:-" for c, (right, n) in enumerate(pairs))
        return [*notes, f"% correct by class: {shares}"]

    def _draw_chart(self, found: RobustnessMeasured) -> None:
        """Draw every curve of the table, that of the cursor in front with its interval."""
        here = found.points[min(self.table.cursor, len(found.points) - 1)]
        curves, bands = [], []
        for number, (name, attack) in enumerate(found.curves):
            points = found.curve(name, attack)
            xs, chosen = [p.epsilon for p in points], (name, attack) == (here.name, here.attack)
            colour = SERIES[number % len(SERIES)]
            curves.append(
                Curve(
                    f"{name.removeprefix('pretrained:')} {ATTACK_TITLES[attack].removeprefix('random ')}",
                    colour,
                    xs,
                    [100 * p.accuracy for p in points],
                    form="{:.1f}",
                    layer="front" if chosen else "middle",
                    letter=letter(number),
                )
            )
            if chosen:
                low, high = [100 * p.low for p in points], [100 * p.high for p in points]
                bands.append(Band(colour, xs, low, high, "95 % interval"))
        chart = self.query_one(Chart)
        chart.cursor = here.epsilon
        most = max(p.epsilon for p in found.points) or 1.0
        plot = Plot(curves, (0.0, most), (0.0, 100.0), bands, limits=(0.0, 100.0), whole=False, unit="epsilon {}")
        chart.show(plot, f"accuracy (%) under attack by epsilon ({NORMS[found.norm]})")

    def on_rows_moved(self) -> None:
        self.desk.update()
