"""Results as tables for people, in plain ASCII, so that they can be printed to a file or to any terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.attacks.events import AttackFinished, BetaSwept, RobustnessMeasured, TransferMeasured, UniversalMade
from engine.attacks.requests import ATTACK_TITLES
from engine.attribution.events import (
    AttributionsComputed,
    ClassOcclusionReady,
    Faithfulness,
    FaithfulnessMeasured,
    OcclusionMapReady,
    StrokeShare,
)
from engine.inspection.events import (
    ActivationsComputed,
    ChannelsSurveyed,
    DigitsShown,
    FiltersShown,
    ImagesEvent,
    LayerSurvey,
    NetworkSummarised,
    SplitEvaluated,
    with_batch,
)
from engine.network.events import NetworkEvent
from engine.runs.comparison import differences, sentence
from engine.runs.events import RunsCompared, RunsListed
from engine.words import percent, shown
from tui.drawing.vocabulary import NO_NUMBERS, beta_answer, with_spread
from tui.drawing.words import duration, remark

NOTHING = "."
"""An inconspicuous zero, or no value."""
ENDS = 5
"""Number of the strongest and of the weakest channels to list if there are many."""

ORDERS = {
    "random": "in random order",
    "mistakes": "mistakes, the most confident first",
    "least-certain": "least certain first",
    "most-certain": "most certain first",
}


def results(event: NetworkEvent | RunsListed | RunsCompared) -> RenderableType:  # noqa: PLR0912 (a case for each event)
    """`event` as text and tables."""
    lines: list[RenderableType] = []
    match event:
        case RunsListed():
            return Group(*_runs(event))
        case RunsCompared():
            return Group(*_compared(event))
        case NetworkSummarised():
            lines = _summary(event)
        case SplitEvaluated():
            lines = _evaluation(event)
        case DigitsShown():
            lines = _digits(event)
        case FiltersShown():
            lines = _filters(event)
        case ActivationsComputed():
            lines = _activations(event)
        case ChannelsSurveyed():
            return Group("", *_survey(event))  # printed below the maps of an image
        case OcclusionMapReady():
            lines = _occlusion(event)
        case ClassOcclusionReady():
            return Group("", *_class_occlusion(event))
        case AttributionsComputed():
            lines = _attributions(event)
        case FaithfulnessMeasured():
            return Group("", *_faithfulness(event))
        case AttackFinished():
            lines = _attack(event)
        case BetaSwept():
            lines = _beta(event)
        case RobustnessMeasured():
            lines = _robustness(event)
        case TransferMeasured():
            lines = _transfer(event)
        case UniversalMade():
            lines = _universal(event)
    return Group(_heading(event), "", *lines)


def _heading(event: NetworkEvent) -> Text:
    # A Text, because brackets in a string are markup, and a file name may contain some.
    heading = Text(event.name, "bold").append(f"  {event.variant}", "not bold")
    if event.epoch is not None:
        heading.append(f", epoch {event.epoch}", "not bold")
    if isinstance(event, ImagesEvent):
        heading.append(f", {event.dataset} {event.split}", "not bold")
    return heading


def _table(*columns: str, left: int = 0, gap: int = 2) -> Table:
    """A table without lines. The first `left` columns are left-aligned, for words; the others are right-aligned."""
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", overflow="fold")
    return table


def _summary(event: NetworkSummarised) -> list[RenderableType]:
    table = _table("layer", "input", "output", "parameters", "neurons", "multiply-adds", "field", left=3, gap=1)
    for layer in event.layers:
        shapes = map(with_batch, (layer.input_shape, layer.output_shape))
        counts = (layer.parameters, layer.neurons, layer.multiply_adds)
        numbers = (f"{count:,}" if count else NOTHING for count in counts)
        table.add_row(layer.name, *map(Text, shapes), *numbers, str(layer.receptive_field))
    totals = {
        "Convolutional layers parameters": event.conv_parameters,
        "Fully connected layers parameters": event.fc_parameters,
        "Total trainable parameters": event.total_parameters,
        "Running statistics of batch norm (not trained)": event.running_statistics,
        "Convolutional neurons": event.conv_neurons,
        "Fully connected neurons": event.fc_neurons,
        "Total neurons": event.total_neurons,
        "Multiply-adds per image": event.multiply_adds,
    }
    return [table, "", *(f"{words}: {count:,}" for words, count in totals.items() if count)]


def _evaluation(event: SplitEvaluated) -> list[RenderableType]:
    table = _table("actual", *map(str, range(len(event.confusion))), "accuracy")
    for actual, row in enumerate(event.confusion):
        counts = [
            Text(str(count) if count else NOTHING, ("green" if actual == predicted else "red") if count else "dim")
            for predicted, count in enumerate(row)
        ]
        table.add_row(str(actual), *counts, percent(event.class_accuracy[actual]))
    quality = f"loss {event.loss:.4f}, accuracy {percent(event.accuracy)}, {event.mistakes:,} mistakes"
    return [
        f"{event.count:,} images, {quality}",
        "",
        "        predicted",
        table,
    ]


def _digits(event: DigitsShown) -> list[RenderableType]:
    alone = f", class {event.digit} only" if event.digit >= 0 else ""
    count = f"{len(event.digits):,} of {event.matching:,}{alone}: {ORDERS.get(event.order, event.order)}"
    if not event.digits:
        return [count]
    # There may be ten thousand rows, for which a table of Rich's would take seconds to compute its widths.
    rows = Text("index  actual  predicted  probability", "bold")
    for digit in event.digits:
        share = percent(digit.probability)
        rows.append(f"\n{digit.index:>5}  {digit.actual:>6}  {digit.predicted:>9}  {share:>11}", "not bold")
        if digit.predicted != digit.actual:
            rows.append("  incorrect", "not bold red")
    return [count, "", rows]


def _filters(event: FiltersShown) -> list[RenderableType]:
    kept = event.epochs
    whole = kept == tuple(range(kept[0], kept[-1] + 1)) if kept else False
    epochs = f"{kept[0]} to {kept[-1]}" if whole else ", ".join(map(str, kept)) or "only the latest"
    return [
        f"{event.layer}: {' x '.join(map(str, event.shape))} weights, {event.minimum:.4f} to {event.maximum:.4f}",
        f"epochs kept: {epochs}",
        "",
        _ranking("L2 norm", event.norms),
    ]


def _activations(event: ActivationsComputed) -> list[RenderableType]:
    verdict = "" if event.predicted == event.actual else ", incorrect"
    certain = percent(event.probability)
    lines: list[RenderableType] = [
        f"image {event.index}: actual {event.actual}, predicted {event.predicted} ({certain}){verdict}"
    ]
    for layer, strengths in (("conv1", event.conv1_strengths), ("conv2", event.conv2_strengths)):
        silent = sum(strength == 0 for strength in strengths)
        lines += ["", f"{layer}: {len(strengths)} channels, {silent or 'none'} silent", "", _ranking("mean", strengths)]
    return lines


def _survey(event: ChannelsSurveyed) -> list[RenderableType]:
    lines: list[RenderableType] = [f"over the {event.count:,} images of {event.dataset} {event.split}:"]
    for name, layer in (("conv1", event.conv1), ("conv2", event.conv2)):
        dead = f"{len(layer.dead)} dead: {', '.join(map(str, layer.dead))}" if layer.dead else "none dead"
        lines += ["", f"{name}: {len(layer.strongest)} channels, {dead}", "", _strongest(layer)]
    return lines


def _strongest(layer: LayerSurvey) -> Table:
    table = _table("channel", "maximum", "row", "column", "image")
    best = {channel: found[0] for channel, found in enumerate(layer.strongest) if found}
    for channel in _ends([best[channel].value if channel in best else 0.0 for channel in range(len(layer.strongest))]):
        if (one := best.get(channel)) is not None:
            table.add_row(*map(str, (channel, f"{one.value:.4f}", one.row, one.column, one.index)))
        elif channel < 0:
            table.add_row("...")
        else:
            table.add_row(str(channel), NOTHING)
    return table


def _occlusion(event: OcclusionMapReady) -> list[RenderableType]:
    p, others = f"p({event.watched})", event.other_answers
    if math.isnan(event.minimum):
        return [f"image {event.index}: actual {event.actual}; {NO_NUMBERS}"]
    changed = f": {', '.join(f'{winner} ({count:,})' for winner, count in others)}" if others else ""
    return [
        f"image {event.index}: actual {event.actual}, predicted {event.predicted}, "
        f"{p} {percent(event.unoccluded_probability)} without a patch",
        f"{_patch(event)}: {event.winners.size:,} positions, {event.computed:,} computed, "
        f"{event.seconds * 1000:.0f} ms",
        f"{p} from {event.minimum:.4f} at {event.minimum_at} to {event.maximum:.4f} at {event.maximum_at}",
        f"the prediction changes at {sum(count for _, count in others):,} positions{changed}",
        _strokes(event.strokes),
    ]


def _patch(event: OcclusionMapReady | ClassOcclusionReady) -> str:
    return f"patch {event.patch_size}x{event.patch_size} ({event.baseline}), stride {event.stride}"


def _strokes(strokes: StrokeShare) -> str:
    return f"over strokes: {percent(strokes.positions)} of the positions, {percent(strokes.drop)} of the drop"


def _class_occlusion(event: ClassOcclusionReady) -> list[RenderableType]:
    over = f"mean over {event.averaged:,} of the {event.matching:,} images of class {event.digit}, {_patch(event)}"
    if math.isnan(event.unoccluded_probability):
        return [f"{over}: {NO_NUMBERS}"]
    least, most = float(event.mean_probabilities.min()), percent(float(event.changed.max()))
    p = percent(event.unoccluded_probability)
    return [
        f"{over}:",
        f"probability {p} without a patch, lowest {least:.4f} at {event.minimum_at}",
        f"the prediction changes for {most} of the images at {event.most_changed_at}",
        _strokes(event.strokes),
    ]


def _attributions(event: AttributionsComputed) -> list[RenderableType]:
    p = f"p({event.watched})"
    lines: list[RenderableType] = [
        f"image {event.index}: actual {event.actual}, predicted {event.predicted}, "
        f"{p} {percent(event.unoccluded_probability)}",
        "",
        _faithfulness_table(event.faithfulness),
    ]
    for each in event.faithfulness:
        if each.completeness:
            total, difference = each.completeness
            error = f"map sums to {total:.4f}, logit difference {difference:.4f}, error {abs(total - difference):.4f}"
            lines += ["", f"{each.method}, completeness: {error}"]
    return lines


def _faithfulness(event: FaithfulnessMeasured) -> list[RenderableType]:
    many = f"mean and standard deviation over the first {event.averaged:,} images"
    over = many if event.averaged > 1 else "on the first image"
    lines: list[RenderableType] = [f"{over}:", "", _faithfulness_table(event.faithfulness)]
    if event.randomised:
        count = f"{event.randomised} image{'s' if event.randomised > 1 else ''}"
        lines += ["", f"change: 1 - rank correlation with random weights, over {count}"]
    return lines


def _faithfulness_table(measured: Sequence[Faithfulness]) -> Table:
    columns = ["method", "deletion", "insertion"]
    changes = any(each.change is not None for each in measured)
    table = _table(*columns, *(["change"] if changes else []), left=1)
    for each in measured:
        change = [_number(each.change)] if changes else []
        table.add_row(each.method, each.deletion.summary("+-"), each.insertion.summary("+-"), *change)
    return table


def _attack(event: AttackFinished) -> list[RenderableType]:
    shown = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in event.settings.items()}
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())
    noise = event.attack == "noise"
    columns = ("class",) if noise else ("index", "actual", "before")
    table = _table(*columns, "predicted", "probability", "Linf", "L2", "steps")
    for made in event.images:
        own = (made.index,) if noise else (made.index, made.actual, made.before)
        steps = NOTHING if made.steps_to_success is None else str(made.steps_to_success)
        numbers = (f"{made.linf:.4f}", f"{made.l2:.4f}")
        verdict = Text(str(made.predicted), "red" if made.success and not noise else "")
        table.add_row(*map(str, own), verdict, percent(made.probability), *numbers, steps)
    n, stopped = len(event.images), f", stopped after {event.done} steps" if event.stopped else ""
    return [
        f"{ATTACK_TITLES[event.attack]} ({settings})",
        f"{event.source}: {event.successes} of {n} {'reached' if noise else 'fooled'}, {event.seconds:.2f} s{stopped}",
        "",
        table,
    ]


def _runs(event: RunsListed) -> list[RenderableType]:
    if not event.runs:
        return [f"no runs in {event.folder} yet: start one with mnist-tui train"]
    table = _table("run", "variant", "seed", "state", "epoch", "val loss", "test", "time", "note", left=2)
    for run in event.runs:
        loss = NOTHING if run.val_loss is None else f"{run.val_loss:.4f}"
        accuracy = NOTHING if run.test_accuracy is None else percent(run.test_accuracy)
        row = (run.name, run.variant, str(run.seed), run.state, f"{run.epoch}/{run.epochs}", loss, accuracy)
        table.add_row(*row, duration(run.seconds), remark(run))
    return [table]


def failures(failed: Sequence[tuple[str, str, str]]) -> Table:
    """The failed runs of a sweep: what each run was, its folder, and the reason."""
    table = _table("run", "folder", "reason", left=3)
    for words, folder, reason in failed:
        table.add_row(*(Text(shown(cell)) for cell in (words, folder or NOTHING, reason)))
    return table


def _compared(event: RunsCompared) -> list[RenderableType]:
    table = _table("group", "runs", "epochs", *event.groups[0].results, left=1)
    for group in event.groups:
        row = (group.label, str(len(group.runs)), str(group.epochs[-1]))
        table.add_row(*row, *(with_spread(name, value) for name, value in group.results.items()))
    asked = _table("differs in", *(group.label for group in event.groups), left=1)
    for name, values in differences(event):
        asked.add_row(name, *values)
    both: list[RenderableType] = [table, "", asked] if event.differing else [table]
    notes = ["mean +- standard deviation over seeds; test accuracy is from the epoch with the lowest validation loss"]
    return [*both, "", *map(Text, [*notes, "", *map(sentence, event.contrasts)])]


def _beta(event: BetaSwept) -> list[RenderableType]:
    table = _table("beta", "success", "L2", "+-", "Linf", "+-", "closer")
    for p in event.points:
        numbers = (f"{value:.4f}" for value in (p.l2, p.l2_spread, p.linf, p.linf_spread))
        table.add_row(f"{p.beta:g}", percent(p.success), *numbers, f"{p.closer:.4f}")
    over = f"{event.averaged:,} digits towards class {event.target}, {event.steps} steps of {event.step_size:g}"
    return [f"{over}:", "", table, "", *beta_answer(event)]


def _robustness(event: RobustnessMeasured) -> list[RenderableType]:
    table = _table("network", "attack", "epsilon", "accuracy", "95 % interval", "", left=2)
    for p in event.points:
        flag = Text(f"beaten by {p.beaten_by}", "red") if p.beaten_by else ""
        interval = f"{percent(p.low)} to {percent(p.high)}"
        table.add_row(Text(p.name), ATTACK_TITLES[p.attack], f"{p.epsilon:g}", percent(p.accuracy), interval, flag)
    lines: list[RenderableType] = [f"{event.points[0].count:,} digits, {event.norm}:", "", table]
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
        first = _table("index", "actual", "predicted", "epsilon")
        for each in event.fallen:
            first.add_row(*map(str, (each.index, each.actual, each.taken_for)), f"{each.epsilon:.3f}")
        lines.append(first)
    return lines


def _by_class(event: RobustnessMeasured) -> Table:
    table = _table("network", "attack", "epsilon", *map(str, range(10)), left=2, gap=1)
    for p in event.points:
        pairs = zip(p.class_correct, p.class_count, strict=True)
        shares = (f"{100 * right / count:.0f}" if count else NOTHING for right, count in pairs)
        table.add_row(Text(p.name), ATTACK_TITLES[p.attack], f"{p.epsilon:g}", *shares)
    return table


def _transfer(event: TransferMeasured) -> list[RenderableType]:
    table = _table("made on", *event.networks, "L2", left=1)
    for name, row, size in zip(event.networks, event.success, event.l2, strict=True):
        table.add_row(Text(name), *map(percent, row), f"{size:.3f}")
    bound = "" if event.epsilon is None else f", {event.norm} {event.epsilon:g}"
    over = f"{event.averaged:,} digits that all networks classify correctly"
    return [f"{ATTACK_TITLES[event.attack]}{bound}, {over}; share that fools each network:", "", table]


def _universal(event: UniversalMade) -> list[RenderableType]:
    wanted = "fooled" if event.target < 0 else f"predicted {event.target}"
    table = _table("perturbation", wanted, "95 % interval", left=1)
    table.add_row("universal", percent(event.fooling_rate), f"{percent(event.low)} to {percent(event.high)}")
    table.add_row("random, same size", percent(event.by_chance), "")
    classes = _table("predicted", *map(str, range(10)), left=1, gap=1)
    classes.add_row("images", *(str(count) if count else NOTHING for count in event.taken_for))
    return [
        f"one perturbation, Linf {event.epsilon:g}, from {event.made_of:,} training digits in {event.steps} steps of "
        f"{event.step_size:g}, {event.seconds:.2f} s",
        f"it fools {percent(event.history[-1])} of these; on {event.averaged:,} others:",
        "",
        table,
        "",
        f"accuracy {percent(event.accuracy_before)} without it, {percent(event.accuracy)} with it",
        "",
        classes,
    ]


def _number(change: float | None) -> str:
    if change is None:
        return ""
    return "-" if math.isnan(change) else f"{change:.2f}"


def _ranking(title: str, values: Sequence[float]) -> Table:
    table = _table("channel", title)
    for channel in _ends(values):
        table.add_row(*((str(channel), f"{values[channel]:.4f}") if channel >= 0 else ("...",)))
    return table


def _ends(values: Sequence[float]) -> list[int]:
    """The indices of `values` in descending order. If there are many, only both ends, with -1 for the gap between."""
    order = sorted(range(len(values)), key=lambda place: -values[place])
    return order if len(order) <= 2 * ENDS + 2 else [*order[:ENDS], -1, *order[-ENDS:]]
