"""Telling the end of a run in all ways that the user wants, without waiting for any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

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
        self.ways, self._write, self._tell = ways, write, tell
        self._under_way: list[threading.Thread] = []

    def ring(self, alert: Alert, *, followed: bool = False) -> None:
        """Tell it; returns at once.

        A `followed` run is trained by another process, whose own settings have it run the command and call the webhook:
        only the terminal rings here, and a command that was given on the command line is run.
        """
        ways = self.ways
        if text := sequences(alert, bell=ways.bell, osc9=ways.osc9, osc777=ways.osc777):
            self._write(text)
        if ways.notify and (ways.insists or not followed):
            self._start(lambda: run_command(ways.notify, alert))
        if ways.webhook and not followed:
            self._start(lambda: send(ways.webhook, alert))

    def _start(self, work: Callable[[], str]) -> None:
        def tell() -> None:
            if failure := work():
                self._tell(failure)

        thread = threading.Thread(target=tell, name="alert", daemon=True)
        self._under_way = [each for each in self._under_way if each.is_alive()]
        self._under_way.append(thread)
        thread.start()

    def finish(self, seconds: float) -> bool:
        """Wait for commands and webhooks, for at most so long; returns whether all are done."""
        until = time.monotonic() + seconds
        for thread in self._under_way:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._under_way)
