"""What all tables share: columns, headings, rankings."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from engine.inspection.events import (
    ImagesEvent,
)
from engine.network.events import NetworkEvent

NOTHING = "."
"""An inconspicuous zero, or no value."""
ENDS = 5
"""Number of the strongest and of the weakest channels to list if there are many."""


def heading(event: NetworkEvent) -> Text:
    """The network, and the split if there is one."""
    # A Text, because brackets in a string are markup, and a file name may contain some.
    heading = Text(event.name, "bold").append(f"  {event.variant}", "not bold")
    if event.epoch is not None:
        heading.append(f", epoch {event.epoch}", "not bold")
    if isinstance(event, ImagesEvent):
        heading.append(f", {event.source}", "not bold")
    return heading


def table_of(*columns: str, left: int = 0, gap: int = 2) -> Table:
    """A table without lines. The first `left` columns are left-aligned, for words; the others are right-aligned."""
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", overflow="fold")
    return table


def number(change: float | None) -> str:
    """A change with two decimals; empty for None, a dash for NaN."""
    if change is None:
        return ""
    return "-" if math.isnan(change) else f"{change:.2f}"


def ranking(title: str, values: Sequence[float]) -> Table:
    """The channels with the largest and the smallest values."""
    table = table_of("channel", title)
    for channel in ends(values):
        table.add_row(*((str(channel), f"{values[channel]:.4f}") if channel >= 0 else ("...",)))
    return table


def ends(values: Sequence[float]) -> list[int]:
    """The indices of `values` in descending order. If there are many, only both ends, with -1 for the gap between."""
    order = sorted(range(len(values)), key=lambda place: -values[place])
    return order if len(order) <= 2 * ENDS + 2 else [*order[:ENDS], -1, *order[-ENDS:]]
