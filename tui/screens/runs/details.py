"""The pane beside or below the list: what is known about the selected run or experiment, in words and small curves."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize

from engine.runs.events import RunRead, RunSummary
from engine.runs.history import ROBUST_FIELDS
from engine.telemetry.events import Usage
from engine.training.events import ROBUST_IMAGES, ROBUST_STEPS, EpochFinished
from engine.training.requests import Train
from engine.words import percent, shown
from tui.drawing.about import told, train_loss_name
from tui.drawing.cells import Cell, cells, clipped
from tui.drawing.plot import Curve, Plot
from tui.drawing.terminal import glyphs
from tui.drawing.theme import CURVE_INKS, ink
from tui.drawing.words import cut, damaged_lines, duration, joules, megabytes
from tui.queue import Turn
from tui.widgets.cells import CellWidget, title_row
from tui.widgets.chart import Chart

LABEL = 10
"""Width of the labels, in cells."""
TWO = 12
"""Height below which there is only one chart."""
DEFAULTS = "defaults"
"""The label of the parameters that have their defaults: they are cut first where there is no room."""
Fact = tuple[str, str]
"""A label and a text."""


class Sheet(CellWidget):
    """Facts under a title, one after the other, each wrapped to the width."""

    DEFAULT_CSS = "Sheet { height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = ""
        self.facts: Sequence[Fact] = ()

    def show(self, title: str, facts: Sequence[Fact]) -> None:
        """Show these facts."""
        if (title, facts) != (self.title, self.facts):
            self.title, self.facts = title, facts
            self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """As much as fits; of the parameters that have their defaults, only what the others leave."""
        text, quiet = ink(self.app, "foreground"), ink(self.app, "quiet")
        room = max(8, width - LABEL - 2)
        wrapped = [(label, _wrapped(shown(words), room)) for label, words in self.facts]
        over = sum(len(lines) for _, lines in wrapped) - (height - 1)
        rows = [title_row(self, cut(self.title, max(8, width - 4)), [], width)]
        for label, lines in wrapped:
            style, kept = text, lines
            if label == DEFAULTS:
                style, kept = quiet, lines[: max(0, len(lines) - max(0, over))]
                if kept and len(kept) < len(lines):
                    kept = [*kept[:-1], f"{kept[-1]} {glyphs().ellipsis}"]
            for n, line in enumerate(kept):
                row = cells((f" {label if n == 0 else '':<{LABEL}}", quiet), (line, style))
                rows.append(clipped(row, width, quiet))
        return rows


def _wrapped(words: str, room: int) -> list[str]:
    """Lines of at most `room` characters; no number is parted from its unit."""
    joined = words.replace(" %", "\N{NO-BREAK SPACE}%")
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in textwrap.wrap(joined, room)] or [""]


class Details(Container):
    """Facts and two small charts; the charts only for a run with finished epochs."""

    def compose(self) -> ComposeResult:
        yield Sheet(id="run-facts")
        with Container(id="run-charts"):
            yield Chart("loss (nats)", empty="", id="run-loss")
            yield Chart("accuracy (%)", empty="", id="run-accuracy")

    def on_resize(self, event: Resize) -> None:
        """Have both charts only where there is room for them: when they are shown, the size may be the former one."""
        self.set_class(event.size.height < TWO, "-one")

    def show(self, title: str, facts: Sequence[Fact], read: RunRead | None) -> None:
        """Show facts, and the curves of a run, if it has been read."""
        self.query_one(Sheet).show(title, facts)
        loss, accuracy = self.query_one("#run-loss", Chart), self.query_one("#run-accuracy", Chart)
        drawn = read if read is not None and read.epochs else None
        self.set_class(drawn is not None, "-curves")
        if drawn is None:
            loss.show(Plot())
            accuracy.show(Plot())
            return
        plot = _plot(drawn, "{:.4f}", 1.0, train="train_loss", val="val_loss")
        train, *others = plot.curves
        plot = replace(plot, curves=[replace(train, name=train_loss_name(drawn.request)), *others])
        loss.show(plot)
        robust = {name.partition("_")[0]: name for name in ROBUST_FIELDS if name in drawn.curves}
        accuracy.show(_plot(drawn, "{:.2f}", 100.0, val="val_accuracy", test="test_accuracy", **robust))


def _plot(read: RunRead, form: str, factor: float, **fields: str) -> Plot:
    """The curves of some fields, by name, over the epochs of a run."""
    xs = [float(epoch) for epoch in read.epochs]
    curves = [
        Curve(
            name, CURVE_INKS.get(name, f"curve-{name}"), xs, [factor * y for y in read.curves[field]],
            form=form, scattered=name == "val",
        )
        for name, field in fields.items()
    ]  # fmt: skip
    limits = (0.0, 100.0 if factor > 1 else math.inf)
    return Plot(curves, (0.0, xs[-1]), from_zero=factor == 1, limits=limits, unit="epoch {}")


# Words

OWN = ("batch_norm", "seed")
"""Parameters that are told apart from the others."""
ROBUST = f"accuracy on {ROBUST_IMAGES:,} validation images under PGD, {ROBUST_STEPS} steps within epsilon {{epsilon:g}}"
"""What the robust accuracy of a run is."""


def experiment(request: Train) -> str:
    """The variant, the seed, and the parameters that differ from their defaults, as text."""
    return ", ".join([request.variant, f"seed {request.seed}", *told(request, usual=False, without=OWN)])


def asked(request: Train) -> list[Fact]:
    """The facts about a request: first what differs from the defaults."""
    return [("request", experiment(request)), (DEFAULTS, ", ".join(told(request, usual=True, without=OWN)))]


def best_words(best: EpochFinished) -> str:
    """The result of a run: that of its best epoch."""
    return f"{best.choice} in epoch {best.epoch}, test {percent(best.test_accuracy)}"


def of_a_turn(turn: Turn) -> list[Fact]:
    """The facts about an experiment of the queue that has no run."""
    return [("state", turn.outcome), ("reason", turn.words), *asked(turn.request)]


def of_a_run(run: RunSummary, read: RunRead | str | None, turn: Turn | None) -> list[Fact]:
    """The facts about a run: from the list, and from its folder, if that has been read."""
    if run.state == "damaged":
        return [("state", "damaged"), ("reason", run.note)]
    facts = [("state", _state(run))]
    if turn:
        became = f"{turn.outcome} {turn.words}".strip()
        facts.append(("queue", f"experiment {turn.number} of this session's queue: {became}"))
    if run.state == "bundled":
        without = "with" if run.variant == "cnn-bn" else "without"
        aim = "once" if run.robust_accuracy is None else "against attacks"
        if run.certified_accuracy is not None:
            aim = "for robustness that can be proved"
        words = f"the notebook's network {without} batch norm, trained {aim}; ships with the program and never changes"
        facts.append(("what", words))
    if isinstance(read, str):
        facts.append(("reason", read))
    if isinstance(read, RunRead):
        facts += _of_a_folder(read)
    if run.note:
        facts.append(("note", run.note))
    if run.damaged_lines:
        facts.append(("damage", damaged_lines(run.damaged_lines)))
    return facts


def _of_a_folder(read: RunRead) -> Iterable[Fact]:
    if read.reason:
        yield "reason", read.reason
    if read.best and read.last:
        yield "best", best_words(read.best)
        if read.last.epoch != read.best.epoch:
            yield "last", f"{read.last.choice}, test {percent(read.last.test_accuracy)} in epoch {read.last.epoch}"
    if read.collapsed:
        yield "collapsed", read.collapsed.words
    yield from asked(read.request)
    if read.best and read.best.robust_accuracy is not None:
        yield "robust", ROBUST.format(epsilon=read.request.train_epsilon)
    if read.best and read.best.certified_accuracy is not None:
        yield "certified", "the share of them that interval bounds prove"
    threads = f", {read.threads} threads" if read.threads and "thread" not in read.device_name else ""
    yield "device", f"{read.device} {read.device_name}{threads}"
    if read.usage and (words := used(read.usage)):
        yield "used", words
    if read.versions:
        yield "versions", ", ".join(f"{name} {version}" for name, version in read.versions.items())
    if read.begun:
        yield "started", read.begun[:16].replace("T", " ")


def used(usage: Usage) -> str:
    """What a run used of the devices, as text: the means, and of memory the maximum."""
    parts = []
    if usage.energy is not None:
        parts.append(joules(usage.energy) + (f" at {usage.power.mean:,.0f} W" if usage.power else ""))
    if usage.gpu:
        parts.append(f"GPU {usage.gpu.mean:.0%}".replace("%", " %"))
    if usage.gpu_memory:
        parts.append(f"{megabytes(usage.gpu_memory.peak)} on it")
    if usage.cpu:
        parts.append(f"CPU {usage.cpu.mean:.0%}".replace("%", " %"))
    if usage.memory:
        parts.append(f"{megabytes(usage.memory.peak)} of memory")
    return ", ".join(parts)


def _state(run: RunSummary) -> str:
    took = f" in {duration(run.seconds)}" if run.seconds else ""
    epochs = f", {run.epoch} of {run.epochs} epochs{took}" if run.epochs else ""
    return f"{run.state}{epochs}"


def essentials(run: RunSummary, read: RunRead | None) -> list[str]:
    """The facts about a run for a single line."""
    if read is None:
        return [f"{run.variant} on {run.dataset}"] if run.variant else []
    facts = [", ".join(told(read.request, usual=False, without=OWN)) or "all defaults"]
    if read.best:
        facts.append(f"best in epoch {read.best.epoch}")
    return [*facts, read.device] if read.device else facts
