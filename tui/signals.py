"""How the app ends because somebody says so: a closed terminal, a shutdown, an interrupt."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

LAST_RESORT = 5.0
"""Seconds after a signal until the process ends, whatever still blocks it."""


def catch(end: Callable[[int], object], save: Callable[[float], object]) -> None:
    """Have `end` called in the event loop with the exit code when a signal to end comes.

    Where the terminal takes nothing any more, Textual's shutdown blocks; the weights are on disk all the same: then
    `save` is called with the seconds that it may take, and the process ends without ceremony.
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
            loop.call_soon_threadsafe(end, code)  # it may sleep, with nothing else to wake it

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, terminate)
