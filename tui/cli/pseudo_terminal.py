"""A program in a pseudo-terminal of its own: keys go in, and the bytes that come out are counted.

Nothing interprets these bytes, because keeping track of a screen takes much of a core from the program under test.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

FROM_OUTSIDE = ("NO_COLOR", "LC_ALL", "COLUMNS", "LINES")
"""Variables that would change what the program draws."""


class PseudoTerminal:
    """A program in 24-bit colour, which ends with the `with` block at the latest."""

    def __init__(
        self,
        program: Sequence[str],
        *,
        cwd: Path,
        columns: int = 120,
        rows: int = 40,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.received = 0
        """Number of bytes received from the program so far."""
        self.started = time.perf_counter()
        """When the program was started."""
        self.code: int | None = None
        """Its exit code, negative for a signal; None while it runs."""
        keep = {name: value for name, value in os.environ.items() if name not in FROM_OUTSIDE}
        env = keep | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | dict(environment or {})
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # the child
            try:
                os.chdir(cwd)
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
                os.execvpe(program[0], list(program), env)
            finally:  # the program could not be started: this copy of the process must do nothing else
                os._exit(127)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(10)
        self.hang_up()

    def count(self, seconds: float = 0.0) -> int:
        """Count the bytes that arrive within `seconds`, or at least those that are already there."""
        until, before = time.perf_counter() + seconds, self.received
        while self._receive(until):
            pass
        return self.received - before

    def _receive(self, until: float) -> bytes:
        """What arrives next; empty where nothing does before the clock shows `until`, or where the program ended."""
        if not select.select([self.fd], [], [], max(0.0, until - time.perf_counter()))[0]:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # the program closed its side
            return b""
        self.received += len(data)
        return data

    def _read(self, seconds: float) -> None:
        """Read what arrives within `seconds`, for whoever looks at it."""
        self.count(seconds)

    def until(self, words: bytes, seconds: float = 30.0) -> float:
        """Read until `words` arrive; returns the seconds that it took. Raises TimeoutError."""
        began = time.perf_counter()
        received = b""
        while words not in received:
            data = self._receive(began + seconds)
            if not data:
                raise TimeoutError(f"{words!r} did not arrive within {seconds:g} s")
            received += data
        return time.perf_counter() - began

    def count_until(self, done: Callable[[], bool], seconds: float = 300.0, *, read: bool = True) -> float:
        """Count bytes until `done()`, which is checked four times a second; returns the seconds. Raises TimeoutError.

        Without `read` it does not read at all, like a stalled connection.
        """
        began = time.perf_counter()
        while not done():
            if time.perf_counter() - began > seconds:
                raise TimeoutError(f"not done after {seconds} s")
            if read:
                self.count(0.25)
            else:
                time.sleep(0.25)
        return time.perf_counter() - began

    def send(self, keys: str) -> None:
        """Send key presses."""
        os.write(self.fd, keys.encode())

    def kill(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def wait(self, seconds: float = 20.0, *, read: bool = True) -> int:
        """Read until the program exits; returns its exit code, negative for a signal. Raises TimeoutError."""
        until = time.perf_counter() + seconds
        while self.code is None:
            if self.fd >= 0 and read:
                self._read(0.01)
            else:
                time.sleep(0.01)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.perf_counter() > until:
                raise TimeoutError(f"still running after {seconds} s")
        if self.fd >= 0 and read:
            self._read(0.05)
        return self.code
