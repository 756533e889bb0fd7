"""Redirection of file descriptors 1 and 2, to which C libraries print directly."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from engine.paths import cache_folder

LONGEST_LOG = 1 << 20
"""Size in bytes above which the log is truncated when it is opened."""


@contextlib.contextmanager
def terminal_to_ourselves() -> Iterator[None]:
    """Send only Python's standard streams to the terminal; redirect descriptors 1 and 2 to a log file in the cache.

    Otherwise, messages of OpenMP, oneDNN and NNPACK would garble the screen. On exit, prints where the log is if
    anything was written to it.
    """
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    sys.stdout.flush()
    sys.stderr.flush()
    path, log = _log()
    before = os.fstat(log).st_size
    kept = {number: os.dup(number) for number in (1, 2)}
    # A name may have characters that the terminal's encoding lacks.
    terminal = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace")
    try:
        for number in kept:
            os.dup2(log, number)
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = terminal  # type: ignore[misc]
        yield
    finally:
        sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]
        for number, own in kept.items():
            os.dup2(own, number)
            os.close(own)
        with contextlib.suppress(OSError):  # the terminal was closed
            terminal.close()
        grown = os.fstat(log).st_size > before
        os.close(log)
    if grown:
        with contextlib.suppress(OSError):
            print(f"mnist-tui: libraries printed messages; they are in {path}", file=sys.stderr)


def _log() -> tuple[Path, int]:
    """The log file and its descriptor, opened to append; the null device if the file cannot be written."""
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "libraries.log"
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        return Path(os.devnull), os.open(os.devnull, os.O_WRONLY)
    if os.fstat(log).st_size > LONGEST_LOG:
        os.ftruncate(log, 0)
    return path, log


@contextlib.contextmanager
def output_to_ourselves() -> Iterator[BinaryIO]:
    """Yield a stream to standard output; redirect anything that libraries print there to standard error.

    If Python's standard output is not descriptor 1, as in tests, it is yielded unchanged.
    """
    sys.stdout.flush()
    try:
        real = sys.stdout.fileno() == 1 and sys.stderr is not None
    except OSError:
        real = False
    if not real:
        yield sys.stdout.buffer
        return
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        yield own
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os.dup2(own.fileno(), 1)
        with contextlib.suppress(OSError):  # the reader has closed the pipe, which an earlier write has reported
            own.close()
