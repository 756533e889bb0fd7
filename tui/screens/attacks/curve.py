"""The page of accuracy by epsilon: what attacks leave of it, what is proved, and what is unknown between the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from textual.app import ComposeResult

from engine.attacks.events import RobustnessMeasured, RobustnessPointMeasured
from engine.attacks.requests import ATTACK_TITLES, CurveAttackName, MeasureRobustness
from engine.runs.finding import compared_bundled
from engine.words import percent
from tui.drawing.plot import Band, Curve, Plot
from tui.drawing.terminal import glyphs
from tui.drawing.theme import SERIES
from tui.drawing.vocabulary import NORMS, starts_answer
from tui.drawing.words import brief, cut, letter, padded
from tui.screens.attacks.measurement import MeasurementPage
from tui.screens.charted import ChartedPage
from tui.screens.state import State
from tui.setting import Setting
from tui.widgets.chart import Chart
from tui.widgets.rows import Row, Rows

CURVE_ATTACKS: dict[str, tuple[CurveAttackName, ...]] = {
    "linf": ("autoattack", "pgd"),
    "l2": ("autoattack", "pgd", "cw", "deepfool", "fgsm"),
}
"""The attacks of the curves in each norm, the strongest first."""
WEAKER: tuple[CurveAttackName, ...] = ("fgsm", "random")
"""Attacks that are measured in L-inf only if the user wants them, since they tell little beside the strongest."""


class CurvePage(MeasurementPage[RobustnessMeasured], ChartedPage):
    """Accuracy of this network and of a bundled one: between what the strongest attack leaves and what is proved."""

    page = "curve"
    title = "curve"
    measures = MeasureRobustness
    hidden = frozenset({"indices", "others", "attack", "epsilons", "certified"})
    weaker: State[bool] = State(False)
    """Whether weaker attacks are measured as well; in L2 they always are."""

    def compose(self) -> ComposeResult:
        yield Chart("accuracy", empty="", id="curve-chart")
        yield Rows(
            empty=f"{self.key('run')} measures what AutoAttack leaves of the accuracy and what is proved of it,\n"
            "of this network and of a bundled one"
        )

    def attacks(self, norm: str) -> tuple[CurveAttackName, ...]:
        """The attacks of the curves."""
        return CURVE_ATTACKS[norm] + (WEAKER if norm == "linf" and self.weaker else ())

    def fields(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        norm, workspace = chosen.get("norm", "linf"), self.workspace
        other = compared_bundled(workspace.variant or "cnn-bn", workspace.history.request)
        measured = {"attack": self.attacks(norm), "certified": norm == "linf", "others": (other,)}
        return super().fields(chosen) | measured

    def settings(self) -> list[Setting]:
        """The parameters, and in L-inf whether weaker attacks are measured as well."""
        weaker = Setting(
            "weaker", "attacks", self.weaker, self._with_weaker, (False, True),
            show=lambda weaker: "AutoAttack, PGD, FGSM, noise" if weaker else "AutoAttack, PGD",
            help="the attacks to measure",
        )  # fmt: skip
        return [*super().settings(), *([weaker] if self.chosen.get("norm", "linf") == "linf" else [])]

    def _with_weaker(self, weaker: bool) -> None:
        self.anew()
        self.weaker = weaker

    def draw(self) -> None:
        found = self.measured
        if found is None:
            self.query_one(Chart).show(Plot())
            self.table.show("", "", ())
            return
        head = f"{'network':<18} {'attack':<14}{'epsilon':>8}{'accuracy':>11}   95 % interval"
        lines = []
        for p in found.points:
            name = padded(cut(brief(p.name), 18), 18)
            interval = f"{100 * p.low:6.2f} to {100 * p.high:6.2f} %"
            text = f"{name} {ATTACK_TITLES[p.attack]:<14}{p.epsilon:>8g}{percent(p.accuracy):>11}   {interval}"
            lines.append(Row(text, _beaten(p)))
        over = f"{found.points[0].count:,} of {found.asked:,} digits, {NORMS[found.norm]}"
        title = ", ".join(filter(None, (over, starts_answer(found))))
        self.table.show(title, head, lines, self._notes(found))
        self._draw_chart(found)

    def _here(self, found: RobustnessMeasured) -> RobustnessPointMeasured:
        """The point of the line under the cursor."""
        return found.points[min(self.table.cursor, len(found.points) - 1)]

    def sentence(self) -> str:
        """The range of the accuracy at the cursor, once it is measured."""
        found = self.measured
        if not self.asked or found is None:
            return super().sentence()
        here = self._here(found)
        place, strongest = f"{brief(here.name)} at {here.epsilon:g}", ATTACK_TITLES[found.fallen_by]
        for attacked, proved in found.unknown(here.name):
            if attacked.epsilon == here.epsilon:
                left, sure = 100 * attacked.accuracy, 100 * proved.accuracy
                return f"{place}: {strongest} leaves {left:.1f} %, proved {sure:.1f} %, unknown {left - sure:.1f} %"
        (left,) = (p.accuracy for p in found.curve(here.name, found.fallen_by) if p.epsilon == here.epsilon)
        return f"{place}: {strongest} leaves {100 * left:.1f} %; in L2 there is no proof"

    def _notes(self, found: RobustnessMeasured) -> list[str]:
        notes = [f"median L2, {name}: {value:.3f}" for name, value in found.median_l2.items() if not np.isnan(value)]
        beaten = [p for p in found.points if p.beaten_by]
        if beaten:
            places = (f"{brief(p.name)} {ATTACK_TITLES[p.attack]} at {p.epsilon:g} {_beaten(p)}" for p in beaten)
            notes.insert(0, ", ".join(places))
        if found.fallen:
            first = ", ".join(f"{i.index} ({i.actual}{glyphs().arrow}{i.taken_for})" for i in found.fallen[:6])
            notes.append(f"first fooled by {ATTACK_TITLES[found.fallen_by]}: {first}")
        point = self._here(found)
        pairs = zip(point.class_correct, point.class_count, strict=True)
        shares = " ".join(f"{c}:{100 * right / n:.0f}" if n else f"{c}:-" for c, (right, n) in enumerate(pairs))
        return [*notes, f"% correct by class: {shares}"]

    def _draw_chart(self, found: RobustnessMeasured) -> None:
        """Draw every curve of the table, that of the cursor in front with its interval.

        Of its network, the unknown between what the strongest attack leaves and what is proved is shaded as well.
        """
        here, colours = self._here(found), found.colours
        curves, bands = [], []
        for number, (name, attack) in enumerate(found.curves):
            points = found.curve(name, attack)
            xs, chosen = [p.epsilon for p in points], (name, attack) == (here.name, here.attack)
            colour = SERIES[colours[name, attack] % len(SERIES)]
            curves.append(
                Curve(
                    f"{brief(name)} {ATTACK_TITLES[attack].removeprefix('random ')}",
                    colour,
                    xs,
                    [100 * p.accuracy for p in points],
                    form="{:.1f}",
                    layer="front" if chosen else "back" if found.thin(attack) else "middle",
                    letter=letter(number),
                    thin=found.thin(attack),
                )
            )
            if chosen:
                low, high = [100 * p.low for p in points], [100 * p.high for p in points]
                bands.append(Band(colour, xs, low, high, "95 % interval"))
        if between := found.unknown(here.name):
            xs = [attacked.epsilon for attacked, _ in between]
            low, high = ([100 * pair[side].accuracy for pair in between] for side in (1, 0))
            bands.append(Band("quiet", xs, low, high, "unknown", behind=True))
        chart = self.query_one(Chart)
        chart.cursor = here.epsilon
        most = max(p.epsilon for p in found.points) or 1.0
        plot = Plot(curves, (0.0, most), (0.0, 100.0), bands, limits=(0.0, 100.0), whole=False, unit="epsilon {}")
        chart.show(plot, f"accuracy (%) by epsilon ({NORMS[found.norm]})")

    def on_rows_moved(self) -> None:
        self.desk.update()


def _beaten(point: RobustnessPointMeasured) -> str:
    """What a weaker attack does better than this point's; empty if none does."""
    return f"beaten by {ATTACK_TITLES.get(point.beaten_by, point.beaten_by)}" if point.beaten_by else ""
