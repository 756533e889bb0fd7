"""What is reported of figures."""

from __future__ import annotations

from engine.event import Event


class FigureSaved(Event, frozen=True):
    """A figure was drawn and is on disk."""

    path: str
