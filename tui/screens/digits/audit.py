"""The page of the audit: whether confidence is accuracy, how classes are recognised, which labels are in doubt."""

from __future__ import annotations

import math
from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Container

from engine.figures.requests import DrawFigure
from engine.inspection.audit_events import NetworksAudited, ReliabilityBin
from engine.inspection.events import Digit
from engine.inspection.requests import Audit
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.runs.finding import other_bundled
from engine.words import percent
from tui.drawing.plot import Band, Curve, Plot
from tui.drawing.raster import PIXEL
from tui.drawing.terminal import glyphs
from tui.drawing.theme import SERIES
from tui.drawing.vocabulary import NO_NUMBERS, sure, votes
from tui.screens.inspect import Movable
from tui.screens.inspect_pages import InspectPage
from tui.widgets.chart import Chart
from tui.widgets.pictures import EMPTY, RasterGrid, Sheet
from tui.widgets.scores import Scores

ENOUGH = 10
"""Digits in view; the others scroll."""


class AuditPage(InspectPage):
    """The reliability diagram and the scores, and beside or below them the digits whose labels are in doubt."""

    page = "audit"
    title = "audit"
    legend = False
    audited: NetworksAudited | None = None

    def compose(self) -> ComposeResult:
        with Container(id="audit-numbers"):
            yield Chart("accuracy by confidence (%)", empty="", id="reliability")
            yield Scores(id="scores")
        yield RasterGrid(empty="no labels in doubt yet", id="doubtful")

    def wanted(self) -> list[Request]:
        """The audit, with the bundled network of the other variant: two see more wrong labels than one."""
        workspace = self.workspace
        other = other_bundled(workspace.variant or "cnn-bn", workspace.history.request)
        return [Audit(what=workspace.what, others=(other,))]

    def kept(self) -> list[Request]:
        return self.wanted()

    def take(self, event: NetworkEvent) -> None:
        if isinstance(event, NetworksAudited):
            self.audited = event

    def forget(self) -> None:
        self.audited = None

    @property
    def grid(self) -> RasterGrid:
        """The grid of the digits."""
        return self.query_one("#doubtful", RasterGrid)

    @property
    def here(self) -> Digit | None:
        """The digit under the cursor."""
        digits = self.audited.digits if self.audited else ()
        return digits[min(self.grid.cursor, len(digits) - 1)] if digits else None

    def in_reach(self) -> Movable | None:
        return self.grid

    def draw(self) -> None:
        event = self.audited
        self.query_one(Scores).show(event)
        gray = replace(self.view, colours="gray")
        chart = self.query_one(Chart)
        if event is None:
            chart.empty = ""
            chart.show(Plot())
            self.grid.show("labels in doubt", "", EMPTY, gray)
            return
        chart.empty = NO_NUMBERS
        chart.show(_diagram(event))
        if not math.isfinite(event.ece):
            chart.redraw()  # there was nothing to draw before either, but for another reason
        disputed = event.disputed
        wrong = [digit.predicted != digit.actual for digit in event.digits]
        labels = [
            f"{digit.actual}{glyphs().arrow}{digit.predicted}{'!' if bad else ' '} {sure(digit.probability)}"
            f"{' *' if digit.index in disputed else ''}"
            for digit, bad in zip(event.digits, wrong, strict=True)
        ]
        inks = ["error" if bad else "quiet" for bad in wrong]
        facts = "" if event.known_found is None else f"* raters doubt too: {event.known_found} of {len(event.known)}"
        sheet = Sheet(event.images, labels=labels, inks=inks, enough=ENOUGH)
        self.grid.show(f"{event.split}: labels in doubt", facts, sheet, gray, PIXEL)

    def sentence(self) -> str:
        """What is known of the label under the cursor; empty without one."""
        event, digit = self.audited, self.here
        if event is None or digit is None:
            return ""
        current = self.workspace.digit == (event.split, digit.index)
        words = f"{event.split} {digit.index}{' (current)' if current else ''}: "
        words += f"label {digit.actual} has {percent(digit.probabilities[digit.actual])}"
        if digit.predicted != digit.actual:
            words += f", {digit.predicted} has {percent(digit.probability)}"
        if label := event.disputed.get(digit.index):
            words += f"; raters: {votes(label)}"
        several = len(event.audits) > 1
        return f"{words}   {glyphs().dot}   pool of {len(event.audits)} networks" if several else words

    def figure(self) -> DrawFigure | None:
        return self.desk.as_drawn(self.audited)

    # Keys

    def on_raster_grid_moved(self) -> None:
        self.desk.draw_status()

    def on_raster_grid_opened(self, message: RasterGrid.Opened) -> None:
        message.stop()
        self.action_zoom()

    def action_zoom(self) -> None:
        """Make the digit the current one."""
        if digit := self.here:
            self.workspace.digit = ("test", digit.index)


def _diagram(event: NetworksAudited) -> Plot:
    """The reliability diagram of the network, as it is and at its temperature, over the range of both."""
    if not math.isfinite(event.ece):
        return Plot()
    values = [100 * value for of in (*event.bins, *event.bins_calibrated) for value in (of.confidence, of.accuracy)]
    low = max(0.0, math.floor(min(values)) - 1.0)
    as_it_is, calibrated = SERIES[:2]
    curves = [
        _curve("ECE", as_it_is, event.bins, event.ece),
        Curve("ideal", "quiet", [low, 100.0], [low, 100.0], latest="0 %", layer="back", thin=True),
        _curve(
            f"at T {event.temperature:.2f}", calibrated, event.bins_calibrated, event.ece_calibrated, scattered=True
        ),
    ]
    low_ends, high_ends = [100 * of.low for of in event.bins], [100 * of.high for of in event.bins]
    bands = [Band(as_it_is, _confidences(event.bins), low_ends, high_ends)]
    return Plot(curves, (low, 100.0), (low, 100.0), bands, limits=(0.0, 100.0), whole=False, unit="{} %")


def _confidences(bins: tuple[ReliabilityBin, ...]) -> list[float]:
    return [100 * of.confidence for of in bins]


def _curve(name: str, ink: str, bins: tuple[ReliabilityBin, ...], error: float, *, scattered: bool = False) -> Curve:
    ys = [100 * of.accuracy for of in bins]
    return Curve(name, ink, _confidences(bins), ys, latest=percent(error), scattered=scattered)
