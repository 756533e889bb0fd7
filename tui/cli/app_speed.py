"""How fast the app is on this machine: the real program in a pseudo-terminal of 120x40, in 24-bit colour."""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.benchmark.events import Measurement
from engine.benchmark.requests import Bench
from engine.request import parameters
from engine.training.requests import Train
from tui.cli.program import command
from tui.cli.pseudo_terminal import PseudoTerminal
from tui.settings.file import VARIABLE

LOGARITHMIC = b" log"
"""What arrives when the loss axis becomes logarithmic."""
LAST_KEY = b" quit"
"""The end of a frame: the key bar's last key is in the last row."""
EPOCHS = 1000
"""So many that the run outlasts the measurement also on a GPU."""
HINT = 22
"""Number of leading characters of a help text that are never wrapped and that tell all fields apart."""


@dataclass(frozen=True)
class Visits:
    """How often the app is started, and what is done in it."""

    launches: int
    presses: int
    windows: int
    """Intervals in which the output is counted."""
    interval: float
    """Their length in seconds: the loss chart is drawn every two seconds, and the table once an epoch."""

    @property
    def seconds(self) -> float:
        """About how long all of it takes."""
        return 0.6 * self.launches + 0.5 * self.presses + self.interval * self.windows + 4


FULL = Visits(launches=9, presses=60, windows=4, interval=3)
QUICK = Visits(launches=4, presses=15, windows=2, interval=2)


def measure_app(request: Bench, visits: Visits) -> Generator[float, None, list[Measurement]]:
    """The time to the first frame and, while the app trains, to the effect of a key, and its output.

    Yields the share done. Raises TimeoutError where the app does not do what it should.
    """
    environment = {"OMP_NUM_THREADS": str(request.threads)} if request.threads else {}
    if request.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    steps = visits.launches + 1 + visits.presses + visits.windows
    frames: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        # Nobody's own settings: a screen that is remembered, or a theme, would be measured with the app.
        environment |= dict.fromkeys(("XDG_CONFIG_HOME", "XDG_STATE_HOME"), folder) | {VARIABLE: os.devnull}
        for number in range(visits.launches + 1):
            frames.append(_first_frame(Path(folder), environment))
            yield (number + 1) / steps
        frames.pop(0)  # the first one finds cold caches
        with PseudoTerminal(command("pretrained:cnn"), cwd=Path(folder), environment=environment) as app:
            _begin_to_train(app, Path(folder))
            delays, rates = [], []
            for number in range(visits.presses):
                delays.append(_press(app, number))
                yield (visits.launches + 1 + number + 1) / steps
            for number in range(visits.windows):
                rates.append(app.count(visits.interval) / visits.interval)
                yield (visits.launches + 1 + visits.presses + number + 1) / steps
            app.kill(signal.SIGTERM)
            app.wait()
    delays.sort()
    return [
        Measurement.of("app", "first frame", "s", frames),
        Measurement.of("app", "key to screen in training", "ms", delays, scale=1000),
        Measurement.of("app", "95 % of these keys within", "ms", [slow(delays)], scale=1000),
        Measurement.of("app", "output in training", "kB/s", [statistics.median(rates)], scale=0.001),
    ]


def slow(delays: Sequence[float]) -> float:
    """The 95th percentile of ascending `delays`: the smallest that at least 95 of 100 do not exceed."""
    return delays[-(-len(delays) * 95 // 100) - 1]


def _first_frame(cwd: Path, environment: Mapping[str, str]) -> float:
    with PseudoTerminal(command("pretrained:cnn"), cwd=cwd, environment=environment) as app:
        return app.until(LAST_KEY)


def _begin_to_train(app: PseudoTerminal, cwd: Path) -> None:
    """Type the number of epochs into the form, start the run, and wait until it trains."""
    wanted = next(each.help for each in parameters(Train) if each.name == "epochs")[:HINT].encode()
    app.until(LAST_KEY)
    app.send("s")
    for _ in parameters(Train):
        try:
            app.until(wanted, 0.5)
            break
        except TimeoutError:
            app.send("j")
    app.send(str(EPOCHS))
    app.until(b"takes it")
    app.send("\r")  # by itself: with the number it would be taken for a paste
    app.count(0.5)
    app.send("\x1b")
    app.count(0.5)
    app.send("r")
    app.count_until(lambda: any(b"RunStarted" in log.read_bytes() for log in cwd.glob("runs/*/events.jsonl")), 120)
    app.count(1)


def _press(app: PseudoTerminal, number: int) -> float:
    """Seconds from a key press to its effect. The presses are at changing distances from what the run draws."""
    app.count(0.15 + number % 7 * 0.02)
    app.send("y")
    delay = app.until(LOGARITHMIC, 10)
    app.count(0.1)
    app.send("y")  # back
    return delay
