"""Textual's driver for a browser, for a process that a server has forked."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any

from textual.drivers._input_reader import InputReader
from textual.drivers.web_driver import WebDriver
from textual.events import AppFocus
from textual.messages import ExitApp

CHANNEL = "MNIST_TUI_CHANNEL"
"""The environment variable with the file descriptor of packets to the server; standard output is for stray texts."""

ESCAPE_WAIT = 0.03
"""Seconds to wait after an escape character for the rest of a sequence: without one, it is the key `esc`."""


class BrowserDriver(WebDriver):
    """Sends whole packets, and leaves with the server.

    Textual's own writes packets from two threads, those of a download in between those of a frame, and an app whose
    server has died waits for ever.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fileno = int(os.environ.get(CHANNEL, self.fileno))
        self._one_at_a_time = threading.Lock()
        self._write = self._write_all  # type: ignore[assignment]
        self._input_reader = InputReader(ESCAPE_WAIT)

    def _write_all(self, packet: bytes) -> int:
        """Write a packet; drop it if the server has gone, which the end of the input says too."""
        with self._one_at_a_time, suppress(BrokenPipeError):
            rest = memoryview(packet)
            while rest:
                rest = rest[os.write(self.fileno, rest) :]
        return len(packet)

    def start_application_mode(self) -> None:
        """Begin, with the keys: the page gives them to the terminal, and has nothing else to give them to."""
        super().start_application_mode()
        self._app.call_later(self._app.post_message, AppFocus())  # Textual's driver has just said the opposite

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """Handle what the server says, but for the focus."""
        if packet_type not in ("focus", "blur"):
            super().on_meta(packet_type, payload)

    def run_input_thread(self) -> None:
        """Handle what the server sends; once it sends no more, end the app."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._app.post_message(ExitApp())
