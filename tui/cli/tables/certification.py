"""Tables of what is proved."""

from __future__ import annotations

from rich.console import RenderableType

from engine.certification.events import CertificationMeasured, DigitCertified
from engine.certification.requests import BOUND_TITLES
from engine.words import percent
from tui.cli.tables.layout import table_of
from tui.drawing.vocabulary import digit_answer


def certification(event: CertificationMeasured) -> list[RenderableType]:
    """Certified accuracy by epsilon."""
    table = table_of("epsilon", "certified", "95 % interval")
    for p in event.points:
        interval = f"{percent(p.low)} to {percent(p.high)}"
        table.add_row(f"{p.epsilon:g}", percent(p.certified_accuracy), interval)
    return [f"{event.points[0].count:,} digits, L-inf, proved by {BOUND_TITLES[event.bound]}:", "", table]


def digit(event: DigitCertified) -> list[RenderableType]:
    """How far one digit is safe."""
    return [f"digit {event.index}, actual {event.actual}, L-inf, {BOUND_TITLES[event.bound]}: {digit_answer(event)}"]
