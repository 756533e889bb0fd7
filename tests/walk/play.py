"""One app, run through steps from start to end, and its failures."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
import time
import traceback
import unittest.mock
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.app import App
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Size
from textual.keys import _character_to_key, key_to_character
from textual.message import Message
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.screen import Screen
from textual.worker import Worker, WorkerFailed, WorkerState

from engine import operations
from engine.event import Cancelled, Event, PauseAsked
from engine.request import Request, RequestError
from engine.runs.finding import find_network
from engine.training.requests import Train
from tests.canary import Canary
from tests.walk.steps import size_of
from tui.app import MnistTui
from tui.paste_driver import Pastes

UNDER_WAY = Train(epochs=2000, train_size=120, batch_size=20, channels=4, hidden=16, threads=1, device="cpu")
"""The run that trains during the walk."""
DEADLOCK = 60.0
"""Seconds without a response after which the process gives up."""
_OURS = (f"{os.sep}tui{os.sep}", f"{os.sep}engine{os.sep}")


@dataclass(frozen=True)
class Start:
    """How an app is started."""

    columns: int
    rows: int
    what: str = ""
    """What it opens, as on the command line."""
    training: bool = False
    """Whether a run trains from the start."""

    def __str__(self) -> str:
        words = [f"start {self.columns} {self.rows}", *(["training"] if self.training else []), json.dumps(self.what)]
        return " ".join(words)

    @classmethod
    def parse(cls, line: str) -> Start:
        """The inverse of `str`."""
        _, columns, rows, *rest = line.split(" ", 3)
        training = rest[0].startswith("training ")
        return cls(int(columns), int(rows), json.loads(rest[0].removeprefix("training ")), training)


@dataclass(frozen=True)
class Failure:
    """Something that went wrong."""

    kind: str
    words: str
    """One line."""
    place: str = ""
    """The innermost line of the program's own code."""
    trace: str = ""

    @property
    def signature(self) -> tuple[str, str, str]:
        """Equal for failures with the same cause."""
        return self.kind, self.words.partition(":")[0], self.place


@dataclass
class Outcome:
    """The result of running one app."""

    start: Start
    steps: list[str] = field(default_factory=list)
    """The steps that were taken."""
    failures: list[Failure] = field(default_factory=list)
    slowest: float = 0.0
    """Longest time until a step was handled, in seconds."""

    @property
    def keys(self) -> int:
        """Number of keys, characters and mouse actions."""
        return sum(map(size_of, self.steps))

    def fail(self, failure: Failure) -> None:
        """Record a failure, unless one with the same signature is recorded already."""
        if failure.signature not in {each.signature for each in self.failures}:
            self.failures.append(failure)


def failure(kind: str, error: BaseException) -> Failure:
    """The failure for an exception, with its origin."""
    frames = traceback.extract_tb(error.__traceback__)
    words = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    ours = [frame for frame in frames if any(part in frame.filename for part in _OURS)] or frames
    place = f"{Path(ours[-1].filename).name} in {ours[-1].name}" if ours else ""
    innermost = f", from {Path(frames[-1].filename).name} in {frames[-1].name}" if frames and ours else ""
    return Failure(kind, words, place + innermost, "".join(traceback.format_exception(error)))


SEQUENCES = {
    keys[0].value: text
    for text, keys in reversed(list(ANSI_SEQUENCES_KEYS.items()))
    if isinstance(keys, tuple) and len(keys) == 1
}
"""The bytes that a terminal sends for a key."""


class SilentDriver(HeadlessDriver):
    """A driver that parses terminal input and writes nothing, while the app still draws."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._parser, self._pastes = XTermParser(), Pastes()
        self._pastes.first = False  # nothing was typed before the app started

    @property
    def is_headless(self) -> bool:
        """False, because a headless app does not render its drawings to text."""
        return False

    def send_message(self, message: Message) -> None:
        """Post a message, in order of arrival."""
        self._app.post_message(message)

    def send(self, text: str) -> None:
        """Process input that arrives in one piece, as the app's own driver does."""
        for message in self._parser.feed(self._pastes.take(text)):
            self.process_message(message)

    def press(self, key: str) -> None:
        """Press one key. Posted directly if the parser would wait (after an escape) or if no terminal sends the key."""
        name = _character_to_key(key) if len(key) == 1 else key
        text = key if len(key) == 1 else SEQUENCES.get(key) or key_to_character(key) or ""
        if key == "escape" or not text:
            self.process_message(events.Key(name, None))
        else:
            self.send(text)

    def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal."""
        self._size = columns, rows
        self._app.post_message(events.Resize(Size(columns, rows), Size(columns, rows)))


class WalkedApp(MnistTui):
    """The app, which records its failures instead of printing them."""

    outcome: Outcome

    def _handle_exception(self, error: Exception) -> None:
        cause = error.error if isinstance(error, WorkerFailed) else error
        self.outcome.fail(failure("exception", cause))
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        self._close_messages_no_wait()

    @property
    def over(self) -> bool:
        """Whether the app is ending, for any reason."""
        return self._exit or self._closing or self._closed or self._exception is not None


def _mouse(kind: type[events.MouseEvent], column: str, row: str, button: int) -> events.MouseEvent:
    x, y = int(column), int(row)
    return kind(None, x, y, 0, 0, button, False, False, False, x, y)


def _scrolls(way: str) -> type[events.MouseEvent]:
    return {
        "up": events.MouseScrollUp,
        "down": events.MouseScrollDown,
        "left": events.MouseScrollLeft,
        "right": events.MouseScrollRight,
    }[way]


def _turns(step: str) -> Iterator[Message]:
    """The mouse events of a step."""
    kind, _, rest = step.partition(" ")
    words = rest.split()
    match kind:
        case "scroll":
            yield _mouse(_scrolls(words[2]), words[0], words[1], 0)
        case "move":
            yield _mouse(events.MouseMove, words[0], words[1], 0)
        case "click" | "drag":
            yield _mouse(events.MouseDown, words[0], words[1], 1)
            if kind == "drag":
                yield _mouse(events.MouseMove, words[2], words[3], 1)
            yield _mouse(events.MouseUp, words[-2], words[-1], 1)
        case _:
            raise ValueError(f"no step: {step}")


async def _answered(app: WalkedApp) -> None:
    """Wait until the app, the focused widget and its ancestors have processed what was sent.

    Textual's pilot waits for an idle CPU instead, which does not happen during training.
    """
    screen = app.screen_stack[-1] if app.screen_stack else None
    focused = screen.focused if isinstance(screen, Screen) else None
    pumps: list[MessagePump] = [app, *(focused.ancestors_with_self if focused else [screen] if screen else []), app]
    for pump in pumps:
        heard = asyncio.Event()
        if not pump.call_later(heard.set):
            continue
        while not (heard.is_set() or app.over or pump._closing or pump._closed):
            await asyncio.sleep(0.001)


async def _rested(app: WalkedApp) -> None:
    """Wait until the analysis lane is idle, for at most half a second."""
    until = time.monotonic() + 0.5
    while time.monotonic() < until and app.workspace.lab.unfinished("analysis") and not app.over:
        await asyncio.sleep(0.01)
    await _answered(app)


class _Watch:
    """Measures from another thread how long a step has been waiting, and records what the event loop is doing."""

    def __init__(self, outcome: Outcome, limit: float) -> None:
        self.outcome, self.limit = outcome, limit
        self.since: float | None = None
        self.stack: list[traceback.FrameSummary] = []
        self._loop_thread, self._ended = threading.get_ident(), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            taken = time.monotonic() - self.since if self.since is not None else 0.0
            if taken > self.limit and not self.stack:
                frame: FrameType | None = sys._current_frames().get(self._loop_thread)
                self.stack = list(traceback.extract_stack(frame))
            if taken > max(DEADLOCK, self.limit):
                print(f"no answer within {taken:.0f} s, after these steps:", self.outcome.start, sep="\n")
                print(*self.outcome.steps, sep="\n", flush=True)
                faulthandler.dump_traceback(all_threads=True)
                os._exit(3)


async def play(start: Start, steps: Iterable[str], limit: float, canary: Canary) -> Outcome:
    """Open an app in the working directory and take `steps` until they, or the app, end."""
    outcome = Outcome(start)
    root = Path("runs")
    found = find_network(start.what, root) if start.what else None
    app = WalkedApp(root, *((None, found) if isinstance(found, Path) else (found, None)))
    app.outcome = outcome
    app.driver_class = SilentDriver
    asyncio.get_running_loop().set_exception_handler(lambda _, context: _loop_failed(outcome, context))

    async def drive(_: Pilot[object]) -> None:
        watch = _Watch(outcome, limit)
        try:
            await _answered(app)
            if start.training:
                app.workspace.train(UNDER_WAY)
            for step in steps:
                watch.since, began = time.monotonic(), time.monotonic()
                outcome.steps.append(step)
                await _take(app, step)
                taken, watch.since = time.monotonic() - began, None
                outcome.slowest = max(outcome.slowest, taken)
                if taken > limit and not app.over:
                    outcome.fail(_hang(step, taken, watch.stack))
                if app.over:
                    break
        finally:
            watch.end()
            app.exit()

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    canary.tell = lambda words: outcome.fail(Failure("outside", words, trace="".join(traceback.format_stack())))
    with watched_operations(outcome), watched_workers(outcome):
        canary.awake = True
        try:
            await app.run_async(headless=False, size=(start.columns, start.rows), auto_pilot=drive)
        except Exception as error:
            outcome.fail(failure("exception", error))
        await asyncio.to_thread(_close, app)
        canary.awake = False
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return outcome


def _close(app: WalkedApp) -> None:
    """Stop the lanes, which would otherwise write to a folder that no longer exists."""
    app.workspace.lab.close(30.0)
    for job in (*app.workspace.lab.unfinished("training"), *app.workspace.lab.unfinished("analysis")):
        job.wait(30.0)


def _hang(step: str, taken: float, stack: list[traceback.FrameSummary]) -> Failure:
    ours = [frame for frame in stack if any(part in frame.filename for part in _OURS)]
    place = f"{Path(ours[-1].filename).name} in {ours[-1].name}" if ours else ""
    return Failure("hang", f"no answer: to {step[:40]} for {taken:.1f} s", place, "".join(traceback.format_list(stack)))


async def _take(app: WalkedApp, step: str) -> None:
    driver = app._driver
    assert isinstance(driver, SilentDriver)
    kind, _, rest = step.partition(" ")
    match kind:
        case "rest":
            await _rested(app)
            return
        case "resize":
            columns, rows = map(int, rest.split())
            driver.resize(columns, rows)
        case "keys":
            for key in rest.split():
                driver.press(key)
        case "text":  # fast typing or, if it is long enough, a paste that the terminal does not mark
            driver.send(json.loads(rest))
        case "paste":
            driver.send(f"{BRACKETED_PASTE_START}{json.loads(rest)}{BRACKETED_PASTE_END}")
        case _:
            for message in _turns(step):
                driver.process_message(message)
    await _answered(app)


def _loop_failed(outcome: Outcome, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, BaseException):
        outcome.fail(failure("loop", error))


@contextlib.contextmanager
def watched_operations(outcome: Outcome) -> Iterator[None]:
    """Record exceptions of operations that are not caused by an invalid request."""
    perform = operations.perform

    def watched(request: Request, root: Path) -> Generator[Event, None, None]:
        try:
            yield from perform(request, root)
        except (RequestError, Cancelled, PauseAsked):
            raise
        except Exception as error:
            outcome.fail(failure(f"job {type(request).__name__}", error))
            raise

    with unittest.mock.patch.object(operations, "perform", watched):
        yield


@contextlib.contextmanager
def watched_workers(outcome: Outcome) -> Iterator[None]:
    """Record each worker that fails, including those whose error does not end the app."""
    run = Worker._run

    async def watched(self: Worker[Any], app: App[Any]) -> None:
        await run(self, app)
        if self.state is WorkerState.ERROR and self.error is not None:
            outcome.fail(failure("worker", self.error))

    with unittest.mock.patch.object(Worker, "_run", watched):
        yield
