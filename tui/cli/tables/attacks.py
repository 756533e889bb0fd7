"""Tables of attacks and of what they measure."""

from __future__ import annotations

import math

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from engine.attacks.events import AttackFinished, BetaSwept, RobustnessMeasured, TransferMeasured, UniversalMade
from engine.attacks.requests import ATTACK_TITLES
from engine.words import percent
from tui.cli.tables.layout import NOTHING, table_of
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import NORMS, beta_answer, starts_answer
from tui.drawing.words import counted


def attack(event: AttackFinished) -> list[RenderableType]:
    """The images of an attack."""
    usual = (("precision", "double"), ("loss", "ce"), ("target", -1))
    told = {name: value for name, value in event.settings.items() if (name, value) not in usual}
    shown = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in told.items()}
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())
    noise = event.attack == "noise"
    columns = ("class",) if noise else ("index", "actual", "before")
    table = table_of(*columns, "predicted", "probability", "L-inf", "L2", "steps")
    for made in event.images:
        own = (made.index,) if noise else (made.index, made.actual, made.before)
        steps = NOTHING if made.steps_to_success is None else str(made.steps_to_success)
        numbers = (f"{made.linf:.4f}", f"{made.l2:.4f}")
        verdict = Text(str(made.predicted), "red" if made.success and not noise else "")
        table.add_row(*map(str, own), verdict, percent(made.probability), *numbers, steps)
    n, stopped = len(event.images), f", stopped after {counted(event.done, 'step')}" if event.stopped else ""
    return [
        f"{ATTACK_TITLES[event.attack]} ({settings})",
        f"{event.source}: {event.successes} of {n} {'reached' if noise else 'fooled'}, {event.seconds:.2f} s{stopped}",
        "",
        table,
    ]


def beta(event: BetaSwept) -> list[RenderableType]:
    """Success and distances by beta."""
    spread = glyphs().spread
    table = table_of("beta", "success", "L2", spread, "L-inf", spread, "closer")
    for p in event.points:
        numbers = (f"{value:.4f}" for value in (p.l2, p.l2_spread, p.linf, p.linf_spread))
        table.add_row(f"{p.beta:g}", percent(p.success), *numbers, f"{p.closer:.4f}")
    over = f"{event.averaged:,} digits towards class {event.target}, {event.steps} steps of {event.step_size:g}"
    return [f"{over}:", "", table, "", *beta_answer(event)]


def robustness(event: RobustnessMeasured) -> list[RenderableType]:
    """Accuracy by network, attack and epsilon."""
    table = table_of("network", "attack", "epsilon", "accuracy", "95 % interval", "", left=2)
    for p in event.points:
        flag = Text(f"beaten by {p.beaten_by}", "red") if p.beaten_by else ""
        interval = f"{percent(p.low)} to {percent(p.high)}"
        table.add_row(Text(p.name), ATTACK_TITLES[p.attack], f"{p.epsilon:g}", percent(p.accuracy), interval, flag)
    over = ", ".join(filter(None, (f"{event.points[0].count:,} digits", NORMS[event.norm], starts_answer(event))))
    lines: list[RenderableType] = [f"{over}:", "", table]
    for name, value in event.median_l2.items():
        lines += [
            "",
            Text(
                f"median L2, {name}: {value:.4f}"
                if not math.isnan(value)
                else f"median L2, {name}: too few digits fooled"
            ),
        ]
    lines += ["", "by class:", "", _by_class(event)]
    if event.fallen:
        lines += ["", Text(f"first fooled, {event.networks[0]} under {ATTACK_TITLES[event.fallen_by]}:"), ""]
        first = table_of("index", "actual", "predicted", "epsilon")
        for each in event.fallen:
            first.add_row(*map(str, (each.index, each.actual, each.taken_for)), f"{each.epsilon:.3f}")
        lines.append(first)
    return lines


def _by_class(event: RobustnessMeasured) -> Table:
    table = table_of("network", "attack", "epsilon", *map(str, range(10)), left=2, gap=1)
    for p in event.points:
        pairs = zip(p.class_correct, p.class_count, strict=True)
        shares = (f"{100 * right / count:.0f}" if count else NOTHING for right, count in pairs)
        table.add_row(Text(p.name), ATTACK_TITLES[p.attack], f"{p.epsilon:g}", *shares)
    return table


def transfer(event: TransferMeasured) -> list[RenderableType]:
    """The share of images of each network that fools each other network."""
    table = table_of("made on", *event.networks, "L2", left=1)
    for name, row, size in zip(event.networks, event.success, event.l2, strict=True):
        table.add_row(Text(name), *map(percent, row), f"{size:.3f}")
    bound = "" if event.epsilon is None else f", {NORMS[event.norm]} {event.epsilon:g}"
    over = f"{event.averaged:,} digits that all networks classify correctly"
    return [f"{ATTACK_TITLES[event.attack]}{bound}, {over}; share that fools each network:", "", table]


def universal(event: UniversalMade) -> list[RenderableType]:
    """The effect of a universal perturbation."""
    wanted = "fooled" if event.target < 0 else f"predicted {event.target}"
    table = table_of("perturbation", wanted, "95 % interval", left=1)
    table.add_row("universal", percent(event.fooling_rate), f"{percent(event.low)} to {percent(event.high)}")
    table.add_row("random, same size", percent(event.by_chance), "")
    classes = table_of("predicted", *map(str, range(10)), left=1, gap=1)
    classes.add_row("images", *(str(count) if count else NOTHING for count in event.taken_for))
    return [
        f"one perturbation, L-inf {event.epsilon:g}, from {event.made_of:,} training digits in {event.steps} steps of "
        f"{event.step_size:g}, {event.seconds:.2f} s",
        f"it fools {percent(event.history[-1])} of these; on {event.averaged:,} others:",
        "",
        table,
        "",
        f"accuracy {percent(event.accuracy_before)} without it, {percent(event.accuracy)} with it",
        "",
        classes,
    ]
