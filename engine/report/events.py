"""The event of a report."""

from __future__ import annotations

from engine.event import Event


class ReportWritten(Event, frozen=True):
    """A report was written to disk."""

    markdown: str
    html: str
    """A single file with all figures embedded."""
    figures: int
    claims: tuple[tuple[str, str], ...]
    """The notebook's observations: section, and verdict (Supported, Contradicted or Mixed)."""
    seconds: float
