"""Who writes where: C libraries print on descriptors 1 and 2, whatever is on them at the moment."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from engine.paths import cache_folder

LONGEST_LOG = 1 << 20
"""Bytes of the log of before that are kept."""


@contextlib.contextmanager
def terminal_to_ourselves() -> Iterator[None]:
    """Within, only Python's standard streams lead to the terminal: descriptors 1 and 2 are a log in the cache.

    OpenMP, oneDNN and NNPACK print there, which would smear over the screen. At the end it is said where the log is, if
    anything came.
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
        with contextlib.suppress(OSError):  # a terminal that was closed takes nothing
            terminal.close()
        grown = os.fstat(log).st_size > before
        os.close(log)
    if grown:
        with contextlib.suppress(OSError):
            print(f"mnist-tui: what libraries printed meanwhile is in {path}", file=sys.stderr)


def _log() -> tuple[Path, int]:
    """The file for what libraries print, open to append; nothing where no file can be written."""
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
    """Within, standard output is for what we write to the stream given: what libraries print goes to standard error.

    Where Python's standard output is not the process's, as in tests, it is given as it is.
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
        with contextlib.suppress(OSError):  # whoever read it has left, as was said before
            own.close()
