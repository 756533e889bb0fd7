"""Drawing in the real app, over a pseudo-terminal of 120x40: `python -m tests.benchmarks.draw`.

Arguments: strokes (100), test digits (100).

Strokes: the time from a key press that draws to the whole answer on the terminal: what the network receives, the ten
probabilities, the strongest channels and the map of the moving patch. While nothing else happens, and while a run
trains. The drawing is not centred, which takes under 1 ms: many a stroke would make no difference if it was. Corners:
the first test digits moved until their ink touches two edges, at their size and at half of it, and how many of them the
network recognises as they are drawn, and scaled and centred by their mass.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch

from engine.attribution.events import DrawingExplained
from engine.attribution.requests import ExplainDrawing
from engine.data.datasets import load
from engine.geometry import IMAGE_SIZE
from engine.operations import perform
from engine.words import percent
from tests.benchmarks.interaction import until
from tests.benchmarks.startup import PROGRAM
from tests.conftest import returned
from tests.pty_app import PtyApp
from tui.cli.app_speed import slow
from tui.drawing.strokes import transformed

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


def cornered(digit: np.ndarray, corner: tuple[int, int], factor: float) -> np.ndarray:
    """`digit` (28, 28) scaled by `factor`, its ink moved to the edges at `corner`: 0 or 1 on each axis."""
    ink = digit if factor == 1 else transformed(digit, 0, factor)
    rows, columns = (np.flatnonzero((ink > 0.5 / 255).any(axis=axis)) for axis in (1, 0))
    part = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    top, left = (end * (IMAGE_SIZE - side) for end, side in zip(corner, part.shape, strict=True))
    moved = np.zeros_like(digit)
    moved[top : top + part.shape[0], left : left + part.shape[1]] = part
    return moved


def corners(count: int, factor: float, *, raw: bool) -> float:
    """The share of the first `count` test digits in each of the four corners that the network recognises."""
    test = returned(load("mnist", torch.device("cpu"))).test.first(count)
    right = 0
    for (digit, label), corner in product(zip(test.images, test.labels, strict=True), product((0, 1), repeat=2)):
        drawn = cornered(digit[0].numpy(), corner, factor)
        pixels = np.rint(255 * drawn).astype(np.uint8).tobytes()
        request = ExplainDrawing(what="pretrained:cnn", device="cpu", pixels=pixels, raw=raw)
        (event,) = perform(request, Path("nowhere"))
        assert isinstance(event, DrawingExplained)
        right += event.predictions[0] == int(label)
    return right / (4 * len(test))


def main(arguments: Sequence[str] = ()) -> None:
    """Print the delays and the accuracies."""
    given = [int(word) for word in arguments]
    count, digits = given + [100, 100][len(given) :]
    with tempfile.TemporaryDirectory() as folder:
        for when, delays in zip(("alone", "while a run trains"), measure(Path(folder), count), strict=True):
            median, most = statistics.median(delays), slow(delays)
            said = f"median {median:3.0f} ms  95 % {most:3.0f} ms  worst {delays[-1]:3.0f} ms"
            print(f"stroke to answer, {when:<18}  {said}  of {count}")
    for name, factor in (("at their size", 1.0), ("at half their size", 0.5)):
        raw, centred = (percent(corners(digits, factor, raw=raw)) for raw in (True, False))
        print(f"{digits} test digits in the four corners, {name:<18}  as drawn {raw}  centred {centred}")


if __name__ == "__main__":
    main(sys.argv[1:])
