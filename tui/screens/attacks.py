"""Screen 7: how easily the network is fooled. The notebook's two attacks, those of the field, and curves over many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal, get_args

import msgspec
import numpy as np
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from engine.attacks.events import (
    Attack,
    AttackAdvanced,
    AttackFinished,
    AttackStepped,
    BetaSweepAdvanced,
    BetaSwept,
    RobustnessAdvanced,
    RobustnessMeasured,
    RobustnessPointMeasured,
    TransferMeasured,
    UniversalMade,
)
from engine.attacks.requests import (
    ATTACK_TITLES,
    GALLERY,
    AnyAttack,
    AttackName,
    AttackUniversal,
    MeasureRobustness,
    MeasureTransfer,
    SweepBeta,
)
from engine.data.events import DownloadAdvanced
from engine.data.requests import SplitName
from engine.event import Event, JobFailed
from engine.figures.requests import DrawFigure
from engine.lab import Job
from engine.network.events import NetworkEvent
from engine.request import Parameter, Request, RequestError, parameters
from engine.runs.finding import other_bundled
from engine.words import percent
from tui.commands import Command, bindings
from tui.drawing.raster import Span
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import beta_answer
from tui.drawing.words import cut, padded
from tui.screens.inspect import InspectScreen, Movable
from tui.widgets.bars import Bars
from tui.widgets.chart import Chart, Curve
from tui.widgets.lines import Bar, ProgressLine
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet
from tui.widgets.rows import Row, Rows
from tui.widgets.settings import Settings

Page = Literal["attack", "curve", "beta", "transfer", "universal"]
KINDS: dict[AttackName, type[AnyAttack]] = {kind.attack: kind for kind in get_args(AnyAttack)}
MEASUREMENTS: dict[Page, type[Request]] = {
    "curve": MeasureRobustness,
    "beta": SweepBeta,
    "transfer": MeasureTransfer,
    "universal": AttackUniversal,
}
TITLES: dict[Page, str] = {
    "attack": "one attack",
    "curve": "accuracy under attack",
    "beta": "beta: closer?",
    "transfer": "transfer",
    "universal": "universal",
}
PIXEL = Span(0.0, 1.0)
SHORT = {"step_size": "step size", "total_variation": "smooth", "random_start": "random start", "count": "digits"}
"""Names of parameters where the field's is long."""
LADDERS: dict[str, tuple[float, ...]] = {
    "steps": (1, 2, 5, 10, 25, 40, 50, 100, 250, 500, 1000, 1500, 3000, 5000, 10_000),
    "step_size": (0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000),
    "beta": (0, *(10.0**power for power in range(-5, 9))),
    "epsilon": (0, 0.01, 0.02, *(round(0.05 * n, 2) for n in range(1, 9)), 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 10),
    "total_variation": (0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 10),
    "l2": (0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 10),
    "overshoot": (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
    "confidence": (0, 1, 2, 5, 10, 20, 50, 100),
    "restarts": (1, 2, 3, 5, 10, 20),
    "count": (10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
    "made_of": (10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
}
"""The values that a key goes through; of other numbers each one."""
SHOWN_IN_A_CURVE = 100
"""Digits that a measurement begins with: so many take seconds."""
CURVE_ATTACKS: dict[str, tuple[str, ...]] = {"linf": ("random", "fgsm", "pgd"), "l2": ("fgsm", "deepfool", "pgd", "cw")}
_INKS = ("curve-train", "curve-val", "curve-test", "curve-running")


class AttacksScreen(InspectScreen):
    """The notebook's section 3, and what it leaves open: how much an attack must change."""

    mode = "attacks"
    BINDINGS = bindings("attacks")
    page: Page = "attack"
    attack_name: AttackName = "targeted"
    alone = False
    """Whether the current digit is attacked, and not the notebook's ten."""
    shown: Attack | None = None
    curve: RobustnessMeasured | None = None
    swept: BetaSwept | None = None
    transferred: TransferMeasured | None = None
    universal: UniversalMade | None = None

    def __init__(self) -> None:
        super().__init__()
        self._chosen: dict[str, dict[str, Any]] = {
            "curve": {"count": SHOWN_IN_A_CURVE},
            "beta": {"count": SHOWN_IN_A_CURVE},
            "transfer": {"count": SHOWN_IN_A_CURVE},
            "universal": {"made_of": SHOWN_IN_A_CURVE},
        }
        """What was set, for each attack and each measurement, where it is not the default."""
        self._option: dict[str, int] = {}
        """The parameter at hand, for each of them."""
        self._asked: set[Page] = set()
        """The measurements that somebody asked for."""
        self._halted = False
        """Whether the attack was stopped, so that it does not begin again by itself."""
        self._last_words: Job | None = None
        """A job that was stopped and still says what came of it."""
        self._frame: int | None = None
        """The moment in view of what an attack did; None for its end."""
        self._step = 0
        self._shown_for: Request | None = None
        """The request that `shown` answers."""
        self._last: dict[Page, Request] = {}
        """What each page asked for last."""
        self._count = 0
        """Images in the split of the current digit, once known."""
        self.add_class("-attacks")

    def body(self) -> Iterable[Widget]:
        """The first of five pages; the others are made when somebody turns to them."""
        yield Settings()
        yield self._made("attack")
        yield Legend()
        yield ProgressLine(id="status")

    @staticmethod
    def _made(page: Page) -> Widget:
        name = f"{page}-page"
        match page:
            case "attack":
                rasters = (Raster(id=f"attack-{part}") for part in ("original", "result", "difference"))
                near = Horizontal(*rasters, Bars(id="attack-answers"), id="attack-near")
                grid = RasterGrid(empty="no attack yet", id="attacked")
                history = Chart("history", empty="no steps yet", id="attack-history")
                return Vertical(near, Horizontal(grid, history, id="attack-all"), classes="desk page", id=name)
            case "curve":
                chart = Chart("accuracy", empty="", whole=False, id="curve-chart")
                table = Rows(
                    empty="r measures accuracy under attack,\nof this network and the bundled one of the other kind"
                )
                return Vertical(chart, table, classes="desk page", id=name)
            case "beta":
                charts = Horizontal(
                    Chart("success", empty="", id="beta-success"), Chart("L2", empty="", id="beta-l2"), id="beta-charts"
                )
                table = Rows(empty="r runs the targeted attack with beta from 0 on\nuntil it fails", id="beta-table")
                return Vertical(charts, table, classes="desk page", id=name)
            case "transfer":
                empty = (
                    "r makes images on this network and on the bundled one of the other kind,\nand shows them to both"
                )
                return Vertical(Rows(empty=empty, id="transfer-table"), classes="desk page", id=name)
            case "universal":
                pictures = (Raster(id="universal-perturbation"), RasterGrid(empty="", id="universal-shown"))
                empty = "r makes one perturbation of training digits\nand adds it to others"
                table = Rows(empty=empty, id="universal-table")
                return Vertical(Horizontal(*pictures, id="universal-pictures"), table, classes="desk page", id=name)

    # What is asked for

    @property
    def _kind(self) -> type[Request]:
        """The request of the page."""
        return KINDS[self.attack_name] if self.page == "attack" else MEASUREMENTS[self.page]

    @property
    def _subject(self) -> str:
        """What the settings belong to."""
        return self.attack_name if self.page == "attack" else self.page

    def _options(self) -> list[Parameter]:
        """The parameters that keys change, in order."""
        hidden = {"indices", "others", "attack", "epsilons"} if self.page == "curve" else {"indices", "others"}
        own = self._kind.__annotations__
        return [p for p in parameters(self._kind) if p.name in own and p.name not in hidden]

    def _value(self, parameter: Parameter) -> Any:
        return self._chosen.get(self._subject, {}).get(parameter.name, parameter.default)

    def _request(self) -> Request:
        """What the page is about, with the settings of the moment."""
        settings = {"what": self.lab_app.what, **self._chosen.get(self._subject, {})}
        split, index = self.lab_app.digit
        if self.page == "attack":
            if self.attack_name != "noise":
                settings |= {"split": split if self.alone else "test", "indices": (index,) if self.alone else GALLERY}
            return self._kind(**settings)
        if self.page == "curve":
            settings["attack"] = CURVE_ATTACKS[settings.get("norm", "linf")]
        if self.page in ("curve", "transfer"):
            settings["others"] = (other_bundled(self.lab_app.variant or "cnn-bn"),)
        return self._kind(**settings)

    def wanted(self) -> list[Request]:
        """The attack, unless it was stopped; measurements over many digits when somebody says so."""
        if self._halted if self.page == "attack" else self.page not in self._asked:
            return []
        try:
            self._last[self.page] = self._request()
        except RequestError as error:  # settings that are fine one by one, and not together
            self.problem = str(error)
            self._last.pop(self.page, None)
            return []
        return [self._last[self.page]]

    def kept(self) -> list[Request]:
        """What the pages asked for last."""
        return list(self._last.values())

    def take(self, event: NetworkEvent) -> None:
        """Keep an answer."""
        match event:
            case Attack():
                self.shown, self._step = event, event.done
                self._count = 0 if event.attack == "noise" else event.count
            case RobustnessMeasured():
                self.curve = event
            case BetaSwept():
                self.swept = event
            case TransferMeasured():
                self.transferred = event
            case UniversalMade():
                self.universal = event
            case _:
                pass

    def _hear(self, job: Job, event: Event) -> None:
        """What a job says: also the last words of one that was stopped."""
        if isinstance(event, Attack) and (job is self._last_words or job in self._jobs.values()):
            self._shown_for = job.request
        if isinstance(event, JobFailed) and job.request == self._last.get("attack"):
            self.shown = None
        if job is self._last_words and isinstance(event, AttackFinished):
            self.take(event)
        elif isinstance(event, AttackStepped):
            self._step = event.step
        elif isinstance(event, AttackAdvanced | BetaSweepAdvanced | RobustnessAdvanced):
            if job in self._jobs.values():  # the bar of the work goes on meanwhile
                self.problem = ""
                self.take(event)
        elif not isinstance(event, RobustnessPointMeasured):
            super()._hear(job, event)

    def forget(self) -> None:
        """Another network falls to other images."""
        self.shown = self.curve = self.swept = self.transferred = self.universal = None
        self._frame, self._step, self._halted, self._last_words = None, 0, False, None
        self._asked.clear()
        self._last.clear()

    @property
    def current(self) -> Attack | None:
        """The attack in view, where it is what the settings of the moment ask for."""
        return self.shown if self._shown_for == self._last.get("attack") else None

    @property
    def job(self) -> Job | None:
        """The job behind the page, while it is not done."""
        return next((job for job in self._jobs.values() if job.state != "done" and not job.cancelled), None)

    @property
    def grid(self) -> RasterGrid:
        """All images of the attack."""
        return self.query_one("#attacked", RasterGrid)

    @property
    def table(self) -> Rows:
        """The table of the page in front."""
        return self.query_one(f"#{self.page}-page", Widget).query_one(Rows)

    def in_reach(self) -> Movable | None:
        """What has the cursor on the page in front."""
        return self.grid if self.page == "attack" else self.table

    def digits_in_split(self) -> int:
        """As many as an answer said."""
        return self._count

    # Drawing

    def draw_panels(self) -> None:
        """The page in front."""
        for page in get_args(Page):
            self.set_class(page == self.page, f"-{page}")
        self._draw_settings()
        {
            "attack": self._draw_attack,
            "curve": self._draw_curve,
            "beta": self._draw_beta,
            "transfer": self._draw_transfer,
            "universal": self._draw_universal,
        }[self.page]()

    def _draw_settings(self) -> None:
        names = list(KINDS)
        options = self._options()
        values = [(SHORT.get(p.name, p.label), _shown(p.name, self._value(p))) for p in options]
        at = self._option.get(self._subject, 0)
        settings = self.query_one(Settings)
        if self.page == "attack":
            settings.show([ATTACK_TITLES[name] for name in names], names.index(self.attack_name), values, at)
        else:
            settings.show(list(TITLES.values()), list(TITLES).index(self.page), values, at)

    def _moment(self, shown: Attack) -> tuple[np.ndarray, np.ndarray, int]:
        """Images (n, 28, 28), probabilities (n, 10) and the step of the moment in view."""
        if self._frame is not None and isinstance(shown, AttackFinished):
            at = min(self._frame, len(shown.frames) - 1)
            return shown.frames[at], shown.frame_probabilities[at], int(shown.frame_steps[at])
        return shown.adversarial, shown.probabilities, shown.done

    def _draw_attack(self) -> None:
        shown = self.shown
        if shown is None or shown.attack != self.attack_name:
            self.grid.show("", "", EMPTY, self.view)
            for part in ("original", "result", "difference"):
                self.query_one(f"#attack-{part}", Raster).show(part, "", None, self.view)
            self.query_one("#attack-answers", Bars).show("", [], -1, -1)
            self.query_one("#attack-history", Chart).show([], (0.0, 1.0))
            self.query_one(Legend).show(self.view, None)
            return
        images, probabilities, step = self._moment(shown)
        answers = probabilities.argmax(axis=1)
        arrow, noise = glyphs().arrow, shown.attack == "noise"
        labels, inks = [], []
        for number, (actual, answer) in enumerate(zip(shown.actual, answers.tolist(), strict=True)):
            wanted = shown.targets[number]
            fooled = answer != actual if wanted < 0 else answer == wanted
            labels.append(f"{wanted if noise else actual}{arrow}{answer} {100 * probabilities[number, answer]:.0f} %")
            inks.append("warning" if fooled and not noise else "success" if fooled else "quiet")
        title = "from noise" if noise else f"{shown.source}, towards {_goal(shown)}"
        gray = replace(self.view, colours="gray")
        self.grid.show(title, f"step {step}", Sheet(images, labels=labels, inks=inks), gray, PIXEL)
        self._draw_near(shown)

    def _draw_near(self, shown: Attack) -> None:
        """The image under the cursor: as it was, as it is, the difference; answers and history."""
        images, probabilities, step = self._moment(shown)
        at = min(max(self.grid.cursor, 0), len(images) - 1)
        gray, apart = replace(self.view, colours="gray"), replace(self.view, colours="diverging", shared=False)
        noise, actual, wanted = shown.attack == "noise", shown.actual[at], shown.targets[at]
        name = "noise" if noise else f"{shown.source.split()[-1]} {shown.indices[at]}"
        about = f"class {wanted}" if noise else f"actual {actual}"
        self.query_one("#attack-original", Raster).show(name, about, shown.original[at], gray, PIXEL)
        answer = int(probabilities[at].argmax())
        sure = percent(float(probabilities[at, answer]))
        self.query_one("#attack-result", Raster).show(f"step {step}", f"{answer} ({sure})", images[at], gray, PIXEL)
        difference = images[at] - shown.original[at]
        linf = float(np.abs(difference).max())
        span = Span.of(difference, "diverging")
        facts = f"up to {linf:.3f}" if self.has_class("-wide") else ""
        self.query_one("#attack-difference", Raster).show("change", facts, difference, apart, span)
        if self.has_class("-wide") or self.has_class("-zoomed"):
            self.query_one(Legend).show(apart, span, "change")
        else:
            self.query_one(Legend).show(gray, PIXEL, "pixel")
        bars = self.query_one("#attack-answers", Bars)
        # From noise there is no actual class: the one wanted stands out instead.
        bars.show("answer", probabilities[at].tolist(), wanted if noise else actual, answer)
        self._draw_history(shown, at, step)

    def _draw_history(self, shown: Attack, at: int, step: int) -> None:
        chart = self.query_one("#attack-history", Chart)
        history = shown.history
        across = list(range(history.shape[1]))
        chart.title = f"logit of {shown.targets[at]}" if shown.measure == "logit" else "margin (fooled above 0)"
        low, high = float(history.min()), float(history.max())
        room = 0.05 * (high - low) or 1.0
        others = [Curve("others", "rule", across, each.tolist()) for n, each in enumerate(history) if n != at]
        curves = others if len(others) <= len(GALLERY) else []
        if step < shown.done:
            curves.append(Curve("", "curve-val", [step, step], [low - room, high + room]))
        now = float(history[at, min(step, len(across) - 1)])
        curves.append(Curve("", "curve-train", across, history[at].tolist(), f"{now:.2f}"))
        last = float(shown.steps if self.job else max(1, shown.done))
        chart.show(curves, (0.0, last), (low - room, high + room))
        chart.redraw()

    def _draw_curve(self) -> None:
        found = self.curve
        self.query_one(Legend).show(self.view, None)
        chart, table = self.query_one("#curve-chart", Chart), self.table
        if found is None:
            chart.show([], (0.0, 1.0))
            table.show("", "", ())
            return
        head = f"{'network':<18} {'attack':<14}{'epsilon':>8}{'accuracy':>11}   95 % interval"
        lines = []
        for p in found.points:
            name = padded(cut(p.name, 18), 18)
            interval = f"{100 * p.low:6.2f} to {100 * p.high:6.2f} %"
            text = f"{name} {ATTACK_TITLES[p.attack]:<14}{p.epsilon:>8g}{percent(p.accuracy):>11}   {interval}"
            lines.append(Row(text, f"beaten by {ATTACK_TITLES.get(p.beaten_by, p.beaten_by)}" if p.beaten_by else ""))
        title = f"{found.points[0].count:,} of {found.asked:,} digits, {found.norm}"
        table.show(title, head, lines, self._curve_notes(found))
        self._draw_curve_chart(found)

    def _curve_notes(self, found: RobustnessMeasured) -> list[str]:
        notes = [f"median L2, {name}: {value:.3f}" for name, value in found.median_l2.items() if not np.isnan(value)]
        if found.fallen:
            first = ", ".join(f"{i.index} ({i.actual}{glyphs().arrow}{i.taken_for})" for i in found.fallen[:6])
            notes.append(f"first to fall to {ATTACK_TITLES[found.fallen_by]}: {first}")
        point = found.points[min(self.table.cursor, len(found.points) - 1)]
        pairs = zip(point.class_correct, point.class_count, strict=True)
        shares = " ".join(f"{c}:{100 * right / n:.0f}" if n else f"{c}:-" for c, (right, n) in enumerate(pairs))
        return [*notes, f"% right by class: {shares}"]

    def _draw_curve_chart(self, found: RobustnessMeasured) -> None:
        """The curve under the cursor with its interval, and of each network the strongest attack."""
        here = found.points[min(self.table.cursor, len(found.points) - 1)]
        strongest = found.fallen_by
        wanted = [(name, strongest) for name in found.networks]
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
            told = self.has_class("-wide") or (name, attack) == (here.name, here.attack)
            curves.append(Curve(short, colour, [p.epsilon for p in points], values, f"{at:.1f} %" if told else ""))
        chart = self.query_one("#curve-chart", Chart)
        chart.title = f"accuracy at {here.epsilon:g}"
        chart.show(curves, (0.0, max(p.epsilon for p in found.points) or 1.0), (0.0, 100.0))
        chart.redraw()

    def _draw_beta(self) -> None:
        found = self.swept
        self.query_one(Legend).show(self.view, None)
        success, l2 = self.query_one("#beta-success", Chart), self.query_one("#beta-l2", Chart)
        if found is None:
            success.show([], (0.0, 1.0))
            l2.show([], (0.0, 1.0))
            self.table.show("", "", ())
            return
        plus = glyphs().spread
        head = f"{'beta':>8}{'success':>11}{'L2':>20}{'Linf':>22}{'closer by':>12}"
        lines = [
            Row(
                f"{p.beta:>8g}{percent(p.success):>11}{f'{p.l2:.4f} {plus} {p.l2_spread:.4f}':>20}"
                f"{f'{p.linf:.4f} {plus} {p.linf_spread:.4f}':>22}{round(p.closer, 4) + 0.0:>12.4f}"
            )
            for p in found.points
        ]
        whole = not isinstance(found, BetaSweepAdvanced)
        title = f"{found.averaged} digits towards {found.target}, mean {plus} deviation"
        self.table.show(title, head, lines, beta_answer(found) if whole else ())
        xs = [float(n) for n in range(len(found.points))]
        names = ["0", *(f"{p.beta:.0e}".replace("e-0", "e-").replace("e+0", "e") for p in found.points[1:])]
        reach = (0.0, max(1.0, xs[-1]))
        success.title, l2.title = "success by beta", "L2 by beta"
        success.x_names = l2.x_names = names
        values = [100 * p.success for p in found.points]
        success.show([Curve("", "curve-val", xs, values, f"{values[-1]:.0f} %")], reach, (0.0, 100.0))
        sizes = [p.l2 for p in found.points]
        edges = [[max(0.0, p.l2 + sign * p.l2_spread) for p in found.points] for sign in (-1, 1)]
        bands = [Curve("", "rule", xs, edge) for edge in edges]
        l2.show(
            [*bands, Curve("", "curve-train", xs, sizes, f"{sizes[-1]:.2f}")], reach, (0.0, max(edges[1]) * 1.05 or 1.0)
        )

    def _draw_transfer(self) -> None:
        found = self.transferred
        self.query_one(Legend).show(self.view, None)
        if found is None:
            self.table.show("", "", ())
            return
        names = [cut(name, 20) for name in found.networks]
        head = f"{'made on':<20}" + "".join(padded(name, 20, right=True) for name in names) + f"{'L2':>9}"
        lines = [
            Row(padded(name, 20) + "".join(f"{percent(share):>20}" for share in row) + f"{size:>9.3f}")
            for name, row, size in zip(names, found.success, found.l2, strict=True)
        ]
        bound = "" if found.epsilon is None else f" {found.norm} {found.epsilon:g}"
        title = f"{ATTACK_TITLES[found.attack]}{bound}: share that each network mistakes"
        note = f"over {found.averaged:,} digits that all of them get right"
        self.table.show(title, head, lines, [note])

    def _draw_universal(self) -> None:
        found, gray, apart = self.universal, replace(self.view, colours="gray"), replace(self.view, colours="diverging")
        raster, grid = self.query_one("#universal-perturbation", Raster), self.query_one("#universal-shown", RasterGrid)
        self.query_one(Legend).show(self.view, None)
        if found is None:
            raster.show("perturbation", "", None, apart)
            grid.show("digits with it", "", EMPTY, gray)
            self.table.show("what it does", "", ())
            return
        span = Span.of(found.perturbation, "diverging")
        raster.show("perturbation", f"up to {np.abs(found.perturbation).max():.2f}", found.perturbation, apart, span)
        answers = [f"{a}{glyphs().arrow}{p}" for a, p in zip(found.actual, found.predicted, strict=True)]
        shown = len(found.adversarial)
        inks = ["warning" if fooled else "quiet" for fooled in found.fooled[:shown]]
        sheet = Sheet(found.adversarial, labels=answers[:shown], inks=inks)
        grid.show(f"{found.dataset} {found.split}, with it", "", sheet, gray, PIXEL)
        wanted = "another answer" if found.target < 0 else f"answer {found.target}"
        interval = f"{100 * found.low:6.2f} to {100 * found.high:6.2f} %"
        lines = [
            Row(f"{'universal':<20}{percent(found.fooling_rate):>14}   {interval}"),
            Row(f"{'random, as large':<20}{percent(found.by_chance):>14}"),
        ]
        taken = " ".join(f"{digit}:{count}" for digit, count in enumerate(found.taken_for))
        notes = [
            f"made of {found.made_of:,} training digits, of which it fools {percent(found.history[-1])}",
            f"accuracy {percent(found.accuracy_before)} without it, {percent(found.accuracy)} with it",
            f"taken for: {taken}",
        ]
        head = f"{'perturbation':<20}{wanted:>14}   95 % interval"
        self.table.show(f"tried on {found.averaged:,} other digits", head, lines, notes)

    # Words

    def _show_status(self) -> None:
        line, job = self.query_one(ProgressLine), self.job
        downloading = isinstance(self._progress, DownloadAdvanced)
        if self.page != "attack" or job is None or self.problem or downloading or not self.lab_app.engine:
            super()._show_status()
            return
        shown = self.shown if self.shown and self.shown.attack == self.attack_name else None
        steps = shown.steps if shown else 0
        if job.paused:
            line.show(f"paused after step {self._step}: space goes on, s one step, x stops", tone="foreground")
        elif steps:
            bar = Bar(ATTACK_TITLES[self.attack_name], min(1.0, self._step / steps))
            line.show(bar, f"step {self._step} of {steps}", "space pauses, x stops", tone="quiet")
        else:
            line.show(f"{ATTACK_TITLES[self.attack_name]}: about to begin", tone="quiet")

    def while_working(self) -> str:
        """How to stop it."""
        return "x stops"

    def sentence(self) -> str:
        """What came of it."""
        if self.page != "attack":
            return self._page_sentence()
        shown = self.current
        if self._halted and not isinstance(shown, AttackFinished):
            return "stopped: r runs it"
        if not isinstance(shown, AttackFinished):
            return ""
        number = self.grid.cursor
        made = shown.images[min(max(number, 0), len(shown.images) - 1)]
        verb = "reached" if shown.attack == "noise" else "fooled"
        ended = f"stopped after step {shown.done}, r runs it; " if shown.stopped else ""
        steps = "never" if made.steps_to_success is None else f"after step {made.steps_to_success}"
        which = f"class {made.index}" if shown.attack == "noise" else f"{made.index}"
        size = f"Linf {made.linf:.3f}, L2 {made.l2:.2f}"
        return f"{ended}{shown.successes} of {len(shown.images)} {verb}; {which}: {size}, {steps}"

    def _page_sentence(self) -> str:
        if self.page not in self._asked:
            return "r runs it; o and p change the settings"
        if self.page == "beta" and self.swept and not isinstance(self.swept, BetaSweepAdvanced):
            free = self.swept.points[0]
            return (
                f"without a penalty, {self.swept.steps} steps of {self.swept.step_size:g} end at Linf {free.linf:.3f}"
            )
        return ""

    def figure(self) -> DrawFigure | None:
        """What the page shows; nothing while it is not whole."""
        whole: dict[Page, NetworkEvent | None] = {
            "attack": self.current if isinstance(self.current, AttackFinished) else None,
            "curve": None if isinstance(self.curve, RobustnessAdvanced) else self.curve,
            "beta": None if isinstance(self.swept, BetaSweepAdvanced) else self.swept,
            "transfer": self.transferred,
            "universal": self.universal,
        }
        return self.as_drawn(whole[self.page])

    def live_commands(self) -> tuple[Command, ...]:
        """The keys of the page in front."""
        hidden = {"colours"}
        job = self.job
        if job is None:
            hidden |= {"pause", "stop"}
        if job is None or not job.paused:
            hidden |= {"step"}
        if self.page != "attack":
            hidden |= {"next_attack", "previous_attack", "gallery", "zoom", "view", "pause", "step"}
            hidden |= {"back_in_time", "on_in_time", "previous_digit", "next_digit", "digit"}
        else:
            if not isinstance(self.current, AttackFinished):
                hidden |= {"back_in_time", "on_in_time"}
            if self.attack_name == "noise":
                hidden |= {"previous_digit", "next_digit", "digit", "gallery"}
        if not any(p.name in ("target", "classes") for p in self._options()):
            hidden |= {"next_target", "previous_target"}
        return tuple(command for command in super().live_commands() if command.name not in hidden)

    # Keys

    def on_raster_grid_moved(self) -> None:
        """Another image."""
        if self.shown and self.shown.attack == self.attack_name:
            self._draw_near(self.shown)
            self._show_status()

    def on_raster_grid_opened(self) -> None:
        """From near."""
        self.action_zoom()

    def on_resize(self) -> None:
        """What a legend and a title have room for depends on the width."""
        if self.ready:
            self.call_after_refresh(self.refresh_panels)

    def on_rows_moved(self) -> None:
        """Another line."""
        if self.page == "curve":
            self._draw_curve()

    def action_zoom(self) -> None:
        """From near, or back."""
        if self.page == "attack":
            self.toggle_class("-zoomed")
            self.refresh_panels()

    async def action_back(self) -> None:
        """From near to the page; from another page to the first."""
        if self.has_class("-zoomed"):
            self.action_zoom()
        elif self.page != "attack":
            await self._turn_to("attack")

    async def _turn_to(self, page: Page) -> None:
        page = "attack" if page == self.page else page
        if not self.query(f"#{page}-page"):
            await self.mount(self._made(page), before=self.query_one(Legend))
        self.page, self.problem = page, ""
        self.remove_class("-zoomed")
        self.show(())

    async def action_curve(self) -> None:
        """Accuracy by how much an attack may change, or back."""
        await self._turn_to("curve")

    async def action_beta(self) -> None:
        """What the penalty does, or back."""
        await self._turn_to("beta")

    async def action_transfer(self) -> None:
        """Whether it fools another network, or back."""
        await self._turn_to("transfer")

    async def action_universal(self) -> None:
        """One perturbation for many digits, or back."""
        await self._turn_to("universal")

    def _anew(self) -> None:
        """Something else is asked for: what is in view is no answer to it any more."""
        self.problem = ""
        self._asked.discard(self.page)
        match self.page:
            case "attack":
                self._frame, self._halted, self._step = None, False, 0
            case "curve":
                self.curve = None
            case "beta":
                self.swept = None
            case "transfer":
                self.transferred = None
            case "universal":
                self.universal = None
        self.show(())

    def action_next_attack(self) -> None:
        """Round and round."""
        self._other_attack(1)

    def action_previous_attack(self) -> None:
        """The other way."""
        self._other_attack(-1)

    def _other_attack(self, by: int) -> None:
        if self.page == "attack":
            names = list(KINDS)
            self.attack_name = names[(names.index(self.attack_name) + by) % len(names)]
            self.shown = None
            self._anew()

    def action_next_option(self) -> None:
        """The parameter that `p` changes."""
        self._other_option(1)

    def action_previous_option(self) -> None:
        """The other way."""
        self._other_option(-1)

    def _other_option(self, by: int) -> None:
        count = len(self._options())
        self._option[self._subject] = (self._option.get(self._subject, 0) + by) % count
        self._draw_settings()

    def action_more(self) -> None:
        """The next value."""
        options = self._options()
        self._change(options[self._option.get(self._subject, 0) % len(options)], 1)

    def action_less(self) -> None:
        """The value before."""
        options = self._options()
        self._change(options[self._option.get(self._subject, 0) % len(options)], -1)

    def action_next_target(self) -> None:
        """Any other, 0 to 9; of noise all, 0 to 9."""
        self._change_target(1)

    def action_previous_target(self) -> None:
        """The other way."""
        self._change_target(-1)

    def _change_target(self, by: int) -> None:
        if target := next((p for p in self._options() if p.name in ("target", "classes")), None):
            self._change(target, by)

    def _change(self, parameter: Parameter, by: int) -> None:
        now = self._value(parameter)
        new = _next(parameter, now, by)
        if new == now:
            return
        chosen = self._chosen.setdefault(self._subject, {})
        before = dict(chosen)
        chosen[parameter.name] = new
        if parameter.name == "norm" and "epsilon" in {p.name for p in self._options()}:
            chosen["epsilon"] = 2.0 if new == "l2" else 0.2  # what bounds one norm is nothing in the other
        if parameter.name == "random_start" and not new:
            chosen.pop("restarts", None)
        try:
            self._request()
        except RequestError as error:
            self._chosen[self._subject] = before
            self.notify(str(error), severity="warning", markup=False)
            return
        self._anew()

    def action_run(self) -> None:
        """Run it, or once more."""
        job = self.job
        if job is not None and job.paused:
            job.resume()
            return
        if self.page == "attack" or job is None:
            before = self._last.get(self.page)
            self._jobs = {key: each for key, each in self._jobs.items() if key[0] != before or each.state != "done"}
            self._anew()
        if self.page != "attack":
            self._asked.add(self.page)
            self.show(())

    def action_pause(self) -> None:
        """Pause, or go on."""
        if self.page == "attack" and (job := self.job):
            if job.paused:
                job.resume()
            else:
                job.pause()
            self.show(())

    def action_step(self) -> None:
        """One step more."""
        if self.page == "attack" and (job := self.job) and job.paused:
            job.step()

    def action_stop(self) -> None:
        """Stop; what there is stays."""
        job = self.job
        if job is None:
            return
        if self.page == "attack":
            self._halted, self._last_words = True, job
            self.shown = self.current
        else:
            self._asked.discard(self.page)
        job.cancel()
        self.show(())

    def action_back_in_time(self) -> None:
        """A moment earlier."""
        self._scrub(-1)

    def action_on_in_time(self) -> None:
        """A moment later."""
        self._scrub(1)

    def _scrub(self, by: int) -> None:
        shown = self.current
        if self.page != "attack" or not isinstance(shown, AttackFinished):
            return
        last = len(shown.frames) - 1
        at = last if self._frame is None else self._frame
        at = min(max(at + by, 0), last)
        self._frame = None if at == last else at
        self.refresh_panels()

    def action_gallery(self) -> None:
        """The notebook's ten, or the current digit."""
        if self.page == "attack" and self.attack_name != "noise":
            self.alone = not self.alone
            self._anew()

    def action_digit(self) -> None:
        """The digit that is asked for, alone."""
        if self.page == "attack" and self.attack_name != "noise":
            super().action_digit()

    def go_to(self, digit: tuple[SplitName, int]) -> None:
        """Attack this one alone."""
        self.alone, self.lab_app.digit = True, digit
        self._anew()

    def _step_digit(self, by: int) -> None:
        if self.page != "attack" or self.attack_name == "noise":
            return
        self._halted, self._frame = False, None
        if self.alone:
            super()._step_digit(by)
        else:
            self.alone = True
            self.show(())


def _goal(shown: Attack) -> str:
    """The class wanted, in words."""
    return "another" if shown.targets[0] < 0 else str(shown.targets[0])


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "target" and value == -1:
        return "any other"
    if name == "classes" and len(value) == 10:
        return "all"
    if name == "step_size" and value == 0:
        return "auto"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _next(parameter: Parameter, now: Any, by: int) -> Any:
    """The value after `now`, or before it; of choices round and round, of numbers as far as they go."""
    if parameter.name == "classes":
        choices = ["0123456789", *"0123456789"]
    elif parameter.name == "target":
        choices = list(range(int(parameter.meta.ge or 0), 10))
    else:
        choices = list(parameter.choices)
    if choices:
        return choices[(choices.index(now) + by) % len(choices)]
    ladder = LADDERS.get(parameter.name)
    if ladder is None:
        new = now + by
    else:
        further = [value for value in ladder if (value > now if by > 0 else value < now)]
        new = (further[0] if by > 0 else further[-1]) if further else now
    try:
        value = msgspec.convert(new, parameter.type, strict=False)
        parameter.check(value)
    except RequestError:
        return now
    return value
