"""What is reported of a report."""

from __future__ import annotations

from engine.event import Event


class ReportWritten(Event, frozen=True):
    """A report is on disk."""

    markdown: str
    html: str
    """One file with all figures in it."""
    figures: int
    claims: tuple[tuple[str, str], ...]
    """Of the notebook: the section, and whether the numbers support it, contradict it, or both in part."""
    seconds: float
