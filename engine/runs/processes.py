"""The process that owns a run, and whether it is still alive."""

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
"""Seconds without a heartbeat after which a process that is not visible from here counts as dead."""

BEAT = 20.0
"""Seconds between two heartbeats."""

LOOK = 1.0
"""Seconds between two checks for a request to stop."""


class Process(Struct, frozen=True):
    """A description of a process. The owner of a run is determined by its lock."""

    host: str
    boot: str
    """Boot ID of the machine; empty where the system has none."""
    number: Annotated[int, Meta(ge=1)]
    started: str
    """Start time in the system's clock ticks; empty where the system does not report it."""
    space: str = ""
    """PID namespace of its number, of which each container has its own; empty where the system has none."""

    @classmethod
    def own(cls) -> Process:
        """The current process."""
        return cls(socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()), _space())

    @property
    def here(self) -> bool:
        """Whether it runs on this machine.

        The host name is not enough: containers on one machine differ in it, and machines of a cluster may share it.
        """
        return self.boot == _boot() if self.boot else self.host == socket.gethostname()

    @property
    def in_sight(self) -> bool:
        """Whether its number and its locks are visible here: containers may have mounts that do not share locks."""
        return self.here and self.space == _space()

    @property
    def words(self) -> str:
        """Its description for the user."""
        return f"process {self.number}" + ("" if self.host == socket.gethostname() else f" on {shown(self.host)}")

    def lives(self) -> bool | None:
        """Whether it is alive; None where that is not visible from here: on another machine, in another container."""
        if not self.in_sight:
            return None
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):
            pass  # another user's process, or an impossible number
        return _started(self.number) == self.started


@contextmanager
def claimed(file: Path) -> Iterator[bool | None]:
    """Hold the lock on `file` within the context: True, or False where another process holds it.

    The system releases it when the process ends, however it ends. None where the file system does not support locks, or
    the file cannot be written: a later write reports why.
    """
    try:  # non-blocking, in case there is a pipe in its place
        handle = FileIO(file, "ab", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK, 0o666))
    except OSError:
        yield None
        return
    with handle:
        if (free := _locked(handle.fileno())) is None:
            note_refusal("flock", file)
        yield free


def held(file: Path) -> bool | None:
    """Whether the lock on `file` is held; None where that is not known. Does not interfere with who claims it."""
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
            # A process that only checks takes a shared lock for an instant; an owner never shares it.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(handle, fcntl.LOCK_UN)
            time.sleep(0.001)
    except BlockingIOError:
        return False
    except OSError:
        return None


@contextmanager
def watched(lock: Path, stop_file: Path) -> Iterator[threading.Event]:
    """Touch the file `lock` as a heartbeat within the context; the event is set once there is a file `stop_file`.

    An earlier `stop_file` is removed first. Both work on a shared folder, where processes and locks may not be visible.
    """
    ended, asked = threading.Event(), threading.Event()

    def watch() -> None:
        beaten = time.monotonic()
        while not ended.wait(LOOK):
            with contextlib.suppress(OSError):
                if stop_file.exists():
                    asked.set()
                if time.monotonic() - beaten >= BEAT:
                    os.utime(lock)
                    beaten = time.monotonic()

    with contextlib.suppress(OSError):
        stop_file.unlink(missing_ok=True)
    threading.Thread(target=watch, name="run-watch", daemon=True).start()
    try:
        yield asked
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            stop_file.unlink(missing_ok=True)


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
    """Clock ticks from the machine's start to the process's (field 22 of Linux's `stat`); empty for a zombie."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
