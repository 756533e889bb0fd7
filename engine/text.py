"""Words of others, made safe to show."""

from __future__ import annotations


def printable(text: str, most: int = 80) -> str:
    r"""`text` on one line of at most `most` characters: what no terminal should get is written as an escape, `\x1b`."""
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"
