"""What was seen in a network, as tables for people. Plain ASCII: it may end in a file or on any terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.attacks.events import AttackFinished, BetaSwept, RobustnessMeasured, TransferMeasured, UniversalMade
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
from engine.runs.events import RunsCompared, RunsListed, Spread
from engine.words import shown
from tui.words import duration, remark

NOTHING = "."
"""A zero that should not catch the eye."""
ENDS = 5
"""Of many channels so many of the strongest are shown, and as many of the weakest."""

NO_NUMBERS = "the network gives no numbers: its weights are damaged"

ORDERS = {
    "random": "in random order",
    "mistakes": "mistakes, the surest first",
    "least-certain": "the least certain first",
    "most-certain": "the most certain first",
}

METHOD_NAMES = {
    "occlusion": "occlusion",
    "saliency": "saliency",
    "gradient-x-input": "grad x input",
    "integrated-gradients": "int. gradients",
    "smoothgrad": "SmoothGrad",
    "grad-cam-conv1": "Grad-CAM conv1",
    "grad-cam-conv2": "Grad-CAM conv2",
    "guided-backprop": "guided bp",
    "random": "random order",
}
"""Of methods, short enough to stand over half a digit."""


def results(event: NetworkEvent | RunsListed | RunsCompared) -> RenderableType:  # noqa: PLR0912 (a case for each event)
    """All that people want to read of `event`."""
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
            return Group("", *_survey(event))  # it stands below the maps of an image
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
    # A Text, for in a string brackets are markup, and the name of a file may have some.
    heading = Text(event.name, "bold").append(f"  {event.variant}", "not bold")
    if event.epoch is not None:
        heading.append(f", epoch {event.epoch}", "not bold")
    if isinstance(event, ImagesEvent):
        heading.append(f", {event.dataset} {event.split}", "not bold")
    return heading


def _table(*columns: str, left: int = 0, gap: int = 2) -> Table:
    """A table without lines; the first `left` columns hold words, the others numbers."""
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", overflow="fold")
    return table


def _percent(share: float) -> str:
    """In per cent; a dash for NaN, the share of nothing."""
    return f"{share:.2%}".replace("%", " %") if not math.isnan(share) else "-"


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
        "Multiply-adds an image": event.multiply_adds,
    }
    return [table, "", *(f"{words}: {count:,}" for words, count in totals.items() if count)]


def _evaluation(event: SplitEvaluated) -> list[RenderableType]:
    table = _table("actual", *map(str, range(len(event.confusion))), "accuracy")
    for actual, row in enumerate(event.confusion):
        counts = [
            Text(str(count) if count else NOTHING, ("green" if actual == predicted else "red") if count else "dim")
            for predicted, count in enumerate(row)
        ]
        table.add_row(str(actual), *counts, _percent(event.class_accuracy[actual]))
    quality = f"loss {event.loss:.4f}, accuracy {_percent(event.accuracy)}, {event.mistakes:,} mistakes"
    return [
        f"{event.count:,} images, {quality}",
        "",
        "        predicted",
        table,
    ]


def _digits(event: DigitsShown) -> list[RenderableType]:
    alone = f", class {event.digit} alone" if event.digit >= 0 else ""
    count = f"{len(event.digits):,} of {event.matching:,}{alone}: {ORDERS.get(event.order, event.order)}"
    if not event.digits:
        return [count]
    # Ten thousand rows: a table of Rich's would take seconds to find its widths.
    rows = Text("index  actual  predicted  probability", "bold")
    for digit in event.digits:
        share = _percent(digit.probability)
        rows.append(f"\n{digit.index:>5}  {digit.actual:>6}  {digit.predicted:>9}  {share:>11}", "not bold")
        if digit.predicted != digit.actual:
            rows.append("  wrong", "not bold red")
    return [count, "", rows]


def _filters(event: FiltersShown) -> list[RenderableType]:
    kept = event.epochs
    whole = kept == tuple(range(kept[0], kept[-1] + 1)) if kept else False
    epochs = f"{kept[0]} to {kept[-1]}" if whole else ", ".join(map(str, kept)) or "none but the latest"
    return [
        f"{event.layer}: {' x '.join(map(str, event.shape))} weights, {event.minimum:.4f} to {event.maximum:.4f}",
        f"epochs kept: {epochs}",
        "",
        _ranking("L2 norm", event.norms),
    ]


def _activations(event: ActivationsComputed) -> list[RenderableType]:
    verdict = "" if event.predicted == event.actual else ", wrong"
    certain = _percent(event.probability)
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
    table = _table("channel", "highest", "at row", "column", "of image")
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
        f"{p} {_percent(event.unoccluded_probability)} without a patch",
        f"{_patch(event)}: {event.winners.size:,} positions, {event.computed:,} of them computed, "
        f"{event.seconds * 1000:.0f} ms",
        f"{p} from {event.minimum:.4f} at {event.minimum_at} to {event.maximum:.4f} at {event.maximum_at}",
        f"the answer is another at {sum(count for _, count in others):,} positions{changed}",
        _strokes(event.strokes),
    ]


def _patch(event: OcclusionMapReady | ClassOcclusionReady) -> str:
    return f"patch {event.patch_size}x{event.patch_size} ({event.baseline}), stride {event.stride}"


def _strokes(strokes: StrokeShare) -> str:
    return f"over strokes: {_percent(strokes.positions)} of the positions, {_percent(strokes.drop)} of the drop"


def _class_occlusion(event: ClassOcclusionReady) -> list[RenderableType]:
    over = f"mean over {event.averaged:,} of the {event.matching:,} images of class {event.digit}, {_patch(event)}"
    if math.isnan(event.unoccluded_probability):
        return [f"{over}: {NO_NUMBERS}"]
    least, most = float(event.mean_probabilities.min()), _percent(float(event.changed.max()))
    p = _percent(event.unoccluded_probability)
    return [
        f"{over}:",
        f"probability {p} without a patch, least {least:.4f} at {event.minimum_at}",
        f"the answer changes for {most} of the images at {event.most_changed_at}",
        _strokes(event.strokes),
    ]


def _attributions(event: AttributionsComputed) -> list[RenderableType]:
    p = f"p({event.watched})"
    lines: list[RenderableType] = [
        f"image {event.index}: actual {event.actual}, predicted {event.predicted}, "
        f"{p} {_percent(event.unoccluded_probability)}",
        "",
        _faithfulness_table(event.faithfulness),
    ]
    for each in event.faithfulness:
        if each.completeness:
            total, difference = each.completeness
            error = f"{total:.4f} against {difference:.4f}, error {abs(total - difference):.4f}"
            lines += ["", f"{each.method}, sum of the map against difference in logit: {error}"]
    return lines


def _faithfulness(event: FaithfulnessMeasured) -> list[RenderableType]:
    many = f"over the first {event.averaged:,} images, mean and standard deviation"
    over = many if event.averaged > 1 else "over the first image alone"
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


ATTACK_NAMES = {
    "noise": "from noise",
    "targeted": "targeted",
    "random": "random noise",
    "fgsm": "FGSM",
    "pgd": "PGD",
    "deepfool": "DeepFool",
    "cw": "Carlini-Wagner",
}
"""Of attacks."""


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
        table.add_row(*map(str, own), verdict, _percent(made.probability), *numbers, steps)
    n, stopped = len(event.images), f", stopped after {event.done} steps" if event.stopped else ""
    return [
        f"{ATTACK_NAMES[event.attack]} ({settings})",
        f"{event.source}: {event.successes} of {n} {'reached' if noise else 'fooled'}, {event.seconds:.2f} s{stopped}",
        "",
        table,
    ]


def _runs(event: RunsListed) -> list[RenderableType]:
    if not event.runs:
        return [f"no runs in {event.folder} yet: mnist-tui train makes one"]
    table = _table("run", "variant", "seed", "state", "epoch", "val loss", "test", "time", "note", left=2)
    for run in event.runs:
        loss = NOTHING if run.val_loss is None else f"{run.val_loss:.4f}"
        accuracy = NOTHING if run.test_accuracy is None else _percent(run.test_accuracy)
        row = (run.name, run.variant, str(run.seed), run.state, f"{run.epoch}/{run.epochs}", loss, accuracy)
        table.add_row(*row, duration(run.seconds), remark(run))
    return [table]


def failures(failed: Sequence[tuple[str, str, str]]) -> Table:
    """Of each run of a sweep that failed: what it was, its folder, and why."""
    table = _table("run", "folder", "reason", left=3)
    for words, folder, reason in failed:
        table.add_row(*(Text(shown(cell)) for cell in (words, folder or NOTHING, reason)))
    return table


def with_spread(measure: str, value: Spread) -> str:
    """A mean and, of several runs, its standard deviation, in the unit of the measure."""
    factor, digits, unit = (100.0, 2, " %") if "accuracy" in measure else (1.0, 4, "")
    if measure == "seconds an epoch":
        digits, unit = 2, " s"
    mean = f"{factor * value.mean:.{digits}f}"
    return f"{mean}{unit}" if math.isnan(value.deviation) else f"{mean} +- {factor * value.deviation:.{digits}f}{unit}"


def _compared(event: RunsCompared) -> list[RenderableType]:
    table = _table("group", "runs", "epochs", *event.groups[0].results, left=1)
    for group in event.groups:
        row = (group.label, str(len(group.runs)), str(group.epochs[-1]))
        table.add_row(*row, *(with_spread(name, value) for name, value in group.results.items()))
    asked = _table("differs in", *(group.label for group in event.groups), left=1)
    for name, values in differences(event):
        asked.add_row(name, *values)
    both: list[RenderableType] = [table, "", asked] if event.differing else [table]
    notes = ["mean +- standard deviation over seeds; test accuracy is of the epoch with the lowest validation loss"]
    return [*both, "", *map(Text, [*notes, "", *map(sentence, event.contrasts)])]


def beta_answer(event: BetaSwept) -> list[str]:
    """What the sweep says of the notebook's claim, in sentences."""
    if len(event.points) == 1:
        return ["without a penalty (beta 0) the attack fails already: there is nothing to compare"]
    notebooks, free = event.points[1], event.points[0]
    change = abs(notebooks.closer) / free.l2 if free.l2 else 0.0
    nothing = ": it does nothing" if change < event.CLEAR else ""
    works = "no beta keeps" if event.works_from is None else f"from beta {event.works_from:g} on it keeps"
    fails = "" if event.fails_from is None else f"; from {event.fails_from:g} on it stops the attack"
    return [
        f"at the notebook's 1e-5 it changes L2 by a share of {change:.0e}{nothing}",
        f"{works} the image closer{fails}",
    ]


def _beta(event: BetaSwept) -> list[RenderableType]:
    table = _table("beta", "success", "L2", "+-", "Linf", "+-", "closer")
    for p in event.points:
        numbers = (f"{value:.4f}" for value in (p.l2, p.l2_spread, p.linf, p.linf_spread))
        table.add_row(f"{p.beta:g}", _percent(p.success), *numbers, f"{p.closer:.4f}")
    over = f"{event.averaged:,} digits towards {event.target}, {event.steps} steps of {event.step_size:g}"
    return [f"{over}:", "", table, "", *beta_answer(event)]


def _robustness(event: RobustnessMeasured) -> list[RenderableType]:
    table = _table("network", "attack", "epsilon", "accuracy", "95 % interval", "", left=2)
    for p in event.points:
        flag = Text(f"beaten by {p.beaten_by}", "red") if p.beaten_by else ""
        interval = f"{_percent(p.low)} to {_percent(p.high)}"
        table.add_row(Text(p.name), ATTACK_NAMES[p.attack], f"{p.epsilon:g}", _percent(p.accuracy), interval, flag)
    lines: list[RenderableType] = [f"{event.points[0].count:,} digits, {event.norm}:", "", table]
    for name, value in event.median_l2.items():
        lines += ["", Text(f"median L2, {name}: {value:.4f}" if not math.isnan(value) else f"{name}: too few fell")]
    lines += ["", "by class:", "", _by_class(event)]
    if event.fallen:
        lines += ["", Text(f"first to fall, {event.networks[0]} under {ATTACK_NAMES[event.fallen_by]}:"), ""]
        first = _table("index", "actual", "taken for", "epsilon")
        for each in event.fallen:
            first.add_row(*map(str, (each.index, each.actual, each.taken_for)), f"{each.epsilon:.3f}")
        lines.append(first)
    return lines


def _by_class(event: RobustnessMeasured) -> Table:
    table = _table("network", "attack", "epsilon", *map(str, range(10)), left=2, gap=1)
    for p in event.points:
        pairs = zip(p.class_correct, p.class_count, strict=True)
        shares = (f"{100 * right / count:.0f}" if count else NOTHING for right, count in pairs)
        table.add_row(Text(p.name), ATTACK_NAMES[p.attack], f"{p.epsilon:g}", *shares)
    return table


def _transfer(event: TransferMeasured) -> list[RenderableType]:
    table = _table("made on", *event.networks, "L2", left=1)
    for name, row, size in zip(event.networks, event.success, event.l2, strict=True):
        table.add_row(Text(name), *map(_percent, row), f"{size:.3f}")
    bound = "" if event.epsilon is None else f", {event.norm} {event.epsilon:g}"
    over = f"{event.averaged:,} digits that all networks get right"
    return [f"{ATTACK_NAMES[event.attack]}{bound}, {over}; the share that each network mistakes:", "", table]


def _universal(event: UniversalMade) -> list[RenderableType]:
    wanted = "another answer" if event.target < 0 else f"the answer {event.target}"
    table = _table("perturbation", wanted, "95 % interval", left=1)
    table.add_row("universal", _percent(event.fooling_rate), f"{_percent(event.low)} to {_percent(event.high)}")
    table.add_row("random, as large", _percent(event.by_chance), "")
    classes = _table("taken for", *map(str, range(10)), left=1, gap=1)
    classes.add_row("images", *(str(count) if count else NOTHING for count in event.taken_for))
    return [
        f"one perturbation, Linf {event.epsilon:g}, of {event.made_of:,} training digits in {event.steps} steps of "
        f"{event.step_size:g}, {event.seconds:.2f} s",
        f"it fools {_percent(event.history[-1])} of those; of {event.averaged:,} others:",
        "",
        table,
        "",
        f"accuracy {_percent(event.accuracy_before)} without it, {_percent(event.accuracy)} with it",
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
    """The places of `values`, the highest first; of many both ends, with -1 for what is left out between them."""
    order = sorted(range(len(values)), key=lambda place: -values[place])
    return order if len(order) <= 2 * ENDS + 2 else [*order[:ENDS], -1, *order[-ENDS:]]
