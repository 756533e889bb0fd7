"""The page of the gradient methods, side by side with occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from textual.app import ComposeResult

from engine.attribution.events import AttributionsComputed
from engine.attribution.requests import METHOD_TITLES, Attribute
from engine.figures.requests import DrawFigure
from engine.inspection.requests import LayerName
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.words import percent
from tui.drawing.raster import Span
from tui.drawing.view import View
from tui.screens.inspect import Movable
from tui.screens.occlusion.patch import PROBABILITY, PatchPage
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet


class MethodsPage(PatchPage):
    """The contribution of each pixel to the class, by eight methods."""

    page = "methods"
    title = "methods"
    look = View("glyphs", "diverging", False)
    cam: State[LayerName] = State("conv2")
    """The convolution that Grad-CAM shows."""
    attributions: AttributionsComputed | None = None

    def compose(self) -> ComposeResult:
        """The grid of all maps, which the digit and the map under the cursor replace when enlarged."""
        yield RasterGrid(empty="no attributions yet", id="methods")
        yield Raster(id="method-digit")
        yield Raster(id="method")

    def wanted(self) -> Sequence[Request]:
        return [Attribute(**self.desk.about())]

    def take(self, event: NetworkEvent) -> None:
        if isinstance(event, AttributionsComputed):
            self.attributions = event

    def forget(self) -> None:
        self.attributions = None

    @property
    def grid(self) -> RasterGrid:
        """The maps of all methods."""
        return self.query_one(RasterGrid)

    def in_reach(self) -> Movable | None:
        return self.grid

    def _numbers(self, here: AttributionsComputed) -> list[int]:
        """The indices of the maps on the page: all if there is room, or else only one of the two of Grad-CAM."""
        if self._roomy:
            return list(range(len(here.methods)))
        hidden = "grad-cam-conv1" if self.cam == "conv2" else "grad-cam-conv2"
        return [number for number, method in enumerate(here.methods) if method != hidden]

    @property
    def _roomy(self) -> bool:
        return self.desk.has_class("-roomy")

    def draw(self) -> None:
        here = self.attributions
        if here is None:
            for raster in self.query(Raster):
                raster.show("", "", None, self.view)
            self.grid.show("methods", "", EMPTY, self.view)
            self.desk.query_one(Legend).show(self.view, None)
            return
        shown = self._numbers(here)
        images = np.concatenate((here.image[None], here.maps[shown]))
        labels = [f"{here.part} {here.index}", *(METHOD_TITLES[here.methods[number]].short for number in shown)]
        probability = f"p({here.watched}) {percent(here.unoccluded_probability)}"
        facts = f"actual {here.actual}, predicted {here.predicted}, {probability}"
        notes = ["", *(_silence(here, number) for number in shown)]
        inks = ["warning" if note else "quiet" for note in notes]
        sheet = Sheet(images, labels=labels, inks=inks, plain=1, notes=notes)
        self.grid.show(f"evidence for {here.watched}", facts, sheet, self.view)
        self._draw_method(here)

    def _draw_method(self, here: AttributionsComputed) -> None:
        """Draw the map under the cursor enlarged (the first map while the digit is), and the legend."""
        at, shown = self.grid.cursor, self._numbers(here)
        gray = replace(self.view, colours="gray")
        number = shown[max(0, at - 1)]
        picture, method = here.maps[number], here.methods[number]
        span = self.grid.span or Span.of(picture, self.view.colours)
        digit = self.query_one("#method-digit", Raster)
        digit.show(f"{here.part} {here.index}", f"actual {here.actual}", here.image, gray, PROBABILITY)
        measured = here.faithfulness[number]
        facts = f"deletion {measured.deletion.area:.3f}  insertion {measured.insertion.area:.3f}"
        title = METHOD_TITLES[method].full
        note = _silence(here, number)
        self.query_one("#method", Raster).show(title, facts, picture, self.view, span, note=note)
        words = title
        if at == 0:
            words = "all maps"
            if not self.view.shared:  # each map ends at its own largest magnitude
                span, words = Span.of(np.array([0.0, 1.0]), self.view.colours), "share of each map's maximum"
        sides = f"against {here.watched}", f"for {here.watched}"
        self.desk.query_one(Legend).show(self.view, span, words, sides)

    def sentence(self) -> str:
        """A note on the map under the cursor, or how to read the page."""
        if note := self._note():
            return note
        return "one range for all maps" if self.view.shared else "each map is scaled to its own largest magnitude"

    def _note(self) -> str:
        here, at = self.attributions, self.grid.cursor
        if here is None or at == 0:
            return ""
        number = self._numbers(here)[at - 1]
        if silence := _silence(here, number):
            return f"{METHOD_TITLES[here.methods[number]].full} is {silence}"
        if completeness := here.faithfulness[number].completeness:
            total, difference = completeness
            error = abs(total - difference)
            return f"sum {total:.3f}, difference in logit to black {difference:.3f}: error {error:.3f}"
        return ""

    def figure(self) -> DrawFigure | None:
        return self.desk.as_drawn(self.attributions)

    # Keys

    def on_raster_grid_moved(self) -> None:
        if self.attributions:
            self._draw_method(self.attributions)
            self.desk.draw_status()

    def settings(self) -> Sequence[Setting]:
        cam = of_state(self, "cam", "Grad-CAM of", ("conv2", "conv1"), help="the convolution that Grad-CAM shows")
        return [*super().settings(), cam]

    def action_other_map(self) -> None:
        """Switch to Grad-CAM of the other convolution."""
        self.cam = "conv1" if self.cam == "conv2" else "conv2"


def _silence(here: AttributionsComputed, number: int) -> str:
    """Why a map shows nothing; empty for one that is not zero everywhere."""
    if here.maps[number].any():
        return ""
    if here.methods[number].startswith("grad-cam"):
        return f"zero: no channel supports {here.watched}"
    return "zero everywhere"
