"""The page of one unit: its weights, what excites it, what it responds to, and what is lost without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from textual.app import ComposeResult
from textual.containers import Container

from engine.figures.requests import DrawFigure
from engine.inspection.requests import UNIT_LAYERS, ShowUnit, UnitLayerName
from engine.inspection.unit_events import UnitShown
from engine.network.events import NetworkEvent
from engine.request import Request, RequestError
from tui.drawing.raster import PIXEL, Span
from tui.drawing.view import View
from tui.drawing.vocabulary import ablation_words, unit_title
from tui.drawing.words import counted
from tui.screens.inspect import Movable
from tui.screens.inspect_pages import InspectPage
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.setting import Setting
from tui.widgets.pictures import EMPTY, Raster, RasterGrid, Sheet
from tui.widgets.role import Role


class UnitPage(InspectPage):
    """Weights and responses on the left; images from noise and digits on the right."""

    page = "unit"
    title = "unit"
    legend = False
    chosen: State[tuple[UnitLayerName, int]] = State(("conv1", 0))
    """The layer, and the number of the unit in it."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.known: dict[tuple[UnitLayerName, int], UnitShown] = {}
        """What is known so far of units that were chosen."""
        self.before = ""
        """The page that led to this one; empty for none."""

    def compose(self) -> ComposeResult:
        with Container(id="unit-numbers"):
            yield Raster(numbers=True, id="unit-kernel")
            yield RasterGrid(cursor=False, id="unit-kernels")
            yield Role(id="unit-role")
        with Container(id="unit-pictures"):
            yield RasterGrid(empty="no pictures yet", cursor=False, id="unit-starts")
            yield RasterGrid(cursor=False, id="unit-digits")

    @property
    def shown(self) -> UnitShown | None:
        """What is known so far of the unit in view."""
        return self.known.get(self.chosen)

    @property
    def units(self) -> int:
        """The number of units of the layer; 0 while not known."""
        return next((event.of for (layer, _), event in self.known.items() if layer == self.chosen[0]), 0)

    def open(self, layer: UnitLayerName, unit: int, before: str = "") -> None:
        """Bring a unit to the front; `before` is the page to go back to, empty for the screen that led here."""
        self.before, self.desk.zoomed = before, False
        self.chosen, self.desk.at = (layer, unit), self.page

    # Requests

    def wanted(self) -> list[Request]:
        return [self._about(*self.chosen)]

    def kept(self) -> list[Request]:
        """What is known of units, which takes its time."""
        return [self._about(*unit) for unit in self.known]

    def _about(self, layer: UnitLayerName, unit: int) -> ShowUnit:
        return ShowUnit(what=self.workspace.what, layer=layer, unit=unit)

    def take(self, event: NetworkEvent) -> None:
        if isinstance(event, UnitShown):
            self.known[cast(UnitLayerName, event.layer), event.unit] = event

    def forget(self) -> None:
        """Drop the answers, and the chosen unit, which another network may not have."""
        if self.known:  # otherwise the unit was chosen on another screen, of this network
            self.set_reactive(UnitPage.chosen, (self.chosen[0], 0))
        self.known = {}

    def in_reach(self) -> Movable | None:
        return _Units(self)

    # Drawing

    def draw(self) -> None:
        event = self.shown
        gray, signed = (replace(self.view, colours=name, shared=True) for name in ("gray", "diverging"))
        starts, digits = self.query_one("#unit-starts", RasterGrid), self.query_one("#unit-digits", RasterGrid)
        name = unit_title(*self.chosen)
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

    # Settings

    def settings(self) -> Sequence[Setting]:
        layer, unit = self.chosen
        layers = Setting(
            "unit_layer", "layer", layer, lambda to: self._go_to(to, 0), UNIT_LAYERS, help="the layer of the unit"
        )
        number = Setting(
            "unit", "unit", unit, lambda to: self._go_to(layer, to), step=self._further, parse=self._number_of,
            help="number of the unit in its layer",
        )  # fmt: skip
        return [layers, number]

    def _go_to(self, layer: UnitLayerName, unit: int) -> None:
        self.chosen = (layer, unit)

    def step(self, by: int) -> None:
        """Go to the unit so many further, or at the end of the layer."""
        layer, now = self.chosen
        self._go_to(layer, self._further(now, by))

    def _further(self, now: int, by: int) -> int:
        return min(max(now + by, 0), max(self.units - 1, now))

    def _number_of(self, text: str) -> int:
        count = self.units
        if not text.isdecimal() or (count and int(text) >= count):
            raise RequestError(f"unit must be a whole number from 0 to {max(0, count - 1)}, not {text!r}")
        return int(text)

    def figure(self) -> DrawFigure | None:
        return self.desk.as_drawn(shown if (shown := self.shown) and shown.ablation else None)

    # Keys

    def unused(self) -> set[str]:
        """A neuron of the hidden layer has no map on screen 5."""
        return {"zoom"} if self.chosen[0] == "hidden" else set()

    def action_zoom(self) -> None:
        """Show the map of the unit."""
        layer, unit = self.chosen
        if layer != "hidden":
            self.desk.host.show_channel(layer, unit)


class _Units:
    """The units of a layer, one of which the page shows: the arrow keys go from one to the next."""

    def __init__(self, page: UnitPage) -> None:
        self._page = page

    def move(self, across: int, down: int) -> None:
        """Go to the next unit (right, down) or to the previous one."""
        self._page.step(across + down)

    def page(self, pages: int) -> None:
        """Go ten units further."""
        self._page.step(10 * pages)

    def jump(self, index: int) -> None:
        """Go to the first unit (0), or the last (-1)."""
        self._page.step((index if index >= 0 else self._page.units - 1) - self._page.chosen[1])
