"""Signals that end the app: a closed terminal, a shutdown, an interrupt."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

LAST_RESORT = 5.0
"""Seconds after a signal until the process is ended, even if something still blocks it."""


def catch(end: Callable[[int], object], save: Callable[[float], object]) -> None:
    """Call `end` in the event loop with the exit code when a signal asks the process to end.

    If the terminal no longer accepts output, Textual's shutdown blocks. `save` is then called with the number of
    seconds that it may take to get the weights to disk, and the process exits immediately afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    def terminate(number: int, _frame: FrameType | None) -> None:
        code = 128 + number

        def last_resort() -> None:
            save(LAST_RESORT)
            os._exit(code)

        timer = threading.Timer(LAST_RESORT, last_resort)
        timer.daemon = True
        timer.start()
        if not loop.is_closed():
            loop.call_soon_threadsafe(end, code)  # wakes the loop if it is idle

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, terminate)
