"""The filters screen: kernels epoch by epoch, and the pages of what units look for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from textual.containers import Horizontal
from textual.widget import Widget

from engine.figures.requests import DrawFigure
from engine.inspection.events import FiltersShown
from engine.inspection.requests import UNIT_LAYERS, LayerName, ShowFilters, ShowUnit, UnitLayerName, VisualiseUnits
from engine.inspection.unit_events import PicturesAdvanced, UnitShown, UnitsVisualised
from engine.network.events import NetworkEvent
from engine.request import Request, RequestError
from engine.runs.finding import compared_bundled
from tui.drawing.raster import Span
from tui.drawing.words import brief, cut
from tui.keys import bindings
from tui.screens.filters.pictures import PicturesDesk
from tui.screens.filters.unit import UnitDesk
from tui.screens.inspect import Movable
from tui.screens.layers import LayerScreen
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.lines import ProgressLine
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet

IN_A_ROW = 8
"""Filters in a row where two networks stand side by side."""


class FiltersScreen(LayerScreen):
    """The notebook's sections 2.1 and 2.2, and what the units that these kernels belong to look for."""

    mode = "filters"
    BINDINGS = bindings("filters")
    colours = "diverging"
    epoch: State[int] = State(-1)
    """The chosen epoch; -1 follows the latest."""
    by_norm: State[bool] = State(False)
    beside: State[bool] = State(False)
    """Whether the filters of another network stand beside these; only those of conv1."""
    page: State[str] = State("")
    """`pictures` or `unit` if that page is in front; empty for the kernels of a convolution."""
    pictured: State[UnitLayerName] = State("conv1")
    """The layer of the pictures."""
    unit: State[tuple[UnitLayerName, int]] = State(("conv1", 0))
    """The unit of the page of one unit."""
    _before = ""
    """The page that led to the page of a unit."""
    shown: FiltersShown | None = None
    other: FiltersShown | None = None
    """The filters of the other network."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: dict[UnitLayerName, UnitsVisualised | PicturesAdvanced] = {}
        self.units: dict[tuple[UnitLayerName, int], UnitShown] = {}

    def body(self) -> Iterable[Widget]:
        """The grid, which the kernel under the cursor replaces when enlarged; and the two pages of units."""
        with Horizontal(id="filters-desk", classes="desk"):
            yield RasterGrid(empty="no filters yet", id="filters")
            yield RasterGrid(empty="no filters yet", cursor=False, id="filters-beside")
            yield Raster(numbers=True, id="kernel")
        yield PicturesDesk()
        yield UnitDesk()
        yield Legend()
        yield ProgressLine(id="status")

    @property
    def grid(self) -> RasterGrid:
        """The grid of all kernels."""
        return self.query_one("#filters", RasterGrid)

    @property
    def other_network(self) -> str:
        """The bundled network whose filters can stand beside these."""
        return compared_bundled(self.workspace.variant or "cnn-bn", self.workspace.history.request)

    @property
    def comparing(self) -> bool:
        """Whether the filters of another network are in view."""
        return self.beside and self.layer == "conv1" and not self.page

    def wanted(self) -> list[Request]:
        if self.page == "pictures":
            return [self._about_layer(self.pictured)]
        if self.page == "unit":
            return [self._about_unit(*self.unit)]
        own = ShowFilters(what=self.workspace.what, layer=self.layer, epoch=self.epoch)
        return [own, *([ShowFilters(what=self.other_network)] if self.comparing else [])]

    def kept(self) -> list[Request]:
        """What was made of units, which takes its time."""
        return [*map(self._about_layer, UNIT_LAYERS), *(self._about_unit(*unit) for unit in self.units)]

    def _about_layer(self, layer: UnitLayerName) -> VisualiseUnits:
        """The pictures of a layer, of one start each: the page of a unit has several."""
        return VisualiseUnits(what=self.workspace.what, layer=layer, starts=1)

    def _about_unit(self, layer: UnitLayerName, unit: int) -> ShowUnit:
        return ShowUnit(what=self.workspace.what, layer=layer, unit=unit)

    def take(self, event: NetworkEvent) -> None:
        match event:
            case FiltersShown() if event.name == self.other_network:
                self.other = event
            case FiltersShown():
                self.shown = event
            case PicturesAdvanced() if isinstance(self.pictures.get(_layer(event.layer)), UnitsVisualised):
                pass  # those of the epoch before stay until these are finished
            case UnitsVisualised() | PicturesAdvanced():
                self.pictures[_layer(event.layer)] = event
            case UnitShown():
                self.units[_layer(event.layer), event.unit] = event
            case _:
                pass

    def forget(self) -> None:
        """Drop the answers, and the chosen epoch and unit, which another network may not have."""
        if self.units:  # otherwise the unit was chosen on another screen, of this network
            self.set_reactive(FiltersScreen.unit, (self.unit[0], 0))
        self.shown = self.other = None
        self.pictures, self.units = {}, {}
        self.set_reactive(FiltersScreen.epoch, -1)

    # Drawing

    def draw_panels(self) -> None:
        for name in ("pictures", "unit"):
            self.set_class(self.page == name, f"-{name}")
        self.query_one(Legend).display = not self.page
        if self.page == "pictures":
            pictures = self.pictures.get(self.pictured)
            self.query_one(PicturesDesk).show(self.pictured, pictures, self.view)
        elif self.page == "unit":
            self.query_one(UnitDesk).show(*self.unit, self.units.get(self.unit), self.view)
        else:
            self._draw_filters()

    def _draw_filters(self) -> None:
        shown, grid = self.shown, self.grid
        other = self.other if self.comparing else None
        self.set_class(self.comparing, "-beside")
        if shown is None:
            grid.show(self.layer, "", EMPTY, self.view)
            self.query_one("#kernel", Raster).show(self.layer, "", None, self.view)
            self.query_one(Legend).show(self.view, None)
            return
        outputs, inputs, *_ = shown.weights.shape
        side = shown.weights.shape[-1]
        what = f"{outputs} filters" if inputs == 1 else f"{outputs} x {inputs} kernels"
        if other is None:
            grid.show(f"{shown.layer}  {what} of {side}x{side}", self._when(shown), self._sheet(shown), self.view)
        else:
            both = np.concatenate([each.weights.ravel() for each in (shown, other)])
            span = Span.of(both, self.view.colours) if self.view.shared else None
            for each, its in ((shown, grid), (other, self.query_one("#filters-beside", RasterGrid))):
                title = f"{cut(brief(each.name), 13)}  {len(each.weights)} filters"
                sheet = replace(self._sheet(each), labels=(), columns=min(IN_A_ROW, len(each.weights)))
                its.show(title, self._when(each), sheet, self.view, span)
        self._draw_kernel(shown)

    @staticmethod
    def _when(shown: FiltersShown) -> str:
        if shown.epoch is None:
            return shown.name
        words = "before training" if shown.epoch == 0 else f"epoch {shown.epoch}"
        return words + (f" of {shown.epochs[-1]}" if shown.epoch and shown.epochs else "")

    def _order(self, shown: FiltersShown) -> tuple[list[int], list[int]]:
        """The output channels in the order of the rows, and the input channels in the order of the columns."""
        outputs, inputs, *_ = shown.weights.shape
        if not self.by_norm:
            return list(range(outputs)), list(range(inputs))
        by_input = np.square(shown.weights).sum(axis=(0, 2, 3))
        return (
            sorted(range(outputs), key=lambda channel: -shown.norms[channel]),
            np.argsort(-by_input, kind="stable").tolist(),
        )

    def _sheet(self, shown: FiltersShown) -> Sheet:
        rows, columns = self._order(shown)
        images = shown.weights[rows][:, columns]
        flat = images.reshape(-1, *images.shape[2:])
        if len(columns) == 1:
            return Sheet(flat, labels=[f"{channel:<3}{shown.norms[channel]:.2f}" for channel in rows])
        return Sheet(
            flat, columns=len(columns), row_names=[str(n) for n in rows], column_names=[str(n) for n in columns]
        )

    def _draw_kernel(self, shown: FiltersShown) -> None:
        grid = self.grid
        rows, columns = self._order(shown)
        output, source = rows[grid.cursor // len(columns)], columns[grid.cursor % len(columns)]
        kernel = shown.weights[output, source]
        name = f"filter {output}" if len(columns) == 1 else f"output {output}, input {source}"
        facts = f"L2 norm {np.linalg.norm(kernel):.3f}   mean {kernel.mean():.3f}"
        span = grid.span_at_cursor() or Span.of(kernel, self.view.colours)
        self.query_one("#kernel", Raster).show(f"{shown.layer}  {name}", facts, kernel, self.view, span)
        self.query_one(Legend).show(self.view, span, f"weight, {name}" if not self.view.shared else "weight")

    def sentence(self) -> str:
        """How to read the grid, or what is known of the unit."""
        if self.page == "pictures":
            return self.query_one(PicturesDesk).sentence()
        return self.query_one(UnitDesk).sentence() if self.page else self._said_of_filters()

    def _said_of_filters(self) -> str:
        """How to read the grid of kernels; of two networks, what kinds of filters they have."""
        if self.shown is None:
            return ""
        if self.comparing:
            if self.other is None:
                return ""
            own, its = self.shown, self.other
            kinds = f"near zero: {own.near_zero} and {its.near_zero}, one pixel: {own.one_pixel} and {its.one_pixel}"
            return f"{kinds}, mean size: {own.mean_size:.3f} and {its.mean_size:.3f}"
        order = "the largest norm first" if self.by_norm else "in order of number"
        if self.shown.weights.shape[1] == 1:
            return f"above each filter its number and its L2 norm; {order}"
        return f"a row is an output channel, a column an input channel; {order}"

    # Pages and settings

    def page_titles(self) -> dict[str, str]:
        return super().page_titles() | {"pictures": "pictures", "unit": "unit"}

    @property
    def front(self) -> str:
        return self.page or self.layer

    async def turn_to(self, name: str) -> None:
        self._before = ""
        if name in ("pictures", "unit"):
            self.zoomed, self.page = False, name
        else:
            await super().turn_to(name)

    def show_layer(self, layer: LayerName) -> None:
        """Show the kernels of a convolution."""
        for grid in self.query(RasterGrid):  # before the first visit there is none
            grid.cursor = 0
        self.page = ""
        super().show_layer(layer)

    def show_unit(self, layer: UnitLayerName, unit: int, before: str = "") -> None:
        """Show the page of a unit; `before` is the page to go back to, empty for the screen that led here."""
        self._before, self.zoomed = before, False
        self.unit, self.page = (layer, unit), "unit"

    def settings(self) -> Sequence[Setting]:
        if self.page:
            return self._settings_of_units()
        order = of_state(
            self, "by_norm", "order", (False, True), name="order", help="the order of the channels",
            show=lambda by_norm: "largest norm first" if by_norm else "by number",
        )  # fmt: skip
        beside = of_state(
            self, "beside", "beside", (False, True), help="another network's filters beside these",
            show=lambda beside: brief(self.other_network) if beside else "none",
        )  # fmt: skip
        rest = [order, self.range_setting(), *([beside] if self.layer == "conv1" else [])]
        epochs = self.shown.epochs if self.shown else ()
        if len(epochs) < 2:
            return rest
        now = self.epoch if self.epoch in epochs else epochs[-1]
        epoch = Setting("epoch", "epoch", now, self._go_to_epoch, step=self._step_epoch, parse=self._epoch_of)
        return [epoch, *rest]

    def _settings_of_units(self) -> Sequence[Setting]:
        """The layer of the pictures; or the unit and its layer."""
        if self.page == "pictures":
            return [of_state(self, "pictured", "layer", UNIT_LAYERS, help="the layer of the units")]
        layer, unit = self.unit
        layers = Setting(
            "unit_layer", "layer", layer, lambda to: self._go_to_unit(to, 0), UNIT_LAYERS, help="the layer of the unit"
        )
        number = Setting(
            "unit", "unit", unit, lambda to: self._go_to_unit(layer, to), step=self._step_unit, parse=self._unit_of,
            help="number of the unit in its layer",
        )  # fmt: skip
        return [layers, number]

    def _go_to_unit(self, layer: UnitLayerName, unit: int) -> None:
        self.unit = (layer, unit)

    @property
    def _units_here(self) -> int:
        """The number of units of the layer of the page of a unit; 0 while not known."""
        layer, _ = self.unit
        return next((event.of for (its, _), event in self.units.items() if its == layer), 0)

    def _step_unit(self, now: int, by: int) -> int:
        return min(max(now + by, 0), max(self._units_here - 1, now))

    def _unit_of(self, text: str) -> int:
        count = self._units_here
        if not text.isdecimal() or (count and int(text) >= count):
            raise RequestError(f"unit must be a whole number from 0 to {max(0, count - 1)}, not {text!r}")
        return int(text)

    def _go_to_epoch(self, epoch: int) -> None:
        """Show the filters of an epoch; the last one follows the run."""
        self.epoch = -1 if self.shown and epoch == self.shown.epochs[-1] else epoch

    def _step_epoch(self, now: int, by: int) -> int:
        epochs = self.shown.epochs if self.shown else (now,)
        return epochs[min(max(epochs.index(now) + by, 0), len(epochs) - 1)]

    def _epoch_of(self, text: str) -> int:
        epochs = self.shown.epochs if self.shown else ()
        if not text.isdecimal() or int(text) not in epochs:
            kept = f"epochs {epochs[0]} to {epochs[-1]}" if epochs else "no epoch yet"
            raise RequestError(f"this run keeps filters of {kept}, not of {text!r}")
        return int(text)

    def figure(self) -> DrawFigure | None:
        """All kernels of the layer; those of both networks if these are in view; or what is known of units."""
        if self.page == "pictures":
            made = self.pictures.get(self.pictured)
            return self.as_drawn(made if isinstance(made, UnitsVisualised) else None)
        if self.page == "unit":
            known = self.units.get(self.unit)
            return self.as_drawn(known if known and known.ablation else None)
        if self.comparing and self.shown:
            return self.as_drawn((self.shown, self.other) if self.other else None)
        return self.as_drawn(self.shown)

    # Keys

    def in_reach(self) -> Movable | None:
        """The grid of pictures or of kernels; on the page of a unit, the units themselves."""
        if self.page == "unit":
            return _Units(self)
        return self.query_one(PicturesDesk).grid if self.page == "pictures" else self.grid

    def unused(self) -> set[str]:
        """A neuron of the hidden layer has no map on screen 5."""
        return {"zoom"} if self.page == "unit" and self.unit[0] == "hidden" else set()

    def on_raster_grid_moved(self) -> None:
        if self.page == "pictures":
            self.query_one(PicturesDesk).show_near(self.view)
            self.draw_status()
        elif self.shown and not self.page:
            self._draw_kernel(self.shown)

    def action_order(self) -> None:
        self.by_norm = not self.by_norm

    def action_next_layer(self) -> None:
        """Show the pictures of the next layer."""
        self.pictured = UNIT_LAYERS[(UNIT_LAYERS.index(self.pictured) + 1) % len(UNIT_LAYERS)]

    def action_beside(self) -> None:
        self.beside = not self.beside

    def action_earlier(self) -> None:
        self._step(-1)

    def action_later(self) -> None:
        """Go to the next epoch; the last one follows the run."""
        self._step(1)

    def _step(self, by: int) -> None:
        shown = self.shown
        if shown is None or shown.epoch not in shown.epochs:
            self.notify("this network keeps no filters of earlier epochs", severity="warning")
        else:
            self._go_to_epoch(self._step_epoch(self.epoch if self.epoch in shown.epochs else shown.epoch, by))

    def action_zoom(self) -> None:
        """Enlarge the filter under the cursor; an enlarged filter and a picture lead to their unit, it to its map."""
        if self.page == "unit":
            layer, unit = self.unit
            if layer != "hidden":
                self.host.show_channel(layer, unit)
        elif self.page == "pictures":
            here = self.query_one(PicturesDesk).here
            if here is not None:
                self.show_unit(self.pictured, here, self.page)
        elif not self.zoomed or self.shown is None:
            super().action_zoom()
        else:
            rows, columns = self._order(self.shown)
            self.show_unit(self.layer, rows[self.grid.cursor // len(columns)], self.layer)

    async def action_back(self) -> None:
        """Leave the enlarged filter; from a unit, go back to where it was opened; or return to the screen before."""
        before, self._before = self._before, ""
        if self.page == "unit" and not before and self.host.led_to(self.mode):
            self.host.go_back(self.mode)
        elif self.page:
            self.page = "pictures" if before == "pictures" else ""
        else:
            await super().action_back()


class _Units:
    """The units of a layer, one of which the page of a unit shows: the arrow keys go from one to the next."""

    def __init__(self, screen: FiltersScreen) -> None:
        self._screen = screen

    def _go(self, to: int) -> None:
        screen = self._screen
        layer, now = screen.unit
        if (unit := screen._step_unit(now, to - now)) != now:
            screen.unit = (layer, unit)

    def move(self, across: int, down: int) -> None:
        """Go to the next unit (right, down) or to the previous one."""
        self._go(self._screen.unit[1] + across + down)

    def page(self, pages: int) -> None:
        """Go ten units further."""
        self._go(self._screen.unit[1] + 10 * pages)

    def jump(self, index: int) -> None:
        """Go to the first unit (0), or the last (-1)."""
        self._go(index if index >= 0 else self._screen._units_here - 1)


def _layer(name: str) -> UnitLayerName:
    """The layer that an event names."""
    return next(layer for layer in UNIT_LAYERS if layer == name)
