"""The event of a figure."""

from __future__ import annotations

from engine.event import Event


class FigureSaved(Event, frozen=True):
    """A figure was written to disk."""

    path: str
