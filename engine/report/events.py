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
    """The observations, the notebook's and, of section 4, those on training against attacks: section, and verdict
    (Supported, Contradicted or Mixed)."""
    seconds: float

    @property
    def observations(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """The notebook's observations, and those of section 4, each under what it is about; without empty groups."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for section, verdict in self.claims:
            about = "training against attacks" if section.startswith("4") else "the notebook's observations"
            groups.setdefault(about, []).append((section, verdict))
        return list(groups.items())
