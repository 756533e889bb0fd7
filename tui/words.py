"""Numbers as people say them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A time as people say it: `1 h 05 min`, `1 min 22 s`, `9 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
