"""The page of the map: all test digits as points, near those for which a layer computes nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast, get_args

from textual.app import ComposeResult
from textual.containers import Container

from engine.data.requests import PartName
from engine.event import Event
from engine.figures.requests import DrawFigure
from engine.geometry import CLASSES
from engine.inspection.map_events import EmbeddingAdvanced, ImagesEmbedded
from engine.inspection.requests import LAYER_WORDS, METHOD_NAMES, Embed, MapMethod, MappedLayer
from engine.lab import Job
from engine.request import Request
from tui.drawing.raster import PIXEL
from tui.drawing.terminal import glyphs
from tui.screens.epochs import EpochPage
from tui.screens.inspect import Movable
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.bars import Bars
from tui.widgets.pictures import Raster
from tui.widgets.scatter import Scatter
from tui.workspace import images_in

MAPPED = 10_000
"""Number of images of the map: all test digits."""
KEPT = 4
"""Number of maps that are kept while another is in view."""
METHODS: tuple[MapMethod, ...] = get_args(MapMethod)
LAYERS: tuple[MappedLayer, ...] = get_args(MappedLayer)
SHORT: dict[MappedLayer, str] = {
    "hidden": "last hidden",
    "block1": "block 1",
    "block2": "block 2",
    "pixels": "pixels",
}
"""Names of layers where there is little room."""
NO_EPOCHS = "runs keep only the convolutions of earlier epochs: choose a convolution block as the layer"


class MapPage(EpochPage):
    """The map; beside it the digit under the cursor, and what the network predicts for it."""

    page = "map"
    title = "map"
    legend = False
    keeps = "convolutions"
    method: State[MapMethod] = State("pca")
    mapped: State[MappedLayer] = State("hidden")
    """The layer; `layer` is a name of Textual's."""
    only: State[int] = State(-1)
    """The only class that is not faint; -1 for all."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self.maps: dict[Request, ImagesEmbedded] = {}
        """The latest maps, by what was asked for; one may still be moving."""

    def compose(self) -> ComposeResult:
        yield Scatter(empty="no map yet", id="scatter")
        with Container(id="map-side"):
            yield Raster(id="mapped")
            yield Bars(id="map-answers")

    @property
    def scatter(self) -> Scatter:
        """The points."""
        return self.query_one(Scatter)

    # Requests

    def request(self) -> Embed:
        """What is asked for."""
        part, _ = self.workspace.digit
        return Embed(
            what=self.workspace.what,
            **images_in(part),
            method=self.method,
            layer=self.mapped,
            count=MAPPED,
            epoch=self.epoch,
        )

    def wanted(self) -> list[Request]:
        return [self.request()]

    def kept(self) -> list[Request]:
        return list(self.maps)

    def hear(self, job: Job, event: Event) -> None:
        if isinstance(event, EmbeddingAdvanced):
            self._take(job.request, event.embedding)
        elif isinstance(event, ImagesEmbedded):
            self._take(job.request, event)
        else:
            return
        if self.desk.page is self:
            self.desk.update()

    def _take(self, request: Request, event: ImagesEmbedded) -> None:
        first = not self.maps
        self.maps.pop(request, None)
        self.maps[request] = event
        while len(self.maps) > KEPT:
            del self.maps[next(iter(self.maps))]
        if first:
            self.find_digit()

    def forget(self) -> None:
        """Drop the maps, and the chosen epoch, which another network may not have."""
        self.maps = {}
        self.set_reactive(EpochPage.epoch, -1)

    @property
    def shown(self) -> ImagesEmbedded | None:
        """The map in view: while there is none of what is asked for, the latest one, unless there cannot be one."""
        if found := self.maps.get(self.request()):
            return found
        return None if not self.maps or self.desk.inquiry.problem else list(self.maps.values())[-1]

    def in_reach(self) -> Movable | None:
        return self.scatter

    def find_digit(self) -> None:
        """Move the cursor to the current digit, if it is on the map."""
        part, index = self.workspace.digit
        if self.is_attached and (shown := self.shown) and shown.part == part and index < shown.count:
            self.scatter.event = shown
            self.scatter.go_to(index)

    # Drawing

    def draw(self) -> None:
        shown = self.shown
        if shown is None:
            self.scatter.show((f"{METHOD_NAMES[self.method]} of the {LAYER_WORDS[self.mapped]}",), None)
        else:
            self.scatter.show(_titles(shown), shown, self.only)
        self._draw_digit()

    def _draw_digit(self) -> None:
        shown, at = self.shown, self.scatter.cursor
        picture, bars = self.query_one(Raster), self.query_one(Bars)
        gray = replace(self.view, colours="gray")
        if shown is None:
            picture.show("digit", "", None, gray)
            bars.show("", [], -1, -1)
            return
        picture.show(f"{shown.part} {at}", "", shown.images[at] / 255, gray, PIXEL)
        actual, predicted = int(shown.labels[at]), int(shown.predictions[at])
        bars.show(f"actual {actual}", shown.probabilities[at].tolist(), actual, predicted)

    def sentence(self) -> str:
        """What is under the cursor, and how well the map keeps classes together."""
        if self.desk.inquiry.problem or (shown := self.shown) is None:
            return ""
        at = self.scatter.cursor
        actual, predicted = int(shown.labels[at]), int(shown.predictions[at])
        current = " (current)" if self.workspace.digit == (shown.part, at) else ""
        words = f"{shown.part} {at}{current}: label {actual}, predicted {predicted}"
        if shown.same_class is not None and shown.same_class_before is not None:
            share, before = f"{100 * shown.same_class:.1f} %", f"{100 * shown.same_class_before:.1f} %"
            near = f"neighbours of the same class: {share}, in the layer {before}"
            if not self.desk.has_class("-wide"):
                near = f"same-class neighbours: {share}"
            words += f"   {glyphs().dot}   {near}"
        return words

    def while_working(self) -> str:
        return self.sentence()

    def figure(self) -> DrawFigure | None:
        return self.desk.as_drawn(self.shown)

    # Settings

    def settings(self) -> Sequence[Setting]:
        method = of_state(
            self, "method", "method", METHODS, show=METHOD_NAMES.__getitem__,
            help="PCA at once; t-SNE and UMAP take seconds, and packages of their own",
        )  # fmt: skip
        layer = of_state(
            self, "mapped", "layer", LAYERS, name="layer", help="what is mapped",
            show=SHORT.__getitem__,
        )  # fmt: skip
        only = of_state(
            self, "only", "class", range(-1, CLASSES), name="class", help="the class that stands out",
            show=lambda number: "all" if number < 0 else str(number),
        )  # fmt: skip
        return [method, layer, *self.epoch_settings(), only]

    def epochs(self) -> tuple[int, ...]:
        """The epochs of which the layer can be mapped."""
        shown = self.shown
        return shown.epochs if shown and shown.layer == self.mapped else ()

    def no_epochs(self) -> str:
        return "this network keeps no weights of earlier epochs" if self.mapped in ("block1", "block2") else NO_EPOCHS

    def watch_mapped(self) -> None:
        """Follow the latest epoch again: other layers have other epochs."""
        self.set_reactive(EpochPage.epoch, -1)

    def unused(self) -> set[str]:
        return set() if len(self.epochs()) > 1 else {"earlier", "later"}

    # Keys

    def on_scatter_moved(self) -> None:
        self._draw_digit()
        self.desk.draw_status()

    def on_scatter_opened(self) -> None:
        self.action_zoom()

    def action_zoom(self) -> None:
        """Make the digit the current one."""
        if shown := self.shown:
            self.workspace.digit = (cast(PartName, shown.part), self.scatter.cursor)

    def action_next_mistake(self) -> None:
        self.scatter.next_mistake()

    def action_next_class(self) -> None:
        self.only = (self.only + 2) % (CLASSES + 1) - 1

    def action_previous_class(self) -> None:
        self.only = self.only % (CLASSES + 1) - 1

    def action_zoom_in(self) -> None:
        self.scatter.zoom_in()

    def action_zoom_out(self) -> None:
        self.scatter.zoom_out()

    def action_zoom_reset(self) -> None:
        self.scatter.zoom_reset()


def _titles(shown: ImagesEmbedded) -> tuple[str, ...]:
    """What the map is of, in more and in fewer words."""
    method = METHOD_NAMES[shown.method]
    epoch = f", epoch {shown.epoch}" if len(shown.epochs) > 1 and shown.epoch is not None else ""
    words = f"{method} of the {LAYER_WORDS[shown.layer]}{epoch}"
    variance = f", {100 * sum(shown.explained):.0f} % of its variance" if shown.explained else ""
    return words + variance, words, f"{method} of {SHORT[shown.layer]}{epoch}"
