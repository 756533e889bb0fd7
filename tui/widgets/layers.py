"""The table of layers, the notebook's totals, and the share of parameters and multiply-adds in each layer."""

from __future__ import annotations

import itertools
import math

from textual.events import Click
from textual.message import Message

from engine.inspection.events import LayerSummary, NetworkSummarised, with_batch
from tui.drawing.cells import Cell, cells
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.widgets.cells import CellWidget, title_row

COLUMNS = (
    ("layer", 12),
    ("input", 14),
    ("output", 14),
    ("parameters", 11),
    ("neurons", 8),
    ("multiply-adds", 14),
    ("field", 6),
)
"""Title and width in cells."""


WIDTH = sum(size for _, size in COLUMNS)
BAR = 40
"""Minimum width of a bar chart, in cells, with the names of its layers or beside the table."""

MOST_APART = 3
"""Maximum number of lines per layer, where there is room."""


class LayerTable(CellWidget):
    """One line per layer with a cursor, the totals, and the shares of the layers as bars, beside the table or below."""

    DEFAULT_CSS = "LayerTable { height: 1fr; }"

    class Moved(Message):
        """The cursor moved to another layer."""

    class Opened(Message):
        """The user asked for the filters of a convolution."""

        def __init__(self, layer: str) -> None:
            super().__init__()
            self.layer = layer

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.summary: NetworkSummarised | None = None
        self.cursor = 0
        self._pitch = 1
        """Lines per layer."""

    def show(self, summary: NetworkSummarised | None) -> None:
        """Show `summary`."""
        self.summary = summary
        self.redraw()

    # Moving

    @property
    def here(self) -> LayerSummary | None:
        """The layer under the cursor."""
        layers = self.summary.layers if self.summary else ()
        return layers[min(self.cursor, len(layers) - 1)] if layers else None

    def move(self, across: int, down: int) -> None:
        """Move the cursor by `down` (or `across`) layers."""
        self.go_to(self.cursor + down + across)

    def page(self, pages: int) -> None:
        """Move the cursor to the first layer (negative `pages`) or the last one."""
        self.jump(0 if pages < 0 else -1)

    def jump(self, index: int) -> None:
        """Move the cursor to the first layer (index 0) or the last one (-1)."""
        if self.summary and self.summary.layers:
            self.go_to(index % len(self.summary.layers))

    def go_to(self, index: int) -> None:
        """Move the cursor to the layer at `index`, or the nearest one."""
        index = min(max(index, 0), len(self.summary.layers) - 1) if self.summary else -1
        if index >= 0 and index != self.cursor:
            self.cursor = index
            self.redraw()
            self.post_message(self.Moved())

    def open(self) -> None:
        """Ask for the filters of the layer under the cursor, if it is a convolution."""
        if self.here and self.here.name.startswith("conv"):
            self.post_message(self.Opened(self.here.name))

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked layer; a click on the layer under the cursor opens it."""
        index = (event.y - 2) // self._pitch
        if self.summary and event.y >= 2 and index < len(self.summary.layers):
            if index == self.cursor:
                self.open()
            self.go_to(index)

    # Drawing

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The table, the totals and the bars."""
        summary = self.summary
        quiet = ink(self.app, "quiet")
        if summary is None:
            return [title_row(self, "layers", [], width)]
        totals = self._totals(summary)
        beside = (width - WIDTH) // 2 if width >= WIDTH + 2 * BAR else 0
        room = (height - len(totals) - 10) // max(1, len(summary.layers))
        self._pitch = min(max(1, room), MOST_APART) if beside else 1
        rows = [title_row(self, "layers", cells((f" {summary.name} ", quiet)), width), self._head(beside)]
        for number, layer in enumerate(summary.layers):
            rows.append(self._layer(layer, number == self.cursor) + self._beside(summary, layer, beside))
            rows += [[]] * (self._pitch - 1)
        if height - len(rows) > len(totals) + 1:
            rows.append([])
        rows += [title_row(self, "totals", [], width), *totals]
        words = [cells((f" {line}", ink(self.app, "foreground"))) for line in explained(self.here)] if self.here else []
        if words and height - len(rows) > len(words) + 1:
            rows += [[], title_row(self, self.here.name if self.here else "", [], width), *words]
        shares = [] if beside else self._shares(summary, width)
        return rows + ([[], *shares] if shares and height - len(rows) > len(shares) else [])

    def _head(self, beside: int) -> list[Cell]:
        titles = ("share of parameters", "share of multiply-adds") if beside else ()
        row = self._row([title for title, _ in COLUMNS], "quiet")
        return row + cells(("".join(f"   {title:<{beside - 3}}" for title in titles), ink(self.app, "quiet")))

    def _row(self, texts: list[str], name: str, *, here: bool = False) -> list[Cell]:
        row: list[Cell] = []
        for number, (text, (_, size)) in enumerate(zip(texts, COLUMNS, strict=True)):
            style = ink(self.app, name)
            if here:
                style = ink(self.app, "primary", bold=True, reverse=number == 0)
            row += cells((f" {text:<{size - 1}}" if number < 3 else text.rjust(size), style))
        return row

    def _layer(self, layer: LayerSummary, here: bool) -> list[Cell]:
        texts = [
            layer.name,
            with_batch(layer.input_shape),
            with_batch(layer.output_shape),
            _count(layer.parameters),
            _count(layer.neurons),
            _count(layer.multiply_adds),
            str(layer.receptive_field),
        ]
        return self._row(texts, "foreground", here=here)

    def _beside(self, summary: NetworkSummarised, layer: LayerSummary, width: int) -> list[Cell]:
        """The bars of one layer, each `width` cells wide; none if that is 0."""
        if not width:
            return []
        pairs = (
            (layer.parameters, sum(each.parameters for each in summary.layers)),
            (
                layer.multiply_adds,
                sum(each.multiply_adds for each in summary.layers),
            ),
        )
        row: list[Cell] = []
        for value, total in pairs:
            row += cells(("   ", ink(self.app, "quiet"))) + self._bar(value, total, width - 3)
        return row

    def _bar(self, value: int, total: int, width: int) -> list[Cell]:
        """The share of `value` in `total`, as a bar and in per cent; blank for 0."""
        room = width - 10
        if not value:
            return cells((" " * width, ink(self.app, "quiet")))
        full = round(room * value / total)
        return cells(
            (glyphs().bar_full * full, ink(self.app, "primary")),
            (glyphs().bar_empty * (room - full), ink(self.app, "rule")),
            (f"{value / total * 100:>7.1f} % ", ink(self.app, "foreground")),
        )

    def _totals(self, summary: NetworkSummarised) -> list[list[Cell]]:
        lines = [
            ("", "parameters", "neurons"),
            ("convolutional", f"{summary.conv_parameters:,}", f"{summary.conv_neurons:,}"),
            ("fully connected", f"{summary.fc_parameters:,}", f"{summary.fc_neurons:,}"),
            ("total", f"{summary.total_parameters:,}", f"{summary.total_neurons:,}"),
        ]
        rows = []
        for number, (name, parameters, neurons) in enumerate(lines):
            style = ink(self.app, "foreground" if number else "quiet", bold=number == 3)
            rows.append(cells((f" {name:<16}{parameters:>12}{neurons:>12}", style)))
        notes = [("multiply-adds", summary.multiply_adds, "per image")]
        if summary.running_statistics:
            notes.insert(0, ("running stats", summary.running_statistics, "of batch norm, not trained"))
        for name, count, words in notes:
            rows.append(cells((f" {name:<16}{count:>12,}   {words}", ink(self.app, "foreground"))))
        return rows

    def _shares(self, summary: NetworkSummarised, width: int) -> list[list[Cell]]:
        """Two bar charts side by side."""
        half = width // 2
        left = self._bars("parameters by layer", {x.name: x.parameters for x in summary.layers}, half - 2)
        right = self._bars("multiply-adds by layer", {x.name: x.multiply_adds for x in summary.layers}, width - half)
        blank = cells((" ", ink(self.app, "quiet")))
        nothing: list[Cell] = []
        rows = itertools.zip_longest(left, right, fillvalue=nothing)
        return [one + blank * (half - len(one)) + other for one, other in rows]

    def _bars(self, title: str, values: dict[str, int], width: int) -> list[list[Cell]]:
        total, name_size = sum(values.values()), 14
        rows = [title_row(self, title, [], width)]
        for name, value in values.items():
            if value:
                label = cells((f" {name:<{name_size - 1}}", ink(self.app, "foreground")))
                rows.append(label + self._bar(value, total, max(14, width - name_size)))
        return rows


def explained(layer: LayerSummary) -> list[str]:
    """What a layer's numbers are made of, in sentences."""
    field = f"an output depends on {layer.receptive_field}x{layer.receptive_field} pixels of the image"
    outputs, *places = layer.output_shape
    inputs = layer.input_shape[0]
    if layer.name.startswith("conv"):
        weights = layer.parameters - outputs
        side = math.isqrt(weights // (outputs * inputs))
        positions = math.prod(places)
        return [
            f"{layer.parameters:,} parameters: {outputs} x {inputs} kernels of {side}x{side}, and {outputs} biases",
            f"{layer.multiply_adds:,} multiply-adds: {layer.multiply_adds // positions:,} at each of "
            f"{positions:,} positions",
            field,
        ]
    if layer.name.startswith("fc"):
        counts = f"{outputs} x {inputs:,} weights, and {outputs} biases"
        return [f"{layer.parameters:,} parameters: {counts}", "one multiply-add per weight"]
    if layer.name.startswith("batch_norm"):
        of = f"{outputs} {'channels' if places else 'outputs'}"
        return [f"{layer.parameters:,} parameters: a factor and an offset for each of {of}"]
    return ["no parameters: each output is the largest of a square of inputs", field]


def _count(number: int) -> str:
    return f"{number:,}" if number else glyphs().nothing
