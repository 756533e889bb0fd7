"""What is reported while a data set is fetched."""

from __future__ import annotations

from engine.event import Progress


class DownloadAdvanced(Progress, frozen=True):
    """A part of a data set arrived."""

    dataset: str
    file: str
    received: int
    """Bytes so far."""
    total: int
    """Bytes in all; 0 where the server did not say."""
