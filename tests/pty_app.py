"""The real program in a pseudo-terminal, with an emulator that keeps track of the screen."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

from tui.cli.pseudo_terminal import PseudoTerminal

# pyte takes the kitty keyboard protocol's `CSI > 25 u` for text. It copes with everything else that Textual sends.
NOT_TEXT = (b"\x1b[>25u", b"\x1b[>1u", b"\x1b[<u", b"\x1b[?2026$p", b"\x1b[?2048$p")


class PtyApp(PseudoTerminal):
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
        # What this app remembers is nothing to the next one, and nobody's own settings count.
        self._home = tempfile.TemporaryDirectory()
        environment = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_STATE_HOME"), self._home.name) | dict(environment or {})
        super().__init__([*program, *arguments], cwd=cwd, columns=columns, rows=rows, environment=environment)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._home.cleanup()

    @property
    def text(self) -> str:
        """The screen as lines of text."""
        return "\n".join(self.screen.display)

    def read(self, seconds: float = 0.0, *, emulate: bool = True) -> int:
        """Read what arrives within `seconds`, or at least what is already there; returns the number of bytes.

        Without `emulate` the bytes are only counted, because updating the screen takes much of a core.
        """
        if not emulate:
            return self.count(seconds)
        until, before = time.perf_counter() + seconds, self.received
        while data := self._receive(until):
            self._feed(data)
        return self.received - before

    def _read(self, seconds: float) -> None:
        self.read(seconds)

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
