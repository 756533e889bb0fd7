"""Real pixels while an attack runs, over a pseudo-terminal of 120x40: `python -m tests.benchmarks.pixels`.

Arguments: steps of the attack (20,000), seconds (20), kinds of terminals (kitty,sixel,iterm).

Bytes: the most that the app sends in any one second, pictures and text, while the targeted attack changes all pictures
of screen 7; those of pictures, and their number a second.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from tests.graphics_terminal import GraphicsTerminal, Kind

STEP = 0.05
"""Seconds between two looks."""


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    steps, seconds, kinds = [*arguments, *("20000", "20", "kitty,sixel,iterm")[len(arguments) :]]
    for kind in kinds.split(","):
        measure(cast("Kind", kind), int(steps), float(seconds))


def measure(kind: Kind, steps: int, seconds: float) -> None:
    """Measure one kind of terminal."""
    with tempfile.TemporaryDirectory() as folder, GraphicsTerminal(kind, cwd=Path(folder)) as app:
        app.wait_for("quit")
        app.send("7")
        app.wait_for("fooled after", 120)
        app.send("vvv")
        app.wait_for(lambda _: app.sent > 0)
        app.read(2.0)
        app.send("ssss")
        app.wait_for("number of optimizer steps")
        app.send(f"{steps}\r\x1b")
        app.read(0.5)
        app.send("r")
        pictures, began, end = app.sent, time.perf_counter(), time.perf_counter() + seconds
        looks = [(began, app.received, app.bytes)]
        while time.perf_counter() < end:
            app.read(STEP)
            looks.append((time.perf_counter(), app.received, app.bytes))
        rate = (app.sent - pictures) / (looks[-1][0] - began)
    whole = most_in_a_second([(at, received) for at, received, _ in looks])
    drawn = most_in_a_second([(at, sent) for at, _, sent in looks])
    print(
        f"{kind:8} at most {whole / 1000:6.1f} kB in a second, pictures {drawn / 1000:6.1f} kB, {rate:5.1f} pictures/s"
    )


def most_in_a_second(looks: Sequence[tuple[float, int]]) -> int:
    """The largest difference of a count between two looks that are at most a second apart."""
    return max(after - before for at, before in looks for then, after in looks if at <= then <= at + 1)


if __name__ == "__main__":
    main(sys.argv[1:])
