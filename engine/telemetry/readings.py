"""Values as drivers tell them: some are impossible, and then they count as unknown."""

from __future__ import annotations

import math

MB = 1 << 20
"""Bytes."""


def plausible(value: object, most: float, least: float = 0.0) -> float | None:
    """`value` as a number from `least` to `most`; None where it is none, as drivers tell 65535 degrees."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if least <= value <= most else None


def scaled(value: object, unit: float, most: float) -> float | None:
    """`value`, counted in parts of which `unit` make one, as a number from 0 to `most`; None where it is none."""
    known = plausible(value, most * unit)
    return None if known is None else known / unit
