"""The tables of an audit."""

from __future__ import annotations

import math

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from engine.inspection.audit_events import NetworkAudited, NetworksAudited
from engine.words import percent
from tui.cli.tables.layout import table_of
from tui.drawing.vocabulary import votes
from tui.drawing.words import counted


def audit(event: NetworksAudited) -> list[RenderableType]:
    """Calibration of each network, its scores by class, and the labels in doubt."""
    several = len(event.audits) > 1
    lines: list[RenderableType] = [f"{event.count:,} images", "", _calibration(event)]
    for each in event.audits:
        lines += ["", Text(f"{each.name}:" if several else "by class:"), "", _scores(each)]
    doubted = "least believed by " + (f"{len(event.audits)} networks together" if several else "the network")
    found = ""
    if event.known_found is not None:
        found = f"; {event.known_found} of the {len(event.known)} that most raters doubt are among them"
    title = f"{counted(len(event.doubtful), 'label')} in doubt, {doubted}{found}:"
    return [*lines, "", title, "", _doubtful(event)]


def _calibration(event: NetworksAudited) -> Table:
    listed = event.known_found is not None
    without = (f"without {len(event.known)}",) if listed else ()
    table = table_of(
        "network", "accuracy", *without, "ECE", "95 % interval", "temperature", "calibrated", "95 % interval", left=1
    )
    for each in event.audits:
        less = each.accuracy_without_doubtful
        table.add_row(
            Text(each.name),
            percent(each.accuracy),
            *((percent(less) if less is not None else "-",) if listed else ()),
            percent(each.ece),
            f"{percent(each.ece_low)} to {percent(each.ece_high)}",
            "-" if math.isnan(each.temperature) else f"{each.temperature:.3f}",
            percent(each.ece_calibrated),
            f"{percent(each.ece_calibrated_low)} to {percent(each.ece_calibrated_high)}",
        )
    return table


def _scores(network: NetworkAudited) -> Table:
    table = table_of("class", "images", "predicted", "precision", "recall", "F1")
    for number, scores in enumerate(network.classes):
        counts = (f"{scores.count:,}", f"{scores.predicted:,}")
        table.add_row(str(number), *counts, percent(scores.precision), percent(scores.recall), percent(scores.f1))
    return table


def _doubtful(event: NetworksAudited) -> Table:
    table = table_of("index", "label", "predicted", "probability", "of the label", "raters" if event.known else "")
    disputed = event.disputed
    for digit in event.digits:
        wrong = digit.predicted != digit.actual
        table.add_row(
            str(digit.index),
            str(digit.actual),
            Text(str(digit.predicted), "red" if wrong else ""),
            percent(digit.probability),
            percent(digit.probabilities[digit.actual]),
            votes(disputed[digit.index]) if digit.index in disputed else "",
        )
    return table
