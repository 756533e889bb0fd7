"""Which process owns a run, and whether it still lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from engine.paths import note_refusal
from engine.reading import open_regular
from engine.words import shown

SILENCE = 120.0
"""Seconds without a sign of life after which a process that cannot be seen from here counts as dead."""

BEAT = 20.0
"""Seconds between two signs of life."""

LOOK = 1.0
"""Seconds between two looks for a wish that the owner stop."""


class Process(Struct, frozen=True):
    """A process as people would name it; who owns a run, its lock says."""

    host: str
    boot: str
    """Of the machine's start; empty where the system does not say."""
    number: Annotated[int, Meta(ge=1)]
    started: str
    """When it started, as the system counts; empty where it does not say."""
    space: str = ""
    """In which its number counts: a container has its own. Empty where the system does not say."""

    @classmethod
    def own(cls) -> Process:
        """This one."""
        return cls(socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()), _space())

    @property
    def here(self) -> bool:
        """Whether it is one of this machine's system.

        The name alone tells little: containers of one machine differ in it, and machines of a cluster may share it.
        """
        return self.boot == _boot() if self.boot else self.host == socket.gethostname()

    @property
    def in_sight(self) -> bool:
        """Whether its number and its locks count here: containers may have a mount each that shares no locks."""
        return self.here and self.space == _space()

    @property
    def words(self) -> str:
        """What a person calls it."""
        return f"process {self.number}" + ("" if self.host == socket.gethostname() else f" on {shown(self.host)}")

    def lives(self) -> bool | None:
        """Whether it runs; None where that cannot be seen from here: on another machine, in another container."""
        if not self.in_sight:
            return None
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):
            pass  # somebody else's, or of a number that no system has
        return _started(self.number) == self.started


@contextmanager
def claimed(file: Path) -> Iterator[bool | None]:
    """Hold the lock on `file` while the context lasts: True, or False where another holds it.

    The system lets go of it when the process ends, however it ends. None where the file system knows no locks, or the
    file cannot be written: whoever tries to write will say why.
    """
    try:  # a pipe in its place is no wait for whoever reads it
        handle = FileIO(file, "ab", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK, 0o666))
    except OSError:
        yield None
        return
    with handle:
        if (free := _locked(handle.fileno())) is None:
            note_refusal("flock", file)
        yield free


def held(file: Path) -> bool | None:
    """Whether somebody holds the lock on `file`; None where that cannot be told. Whoever claims it is not disturbed."""
    try:
        with open_regular(file) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _locked(handle: int) -> bool | None:
    try:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            # Who only looks shares the lock for an instant, which who owns it does not.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(handle, fcntl.LOCK_UN)
            time.sleep(0.001)
    except BlockingIOError:
        return False
    except OSError:
        return None


@contextmanager
def watched(lock: Path, wish: Path) -> Iterator[threading.Event]:
    """Give signs of life on the file `lock` while the context lasts; the event is set once there is a file `wish`.

    A wish of before is none. Both work over a shared folder, whoever sees whose processes and locks there.
    """
    ended, asked = threading.Event(), threading.Event()

    def watch() -> None:
        beaten = time.monotonic()
        while not ended.wait(LOOK):
            with contextlib.suppress(OSError):
                if wish.exists():
                    asked.set()
                if time.monotonic() - beaten >= BEAT:
                    os.utime(lock)
                    beaten = time.monotonic()

    with contextlib.suppress(OSError):
        wish.unlink(missing_ok=True)
    threading.Thread(target=watch, name="run-watch", daemon=True).start()
    try:
        yield asked
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            wish.unlink(missing_ok=True)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(number: int) -> str:
    """Clock ticks from the machine's start to the process's (field 22 of Linux's `stat`; a zombie has none)."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
