"""Which process writes a run, and whether it still lives."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct


class Process(Struct, frozen=True):
    """A process, told apart from all others of all machines: a number alone is given again after a while."""

    host: str
    boot: str
    """Of the machine's start; empty where the system does not say."""
    number: int
    started: str
    """When it started, as the system counts; empty where it does not say."""

    @classmethod
    def own(cls) -> Process:
        """This one."""
        return cls(socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()))

    @property
    def here(self) -> bool:
        """Whether it is one of this machine, so that one can see whether it lives."""
        return self.host == socket.gethostname()

    def lives(self) -> bool | None:
        """Whether it runs; None where that cannot be seen from here."""
        if not self.here:
            return None
        if self.boot != _boot():
            return False
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):
            pass  # somebody else's, or of a number that no system has
        return _started(self.number) == self.started


@contextmanager
def claimed(file: Path) -> Iterator[bool]:
    """Hold `file` for this process alone while the context lasts; whether nobody else holds it.

    The system lets go of it when the process ends, however it ends. Where a file system knows no locks, all is free.
    """
    try:
        handle = file.open("ab")
    except OSError:
        yield True  # what cannot be written will be said by whoever tries to
        return
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass
        yield True


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(number: int) -> str:
    """Clock ticks from the machine's start to the process's (field 22 of Linux's `stat`; a zombie has none)."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
