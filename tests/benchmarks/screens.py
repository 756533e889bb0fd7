"""The time from key press to finished drawing of each screen during training: `python -m tests.benchmarks.screens`.

Arguments: sessions (5), columns (120) and rows (40) of the terminal, drawings of each kind (5). All of conv2 is visible
at 140x75.

Runs in a pseudo-terminal in 24-bit colour. "First" is the first visit in a session, which imports and builds the
screen; "again" is a redraw by one of the screen's keys. A drawing is finished when its words have arrived and nothing
follows.
"""

from __future__ import annotations

import select
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.startup import PROGRAM
from tests.pty_app import PtyApp

QUIET = 0.05
"""Seconds without output after which a drawing is finished."""

FIRST = (
    ("Model", "2", b"799,078"),
    ("Digits", "3", b"random digits"),
    ("Filters, conv1", "4", b"32 filters of 3x3"),
    ("Filters, conv2", "\t", b"32 x 32 kernels"),
    ("Activations", "5", b"32 maps of 14x14"),
)
AGAIN = (("3", "a", "Digits, others"), ("4", "n", "Filters, another range"), ("5", ".", "Activations, next digit"))
MAPS = (".", "p", "f", "w", "P", ",")
"""Keys that ask for another occlusion map."""
ROWS, SILENCE = 400, 0.35
"""Number of bytes at once that is more than the progress of a run sends, and seconds without as many that end a map."""
A_PICTURE = 1500
"""Number of bytes at once that must be a picture, as the progress of a run sends less."""


def drawn(app: PtyApp, key: str, words: bytes, patience: float = 10.0) -> float:
    """Milliseconds from `key` to the last byte of the drawing that contains `words` (if empty, of any picture)."""
    app.read(0.3, emulate=False)
    app.send(key)
    began = last = time.perf_counter()
    received = b""
    while time.perf_counter() - began < patience:
        if select.select([app.fd], [], [], QUIET)[0]:
            received += app._receive(time.perf_counter())
            last = time.perf_counter()
        elif words in received if words else len(received) > A_PICTURE:
            return (last - began) * 1000
    raise TimeoutError(f"{words!r} never came after {key!r}")


def mapped(app: PtyApp, key: str, words: bytes = b"", patience: float = 20.0) -> tuple[float, float]:
    """Milliseconds from `key` to the first rows of an occlusion map, which arrive with `words`, and to the last."""
    app.read(0.5, emulate=False)
    app.send(key)
    began = time.perf_counter()
    first = last = 0.0
    while time.perf_counter() - began < (last / 1000 + SILENCE if first else patience):
        if not select.select([app.fd], [], [], QUIET)[0]:
            continue
        received = app._receive(time.perf_counter())
        if len(received) > ROWS or (words and words in received):
            last = (time.perf_counter() - began) * 1000
            first = first or (last if words in received else 0.0)
    if not first:
        raise TimeoutError(f"no map came after {key!r}")
    return first, last


def session(cwd: Path, columns: int, rows: int, drawings: int) -> dict[str, list[float]]:
    """All drawings of one session, during training."""
    times: dict[str, list[float]] = {}
    with PtyApp(cwd=cwd, columns=columns, rows=rows, program=(PROGRAM, "pretrained:cnn")) as app:
        app.wait_for(lambda a: "loading" not in a.text.splitlines()[0])
        app.send("r")
        app.wait_for("img/s   run", 60)
        for name, key, words in FIRST:
            times.setdefault(f"first: {name}", []).append(drawn(app, key, words))
        for screen, key, name in AGAIN:
            app.send(screen)
            app.read(1.5, emulate=False)
            for _ in range(drawings):
                times.setdefault(f"again: {name}", []).append(drawn(app, key, b""))
        for key, words, name in (
            ("6", b"viridis", "first: Occlusion"),
            *((key, b"", "again: a map") for key in MAPS[: drawings + 1]),
        ):
            first, whole = mapped(app, key, words)
            times.setdefault(f"{name}, first rows", []).append(first)
            times.setdefault(f"{name}, whole", []).append(whole)
        app.send("1")
        app.send("x")
        app.read(1.0, emulate=False)
        app.send("q")
        app.wait()
    return times


def main(arguments: Sequence[str] = ()) -> None:
    """Print the median and the maximum over all sessions."""
    given = [int(word) for word in arguments]
    sessions, columns, rows, drawings = given + [5, 120, 40, 5][len(given) :]
    times: dict[str, list[float]] = {}
    for _ in range(sessions):
        with tempfile.TemporaryDirectory() as folder:
            for name, values in session(Path(folder), columns, rows, drawings).items():
                times.setdefault(name, []).extend(values)
    for name, values in times.items():
        print(f"{name:<32} median {statistics.median(values):4.0f} ms  worst of {len(values)} {max(values):4.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1:])
