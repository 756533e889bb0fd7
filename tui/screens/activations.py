"""Screen 5: the feature maps of the current digit in both convolution blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from textual.containers import Container, Horizontal, Vertical
from textual.widget import Widget

from engine.figures.requests import DrawFigure
from engine.inspection.events import ActivationsComputed, ChannelsSurveyed, LayerSurvey
from engine.inspection.requests import LayerName, ShowActivations
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.words import percent
from tui.drawing.raster import Span
from tui.drawing.terminal import glyphs
from tui.drawing.words import counted, place
from tui.keys import PAGES, bindings
from tui.screens.inspect import InspectScreen
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.lines import ProgressLine
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet
from tui.workspace import images_in

ENOUGH = 20
"""Maps in view; with room for more, they are drawn larger instead."""


class ActivationsScreen(InspectScreen):
    """The notebook's section 2.3, and the images that activate each channel most strongly."""

    mode = "activations"
    BINDINGS = bindings("activations")
    layer: State[LayerName] = State("conv1")
    by_strength: State[bool] = State(False)
    second: State[bool] = State(False)
    """Whether the strongest images of the enlarged channel are in view, where there is no room for both."""
    shown: ActivationsComputed | None = None
    _channel: int | None = None
    """A channel to move the cursor to."""
    surveyed: ChannelsSurveyed | None = None

    def body(self) -> Iterable[Widget]:
        """Digit and mean map; the grid of maps; and the channel under the cursor, enlarged, with what excites it."""
        with Horizontal(classes="desk"):
            with Vertical(id="digit-and-mean"):
                yield Raster(id="image")
                yield Raster(id="mean")
            with Container(id="channels"):
                yield RasterGrid(empty="no maps yet", id="maps")
                with Horizontal(id="channel"):
                    yield Raster(numbers=True, id="map")
                    yield RasterGrid(empty="evaluating the whole split", cursor=False, id="strongest")
        yield Legend()
        yield ProgressLine(id="status")

    @property
    def grid(self) -> RasterGrid:
        """The grid of all maps."""
        return self.query_one("#maps", RasterGrid)

    def wanted(self) -> list[Request]:
        """The maps, then a survey of the channels over the whole split."""
        part, index = self.workspace.digit
        return [ShowActivations(what=self.workspace.what, **images_in(part), index=index, survey=True)]

    def take(self, event: NetworkEvent) -> None:
        match event:
            case ActivationsComputed():
                self.shown = event
                if self.surveyed and (self.surveyed.name, self.surveyed.epoch) != (event.name, event.epoch):
                    self.surveyed = None
            case ChannelsSurveyed():
                self.surveyed = event
            case _:
                pass

    def forget(self) -> None:
        self.shown = self.surveyed = None

    # Drawing

    def _of_layer(self) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
        """Maps, mean map and strengths of the layer in front."""
        assert self.shown is not None
        if self.layer == "conv1":
            return self.shown.conv1, self.shown.conv1_mean, self.shown.conv1_strengths
        return self.shown.conv2, self.shown.conv2_mean, self.shown.conv2_strengths

    def _survey(self) -> LayerSurvey | None:
        if self.surveyed is None:
            return None
        return self.surveyed.conv1 if self.layer == "conv1" else self.surveyed.conv2

    def _order(self) -> list[int]:
        """Channels in display order."""
        _, _, strengths = self._of_layer()
        channels = range(len(strengths))
        return sorted(channels, key=lambda channel: -strengths[channel]) if self.by_strength else list(channels)

    def draw_panels(self) -> None:
        self.set_class(self.second, "-page")
        shown = self.shown
        if shown is None:
            for name in ("image", "mean", "map"):
                self.query_one(f"#{name}", Raster).show(name, "", None, self.view)
            for grid in self.query(RasterGrid):
                grid.show("", "", EMPTY, self.view)
            self.query_one(Legend).show(self.view, None)
            return
        maps, mean, strengths = self._of_layer()
        gray = replace(self.view, colours="gray")
        self.query_one("#image", Raster).show(f"{shown.part} {shown.index}", "", shown.image, gray, Span(0.0, 1.0))
        order, survey = self._order(), self._survey()
        dead = set(survey.dead) if survey else set()
        labels = [f"{c:<3}{'dead' if c in dead else f'{strengths[c]:.2f}'}" for c in order]
        inks = ["warning" if c in dead else "quiet" for c in order]
        height, width = maps.shape[1:]
        self.grid.show(
            f"{self.layer}  {len(order)} maps of {height}x{width}",
            f"actual {shown.actual}, predicted {shown.predicted} ({percent(shown.probability)})",
            Sheet(maps[order], labels=labels, inks=inks, enough=ENOUGH),
            self.view,
        )
        if self._channel is not None:
            self.grid.go_to(order.index(self._channel) if self._channel in order else 0)
            self._channel = None
        self.query_one("#mean", Raster).show("mean map", "", mean, self.view, self.grid.span)
        self._draw_channel()

    def _draw_channel(self) -> None:
        maps, _, strengths = self._of_layer()
        if not len(maps):
            return
        channel, span = self._order()[self.grid.cursor], self.grid.span_at_cursor()
        picture = maps[channel]
        row, column = np.unravel_index(int(picture.argmax()), picture.shape)
        facts = f"mean {strengths[channel]:.3f}   max {picture.max():.3f} at {place(int(row), int(column))}"
        self.query_one("#map", Raster).show(f"{self.layer} channel {channel}", facts, picture, self.view, span)
        words = "activation" if self.view.shared else f"activation, channel {channel}"
        self.query_one(Legend).show(self.view, span, words)
        self._draw_strongest(channel)

    def _draw_strongest(self, channel: int) -> None:
        strongest, survey, surveyed = self.query_one("#strongest", RasterGrid), self._survey(), self.surveyed
        gray = replace(self.view, colours="gray", shared=True)
        title = f"strongest for channel {channel}"
        if survey is None or surveyed is None:
            strongest.show(title, "", EMPTY, gray)
            return
        found = survey.strongest[channel]
        strongest.empty = "this channel is zero on every image"
        images = surveyed.images[[int(np.searchsorted(surveyed.indices, each.index)) for each in found]]
        boxes = [
            (survey.start + each.row * survey.step, survey.start + each.column * survey.step, survey.receptive_field)
            for each in found
        ]
        labels = [f"{each.index} {glyphs().dot} {each.value:.2f}" for each in found]
        strongest.show(title, f"of {surveyed.count:,}", Sheet(images, labels=labels, boxes=boxes, columns=0), gray)

    def sentence(self) -> str:
        """How to read the grid."""
        order = "the strongest first" if self.by_strength else "in order of number"
        words = f"above each map: channel and mean; {order}"
        if survey := self._survey():
            dead = f"{counted(len(survey.dead), 'channel')} dead" if survey.dead else "no channel dead"
            words += f"   {glyphs().dot}   {dead}"
        return words

    # Pages and settings

    def page_titles(self) -> dict[str, str]:
        return {name: name for name in PAGES[self.mode]}

    @property
    def front(self) -> str:
        return self.layer

    async def turn_to(self, name: str) -> None:
        self.layer = "conv2" if name == "conv2" else "conv1"

    def show_channel(self, layer: LayerName, channel: int) -> None:
        """Show the map of a channel, now or as soon as the maps have been computed."""
        self._channel = channel
        self.layer = layer
        self.update()

    def settings(self) -> Sequence[Setting]:
        order = of_state(
            self, "by_strength", "order", (False, True), name="order", help="the order of the channels",
            show=lambda strong: "strongest first" if strong else "by number",
        )  # fmt: skip
        return [self.digit_setting(), order, self.range_setting()]

    def figure(self) -> DrawFigure | None:
        """All maps of the layer."""
        return self.as_drawn(self.shown, self.layer)

    # Keys

    def on_raster_grid_moved(self) -> None:
        if self.shown:
            self._draw_channel()

    def action_zoom(self) -> None:
        """Enlarge the channel beside its strongest images, on a narrow terminal one by one; then show its unit."""
        if not self.zoomed or self.shown is None:
            self.zoomed = True
        elif not self.has_class("-wide") and not self.second:
            self.second = True
        else:
            self.host.show_unit(self.layer, self._order()[self.grid.cursor])

    async def action_back(self) -> None:
        self.second = False
        await super().action_back()

    def action_order(self) -> None:
        self.by_strength = not self.by_strength

    def digits_in_split(self) -> int:
        return self.shown.count if self.shown else 0
