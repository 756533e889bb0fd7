"""The event of a download."""

from __future__ import annotations

from engine.event import Progress


class DownloadAdvanced(Progress, frozen=True):
    """A part of a data set was downloaded."""

    dataset: str
    file: str
    received: int
    """Bytes so far."""
    total: int
    """Total number of bytes; 0 where the server did not report it."""
