"""Screen 4: the kernels of both convolutions, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from textual.containers import Horizontal
from textual.widget import Widget

from engine.figures.requests import DrawFigure
from engine.inspection.events import FiltersShown
from engine.inspection.requests import LayerName, ShowFilters
from engine.network.events import NetworkEvent
from engine.request import Request, RequestError
from tui.drawing.raster import Span
from tui.keys import bindings
from tui.screens.layers import LayerScreen
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.lines import ProgressLine
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet


class FiltersScreen(LayerScreen):
    """The notebook's sections 2.1 and 2.2."""

    mode = "filters"
    BINDINGS = bindings("filters")
    colours = "diverging"
    epoch: State[int] = State(-1)
    """The chosen epoch; -1 follows the latest."""
    by_norm: State[bool] = State(False)
    shown: FiltersShown | None = None

    def body(self) -> Iterable[Widget]:
        """The grid, which the kernel under the cursor replaces when enlarged."""
        with Horizontal(classes="desk"):
            yield RasterGrid(empty="no filters yet", id="filters")
            yield Raster(numbers=True, id="kernel")
        yield Legend()
        yield ProgressLine(id="status")

    @property
    def grid(self) -> RasterGrid:
        """The grid of all kernels."""
        return self.query_one("#filters", RasterGrid)

    def wanted(self) -> list[Request]:
        return [ShowFilters(what=self.workspace.what, layer=self.layer, epoch=self.epoch)]

    def take(self, event: NetworkEvent) -> None:
        if isinstance(event, FiltersShown):
            self.shown = event

    def forget(self) -> None:
        """Drop the kernels, and the chosen epoch, which another network may not have."""
        self.shown = None
        self.set_reactive(FiltersScreen.epoch, -1)

    # Drawing

    def draw_panels(self) -> None:
        shown, grid = self.shown, self.grid
        if shown is None:
            grid.show(self.layer, "", EMPTY, self.view)
            self.query_one("#kernel", Raster).show(self.layer, "", None, self.view)
            self.query_one(Legend).show(self.view, None)
            return
        outputs, inputs, *_ = shown.weights.shape
        side = shown.weights.shape[-1]
        what = f"{outputs} filters" if inputs == 1 else f"{outputs} x {inputs} kernels"
        grid.show(f"{shown.layer}  {what} of {side}x{side}", self._when(shown), self._sheet(shown), self.view)
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
        """How to read the grid."""
        if self.shown is None:
            return ""
        order = "the largest norm first" if self.by_norm else "in order of number"
        if self.shown.weights.shape[1] == 1:
            return f"above each filter its number and its L2 norm; {order}"
        return f"a row is an output channel, a column an input channel; {order}"

    # Pages and settings

    def show_layer(self, layer: LayerName) -> None:
        """Show the kernels of a convolution."""
        for grid in self.query(RasterGrid):  # before the first visit there is none
            grid.cursor = 0
        super().show_layer(layer)

    def settings(self) -> Sequence[Setting]:
        order = of_state(
            self, "by_norm", "order", (False, True), name="order", help="the order of the channels",
            show=lambda by_norm: "largest norm first" if by_norm else "by number",
        )  # fmt: skip
        epochs = self.shown.epochs if self.shown else ()
        if len(epochs) < 2:
            return [order, self.range_setting()]
        now = self.epoch if self.epoch in epochs else epochs[-1]
        epoch = Setting("epoch", "epoch", now, self._go_to_epoch, step=self._step_epoch, parse=self._epoch_of)
        return [epoch, order, self.range_setting()]

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
        """All kernels of the layer."""
        return self.as_drawn(self.shown)

    # Keys

    def on_raster_grid_moved(self) -> None:
        if self.shown:
            self._draw_kernel(self.shown)

    def action_order(self) -> None:
        self.by_norm = not self.by_norm

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
        """Enlarge the filter under the cursor; an enlarged filter leads to its activations."""
        if not self.zoomed or self.shown is None:
            super().action_zoom()
            return
        rows, columns = self._order(self.shown)
        self.host.show_channel(self.layer, rows[self.grid.cursor // len(columns)])
