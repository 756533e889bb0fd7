"""The table of corruptions."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from engine.corruptions.events import CorruptionsMeasured
from engine.corruptions.requests import CORRUPTION_TITLES
from engine.words import percent
from tui.cli.tables.layout import table_of


def corruptions(event: CorruptionsMeasured) -> list[RenderableType]:
    """Accuracy by network and corruption, and what the network takes one digit for."""
    several = len(event.networks) > 1
    digit = f"{event.part} {event.index}"
    table = table_of(
        *(("network",) if several else ()), "corruption", "accuracy", "95 % interval", digit, left=1 + several
    )
    for network, answers in zip(event.networks, event.predicted, strict=True):
        points = event.of(network)
        for name, answer in zip(event.corruptions, answers, strict=True):
            point = points[name]
            interval = f"{percent(point.low)} to {percent(point.high)}"
            verdict = Text(str(answer), "red" if answer != event.actual else "")
            own = (Text(network),) if several else ()
            table.add_row(*own, CORRUPTION_TITLES[name], percent(point.accuracy), interval, verdict)
    means = [f"{network}: {percent(event.mean(network))}" for network in event.networks]
    lines: list[RenderableType] = [f"{event.points[0].count:,} digits, and {digit}, actual {event.actual}:", "", table]
    if len(event.corruptions) > 1:
        lines += ["", Text(f"mean over the corruptions, {', '.join(means)}")]
    return lines
