"""Telling the end of a run in all ways that the user wants, without waiting for any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Queue

from msgspec import Struct

from tui.alerts.alert import Alert
from tui.alerts.outside import run_command, send
from tui.alerts.terminal import sequences
from tui.settings.values import Settings


class Ways(Struct, frozen=True):
    """How the user wants to be told."""

    bell: bool = True
    osc9: bool = False
    osc777: bool = False
    notify: str = ""
    """A shell command; empty for none."""
    webhook: str = ""
    """An http or https address; empty for none."""
    insists: bool = False
    """Whether the command was asked for now, rather than in the settings: then it is also run for runs of others."""

    @classmethod
    def of(cls, settings: Settings, notify: str | None = None) -> Ways:
        """The ways of the settings; `notify` is the command of a command line, None where it gives none."""
        command = settings.notify if notify is None else notify
        ways = (settings.bell, settings.osc9, settings.osc777, command, settings.webhook)
        return cls(*ways, insists=bool(notify))


class Ringer:
    """Rings on one terminal."""

    def __init__(self, ways: Ways, write: Callable[[str], object], tell: Callable[[str], object]) -> None:
        """`write` sends to the terminal; `tell` is called, from other threads, with each failure in one line."""
        self.ways, self._write = ways, write
        self._commands, self._webhooks = _Line(tell), _Line(tell)

    def ring(self, alert: Alert, *, followed: bool = False) -> None:
        """Tell it; returns at once.

        A `followed` run is trained by another process, whose own settings have it run the command and call the webhook:
        only the terminal rings here, and a command that was given on the command line is run.
        """
        ways = self.ways
        if text := sequences(alert, bell=ways.bell, osc9=ways.osc9, osc777=ways.osc777):
            self._write(text)
        if ways.notify and (ways.insists or not followed):
            self._commands.add(lambda: run_command(ways.notify, alert))
        if ways.webhook and not followed:
            self._webhooks.add(lambda: send(ways.webhook, alert))

    def finish(self, seconds: float) -> bool:
        """Wait for commands and webhooks, for at most so long; returns whether all are done."""
        until = time.monotonic() + seconds
        done = self._commands.finish(until - time.monotonic())
        return self._webhooks.finish(until - time.monotonic()) and done


class _Line:
    """Work that is done in a thread, one after the other, so that a hundred failures are not a hundred processes."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._waiting: Queue[Callable[[], str]] = Queue()
        self._thread: threading.Thread | None = None

    def add(self, work: Callable[[], str]) -> None:
        """Do it when what was added before is done; what it returns is told, unless that is empty."""
        self._waiting.put(work)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            work = self._waiting.get()
            try:
                if failure := work():
                    self._tell(failure)
            finally:
                self._waiting.task_done()

    def finish(self, seconds: float) -> bool:
        """Wait until all is done, for at most so long; returns whether it is."""
        with self._waiting.all_tasks_done:
            return self._waiting.all_tasks_done.wait_for(lambda: not self._waiting.unfinished_tasks, max(0.0, seconds))
