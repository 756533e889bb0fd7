"""The README's table of speed, from what the benchmark prints.

`mnist-tui bench --json | python -m tests.bench_table` writes it into README.md, between two markers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.benchmark.events import BenchFinished, Measurement
from tui.cli.tables.bench import PEERS, groups, notes, spread, value

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- bench -->\n", "<!-- end of bench -->\n"


def table(event: BenchFinished) -> str:
    """The table, as Markdown, and below it the notes, the machine and the versions."""
    lines = [
        "| what | network | precision | this program | peer | times faster, or range |",
        "|---|---|---|---|---|---|",
    ]
    for row in (row for group in groups(event.rows) for row in group):
        peer = "" if row.peer_median is None else f"{PEERS[row.peer]} {value(row.peer_median, row.unit)}"
        cells = (
            f"{row.section}: {row.name}",
            row.variant,
            row.precision,
            value(row.median, row.unit),
            peer,
            spread(row),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(event))]) + "\n"


def rows_of(markdown: str) -> Iterator[tuple[str, ...]]:
    """Of each row of a table: what, network, precision, unit and peer; not its numbers."""
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 6 and cells[0] != "what" and not cells[0].startswith("---"):
            what, network, precision, ours, peer, _ = cells
            yield what, network, precision, ours.split()[1], peer.split(" ")[0]


def wanted(rows: tuple[Measurement, ...]) -> list[tuple[str, ...]]:
    """The same of what the benchmark measured."""
    return [
        (f"{row.section}: {row.name}", row.variant, row.precision, row.unit, PEERS.get(row.peer, ""))
        for group in groups(rows)
        for row in group
    ]


def replaced(readme: str, event: BenchFinished) -> str:
    """`readme` with the table of `event` between its markers."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table(event)}\n{END}{after}"


def between_markers(readme: str) -> str:
    """What stands between the markers; empty where there are none."""
    found = re.search(f"{BEGIN}(.*){END}", readme, re.DOTALL)
    return found[1] if found else ""


if __name__ == "__main__":
    (finished,) = (
        msgspec.json.decode(line, type=BenchFinished) for line in sys.stdin.buffer if b"BenchFinished" in line
    )
    README.write_text(replaced(README.read_text(encoding="utf-8"), finished), encoding="utf-8")
