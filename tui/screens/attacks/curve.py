"""The page of accuracy under attack, by epsilon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from textual.app import ComposeResult

from engine.attacks.events import RobustnessMeasured
from engine.attacks.requests import ATTACK_TITLES, MeasureRobustness
from engine.words import percent
from tui.drawing.terminal import glyphs
from tui.drawing.words import cut, padded
from tui.screens.attacks.measurement import MeasurementPage
from tui.widgets.chart import Chart, Curve
from tui.widgets.rows import Row, Rows

CURVE_ATTACKS: dict[str, tuple[str, ...]] = {"linf": ("random", "fgsm", "pgd"), "l2": ("fgsm", "deepfool", "pgd", "cw")}
_INKS = ("curve-train", "curve-val", "curve-test", "curve-running")


class CurvePage(MeasurementPage[RobustnessMeasured]):
    """Accuracy under attack of this network, and of the bundled network of the other variant."""

    page = "curve"
    title = "curve"
    measures = MeasureRobustness
    hidden = frozenset({"indices", "others", "attack", "epsilons"})

    def compose(self) -> ComposeResult:
        yield Chart("accuracy", empty="", whole=False, id="curve-chart")
        yield Rows(
            empty="r measures accuracy under attack, of this network\nand of the bundled network of the other variant"
        )

    def fields(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        attack = CURVE_ATTACKS[chosen.get("norm", "linf")]
        return super().fields(chosen) | {"attack": attack, "others": self.others}

    def draw(self) -> None:
        found = self.measured
        if found is None:
            self.query_one(Chart).show([], (0.0, 1.0))
            self.table.show("", "", ())
            return
        head = f"{'network':<18} {'attack':<14}{'epsilon':>8}{'accuracy':>11}   95 % interval"
        lines = []
        for p in found.points:
            name = padded(cut(p.name, 18), 18)
            interval = f"{100 * p.low:6.2f} to {100 * p.high:6.2f} %"
            text = f"{name} {ATTACK_TITLES[p.attack]:<14}{p.epsilon:>8g}{percent(p.accuracy):>11}   {interval}"
            lines.append(Row(text, f"beaten by {ATTACK_TITLES.get(p.beaten_by, p.beaten_by)}" if p.beaten_by else ""))
        title = f"{found.points[0].count:,} of {found.asked:,} digits, {found.norm}"
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
        """Draw the curve under the cursor with its interval, and each network's curve under the strongest attack."""
        here = found.points[min(self.table.cursor, len(found.points) - 1)]
        wanted = [(name, found.fallen_by) for name in found.networks]
        if (here.name, here.attack) not in wanted:
            wanted.append((here.name, here.attack))
        curves = []
        for bound in ("low", "high"):
            points = found.curve(here.name, here.attack)
            curves.append(Curve("", "rule", [p.epsilon for p in points], [100 * getattr(p, bound) for p in points]))
        for (name, attack), colour in zip(wanted, _INKS, strict=False):
            points = found.curve(name, attack)
            values = [100 * p.accuracy for p in points]
            at = next((100 * p.accuracy for p in points if p.epsilon == here.epsilon), values[-1])
            short = f"{name.removeprefix('pretrained:')} {ATTACK_TITLES[attack]}"
            told = self.desk.has_class("-wide") or (name, attack) == (here.name, here.attack)
            curves.append(Curve(short, colour, [p.epsilon for p in points], values, f"{at:.1f} %" if told else ""))
        chart = self.query_one(Chart)
        chart.title = f"accuracy at {here.epsilon:g}"
        chart.show(curves, (0.0, max(p.epsilon for p in found.points) or 1.0), (0.0, 100.0))
        chart.redraw()

    def on_rows_moved(self) -> None:
        self.desk.update()
