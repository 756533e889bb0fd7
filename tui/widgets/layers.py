"""The table of layers, the notebook's totals, and the share of parameters and multiply-adds in each layer."""

from __future__ import annotations

import itertools

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


class LayerTable(CellWidget):
    """One line per layer, then the totals; if there is room, bar charts of the shares."""

    DEFAULT_CSS = "LayerTable { height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.summary: NetworkSummarised | None = None

    def show(self, summary: NetworkSummarised | None) -> None:
        """Show `summary`."""
        self.summary = summary
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The table, the totals and the bars."""
        summary = self.summary
        quiet = ink(self.app, "quiet")
        if summary is None:
            return [title_row(self, "layers", [], width)]
        rows = [title_row(self, "layers", cells((f" {summary.name} ", quiet)), width)]
        rows.append(self._row([title for title, _ in COLUMNS], "quiet"))
        rows += [self._layer(layer) for layer in summary.layers]
        room = height - len(rows)
        if room >= 9 + bool(summary.running_statistics):
            rows.append([])
        rows += [title_row(self, "totals", [], width), *self._totals(summary, width)]
        shares = self._shares(summary, width)
        return rows + ([[], *shares] if height - len(rows) > len(shares) else [])

    def _row(self, texts: list[str], name: str) -> list[Cell]:
        parts = []
        for number, (text, (_, size)) in enumerate(zip(texts, COLUMNS, strict=True)):
            parts.append((f" {text:<{size - 1}}" if number < 3 else text.rjust(size), ink(self.app, name)))
        return cells(*parts)

    def _layer(self, layer: LayerSummary) -> list[Cell]:
        texts = [
            layer.name,
            with_batch(layer.input_shape),
            with_batch(layer.output_shape),
            _count(layer.parameters),
            _count(layer.neurons),
            _count(layer.multiply_adds),
            str(layer.receptive_field),
        ]
        return self._row(texts, "foreground")

    def _totals(self, summary: NetworkSummarised, width: int) -> list[list[Cell]]:
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
        total, room = sum(values.values()), max(4, width - 24)
        rows = [title_row(self, title, [], width)]
        for name, value in values.items():
            if value:
                full = round(room * value / total)
                rows.append(
                    cells(
                        (f" {name:<13}", ink(self.app, "foreground")),
                        (glyphs().bar_full * full, ink(self.app, "primary")),
                        (glyphs().bar_empty * (room - full), ink(self.app, "rule")),
                        (f"{value / total * 100:>7.1f} %", ink(self.app, "foreground")),
                    )
                )
        return rows


def _count(number: int) -> str:
    return f"{number:,}" if number else glyphs().nothing
