"""The table of a learning-rate range test."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from engine.training.events import LearningRateFound
from tui.cli.tables.layout import table_of

LINES = 20
"""Steps in the table, evenly spaced, at most one more."""


def learning_rates(event: LearningRateFound) -> list[RenderableType]:
    """The loss at some of the rates, and the suggestion."""
    of = f"{event.variant} on {event.dataset}, batch size {event.batch_size}, seed {event.seed}"
    objective = "" if event.objective == "clean" else f", objective {event.objective}"
    tried = f"{len(event.rates)} of {event.steps} steps from {event.lowest:g} to {event.highest:g}"
    ending = f"; {event.ending}" if event.ending else ""
    table = table_of("learning rate", "loss", "smoothed")
    table.add_column(justify="left")
    every = -(-len(event.rates) // LINES) or 1
    near = [rate for rate in (event.steepest, event.rises_from) if rate is not None]
    for number, values in enumerate(zip(event.rates, event.losses, event.smoothed, strict=True)):
        rate, loss, smoothed = values
        if number % every and number != len(event.rates) - 1 and rate not in near:
            continue
        mark = "steepest fall" if rate == event.steepest else "lowest" if rate == event.rises_from else ""
        table.add_row(f"{rate:.1e}", f"{loss:.4f}", f"{smoothed:.4f}", Text(mark, "bold"))
    return [Text(f"{of}{objective}: {tried}{ending}"), "", table, "", Text(event.words, "bold")]
