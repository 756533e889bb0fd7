"""Tables of layers, predictions, filters and activations."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from engine.geometry import CLASSES
from engine.inspection.events import (
    ActivationsComputed,
    ChannelsSurveyed,
    DigitsShown,
    FiltersShown,
    ImagesPredicted,
    LayerSurvey,
    NetworkSummarised,
    SplitEvaluated,
    with_batch,
)
from engine.inspection.learning_events import LearnedDigit, LearningShown
from engine.words import percent
from tui.cli.tables.layout import NOTHING, ends, ranking, table_of
from tui.drawing.words import counted

MOST_LINES = 30
"""Epochs in a table, evenly spaced, at most one more."""
ORDERS = {
    "random": "in random order",
    "mistakes": "mistakes, the most confident first",
    "least-certain": "least certain first",
    "most-certain": "most certain first",
}


def summary(event: NetworkSummarised) -> list[RenderableType]:
    """Layers, parameters and neurons."""
    table = table_of("layer", "input", "output", "parameters", "neurons", "multiply-adds", "field", left=3, gap=1)
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


def evaluation(event: SplitEvaluated) -> list[RenderableType]:
    """The confusion matrix of a split."""
    table = table_of("actual", *map(str, range(len(event.confusion))), "accuracy")
    for actual, row in enumerate(event.confusion):
        counts = [
            Text(str(count) if count else NOTHING, ("green" if actual == predicted else "red") if count else "dim")
            for predicted, count in enumerate(row)
        ]
        table.add_row(str(actual), *counts, percent(event.class_accuracy[actual]))
    quality = f"loss {event.loss:.4f}, accuracy {percent(event.accuracy)}, {counted(event.mistakes, 'mistake')}"
    return [
        f"{event.count:,} images, {quality}",
        "",
        "        predicted",
        table,
    ]


def digits(event: DigitsShown) -> list[RenderableType]:
    """Digits with their predictions."""
    alone = f", class {event.digit} only" if event.digit >= 0 else ""
    alone += f", predicted as {event.predicted}" if event.predicted >= 0 else ""
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


def learning(event: LearningShown) -> list[RenderableType]:
    """How many digits each epoch recognised, learned and forgot, and the digits at the ends."""
    table = table_of("epoch", "right", "accuracy", "learned", "forgotten")
    rows = list(zip(event.epochs, event.right, event.learned, event.forgotten, strict=True))
    every = -(-len(rows) // MOST_LINES) or 1
    for number, (epoch, right, learned, forgotten) in enumerate(rows):
        if number % every == 0 or number == len(rows) - 1:
            counts = (f"{count:,}" if number else NOTHING for count in (learned, forgotten))
            table.add_row(str(epoch), f"{right:,}", percent(right / event.count), *counts)
    missing = f"; {counted(event.missing, 'epoch')} without a record left out" if event.missing else ""
    lines: list[RenderableType] = [
        f"{event.count:,} {event.split} digits, which no weight is trained on, after each of "
        f"{counted(len(event.epochs), 'epoch')}{missing}",
        "",
        table,
        "",
        f"never forgotten: {event.by_forgetting[0]:,}; forgotten "
        + (", ".join(_times(number, count) for number, count in enumerate(event.by_forgetting) if number) or "none")
        + f"; never recognised: {event.never:,}",
    ]
    for title, digits in (
        ("most forgotten", event.most_forgotten),
        ("last learned for good", event.last_learned),
        ("never recognised", event.never_right),
    ):
        if digits:
            lines += ["", f"{title}:", "", _learned(digits, len(event.epochs))]
    return lines


def _times(number: int, count: int) -> str:
    return f"{'once' if number == 1 else 'twice' if number == 2 else f'{number} times'}: {count:,}"


def _learned(digits: tuple[LearnedDigit, ...], epochs: int) -> Table:
    table = table_of("index", "label", "first right", "learned", "forgotten", "epochs right")
    for digit in digits:
        table.add_row(
            *map(str, (digit.index, digit.label, digit.first or NOTHING, digit.learned or NOTHING)),
            str(digit.forgotten or NOTHING),
            f"{digit.right} of {epochs}",
        )
    return table


def predicted(event: ImagesPredicted) -> list[RenderableType]:
    """The predicted class of each image, and the probabilities of all classes in per cent."""
    table = table_of("image", "class", *map(str, range(CLASSES)), left=1, gap=1)
    for file, answer, probabilities in zip(event.files, event.predictions, event.probabilities, strict=True):
        shares = [
            Text(f"{100 * share:.1f}" if share >= 0.0005 else NOTHING, "bold" if each == answer else "not bold")
            for each, share in enumerate(probabilities)
        ]
        table.add_row(Text(Path(file).name), Text(str(answer), "bold"), *shares)
    for column in table.columns[2:]:
        column.min_width = len("100.0")
    how = "scaled to 20x20 and centred by mass, as MNIST was" if event.centred else "only resized to 28x28"
    dark = f"; {sum(event.inverted)} dark on light, so inverted" if any(event.inverted) else ""
    return [f"{counted(len(event.files), 'image')}, {how}{dark}; probabilities in %:", "", table]


def filters(event: FiltersShown) -> list[RenderableType]:
    """The strongest and the weakest filters."""
    kept = event.epochs
    whole = kept == tuple(range(kept[0], kept[-1] + 1)) if kept else False
    epochs = f"{kept[0]} to {kept[-1]}" if whole else ", ".join(map(str, kept)) or "only the latest"
    return [
        f"{event.layer}: {' x '.join(map(str, event.shape))} weights, {event.minimum:.4f} to {event.maximum:.4f}",
        f"mean size {event.mean_size:.4f}; of {math.prod(event.shape[:2]):,} kernels {event.near_zero} near zero, "
        f"{event.one_pixel} dominated by one pixel",
        f"epochs kept: {epochs}",
        "",
        ranking("L2 norm", event.norms),
    ]


def activations(event: ActivationsComputed) -> list[RenderableType]:
    """The strongest and the weakest channels for an image."""
    verdict = "" if event.predicted == event.actual else ", incorrect"
    certain = percent(event.probability)
    lines: list[RenderableType] = [
        f"image {event.index}: actual {event.actual}, predicted {event.predicted} ({certain}){verdict}"
    ]
    for layer, strengths in (("conv1", event.conv1_strengths), ("conv2", event.conv2_strengths)):
        silent = sum(strength == 0 for strength in strengths)
        lines += ["", f"{layer}: {len(strengths)} channels, {silent or 'none'} silent", "", ranking("mean", strengths)]
    return lines


def survey(event: ChannelsSurveyed) -> list[RenderableType]:
    """The images that excite each channel most."""
    lines: list[RenderableType] = [f"over the {event.count:,} images of {event.source}:"]
    for name, layer in (("conv1", event.conv1), ("conv2", event.conv2)):
        dead = f"{len(layer.dead)} dead: {', '.join(map(str, layer.dead))}" if layer.dead else "none dead"
        lines += ["", f"{name}: {len(layer.strongest)} channels, {dead}", "", _strongest(layer)]
    return lines


def _strongest(layer: LayerSurvey) -> Table:
    table = table_of("channel", "maximum", "row", "column", "image")
    best = {channel: found[0] for channel, found in enumerate(layer.strongest) if found}
    for channel in ends([best[channel].value if channel in best else 0.0 for channel in range(len(layer.strongest))]):
        if (one := best.get(channel)) is not None:
            table.add_row(*map(str, (channel, f"{one.value:.4f}", one.row, one.column, one.index)))
        elif channel < 0:
            table.add_row("...")
        else:
            table.add_row(str(channel), NOTHING)
    return table
