"""The page of the kernels of both convolutions, epoch by epoch, alone or beside those of another network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from textual.app import ComposeResult

from engine.figures.requests import DrawFigure
from engine.inspection.events import FiltersShown
from engine.inspection.requests import LayerName, ShowFilters
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.runs.finding import compared_bundled
from tui.drawing.raster import Span
from tui.drawing.words import brief, cut
from tui.screens.epochs import EpochPage
from tui.screens.filters.unit import UnitPage
from tui.screens.inspect import Movable
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet

IN_A_ROW = 8
"""Filters in a row where two networks stand side by side."""


class KernelsPage(EpochPage):
    """One convolution at a time: to the user each is a page of its own."""

    page = "conv1"
    title = "conv1"
    keeps = "filters"
    convolution: State[LayerName] = State("conv1")
    by_norm: State[bool] = State(False)
    beside: State[bool] = State(False)
    """Whether the filters of another network stand beside these; only those of conv1."""
    shown: FiltersShown | None = None
    other: FiltersShown | None = None
    """The filters of the other network."""

    def compose(self) -> ComposeResult:
        """The grid, which the kernel under the cursor replaces when enlarged."""
        yield RasterGrid(empty="no filters yet", id="filters")
        yield RasterGrid(empty="no filters yet", cursor=False, id="filters-beside")
        yield Raster(numbers=True, id="kernel")

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
        return self.beside and self.convolution == "conv1"

    def wanted(self) -> list[Request]:
        own = ShowFilters(what=self.workspace.what, layer=self.convolution, epoch=self.epoch)
        return [own, *([ShowFilters(what=self.other_network)] if self.comparing else [])]

    def take(self, event: NetworkEvent) -> None:
        if isinstance(event, FiltersShown):
            if event.name == self.other_network:
                self.other = event
            else:
                self.shown = event

    def forget(self) -> None:
        """Drop the answers, and the chosen epoch, which another network may not have."""
        self.shown = self.other = None
        self.set_reactive(EpochPage.epoch, -1)

    def in_reach(self) -> Movable | None:
        return self.grid

    # Drawing

    def draw(self) -> None:
        shown, grid = self.shown, self.grid
        other = self.other if self.comparing else None
        self.set_class(self.comparing, "-beside")
        if shown is None:
            grid.show(self.convolution, "", EMPTY, self.view)
            self.query_one("#kernel", Raster).show(self.convolution, "", None, self.view)
            self.desk.query_one(Legend).show(self.view, None)
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
        self.desk.query_one(Legend).show(self.view, span, f"weight, {name}" if not self.view.shared else "weight")

    def sentence(self) -> str:
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

    # Settings

    def settings(self) -> Sequence[Setting]:
        order = of_state(
            self, "by_norm", "order", (False, True), name="order", help="the order of the channels",
            show=lambda by_norm: "largest norm first" if by_norm else "by number",
        )  # fmt: skip
        beside = of_state(
            self, "beside", "beside", (False, True), help="another network's filters beside these",
            show=lambda beside: brief(self.other_network) if beside else "none",
        )  # fmt: skip
        others = [beside] if self.convolution == "conv1" else []
        return [*self.epoch_settings(), order, self.desk.range_setting(), *others]

    def epochs(self) -> tuple[int, ...]:
        return self.shown.epochs if self.shown else ()

    def figure(self) -> DrawFigure | None:
        """All kernels of the layer; those of both networks if these are in view."""
        if self.comparing and self.shown:
            return self.desk.as_drawn((self.shown, self.other) if self.other else None)
        return self.desk.as_drawn(self.shown)

    # Keys

    def on_raster_grid_moved(self) -> None:
        if self.shown:
            self._draw_kernel(self.shown)

    def action_order(self) -> None:
        self.by_norm = not self.by_norm

    def action_beside(self) -> None:
        self.beside = not self.beside

    def action_zoom(self) -> None:
        """Enlarge the filter under the cursor; an enlarged filter leads to its unit."""
        if not self.desk.zoomed or self.shown is None:
            self.desk.zoomed = not self.desk.zoomed
        else:
            rows, columns = self._order(self.shown)
            unit = rows[self.grid.cursor // len(columns)]
            cast(UnitPage, self.desk.pages["unit"]).open(self.convolution, unit, self.page)
