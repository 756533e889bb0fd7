"""Small curves of solid columns, one or more rows high, without an axis."""

from __future__ import annotations

from collections.abc import Sequence

from tui.drawing.terminal import UNICODE, glyphs

BLOCKS = "▁▂▃▄▅▆▇█"
"""From one eighth of a cell to a full one."""
RAMP = "_.:-=+*#"
"""The same without block elements."""


def sparkline(values: Sequence[float | None], most: float, rows: int) -> list[str]:
    """`values`, one a column, as `rows` lines, the highest first; `most` fills the whole height.

    An unknown value leaves its column blank; any known one, even 0, has a mark on the lowest line.
    """
    levels = [None if value is None else _level(value, most, rows) for value in values]
    steps = BLOCKS if glyphs() is UNICODE else RAMP
    lines = []
    for row in reversed(range(rows)):
        below = row * len(steps)
        filled = (0 if level is None else min(max(level - below, 0), len(steps)) for level in levels)
        lines.append("".join(steps[count - 1] if count else " " for count in filled))
    return lines


def _level(value: float, most: float, rows: int) -> int:
    """The height in steps: at least one."""
    full = len(BLOCKS) * rows
    return max(1, min(full, round(value / most * full))) if most > 0 else 1
