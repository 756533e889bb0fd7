"""Drawing in the real app, over a pseudo-terminal of 120x40: `python -m tests.benchmarks.draw`.

Argument: strokes (100).

The time from a key press that draws to the whole answer on the terminal: what the network receives, the ten
probabilities, the strongest channels and the map of the moving patch. While nothing else happens, and while a run
trains. The drawing is not centred, which takes under 1 ms: many a stroke would make no difference if it was.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.interaction import until
from tests.benchmarks.startup import PROGRAM
from tests.pty_app import PtyApp
from tui.cli.app_speed import slow

DOWN, RIGHT, LEFT = "\x1b[B", "\x1b[C", "\x1b[D"
PAGE_UP, HOME, CLEAR = "\x1b[5~", "\x1b[H", "\x7f"
PATH = (*(*[RIGHT] * 24, *[DOWN] * 3, *[LEFT] * 24, *[DOWN] * 3),) * 4
"""Keys that draw line below line, so that each of them draws something new."""
FIRST_ROW, LAST_ROW, FIRST_COLUMN = 3, 37, 58
"""Where the answer is, and nothing else, counted from 1."""
END = b"\x1b[1;1H"
"""The end of a frame."""


def _answered(received: bytes) -> bool:
    """Whether the whole frames of what has arrived have an answer."""
    whole = received[: max(0, received.rfind(END))]
    places = ((int(row), int(column)) for row, column in re.findall(rb"\x1b\[(\d+);(\d+)H", whole))
    return any(FIRST_ROW <= row <= LAST_ROW and column >= FIRST_COLUMN for row, column in places)


def strokes(app: PtyApp, count: int) -> list[float]:
    """Milliseconds from each of `count` strokes on screen 9 to its answer, ascending."""
    delays: list[float] = []
    while len(delays) < count:
        for key in (CLEAR, *[PAGE_UP] * 4, HOME, DOWN, RIGHT, " "):
            app.send(key)
            app.read(0.05, emulate=False)
        app.read(0.5, emulate=False)
        for number, key in enumerate(PATH[: count - len(delays)]):
            app.read(0.1 + number % 7 * 0.02, emulate=False)  # at changing distances from what a run draws
            app.send(key)
            delays.append(until(app, _answered) * 1000)
    return sorted(delays)


def measure(cwd: Path, count: int) -> tuple[list[float], list[float]]:
    """The delays while nothing else happens, and while a run trains."""
    with PtyApp(cwd=cwd, program=(PROGRAM, "pretrained:cnn")) as app:
        app.wait_for(lambda a: "loading" not in a.text.splitlines()[0])
        app.send("9")
        app.wait_for("draw with the mouse")
        app.send("---m")  # a thin pen, so that no line covers another; and no centring, which makes strokes alike
        app.wait_for("1 px")
        idle = strokes(app, count)
        app.send("1")
        app.wait_for("run")
        app.send("r")
        app.wait_for("img/s   run", 60)
        app.send("9")
        app.wait_for("drawing")
        busy = strokes(app, count)
        app.send("1")
        app.read(0.5, emulate=False)
        app.send("x")
        app.count_until(lambda: any(b"RunCancelled" in log.read_bytes() for log in cwd.glob("runs/*/events.jsonl")))
        app.send("q")
        app.wait()
    return idle, busy


def main(arguments: Sequence[str] = ()) -> None:
    """Print the delays."""
    count = int(arguments[0]) if arguments else 100
    with tempfile.TemporaryDirectory() as folder:
        for when, delays in zip(("alone", "while a run trains"), measure(Path(folder), count), strict=True):
            median, most = statistics.median(delays), slow(delays)
            said = f"median {median:3.0f} ms  95 % {most:3.0f} ms  worst {delays[-1]:3.0f} ms"
            print(f"stroke to answer, {when:<18}  {said}  of {count}")


if __name__ == "__main__":
    main(sys.argv[1:])
