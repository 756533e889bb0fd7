"""The app while it trains, over a pseudo-terminal of 120x40: `python -m tests.benchmarks.interaction`.

Arguments: training images (50,000), key presses on each screen (50), rounds (3), seconds after which a screen has its
results (2; with fewer its first drawing is measured too).

Keys: the time from a key press to the change on the screen, on each of the screens. Throughput: the time of a whole
epoch in the app compared with the same without the app (`mnist-tui train --json`), alternating over several rounds.
Bytes: the output of the app per second in the meantime.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from engine.request import parameters
from engine.training.requests import Train
from tests.benchmarks.startup import PROGRAM
from tests.pty_app import PtyApp
from tui.cli.app_speed import HINT, LOGARITHMIC, slow
from tui.keys import SCREENS

KEYS = {
    "2": ("j", "k"),
    "3": ("l", "h"),
    "4": ("l", "h"),
    "5": ("l", "h"),
    "6": ("l", "h"),
    "7": ("w", "W"),
    "8": ("v", "v"),
}
"""A key of each screen, and the one that takes it back. Neither computes anything."""
RUN_ROWS = 3
"""More rows of the list of runs than the progress of a run changes."""


def headless(cwd: Path, size: int) -> float:
    """Seconds from the end of the first epoch to the end of the second, without the app."""
    command = [PROGRAM, "train", "--json", "--epochs", "2", "--train-size", str(size)]
    ends = []
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["type"] == "EpochFinished":
                ends.append(time.perf_counter())
    first, second = ends
    return second - first


def in_app(cwd: Path, size: int) -> tuple[float, float]:
    """Seconds of the same in the app, and the bytes per second that it sent in the meantime."""
    before = set((cwd / "runs").glob("*"))
    with PtyApp(cwd=cwd, program=(PROGRAM, "pretrained:cnn")) as app:
        app.wait_for(lambda a: "loading" not in a.text.splitlines()[0])
        _fill(app, size, 2)
        app.send("r")
        app.wait_for("epoch 1 ", 60)
        (run,) = set((cwd / "runs").glob("*")) - before
        events = run / "events.jsonl"
        app.count_until(lambda: events.read_bytes().count(b"EpochFinished") == 1)
        received = app.received
        seconds = app.count_until(lambda: events.read_bytes().count(b"EpochFinished") == 2)
        rate = (app.received - received) / seconds
        app.count_until(lambda: b"RunFinished" in events.read_bytes())
        app.read(1.0, emulate=False)  # until the app has heard of it, q asks
        app.send("q")
        app.wait()
    return seconds, rate


def _field(app: PtyApp) -> str:
    """The field whose help is shown, which is the focused one; empty while the focus moves."""
    return next((p.name for p in parameters(Train) if p.help[:HINT] in app.text), "")


def _fill(app: PtyApp, size: int, epochs: int) -> None:
    """Type the numbers of epochs and training images into the form."""
    app.send("s")
    app.wait_for(lambda a: _field(a) != "")
    for name, value in (("epochs", epochs), ("train_size", size)):
        while (before := _field(app)) != name:
            app.send("j")
            app.wait_for(lambda a, before=before: _field(a) not in ("", before))  # type: ignore[misc]
        app.send(str(value))
        app.wait_for("takes it")
        app.send("\r")  # by itself: with the number it would be taken for a paste
        app.wait_for(lambda a: "takes it" not in a.text)


def _rows(received: bytes) -> set[int]:
    """The numbers of the rows that were sent, without the header's, which the progress of a run changes."""
    return {int(row) for row in re.findall(rb"\x1b\[(\d+);\d+H", received)} - {1}


def until(app: PtyApp, arrived: Callable[[bytes], bool], patience: float = 5.0) -> float:
    """Seconds until what has arrived does; the screen is not emulated, since that takes much of a core from the app."""
    began = time.perf_counter()
    received = b""
    while not arrived(received):
        data = app._receive(began + patience)
        if not data:
            raise TimeoutError(f"no effect within {patience} s, only {received!r}")
        received += data
    return time.perf_counter() - began


def keys(cwd: Path, presses: int, settled: float) -> dict[str, list[float]]:
    """Milliseconds from each key press to its effect during training, ascending, by screen."""
    delays: dict[str, list[float]] = {}
    with PtyApp(cwd=cwd, program=(PROGRAM, "pretrained:cnn")) as app:
        app.wait_for(lambda a: "loading" not in a.text.splitlines()[0])
        app.send("r")
        app.wait_for("img/s   run", 60)
        delays["1"] = _press(app, presses, "y", "y", lambda received: LOGARITHMIC in received)
        for screen, (key, back) in KEYS.items():
            app.send(screen)
            app.read(settled, emulate=False)
            least = RUN_ROWS if screen == "8" else 1
            delays[screen] = _press(app, presses, key, back, lambda received, n=least: len(_rows(received)) >= n)  # type: ignore[misc]
        app.send("1")
        app.read(0.5, emulate=False)
        app.send("x")
        app.count_until(lambda: any(b"RunCancelled" in log.read_bytes() for log in cwd.glob("runs/*/events.jsonl")))
        app.send("q")
        app.wait()
    return delays


def _press(app: PtyApp, presses: int, key: str, back: str, arrived: Callable[[bytes], bool]) -> list[float]:
    """Milliseconds from each press of `key`, at changing distances from what the run draws, to its effect."""
    delays = []
    for press in range(presses):
        app.read(0.15 + press % 7 * 0.02, emulate=False)
        app.send(key)
        delays.append(until(app, arrived) * 1000)
        app.read(0.1, emulate=False)
        app.send(back)
    return sorted(delays)


def _said(delays: Sequence[float]) -> str:
    quick, most = statistics.median(delays), slow(delays)
    return f"median {quick:3.0f} ms  95 % {most:3.0f} ms  worst {delays[-1]:3.0f} ms"


def main(arguments: Sequence[str] = ()) -> None:
    """Print keys, throughput and bytes."""
    given = [int(word) for word in arguments]
    size, presses, rounds, settled = given + [50_000, 50, 3, 2][len(given) :]
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder)
        delays = keys(cwd, presses, settled)
        titles = {key: title for key, title, _ in SCREENS}
        for screen, of in delays.items():
            print(f"key to screen    {_said(of)}  on {titles[screen]}")
        print(f"key to screen    {_said(sorted(chain(*delays.values())))}  on all of them")
        ratios, rates = [], []
        for round_ in range(rounds):
            order = (False, True) if round_ % 2 else (True, False)
            seconds: dict[bool, float] = {}
            for app in order:
                if app:
                    seconds[app], rate = in_app(cwd, size)
                    rates.append(rate)
                else:
                    seconds[app] = headless(cwd, size)
            ratios.append(seconds[False] / seconds[True])
            print(f"  round {round_ + 1}: headless {seconds[False]:.2f} s, in the app {seconds[True]:.2f} s an epoch")
        print(f"throughput in the app over headless   median {statistics.median(ratios):.3f}")
        print(f"bytes a second   median {statistics.median(rates):,.0f}  worst {max(rates):,.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])
