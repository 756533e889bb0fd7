"""The real program in a pseudo-terminal, with an emulator that keeps track of the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

# pyte takes the kitty keyboard protocol's `CSI > 25 u` for text. It copes with everything else that Textual sends.
NOT_TEXT = (b"\x1b[>25u", b"\x1b[>1u", b"\x1b[<u", b"\x1b[?2026$p", b"\x1b[?2048$p")


class PtyApp:
    """`mnist-tui ARGUMENTS` in its own pseudo-terminal."""

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        cwd: Path,
        columns: int = 120,
        rows: int = 40,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-c", "from tui.cli.main import main; main()"),
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.received = 0
        """Number of bytes received from the program so far."""
        self.started = time.perf_counter()
        keep = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "LC_ALL", "COLUMNS", "LINES")}
        env = keep | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | dict(environment or {})
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # the child
            os.chdir(cwd)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            os.execvpe(program[0], [*program, *arguments], env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.code: int | None = None

    def __enter__(self) -> PtyApp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(10)
        self.hang_up()

    @property
    def text(self) -> str:
        """The screen as lines of text."""
        return "\n".join(self.screen.display)

    def read(self, seconds: float = 0.0, *, emulate: bool = True) -> int:
        """Read what arrives within `seconds`, or at least what is already there; returns the number of bytes.

        Without `emulate` the bytes are only counted, because updating the screen takes much of a core.
        """
        until = time.perf_counter() + seconds
        taken = 0
        while data := self._receive(until):
            taken += len(data)
            if emulate:
                self._feed(data)
        return taken

    def _receive(self, until: float) -> bytes:
        if not select.select([self.fd], [], [], max(0.0, until - time.perf_counter()))[0]:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # the program closed its side
            return b""
        self.received += len(data)
        return data

    def _feed(self, data: bytes) -> None:
        for code in NOT_TEXT:
            data = data.replace(code, b"")
        self._stream.feed(data)

    def wait_for(self, what: str | Callable[[PtyApp], bool], seconds: float = 30.0) -> float:
        """Read until the screen shows `what`; returns the seconds until the bytes that show it arrived.

        Raises TimeoutError with the contents of the screen. Checks the screen only after new input, so that waiting
        does not slow down the program under test.
        """
        began = arrived = time.perf_counter()
        seen = (lambda app: what in app.text) if isinstance(what, str) else what
        while not seen(self):
            data = self._receive(began + seconds)
            arrived = time.perf_counter()
            if not data:
                raise TimeoutError(f"not on the screen after {seconds} s: {what}\n{self.text}")
            self._feed(data)
        return arrived - began

    def count_until(self, done: Callable[[], bool], seconds: float = 300.0, *, read: bool = True) -> float:
        """Count bytes until `done()`, which is checked four times a second; returns the seconds. Raises TimeoutError.

        Without `read` it does not read at all, like a stalled connection.
        """
        began = time.perf_counter()
        while not done():
            if time.perf_counter() - began > seconds:
                raise TimeoutError(f"not done after {seconds} s")
            if read:
                self.read(0.25, emulate=False)
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
                self.read(0.01)
            else:
                time.sleep(0.01)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.perf_counter() > until:
                raise TimeoutError(f"still running after {seconds} s\n{self.text}")
        if self.fd >= 0 and read:
            self.read(0.05)
        return self.code
