"""Numbers and names as people read them."""

from __future__ import annotations

from tui.terminal import glyphs


def duration(seconds: float) -> str:
    """A time as people say it: `1 h 05 min`, `1 min 22 s`, `9 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def cut(name: str, most: int) -> str:
    """A name in at most so many cells, and at its end where it goes on."""
    return name if len(name) <= most else name[: most - len(glyphs().ellipsis)] + glyphs().ellipsis
