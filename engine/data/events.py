"""The events of data sets: a download, and a drawing that was kept."""

from __future__ import annotations

from engine.event import Event, Progress


class DownloadAdvanced(Progress, frozen=True):
    """A part of a data set was downloaded."""

    dataset: str
    file: str
    received: int
    """Bytes so far."""
    total: int
    """Total number of bytes; 0 where the server did not report it."""


class DrawingKept(Event, frozen=True):
    """A drawing is one of the data set of drawings."""

    index: int
    """Its index there."""
    label: int
    count: int
    """Number of drawings that are kept."""
    before: int | None
    """Its label until now, where it was kept already; None for a new drawing."""
