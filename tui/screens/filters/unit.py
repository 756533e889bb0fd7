"""The page of one unit: its weights, what excites it, what it responds to, and what is lost without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from textual.app import ComposeResult
from textual.containers import Container

from engine.inspection.unit_events import UnitShown
from tui.drawing.raster import PIXEL, Span
from tui.drawing.view import View
from tui.drawing.vocabulary import ablation_words, unit_title
from tui.drawing.words import counted
from tui.widgets.pictures import EMPTY, Raster, RasterGrid, Sheet
from tui.widgets.role import Role


class UnitDesk(Container):
    """Weights and responses on the left; images from noise and digits on the right."""

    def __init__(self) -> None:
        super().__init__(id="unit")
        self.shown: UnitShown | None = None

    def compose(self) -> ComposeResult:
        with Container(id="unit-numbers"):
            yield Raster(numbers=True, id="unit-kernel")
            yield RasterGrid(cursor=False, id="unit-kernels")
            yield Role(id="unit-role")
        with Container(id="unit-pictures"):
            yield RasterGrid(empty="no pictures yet", cursor=False, id="unit-starts")
            yield RasterGrid(cursor=False, id="unit-digits")

    def show(self, layer: str, unit: int, event: UnitShown | None, view: View) -> None:
        """Show what is known so far of a unit; nothing but its name without an event."""
        self.shown = event
        gray, signed = (replace(view, colours=name, shared=True) for name in ("gray", "diverging"))
        starts, digits = self.query_one("#unit-starts", RasterGrid), self.query_one("#unit-digits", RasterGrid)
        name = unit_title(layer, unit)
        self.query_one(Role).show(event)
        self._show_weights(name, event, signed)
        if event is None:
            starts.show("from noise", "", EMPTY, gray)
            digits.show("digits that excite it most", "", EMPTY, gray)
            return
        known = event.activations
        labels = [f"{value:.3f}" for value in known] or [f"start {number}" for number in range(len(event.starts))]
        facts = "activation" if known else f"step {event.done} of {event.settings['steps']}"
        starts.show("from noise", facts, Sheet(event.starts, labels=labels), gray, PIXEL)
        labels = [f"{each.index} {each.activation:.2f}" for each in event.digits]
        digits.empty = "no digit excites it" if event.responses else "evaluating the whole split"
        digits.show("digits that excite it most", event.part, Sheet(event.digit_images, labels=labels), gray, PIXEL)

    def _show_weights(self, name: str, event: UnitShown | None, view: View) -> None:
        one, many = self.query_one("#unit-kernel", Raster), self.query_one("#unit-kernels", RasterGrid)
        single = event is None or len(event.kernels) == 1
        one.display, many.display = single, not single
        if event is None:
            one.show(name, "", None, view)
            return
        span = Span.of(event.kernels, view.colours)
        facts = f"up to {span.high:.2f}"
        if single:
            one.show(f"{name}  kernel", facts, event.kernels[0], view, span)
        else:
            strongest = np.argsort(-np.square(event.kernels).sum(axis=(1, 2)), kind="stable")
            title = f"{name}  {counted(len(event.kernels), 'kernel')}"
            many.show(title, "largest first", Sheet(event.kernels[strongest]), view, span)

    def sentence(self) -> str:
        """What is lost without the unit, once it is known."""
        event = self.shown
        if event is None:
            return ""
        name = unit_title(event.layer, event.unit)
        if event.ablation is None:
            return f"{name} of {event.of}" + ("" if event.layer == "hidden" else "; activation: mean over its map")
        return f"{name}: {ablation_words(event.ablation)}"
