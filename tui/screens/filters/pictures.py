"""The page of what all units of a layer look for: an image from noise of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from textual.app import ComposeResult
from textual.containers import Container

from engine.figures.requests import DrawFigure
from engine.inspection.requests import UNIT_LAYERS, UnitLayerName, VisualiseUnits
from engine.inspection.unit_events import PicturesAdvanced, UnitsVisualised
from engine.network.events import NetworkEvent
from engine.request import Request
from tui.drawing.raster import PIXEL
from tui.drawing.terminal import glyphs
from tui.drawing.view import View
from tui.drawing.vocabulary import number_of_times, unit_title
from tui.drawing.words import counted
from tui.screens.filters.unit import UnitPage
from tui.screens.inspect import Movable
from tui.screens.inspect_pages import InspectPage
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.pictures import EMPTY, Raster, RasterGrid, Sheet

ENOUGH = 32
"""Images in view, as many as the notebook's convolutions have channels; the others scroll."""


class PicturesPage(InspectPage):
    """The grid of all images, and beside it, where there is room, that under the cursor and the best digit."""

    page = "pictures"
    title = "pictures"
    legend = False
    pictured: State[UnitLayerName] = State("conv1")
    """The layer; `layer` is a name of Textual's."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.made: dict[str, UnitsVisualised | PicturesAdvanced] = {}
        """The images of each layer, finished or not."""

    def compose(self) -> ComposeResult:
        yield RasterGrid(empty="no pictures yet", id="pictures-all")
        with Container(id="pictures-near"):
            yield Raster(id="picture")
            yield Raster(id="picture-digit")

    @property
    def grid(self) -> RasterGrid:
        """The grid of all images."""
        return self.query_one("#pictures-all", RasterGrid)

    @property
    def shown(self) -> UnitsVisualised | PicturesAdvanced | None:
        """The images of the layer in view."""
        return self.made.get(self.pictured)

    # Requests

    def wanted(self) -> list[Request]:
        return [self._about(self.pictured)]

    def kept(self) -> list[Request]:
        """What was made of each layer, which takes its time."""
        return [self._about(layer) for layer in UNIT_LAYERS]

    def _about(self, layer: UnitLayerName) -> VisualiseUnits:
        """The pictures of a layer, of one start each: the page of a unit has several."""
        return VisualiseUnits(what=self.workspace.what, layer=layer, starts=1)

    def take(self, event: NetworkEvent) -> None:
        match event:
            case PicturesAdvanced() if isinstance(self.made.get(event.layer), UnitsVisualised):
                pass  # those of the epoch before stay until these are finished
            case UnitsVisualised() | PicturesAdvanced():
                self.made[event.layer] = event
            case _:
                pass

    def forget(self) -> None:
        self.made = {}

    def in_reach(self) -> Movable | None:
        return self.grid

    # Drawing

    def draw(self) -> None:
        event, gray = self.shown, self._gray
        if event is None:
            self.grid.show(f"what {self.pictured} looks for", "", EMPTY, gray)
            self._draw_near()
            return
        images, labels = event.starts[:, 0], [str(number) for number in event.numbers]
        inks = ["quiet"] * len(labels)
        facts = f"step {event.done} of {event.total}"
        if isinstance(event, UnitsVisualised):
            images = event.images
            labels = [f"{each.unit} {number_of_times(each.ratio)}" for each in event.units]
            inks = ["quiet" if each.digit >= 0 else "warning" for each in event.units]
            facts = f"median {number_of_times(event.median_ratio)} the best digit's activation"
        title = f"what {self.pictured} looks for  {counted(len(labels), 'unit')}"
        self.grid.show(title, facts, Sheet(images, labels=labels, inks=inks, enough=ENOUGH), gray, PIXEL)
        self._draw_near()

    @property
    def _gray(self) -> View:
        return replace(self.view, colours="gray", shared=True)

    def _draw_near(self) -> None:
        """Show the image under the cursor, and the digit that excites its unit most."""
        event, gray = self.shown, self._gray
        picture, digit = self.query_one("#picture", Raster), self.query_one("#picture-digit", Raster)
        if event is None:
            picture.show("picture", "", None, gray)
            digit.show("best digit", "", None, gray)
            return
        at = min(self.grid.cursor, len(event.numbers) - 1)
        if isinstance(event, UnitsVisualised):
            unit = event.units[at]
            picture.show(f"unit {unit.unit}", f"{unit.activation:.3f}", event.images[at], gray, PIXEL)
            if unit.digit < 0:
                digit.show("no digit excites it", "", None, gray)
            else:
                facts = f"{unit.digit_activation:.3f}"
                digit.show(f"{event.part} {unit.digit}", facts, event.digits[at], gray, PIXEL)
        else:
            picture.show(f"unit {event.numbers[at]}", "", event.starts[at, 0], gray, PIXEL)
            digit.show("best digit", "", None, gray)

    def sentence(self) -> str:
        """What is known of the unit under the cursor, and how to read the labels."""
        event = self.shown
        if event is None:
            return ""
        if not isinstance(event, UnitsVisualised):
            return "noise becomes what excites each unit most; the digits that do are found afterwards"
        unit = event.units[min(self.grid.cursor, len(event.units) - 1)]
        best = f"{unit.activation:.3f}, by digit {unit.digit} {unit.digit_activation:.3f}"
        said = f"{unit_title(event.layer, unit.unit)}: {best if unit.digit >= 0 else 'no digit excites it'}"
        return f"{said}   {glyphs().dot}   above each: ratio of both"

    # Settings and keys

    def settings(self) -> Sequence[Setting]:
        return [of_state(self, "pictured", "layer", UNIT_LAYERS, help="the layer of the units")]

    def figure(self) -> DrawFigure | None:
        return self.desk.as_drawn(shown if isinstance(shown := self.shown, UnitsVisualised) else None)

    def on_raster_grid_moved(self) -> None:
        self._draw_near()
        self.desk.draw_status()

    def action_next_layer(self) -> None:
        """Show the pictures of the next layer."""
        self.pictured = UNIT_LAYERS[(UNIT_LAYERS.index(self.pictured) + 1) % len(UNIT_LAYERS)]

    def action_zoom(self) -> None:
        """Show the unit under the cursor."""
        if shown := self.shown:
            unit = shown.numbers[min(self.grid.cursor, len(shown.numbers) - 1)]
            cast(UnitPage, self.desk.pages["unit"]).open(self.pictured, unit, self.page)
