"""Reading small untrusted files: within limits, with errors of one line."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.request import RequestError

T = TypeVar("T")

SMALL = 1 << 20
"""Maximum size of notes, requests and the like, in bytes: thousands of times what they need."""


def open_regular(path: Path) -> FileIO:
    """A regular file opened for reading, unbuffered; raises OSError where it is not regular or cannot be opened.

    Opening a pipe would block until it has a writer, and opening a device may have effects, so neither is opened.
    """
    _check_regular(path, path.stat())
    file = FileIO(path, opener=lambda name, _: os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    try:
        _check_regular(path, os.fstat(file.fileno()))  # it may have been replaced meanwhile
    except OSError:
        file.close()
        raise
    return file


def _check_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_start(path: Path, most: int) -> bytes:
    """The first `most` bytes of a regular file, or all; raises OSError."""
    with BufferedReader(open_regular(path)) as file:
        return file.read(most)


def read_bytes(path: Path, most: int) -> bytes:
    """All of a regular file of at most `most` bytes; raises OSError."""
    if len(data := read_start(path, most + 1)) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", str(path))
    return data


def read_json(path: Path, kind: type[T], most: int = SMALL) -> T:
    """The contents of a JSON file as `kind`.

    Raises RequestError, one line, where it is missing, not a regular file, too large, not UTF-8, nested too deeply, or
    holds something else.
    """
    try:
        return msgspec.json.decode(read_bytes(path, most), type=kind)
    except (OSError, ValueError, RecursionError, msgspec.DecodeError) as error:
        raise RequestError(f"{path} cannot be read ({reason(error)})") from None


def reason(error: Exception) -> str:
    """The reason why something could not be read, in a few words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
