"""One mutant in a separate process with limits on memory and time."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

MOST_MEMORY = 2 << 30
"""Limit of additional memory, in bytes."""
PATIENCE = 6
"""Multiple of the limit of CPU time after which, in real time, a process counts as hanging."""


def in_child(work: Callable[[Callable[[str], None]], None], seconds: float) -> str:
    """Run `work` in a forked process; returns its failures, one per line with a short first line, or an empty string.

    `seconds` is the limit of CPU time. `work` may report failures to its argument in addition to raising one.
    """
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        _work(work, writer, int(seconds))
    os.close(writer)
    said, until = b"", time.monotonic() + PATIENCE * seconds
    killed = False
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            killed = True
            break
        if not (some := os.read(reader, 1 << 16)):
            break
        said += some
    os.close(reader)
    _, status, usage = os.wait4(child, 0)
    words = said.decode("utf-8", "replace").strip()
    if killed or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return f"over {seconds:g} s\n{words}"
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}\n{words}"
    if code := os.waitstatus_to_exitcode(status):  # a library ended the process
        return f"ended with {code}\n{words}"
    grown = usage.ru_maxrss * 1024 - _own_memory("VmRSS")
    return words or (f"over 2 GB: {grown >> 20:,} MB" if grown > MOST_MEMORY else "")


def _own_memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _work(work: Callable[[Callable[[str], None]], None], writer: int, seconds: int) -> None:
    """Run `work` in the child process; never returns."""

    def tell(words: str) -> None:
        os.write(writer, f"{words}\n".encode("utf-8", "replace"))

    with open(writer, "wb", closefd=False) as file:
        faulthandler.enable(file)
        limit = _own_memory("VmSize") + MOST_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        try:
            work(tell)
        except MemoryError:
            tell(f"over 2 GB\n{traceback.format_exc()}")
        except BaseException as error:
            words = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            with contextlib.suppress(OSError):
                tell(f"{words}\n{traceback.format_exc()}")
        os._exit(0)
