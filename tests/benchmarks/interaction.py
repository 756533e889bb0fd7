"""The app while it trains, over a pseudo-terminal of 120x40: `python -m tests.benchmarks.interaction`.

Arguments: training images (50,000), key presses (100), rounds (3).

Keys: the time from a key press to the change on the screen. Throughput: the time of a whole epoch in the app compared
with the same without the app (`mnist-tui train --json`), alternating over several rounds. Bytes: the output of the app
per second in the meantime.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine.request import parameters
from engine.training.requests import Train
from tests.benchmarks.startup import PROGRAM
from tests.pty_app import PtyApp

LOGARITHMIC = b" log"
"""What arrives when the loss axis becomes logarithmic."""
HINT = 22
"""Number of leading characters of a help text that are never wrapped and that tell all fields apart."""


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


def _until(app: PtyApp, words: bytes, patience: float = 5.0) -> float:
    """Seconds until `words` arrive; the screen is not emulated, since that would take much of a core from the app."""
    began = time.perf_counter()
    received = b""
    while words not in received:
        data = app._receive(began + patience)
        if not data:
            raise TimeoutError(f"{words!r} did not arrive within {patience} s")
        received += data
    return time.perf_counter() - began


def keys(cwd: Path, presses: int) -> list[float]:
    """Milliseconds from each key press to its effect on the screen during training."""
    delays = []
    with PtyApp(cwd=cwd, program=(PROGRAM, "pretrained:cnn")) as app:
        app.wait_for(lambda a: "loading" not in a.text.splitlines()[0])
        app.send("r")
        app.wait_for("img/s   run", 60)
        for press in range(presses):
            app.read(0.15 + press % 7 * 0.02, emulate=False)
            app.send("y")
            delays.append(_until(app, LOGARITHMIC) * 1000)
            app.read(0.1, emulate=False)
            app.send("y")  # back
        app.send("x")
        app.count_until(lambda: any(b"RunCancelled" in log.read_bytes() for log in cwd.glob("runs/*/events.jsonl")))
        app.send("q")
        app.wait()
    return sorted(delays)


def main(arguments: Sequence[str] = ()) -> None:
    """Print keys, throughput and bytes."""
    given = [int(word) for word in arguments]
    size, presses, rounds = given + [50_000, 100, 3][len(given) :]
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder)
        delays = keys(cwd, presses)
        quick, most, worst = delays[presses // 2], delays[max(0, presses * 95 // 100 - 1)], delays[-1]
        print(f"key to screen    median {quick:.0f} ms  95 % {most:.0f} ms  worst {worst:.0f} ms")
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
