"""Tables of what units look for."""

from __future__ import annotations

import math

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from engine.inspection.unit_events import UnitShown, UnitsVisualised
from engine.words import percent
from tui.cli.tables.layout import NOTHING, ends, table_of
from tui.drawing.vocabulary import ablation_words, number_of_times, unit_title
from tui.drawing.words import counted


def visualised(event: UnitsVisualised) -> list[RenderableType]:
    """What the images of all units have in common, and the units that they excite most and least."""
    silent = sum(each.digit < 0 for each in event.units)
    made = counted(event.starts.shape[1], "image")
    lines: list[RenderableType] = [
        f"{event.layer}: {counted(len(event.units), 'unit')}, {made} from noise of each in "
        f"{counted(int(event.settings['steps']), 'step')}; {silent or 'none'} silent on all digits",
        f"activation: {number_of_times(event.median_ratio)} that of the digit that excites a unit most (median)",
        f"power at high frequencies: {percent(event.high_frequency)}, of these digits "
        f"{percent(event.digits_high_frequency)}",
    ]
    if not math.isnan(event.likeness):
        lines.append(f"correlation of the images from different starts: {event.likeness:.2f}")
    return [*lines, "", _units(event)]


def _units(event: UnitsVisualised) -> Table:
    table = table_of("unit", "activation", "digit", "its activation", "times")
    for place in ends([each.ratio if each.digit >= 0 else -1.0 for each in event.units]):
        if place < 0:
            table.add_row("...")
            continue
        each = event.units[place]
        by_digit = (str(each.digit), f"{each.digit_activation:.4f}") if each.digit >= 0 else (NOTHING, NOTHING)
        table.add_row(str(each.unit), f"{each.activation:.4f}", *by_digit, number_of_times(each.ratio))
    return table


def unit(event: UnitShown) -> list[RenderableType]:
    """A unit: what excites it, by class, and what is lost without it."""
    made = ", ".join(f"{value:.4f}" for value in event.activations)
    lines: list[RenderableType] = [
        f"{unit_title(event.layer, event.unit)} of {event.of}: activation by its images from noise {made}",
        "",
    ]
    if event.digits:
        table = table_of("digit", "class", "activation")
        for digit in event.digits:
            table.add_row(str(digit.index), str(digit.actual), f"{digit.activation:.4f}")
        lines += [table, ""]
    else:
        lines += [f"silent on all {event.count:,} images", ""]
    table = table_of("class", "mean activation", "logit without it")
    changes = event.ablation.logits if event.ablation else (math.nan,) * len(event.responses)
    for number, (mean, change) in enumerate(zip(event.responses, changes, strict=True)):
        style = "red" if change < -0.005 else "green" if change > 0.005 else ""
        said = "-" if math.isnan(change) else f"{change:+.3f}"
        table.add_row(str(number), "-" if math.isnan(mean) else f"{mean:.4f}", Text(said, style))
    lines.append(table)
    return [*lines, "", ablation_words(event.ablation)] if event.ablation else lines
