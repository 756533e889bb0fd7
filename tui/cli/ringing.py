"""Telling, on the command line, that a run or a sweep has ended."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from engine.event import Event
from engine.words import shown
from tui.alerts.alert import of_event
from tui.alerts.ringer import Ringer, Ways
from tui.settings.file import load

PATIENCE = 15.0
"""Seconds for which the process stays for a command or a webhook when its work is done."""


@contextmanager
def ringing(notify: str | None) -> Iterator[Ringer]:
    """A ringer for this command, whose option `--notify` is given; at the end, waits a little for what it has begun.

    The bell and the notifications go to standard error, if that is a terminal; failures are told there in a line.
    """
    ringer = Ringer(Ways.of(load().settings, notify), _write, _tell)
    try:
        yield ringer
    finally:
        if not ringer.finish(PATIENCE):
            _tell(f"a notify command or webhook is not done after {PATIENCE:.0f} s")


def ring_for(ringer: Ringer, events: Sequence[Event]) -> None:
    """Ring for the end of the run that `events` tell of; not for one that was stopped."""
    run = next((name for event in events if (name := getattr(event, "run", ""))), "")
    for alert in (of_event(event, run) for event in events):
        if alert:
            ringer.ring(alert)


def _write(text: str) -> None:
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _tell(failure: str) -> None:
    with contextlib.suppress(OSError):
        print(f"mnist-tui: {shown(failure)}", file=sys.stderr, flush=True)
