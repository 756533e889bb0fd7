"""The first page: one attack on a few images, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer

from engine.attacks.events import Attack, AttackFinished, AttackStepped
from engine.attacks.requests import ATTACK_TITLES, GALLERY, AnyAttack, AttackDigits, AttackName
from engine.certification.events import DigitCertificationAdvanced, DigitCertified
from engine.certification.requests import CertifyDigit
from engine.data.events import DownloadAdvanced
from engine.data.requests import PartName
from engine.event import Event, JobFailed
from engine.figures.requests import DrawFigure
from engine.lab import Job
from engine.network.events import NetworkEvent
from engine.request import Request, RequestError
from engine.words import percent
from tui.drawing.plot import Curve, Plot
from tui.drawing.raster import PIXEL, Span
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import digit_answer
from tui.drawing.words import counted
from tui.screens.attacks.options import OptionsPage
from tui.screens.charted import ChartedPage
from tui.screens.inspect import Movable
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.setting import Setting
from tui.widgets.bars import Bars
from tui.widgets.chart import Chart
from tui.widgets.lines import Bar, ProgressLine
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet
from tui.widgets.proof import ProofLine
from tui.workspace import Notice, images_in

KINDS: dict[AttackName, type[AnyAttack]] = {kind.attack: kind for kind in get_args(AnyAttack)}
AT_REST = 0.3
"""Seconds for which the cursor must stay on a digit before proving how far it is safe, which takes seconds."""


class AttackPage(OptionsPage, ChartedPage):
    """The attacks of the notebook's section 3, and standard ones from the literature."""

    page = "attack"
    title = "one attack"
    attack_name: State[AttackName] = State("targeted")
    alone: State[bool] = State(False)
    """Whether only the current digit is attacked, rather than the notebook's ten."""
    halted: State[bool] = State(False)
    """Whether the attack was stopped, so that it does not restart by itself."""
    frame: State[int | None] = State(None)
    """The index of the frame of the finished attack that is in view; None for the last one."""
    shown: Attack | None = None
    """The latest state of the attack, or its result."""
    proof: DigitCertified | None = None
    """How far the latest digit is safe."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self._chosen: dict[AttackName, Mapping[str, Any]] = {}
        """The parameters that were set for the other attacks."""
        self.step = 0
        """Number of steps that the attack has taken."""
        self._shown_for: Request | None = None
        """The request that `shown` answers."""
        self._count = 0
        """Number of images in the split of the current digit; 0 until known."""
        self._proving: CertifyDigit | None = None
        """The latest request for a proof."""
        self._moving: Timer | None = None
        """Runs while the cursor has not stayed on a digit for AT_REST."""

    def compose(self) -> ComposeResult:
        """One image, enlarged, above the grid of all images."""
        with Horizontal(id="attack-near"):
            for part in ("original", "result", "difference"):
                yield Raster(id=f"attack-{part}")
            yield Bars(id="attack-answers")
        with Horizontal(id="attack-all"):
            yield RasterGrid(empty="no attack yet", id="attacked")
            yield Chart("history", empty="no steps yet", id="attack-history")
        yield ProofLine(id="attack-proof")

    # Requests

    @property
    def kind(self) -> type[Request]:
        return KINDS[self.attack_name]

    def settings(self) -> list[Setting]:
        """The attack, what it attacks, and its parameters."""
        which = Setting(
            "attack", "attack", self.attack_name, self._choose, tuple(KINDS), show=lambda name: ATTACK_TITLES[name],
            help="the attack",
        )  # fmt: skip
        on = Setting(
            "alone", "on", self.alone, self._attack_alone, (False, True),
            show=lambda alone: "{} {}".format(*self.workspace.digit) if alone else "the notebook's digits",
            help="the notebook's digits, one of each class but the target, or only the current one",
        )  # fmt: skip
        return [which, *([on] if self.attack_name != "noise" else []), *super().settings()]

    def _attack_alone(self, alone: bool) -> None:
        self.anew()
        self.alone = alone

    def request(self, chosen: Mapping[str, Any]) -> Request:
        settings = {"what": self.workspace.what, **chosen}
        if self.attack_name != "noise":
            part, index = self.workspace.digit
            settings |= {**images_in(part if self.alone else "test"), "indices": (index,) if self.alone else GALLERY}
        return self.kind(**settings)

    @property
    def asking(self) -> bool:
        return not self.halted

    def wanted(self) -> list[Request]:
        """The attack, and then how far the digit under the cursor is safe."""
        return [*super().wanted(), *(self._proofs() if self.asking else [])]

    def kept(self) -> list[Request]:
        return [*super().kept(), *([self._proving] if self._proving else [])]

    def _proofs(self) -> list[CertifyDigit]:
        """The request for the digit under the cursor; empty while that moves, and until the attack is complete."""
        shown, last = self.current, self._last
        if self._moving or not isinstance(shown, AttackFinished) or not isinstance(last, AttackDigits):
            return []
        index = shown.indices[min(max(self.grid.cursor, 0), len(shown.indices) - 1)]
        self._proving = CertifyDigit(what=last.what, dataset=last.dataset, split=last.split, index=index)
        return [self._proving]

    def hear(self, job: Job, event: Event) -> None:
        if isinstance(event, AttackStepped):
            self.step = event.step
        elif isinstance(event, JobFailed) and job.request == self._last:
            self.shown = None
        elif isinstance(event, DigitCertified) and job.request == self._proving:
            self.proof = event
        elif isinstance(event, Attack):
            self._shown_for = job.request
            super().hear(job, event)

    def take(self, event: NetworkEvent) -> None:
        assert isinstance(event, Attack)
        self.shown, self.step = event, event.done
        self._count = 0 if event.attack == "noise" else event.count

    def forget(self) -> None:
        self.shown, self.step, self._last, self.proof, self._proving = None, 0, None, None, None
        self.set_reactive(AttackPage.halted, False)
        self.set_reactive(AttackPage.frame, None)

    def anew(self) -> None:
        self.step = 0
        for chart in self.query(Chart):
            chart.look(None, 0)
        self.set_reactive(AttackPage.frame, None)
        self.set_reactive(AttackPage.halted, False)

    @property
    def current(self) -> Attack | None:
        """The attack in view, if it answers the current request; else None."""
        return self.shown if self._shown_for == self._last else None

    @property
    def job(self) -> Job | None:
        """The job of the current attack; None if none is running."""
        job = self.desk.inquiry.job
        return None if job is None or isinstance(job.request, CertifyDigit) else job

    @property
    def grid(self) -> RasterGrid:
        """The grid of all attacked images."""
        return self.query_one("#attacked", RasterGrid)

    def in_reach(self) -> Movable | None:
        return self.grid

    def digits_in_split(self) -> int:
        return self._count

    # Drawing

    def _moment(self, shown: Attack) -> tuple[np.ndarray, np.ndarray, int]:
        """Images (n, 28, 28), probabilities (n, 10) and the step number of the frame in view."""
        if self.frame is not None and isinstance(shown, AttackFinished):
            at = min(self.frame, len(shown.frames) - 1)
            return shown.frames[at], shown.frame_probabilities[at], int(shown.frame_steps[at])
        return shown.adversarial, shown.probabilities, shown.done

    def draw(self) -> None:
        shown = self.shown
        if shown is None or shown.attack != self.attack_name:
            self.grid.show("", "", EMPTY, self.view)
            for part in ("original", "result", "difference"):
                self.query_one(f"#attack-{part}", Raster).show(part, "", None, self.view)
            self.query_one("#attack-answers", Bars).show("", [], -1, -1)
            self.query_one("#attack-history", Chart).show(Plot())
            self.query_one(ProofLine).show("", None)
            self.desk.query_one(Legend).show(self.view, None)
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
        title = "from noise" if noise else f"{shown.source}, towards {_target(shown)}"
        gray = replace(self.view, colours="gray")
        self.grid.show(title, f"step {step}", Sheet(images, labels=labels, inks=inks), gray, PIXEL)
        self._draw_near(shown)

    def _draw_near(self, shown: Attack) -> None:
        """Draw the image under the cursor: original, result, difference, class probabilities and history."""
        images, probabilities, step = self._moment(shown)
        at, wide = min(max(self.grid.cursor, 0), len(images) - 1), self.desk.has_class("-wide")
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
        facts = f"up to {linf:.3f}" if wide else ""
        self.query_one("#attack-difference", Raster).show("change", facts, difference, apart, span)
        if wide or self.desk.zoomed:
            self.desk.query_one(Legend).show(apart, span, "change")
        else:
            self.desk.query_one(Legend).show(gray, PIXEL, "pixel")
        bars = self.query_one("#attack-answers", Bars)
        # Images made from noise have no actual class: the target class is highlighted instead.
        role = "target" if noise else "actual"
        bars.show("prediction", probabilities[at].tolist(), wanted if noise else actual, answer, role)
        self._draw_history(shown, at, step)
        self._draw_proof(shown, at)

    def _draw_proof(self, shown: Attack, at: int) -> None:
        """How far the digit under the cursor is safe, as far as that is known."""
        line, proof = self.query_one(ProofLine), self.proof
        line.display = shown.attack != "noise"
        place = f"{shown.source.split()[-1]} {shown.indices[at]}"
        if proof is None or (proof.part, proof.index) != (shown.source.split()[-1], shown.indices[at]):
            line.show("", None)
        elif isinstance(proof, DigitCertificationAdvanced) and proof.broken_from is None:
            line.show(f"{place}, L-inf: proved to {proof.proved:.4f} so far", None)
        else:
            line.show(f"{place}, L-inf: {digit_answer(proof)}", proof)

    def _draw_history(self, shown: Attack, at: int, step: int) -> None:
        chart, history = self.query_one("#attack-history", Chart), shown.history
        across = list(range(history.shape[1]))
        noise, wanted = shown.attack == "noise", shown.targets[at]
        name = f"class {wanted}" if noise else f"{shown.source.split()[-1]} {shown.indices[at]}"
        rest = [each.tolist() for number, each in enumerate(history) if number != at]
        curves = []
        if 0 < len(rest) <= len(GALLERY):
            curves += [Curve(f"{len(rest)} others", "curve-running", across, each, form="") for each in rest]
        curves.append(Curve(name, "curve-train", across, history[at].tolist(), form="{:.2f}", layer="front"))
        chart.cursor = float(min(step, len(across) - 1)) if step < shown.done else None
        end = float(shown.steps if self.job else max(1, shown.done))
        plot = Plot(curves, (0.0, end), unit="step {}")
        chart.show(plot, f"logit of class {wanted}" if shown.measure == "logit" else "margin in logits, fooled above 0")

    def show_status(self, line: ProgressLine) -> bool:
        job, inquiry = self.job, self.desk.inquiry
        if job is None or isinstance(inquiry.progress, DownloadAdvanced) or not self.workspace.engine:
            return False
        shown = self.shown if self.shown and self.shown.attack == self.attack_name else None
        title, key = ATTACK_TITLES[self.attack_name], self.desk.key
        if job.paused:
            can = f"{key('pause')} resumes, {key('later')} takes one step, {key('stop')} stops"
            line.show(f"paused after step {self.step}: {can}", tone="foreground")
        elif shown and shown.steps:
            bar = Bar(title, min(1.0, self.step / shown.steps))
            line.show(
                bar, f"step {self.step} of {shown.steps}", f"{key('pause')} pauses, {key('stop')} stops", tone="quiet"
            )
        else:
            line.show(f"{title}: starting", tone="quiet")
        return True

    def sentence(self) -> str:
        """The outcome of the attack."""
        shown = self.current
        if self.halted and not isinstance(shown, AttackFinished):
            return f"stopped: {self.key('run')} runs it"
        if not isinstance(shown, AttackFinished):
            return ""
        number = self.grid.cursor
        made = shown.images[min(max(number, 0), len(shown.images) - 1)]
        verb, which = ("reached", "class") if shown.attack == "noise" else ("fooled", shown.source.split()[-1])
        ended = f"; stopped after {counted(shown.done, 'step')}, {self.key('run')} runs it" if shown.stopped else ""
        steps = made.steps_to_success
        outcome = f"not {verb}" if steps is None else f"{verb} after {counted(steps, 'step')}"
        size = f"L-inf {made.linf:.3f}, L2 {made.l2:.2f}"
        return f"{shown.successes} of {len(shown.images)} {verb}; {which} {made.index}: {outcome}, {size}{ended}"

    def figure(self) -> DrawFigure | None:
        """The attack; None until it is complete."""
        return self.desk.as_drawn(self.current if isinstance(self.current, AttackFinished) else None)

    def unused(self) -> set[str]:
        unused, job = super().unused(), self.job
        if job is None:
            unused |= {"pause", "stop"}
        if not isinstance(self.current, AttackFinished):
            unused |= {"earlier"} if job is not None and job.paused else {"earlier", "later"}
        if self.attack_name == "noise":
            unused |= {"previous_digit", "next_digit", "digit"}
        return unused

    # Keys

    def on_bars_chosen(self, message: Bars.Chosen) -> None:
        """Attack towards the clicked class, if the attack has a target."""
        if (target := self._target()) and target.name == "target":
            try:
                target.apply(message.number)
            except RequestError as error:
                self.workspace.tell(Notice(str(error), severity="warning"))

    def on_raster_grid_moved(self) -> None:
        if self.shown and self.shown.attack == self.attack_name:
            self._draw_near(self.shown)
            self.desk.draw_status()
        if self._moving:
            self._moving.stop()
        self._moving = self.set_timer(AT_REST, self._come_to_rest)

    def _come_to_rest(self) -> None:
        self._moving = None
        self.desk.update()

    def action_next_attack(self) -> None:
        self._other_attack(1)

    def action_previous_attack(self) -> None:
        self._other_attack(-1)

    def _other_attack(self, by: int) -> None:
        names = list(KINDS)
        self._choose(names[(names.index(self.attack_name) + by) % len(names)])

    def _choose(self, name: AttackName) -> None:
        """Choose an attack, with the parameters that were set for it."""
        self._chosen[self.attack_name] = self.chosen
        self.set_reactive(OptionsPage.chosen, self._chosen.get(name, {}))
        self.shown, self.step = None, 0
        self.set_reactive(AttackPage.frame, None)
        self.set_reactive(AttackPage.halted, False)
        self.attack_name = name

    def action_run(self) -> None:
        """Resume the attack if it is paused; otherwise run it again."""
        if (job := self.job) is not None and job.paused:
            job.resume()
        elif self._last:
            self.desk.inquiry.ask_again(self._last)
            self.anew()
        self.desk.update()

    def action_pause(self) -> None:
        if job := self.job:
            job.resume() if job.paused else job.pause()
            self.desk.update()

    def action_stop(self) -> None:
        """Stop the attack and keep what it has done."""
        if self.job:
            self.shown = self.current
            self.desk.inquiry.stop(last_words=True)
            self.halted = True

    def action_earlier(self) -> None:
        self._scrub(-1)

    def action_later(self) -> None:
        """Go one step forward; while the attack is paused, take one."""
        if (job := self.job) and job.paused:
            job.step()
        else:
            self._scrub(1)

    def _scrub(self, by: int) -> None:
        if isinstance(shown := self.current, AttackFinished):
            last = len(shown.frames) - 1
            at = min(max((last if self.frame is None else self.frame) + by, 0), last)
            self.frame = None if at == last else at

    def action_digit(self) -> None:
        """Ask for a digit, which is then attacked alone."""
        if self.attack_name != "noise":
            self.desk.action_digit()

    def go_to(self, digit: tuple[PartName, int]) -> None:
        self.anew()
        before = self.workspace.digit, self.alone
        self.set_reactive(AttackPage.alone, True)
        self.workspace.digit = digit
        if before[0] == digit:
            self.desk.update()

    def step_digit(self, by: int) -> None:
        """Attack another digit alone; after the ten digits, the current one first."""
        if self.attack_name == "noise":
            return
        self.anew()
        before = self.workspace.digit
        if self.alone:
            super().step_digit(by)
            if self.workspace.digit == before:  # a change would already have been drawn
                self.desk.update()
        else:
            self.alone = True


def _target(shown: Attack) -> str:
    """The target class, as text."""
    return "another" if shown.targets[0] < 0 else str(shown.targets[0])
