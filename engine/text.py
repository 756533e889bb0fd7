"""Words of others, made safe to show."""

from __future__ import annotations

from engine.words import shown


def printable(text: str, most: int = 80) -> str:
    r"""`text` on one line of at most `most` characters: what no terminal should get is written as an escape, `\x1b`."""
    words = shown(text[: most + 1])
    return words if len(words) <= most else words[: most - 1] + "…"
