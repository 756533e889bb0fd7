"""Reading `events.jsonl` piece by piece, since it may be long, and another process may append to it."""

from __future__ import annotations

import errno
import os
from io import BufferedReader
from pathlib import Path

from engine import reading
from engine.reading import open_regular
from engine.runs.codec import DamagedLine, RunEvent, read_json_lines

PIECE = 1 << 20
"""Bytes read at a time: about two hundred epochs."""
MOST_BYTES = 512 << 20
"""Maximum size of a file that is read: more than that of the longest run."""
END = 1 << 14
"""Bytes at the beginning and at the end of a long file that are enough for the state of a run."""


class EventLog:
    """The events of a file in order, a piece at a time."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.behind = False
        """Whether there is more to read than the last piece."""
        self._read = 0
        """Number of bytes read."""
        self._identity = (0, 0)
        self._within = False
        """Whether the next piece begins in the middle of a line that was too long."""

    def more(self, most: int = PIECE) -> tuple[bool, list[RunEvent | DamagedLine]]:
        """Whether the file starts over (it was truncated or replaced), and its next events.

        A line longer than a piece counts as damaged. Raises OSError where the file cannot be read.
        """
        with open_regular(self.file) as file:
            status = os.fstat(file.fileno())
            if status.st_size > MOST_BYTES:
                raise OSError(errno.EFBIG, f"it is larger than {MOST_BYTES:,} bytes", str(self.file))
            identity = (status.st_dev, status.st_ino)
            anew = bool(self._read) and (identity != self._identity or status.st_size < self._read)
            if anew:
                self._read, self._within = 0, False
            self._identity = identity
            file.seek(self._read)
            data = file.read(most)
        self.behind = self._read + len(data) < status.st_size
        return anew, self._whole_lines(data, most)

    def _whole_lines(self, data: bytes, most: int) -> list[RunEvent | DamagedLine]:
        end = data.rfind(b"\n") + 1
        if not end:
            if len(data) < most:
                return []  # it is being written
            self._read += len(data)
            found: list[RunEvent | DamagedLine] = [] if self._within else [DamagedLine()]
            self._within = True
            return found
        self._read += end
        start = data.index(b"\n") + 1 if self._within else 0
        self._within = False
        return list(read_json_lines(data[start:end]))


def read_events(file: Path) -> list[RunEvent | DamagedLine]:
    """All events that the file holds so far; empty if it does not exist. Raises OSError."""
    log = EventLog(file)
    found: list[RunEvent | DamagedLine] = []
    try:
        while True:
            anew, events = log.more()
            if anew:
                found.clear()
            found += events
            if not log.behind:
                return found
    except FileNotFoundError:
        return []


def read_ends(file: Path) -> list[RunEvent | DamagedLine]:
    """The first and the last events, or all those of a short file; raises OSError.

    They show when a run began and its state, however long it is.
    """
    try:
        with BufferedReader(open_regular(file)) as handle:
            data = handle.read(2 * END)
            if (size := handle.seek(0, os.SEEK_END)) > 2 * END:
                handle.seek(size - END)
                tail = handle.read(END)
                # The first line of the tail is incomplete.
                data = data[: data.rfind(b"\n", 0, END) + 1] + tail[tail.find(b"\n") + 1 :]
    except FileNotFoundError:
        return []
    return list(read_json_lines(data))


def read_start(file: Path) -> list[RunEvent | DamagedLine]:
    """The first few events; raises OSError."""
    return list(read_json_lines(reading.read_start(file, 4096)))
