"""Shapes, parameters and neurons of each layer (the notebook's sections 1.3 to 1.5)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from engine.figures.drawing.page import page, panel, small_print
from engine.inspection.events import NetworkSummarised, with_batch

_HEAD = ["layer", "input", "output", "parameters", "running statistics", "neurons", "multiply-adds", "receptive field"]
_ROW = 0.21  # inches
_LETTER = 0.058  # inches that a character takes
_GAP = 0.2  # inches between two columns


def layers_figure(event: NetworkSummarised) -> Figure:
    """The table of layers as in a paper, with the totals below it."""
    rows = [
        (
            layer.name,
            with_batch(layer.input_shape),
            with_batch(layer.output_shape),
            *(
                f"{n:,}" if n else "–"
                for n in (layer.parameters, layer.running_statistics, layer.neurons, layer.multiply_adds)
            ),
            f"{layer.receptive_field} × {layer.receptive_field} px",
        )
        for layer in event.layers
    ]
    sums = {
        "convolutional": (event.conv_parameters, 0, event.conv_neurons, 0),
        "fully connected": (event.fc_parameters, 0, event.fc_neurons, 0),
        "total": (event.total_parameters, event.running_statistics, event.total_neurons, event.multiply_adds),
    }
    totals = [(name, "", "", *(f"{n:,}" if n else "" for n in numbers), "") for name, numbers in sums.items()]
    statistics = event.running_statistics > 0
    table = [[cell for i, cell in enumerate(row) if statistics or i != 4] for row in (_HEAD, *rows, *totals)]
    return _table(event, table, len(rows))


def _table(event: NetworkSummarised, table: Sequence[Sequence[str]], layers: int) -> Figure:
    widths = [max(map(len, column)) * _LETTER for column in zip(*table, strict=True)]
    width, height = sum(widths) + _GAP * (len(widths) - 1), (len(table) + 0.4) * _ROW
    notes = ("BS: batch size", "multiply-adds of one image")
    figure = page(height + 0.2, f"Layers of {event.variant}", small_print(event, *notes), width=width + 0.6)
    axes = panel(figure, 0.3, 0.0, width, height)
    axes.set(xlim=(0, width), ylim=(len(table) + 0.2, -0.2))
    axes.axis("off")
    left = 0.0
    for i, (across, column) in enumerate(zip(widths, zip(*table, strict=True), strict=True)):
        words = i < 3  # names and shapes are left-aligned, numbers right-aligned
        x = left if words else left + across
        for y, cell in enumerate(column):
            weight = "bold" if y in (0, len(table) - 1) else "normal"
            axes.text(x, y + 0.5, cell, ha="left" if words else "right", va="center", fontsize=7.5, fontweight=weight)
        left += across + _GAP
    for place, thickness in ((-0.1, 1.0), (1.0, 0.5), (layers + 1, 0.5), (len(table) + 0.1, 1.0)):
        axes.axhline(place, color="black", linewidth=thickness, clip_on=False)
    return figure
