"""Detection of side effects: files written outside of a folder, processes started, signals sent.

It uses Python's audit hooks, which cannot be removed, so use it in processes that exit after their trial.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS: dict[str, tuple[int, ...]] = {
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.utime": (0,),
    "shutil.rmtree": (0,),
}
"""Audit events that change a file, and the indices of the arguments that name it."""
_PROCESSES = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen"}
_PLAIN_QUESTIONS = {"uname", "ldconfig", "gcc", "cc", "ld", "lscpu", "fc-list"}
"""Harmless programs that libraries run to query the machine and its fonts."""


class Canary:
    """Reports each side effect outside of the folder `inside` to `tell`, on one line, while it is `awake`."""

    def __init__(self, inside: Path, tell: Callable[[str], None]) -> None:
        self.inside, self.tell = os.path.realpath(inside), tell
        self.awake = False
        sys.addaudithook(self._hear)
        # A damaged file may name any process, including -1 for all of them, so no signal is sent while it is awake.
        os.kill = self._kill
        os.killpg = self._kill

    def _kill(self, number: int, signal: int) -> None:
        if signal == 0 or not self.awake:
            _KILL(number, signal)
        elif number != os.getpid():
            self.tell(f"signal {signal} sent to process {number}")

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.awake:
            return
        if event == "open":
            path, mode, flags = arguments
            written = flags & _WRITES if isinstance(flags, int) else not {*"wax+"}.isdisjoint(mode or "")
            if written:
                self._look("opened for writing", path)
        elif event in _PATHS:
            for place in _PATHS[event]:
                self._look(event, arguments[place])
        elif event in _PROCESSES and not self._harmless(arguments):
            self.tell(f"{event} {str(arguments)[:200]}")

    def _look(self, what: str, path: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        place = os.path.realpath(os.fsdecode(path))
        if not place.startswith((self.inside + os.sep, "/dev/", "/proc/")) and place != self.inside:
            self.tell(f"{what}: {place}")

    @staticmethod
    def _harmless(arguments: tuple[Any, ...]) -> bool:
        return bool(arguments) and Path(str(arguments[0])).name in _PLAIN_QUESTIONS


_KILL = os.kill
