"""The events of a figure."""

from __future__ import annotations

from engine.event import Event


class FigureSaved(Event, frozen=True):
    """A figure was written to disk."""

    path: str


class FigureDrawn(Event, frozen=True):
    """A figure was drawn and not written."""

    name: str
    """A file name for it, which ends in `.png`."""
    png: bytes
