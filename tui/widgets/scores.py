"""Scores by class, and how well networks are calibrated, as lines."""

from __future__ import annotations

import math
from collections.abc import Iterator

from engine.inspection.audit_events import ClassScores, NetworkAudited, NetworksAudited
from engine.words import percent
from tui.drawing.cells import Cell, cells, clipped
from tui.drawing.theme import ink
from tui.drawing.words import brief, cut, padded
from tui.widgets.cells import CellWidget, title_row

LOW = 16
"""Rows below which two classes share a line, and each network has one line."""
NAME = 7
"""Width of the name of a network where it has one line, in cells."""


class Scores(CellWidget):
    """The scores of each class, and below them the calibration of each network: shorter where there is less room."""

    DEFAULT_CSS = "Scores { height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.event: NetworksAudited | None = None

    def show(self, event: NetworksAudited | None) -> None:
        """Show an audit; None for an empty widget."""
        if event is not self.event:
            self.event = event
            self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The classes, then the networks."""
        quiet, text = ink(self.app, "quiet"), ink(self.app, "foreground")
        if (event := self.event) is None:
            return [title_row(self, "by class", [], width)]
        rows = [title_row(self, f"{brief(event.name)} by class", cells((" % ", quiet)), width)]
        low = height < LOW
        rows += [cells((line, quiet if number == 0 else text)) for number, line in enumerate(_classes(event, low))]
        if low:
            rows += [cells((f" {_line(each)}", text)) for each in event.audits]
        else:
            rows += [
                [],
                title_row(self, "calibration", cells((" ECE, 95 % interval; ECE at temperature T ", quiet)), width),
            ]
            rows += [cells((line, text)) for each in event.audits for line in _lines(each, len(event.known))]
        return [clipped(row, width, quiet) for row in rows]


def _percent(share: float) -> str:
    """A share in per cent without the sign; a dash for NaN, the share of nothing."""
    return "-" if math.isnan(share) else f"{100 * share:.2f}"


def _classes(event: NetworksAudited, low: bool) -> Iterator[str]:
    """The head, and the lines of all classes."""
    if low:
        yield "  precis. recall     F1  " * 2
        half = len(event.classes) // 2
        for number in range(half):
            yield "  ".join(_short(place, event.classes[place]) for place in (number, number + half))
        return
    yield " class   images   predicted   precision   recall       F1"
    for number, each in enumerate(event.classes):
        scores = f"{_percent(each.precision):>12}{_percent(each.recall):>9}{_percent(each.f1):>9}"
        yield f" {number:<5}{each.count:>9,}{each.predicted:>12,}{scores}"


def _short(number: int, scores: ClassScores) -> str:
    return f" {number} {_percent(scores.precision):>6} {_percent(scores.recall):>6} {_percent(scores.f1):>6}"


def _line(each: NetworkAudited) -> str:
    """The calibration of a network: `cnn ECE 0.51 % (0.36 to 0.66), at T 2.25 0.19 %`."""
    name = cut(brief(each.name), NAME)
    if not math.isfinite(each.ece):
        return f"{name} outputs no finite numbers"
    interval = f"({100 * each.ece_low:.2f} to {100 * each.ece_high:.2f})"
    return f"{name} {percent(each.ece)} {interval}, T {each.temperature:.2f}: {percent(each.ece_calibrated)}"


def _lines(each: NetworkAudited, known: int) -> Iterator[str]:
    """The calibration and the accuracy of a network, a line each."""
    said = "outputs no finite numbers"
    if math.isfinite(each.ece):
        interval = f"{100 * each.ece_low:.2f} to {percent(each.ece_high)}"
        after = f"at T {each.temperature:.2f}: {percent(each.ece_calibrated)}"
        said = f"{percent(each.ece)} ({interval}), {after}"
    yield f" {padded(cut(brief(each.name), 14), 14)} {said}"
    accuracy = f"accuracy {percent(each.accuracy)}"
    if each.accuracy_without_doubtful is not None:
        accuracy += f", {percent(each.accuracy_without_doubtful)} without {known} in doubt"
    yield f" {'':<14} {accuracy}"
