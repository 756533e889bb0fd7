"""The table of the benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from engine.benchmark.events import BenchFinished, Measurement, three_digits
from tui.cli.tables.layout import table_of
from tui.drawing.words import duration

PEERS = {"notebook": "notebook's", "Captum": "Captum's"}


def bench(event: BenchFinished) -> list[RenderableType]:
    """Every row, in groups of the same section, precision and peer; then the notes, the machine and the versions."""
    table = table_of("", "", "", "", "", left=2)
    table.show_header = False
    for number, rows in enumerate(groups(event.rows)):
        if number:
            table.add_row()
        first = rows[0]
        title = ", ".join(filter(None, (first.section, first.precision)))
        heads = ("this program", PEERS[first.peer], "times faster") if first.peer else ("", "", "range")
        table.add_row(Text(title, "bold"), "", *heads)
        before = ""
        for row in rows:
            own = (value(row.median, row.unit), "" if row.peer_median is None else value(row.peer_median, row.unit))
            table.add_row("" if row.name == before else Text(row.name), row.variant, *own, Text(spread(row)))
            before = row.name
    return [table, "", *map(Text, notes(event))]


def groups(rows: Sequence[Measurement]) -> list[list[Measurement]]:
    """The rows by section, precision and peer, in the order in which they come first."""
    found: dict[tuple[str, str, str], list[Measurement]] = {}
    for row in rows:
        found.setdefault((row.section, row.precision, row.peer), []).append(row)
    for group in found.values():
        names = list(dict.fromkeys(row.name for row in group))
        group.sort(key=lambda row: names.index(row.name))
    return list(found.values())


def value(amount: float, unit: str) -> str:
    """An amount in three digits with its unit: `5.68 ms`, `1,072 GFLOP/s`."""
    return f"{three_digits(amount)} {unit}"


def spread(row: Measurement) -> str:
    """How often faster than the peer, with its range: `1.89 (1.25-1.98)`; without a peer, the range of the values."""
    if row.ratio is None or row.ratio_low is None or row.ratio_high is None:
        return f"{three_digits(row.low)}-{three_digits(row.high)}" if row.low < row.high else ""
    return f"{row.ratio:.2f} ({row.ratio_low:.2f}-{row.ratio_high:.2f})"


def notes(event: BenchFinished) -> Iterator[str]:
    """What is to be said of rows, of the machine and of the measurement, a line each."""
    by_note: dict[str, list[Measurement]] = {}
    for row in event.rows:
        if row.note:
            by_note.setdefault(row.note, []).append(row)
    for note, rows in by_note.items():
        yield f"{', '.join(dict.fromkeys(row.name for row in rows))}: {note}"
    machine = dict(event.machine)
    yield f"on {event.device}: {machine.pop('processor')}, {machine.pop('instruction set')}, {event.device_name}"
    if limits := ", ".join(f"{name} {each}" for name, each in machine.items() if each != "none"):
        yield limits
    yield ", ".join(f"{name} {each}" for name, each in event.versions.items())
    form = "quick: few rounds on few images" if event.quick else "medians of all rounds"
    yield f"{form}; took {duration(event.seconds)}"
