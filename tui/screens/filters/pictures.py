"""The page of what all units of a layer look for: an image from noise of each."""

from __future__ import annotations

from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Container

from engine.inspection.unit_events import PicturesAdvanced, UnitPicture, UnitsVisualised
from tui.drawing.raster import PIXEL
from tui.drawing.terminal import glyphs
from tui.drawing.view import View
from tui.drawing.vocabulary import number_of_times, unit_title
from tui.drawing.words import counted
from tui.widgets.pictures import EMPTY, Raster, RasterGrid, Sheet

ENOUGH = 32
"""Images in view, as many as the notebook's convolutions have channels; the others scroll."""


class PicturesDesk(Container):
    """The grid of all images, and beside it, where there is room, that under the cursor and the best digit."""

    def __init__(self) -> None:
        super().__init__(id="pictures")
        self.shown: UnitsVisualised | PicturesAdvanced | None = None

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
    def here(self) -> int | None:
        """The number of the unit under the cursor."""
        return self.shown.numbers[min(self.grid.cursor, len(self.shown.numbers) - 1)] if self.shown else None

    def show(self, layer: str, event: UnitsVisualised | PicturesAdvanced | None, view: View) -> None:
        """Show the images of a layer, finished or not; an empty page without any."""
        self.shown, gray = event, replace(view, colours="gray", shared=True)
        if event is None:
            self.grid.show(f"what {layer} looks for", "", EMPTY, gray)
            self.show_near(gray)
            return
        images, labels = event.starts[:, 0], [str(number) for number in event.numbers]
        inks = ["quiet"] * len(labels)
        facts = f"step {event.done} of {event.total}"
        if isinstance(event, UnitsVisualised):
            images = event.images
            labels = [f"{each.unit} {number_of_times(each.ratio)}" for each in event.units]
            inks = ["quiet" if each.digit >= 0 else "warning" for each in event.units]
            facts = f"median {number_of_times(event.median_ratio)} the best digit's activation"
        title = f"what {layer} looks for  {counted(len(labels), 'unit')}"
        self.grid.show(title, facts, Sheet(images, labels=labels, inks=inks, enough=ENOUGH), gray, PIXEL)
        self.show_near(gray)

    def show_near(self, view: View) -> None:
        """Show the image under the cursor, and the digit that excites its unit most."""
        gray, event = replace(view, colours="gray", shared=True), self.shown
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
        at = min(self.grid.cursor, len(event.units) - 1)
        return f"{_said(event.layer, event.units[at])}   {glyphs().dot}   above each: ratio of both"


def _said(layer: str, unit: UnitPicture) -> str:
    if unit.digit < 0:
        return f"{unit_title(layer, unit.unit)}: no digit excites it"
    return f"{unit_title(layer, unit.unit)}: {unit.activation:.3f}, by digit {unit.digit} {unit.digit_activation:.3f}"
